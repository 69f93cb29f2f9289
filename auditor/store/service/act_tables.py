"""The table of acts, each of which has a leaf in the ledger."""

from sqlalchemy import ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from auditor.store.service.tables import ProjectRow
from auditor.store.tables import Base


class ActRow(Base):
    """What a caller did; ``number`` is the order, ``detail`` canonical JSON."""

    __tablename__ = "acts"
    __table_args__ = (Index("ix_acts_project_number", "project", "number"),)

    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    id: Mapped[str] = mapped_column(unique=True)
    project: Mapped[str] = mapped_column(ForeignKey(ProjectRow.name))
    caller: Mapped[str]
    subject: Mapped[str | None]
    kind: Mapped[str]
    about: Mapped[str]
    at: Mapped[str]
    detail: Mapped[str]
