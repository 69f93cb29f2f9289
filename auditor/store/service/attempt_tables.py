"""The table of attempts. Rows are only ever added: triggers refuse every other change."""

from sqlalchemy import BigInteger, ForeignKey, Index, UniqueConstraint, func
from sqlalchemy.orm import Mapped, mapped_column

from auditor.store.tables import Base


class AttemptRow(Base):
    """A request that was registered: which one it is of its model's line under a policy's name.

    ``network`` is what its file computes with, whatever it is called, where that can be told;
    ``counted`` the largest of its counts; neither is known of those from before. ``leaf`` is where
    in the ledger it stands as it was first registered.
    """

    __tablename__ = "attempts"
    __table_args__ = (
        UniqueConstraint("project", "policy", "model", "number"),
        Index("ix_attempts_artifact", "project", "policy", "artifact"),
        Index("ix_attempts_network", "project", "policy", "network"),
    )

    submission: Mapped[str] = mapped_column(ForeignKey("submissions.id"), primary_key=True)
    project: Mapped[str] = mapped_column(ForeignKey("projects.name"))
    policy: Mapped[str]
    model: Mapped[str]
    artifact: Mapped[str | None]
    number: Mapped[int]
    leaf: Mapped[int] = mapped_column(BigInteger)
    network: Mapped[str | None]
    counted: Mapped[int | None]


class AttemptDataRow(Base):
    """Data that a registered request is judged on, by digest, whatever the file was called."""

    __tablename__ = "attempt_data"
    __table_args__ = (Index("ix_attempt_data_project", "project", "policy", "data"),)

    submission: Mapped[str] = mapped_column(ForeignKey("attempts.submission"), primary_key=True)
    data: Mapped[str] = mapped_column(primary_key=True)
    project: Mapped[str] = mapped_column(ForeignKey("projects.name"))
    policy: Mapped[str]


ATTEMPT = func.coalesce(AttemptRow.counted, AttemptRow.number)
"""The number that a record says."""
