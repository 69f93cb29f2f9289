"""Narrow rows of what records measured and decided, so that trends are found without parsing them.

Rows are only ever added: triggers refuse every other change.
"""

from sqlalchemy import Double, ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from auditor.store.tables import Base


class TrendStandingRow(Base):
    """The verdict of one audit on one target; ``artifact`` is empty where there was none."""

    __tablename__ = "trend_standings"
    __table_args__ = (
        Index(
            "ix_trend_standings_version", "project", "model", "artifact", "target", "finished",
            "submission",
        ),
        Index("ix_trend_standings_finished", "project", "model", "finished"),
    )  # fmt: skip

    submission: Mapped[str] = mapped_column(ForeignKey("submissions.id"), primary_key=True)
    target: Mapped[str] = mapped_column(primary_key=True)
    project: Mapped[str]
    model: Mapped[str]
    version: Mapped[str]
    artifact: Mapped[str]
    policy: Mapped[str]
    record: Mapped[str]
    verdict: Mapped[str]
    finished: Mapped[str]


class TrendVersionRow(Base):
    """A version of a model that was audited on a target, and when that was first."""

    __tablename__ = "trend_versions"

    project: Mapped[str] = mapped_column(primary_key=True)
    model: Mapped[str] = mapped_column(primary_key=True)
    artifact: Mapped[str] = mapped_column(primary_key=True)
    target: Mapped[str] = mapped_column(primary_key=True)
    first: Mapped[str]


class TrendPointRow(Base):
    """A measurement of the whole sample, by its number among the record's readings."""

    __tablename__ = "trend_points"
    __table_args__ = (
        Index(
            "ix_trend_points_metric", "project", "model", "metric", "check_id", "target",
            "finished", "submission", "number",
        ),
    )  # fmt: skip

    submission: Mapped[str] = mapped_column(ForeignKey("submissions.id"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    project: Mapped[str]
    model: Mapped[str]
    version: Mapped[str]
    target: Mapped[str]
    check_id: Mapped[str]
    check_version: Mapped[int]
    metric: Mapped[str]
    params: Mapped[str]
    value: Mapped[float] = mapped_column(Double)
    low: Mapped[float | None] = mapped_column(Double)
    high: Mapped[float | None] = mapped_column(Double)
    confidence: Mapped[float | None] = mapped_column(Double)
    bound: Mapped[str]
    n: Mapped[int]
    unit: Mapped[str]
    doubted: Mapped[bool]
    record: Mapped[str]
    finished: Mapped[str]
