"""The tables of schedules. Rows are only ever added: triggers refuse every other change."""

from sqlalchemy import ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from auditor.store.tables import Base


class ScheduleRow(Base):
    """What is audited again, and when; ``asked`` and ``triggers`` are canonical JSON."""

    __tablename__ = "schedule_plans"

    id: Mapped[str] = mapped_column(primary_key=True)
    project: Mapped[str] = mapped_column(ForeignKey("projects.name"), index=True)
    maker: Mapped[str]
    name: Mapped[str]
    model: Mapped[str]
    asked: Mapped[str]
    cron: Mapped[str | None]
    triggers: Mapped[str]
    batch_path: Mapped[str | None]
    created: Mapped[str]


class ScheduleChangeRow(Base):
    """That a schedule was paused, went on, or was ended for good, and by whose key."""

    __tablename__ = "schedule_changes"

    schedule: Mapped[str] = mapped_column(ForeignKey("schedule_plans.id"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    state: Mapped[str]
    by: Mapped[str]
    at: Mapped[str]


class ScheduleRunRow(Base):
    """A run that is due, once for its key; ``change`` is canonical JSON."""

    __tablename__ = "schedule_runs"
    __table_args__ = (
        UniqueConstraint("schedule", "key"),
        Index("ix_schedule_runs_schedule_at", "schedule", "at", "id"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    schedule: Mapped[str] = mapped_column(ForeignKey("schedule_plans.id"))
    key: Mapped[str]
    trigger: Mapped[str]
    why: Mapped[str]
    change: Mapped[str]
    at: Mapped[str] = mapped_column(index=True)


class ScheduleRunStartRow(Base):
    """The audit that a run made, or why it made none."""

    __tablename__ = "schedule_run_starts"

    run: Mapped[str] = mapped_column(ForeignKey("schedule_runs.id"), primary_key=True)
    submission: Mapped[str | None] = mapped_column(ForeignKey("submissions.id"), index=True)
    skipped: Mapped[str | None]
    detail: Mapped[str]
    at: Mapped[str]


class ScheduleRunEndRow(Base):
    """What the audit of a run came to; ``failed`` and ``rollback`` are canonical JSON."""

    __tablename__ = "schedule_run_ends"

    run: Mapped[str] = mapped_column(ForeignKey("schedule_runs.id"), primary_key=True)
    record: Mapped[str | None]
    verdict: Mapped[str | None]
    detail: Mapped[str]
    failed: Mapped[str]
    rollback: Mapped[str]
    at: Mapped[str]
