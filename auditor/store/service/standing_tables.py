"""How far every submission is, in a row that follows its history by itself."""

from sqlalchemy import ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from auditor.store.tables import Base

UNENDED = text("state IN ('queued', 'waiting_for_target', 'running')")


class StandingRow(Base):
    """The state that a submission's history tells last, beside what submissions are listed by.

    It says nothing that other rows do not: triggers write it when an event is added, and refuse
    whatever the history does not say. It is there so that lists need not read histories.
    """

    __tablename__ = "submission_standings"
    __table_args__ = (
        Index("ix_standings_listed", "project", "submitted", "submission"),
        Index("ix_standings_state", "project", "state", "submitted", "submission"),
        Index("ix_standings_model", "project", "model", "submitted", "submission"),
        Index("ix_standings_both", "project", "model", "state", "submitted", "submission"),
        Index(
            "ix_standings_unended", "submitted", "submission",
            sqlite_where=UNENDED, postgresql_where=UNENDED,
        ),
    )  # fmt: skip

    submission: Mapped[str] = mapped_column(ForeignKey("submissions.id"), primary_key=True)
    project: Mapped[str]
    model: Mapped[str]
    state: Mapped[str]
    submitted: Mapped[str]
