"""The table of attempts. Rows are only ever added: triggers refuse every other change."""

from sqlalchemy import BigInteger, ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from auditor.store.tables import Base


class AttemptRow(Base):
    """A request that was registered: which one it is of its model's line under a policy's name.

    ``leaf`` is where in the ledger it stands as it was first registered.
    """

    __tablename__ = "attempts"
    __table_args__ = (
        UniqueConstraint("project", "policy", "model", "number"),
        Index("ix_attempts_artifact", "project", "policy", "artifact"),
    )

    submission: Mapped[str] = mapped_column(ForeignKey("submissions.id"), primary_key=True)
    project: Mapped[str] = mapped_column(ForeignKey("projects.name"))
    policy: Mapped[str]
    model: Mapped[str]
    artifact: Mapped[str | None]
    number: Mapped[int]
    leaf: Mapped[int] = mapped_column(BigInteger)
