"""The table of sealed sets. Rows are only ever added: triggers refuse every other change."""

from sqlalchemy import BigInteger, ForeignKey, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from auditor.store.tables import Base


class SealedSetRow(Base):
    """A file that the auditor holds: the same bytes have one name in a project."""

    __tablename__ = "sealed_sets"
    __table_args__ = (UniqueConstraint("project", "digest"),)

    project: Mapped[str] = mapped_column(ForeignKey("projects.name"), primary_key=True)
    name: Mapped[str] = mapped_column(primary_key=True)
    digest: Mapped[str]
    role: Mapped[str]
    file: Mapped[str]
    size: Mapped[int] = mapped_column(BigInteger)
    note: Mapped[str]
    by: Mapped[str]
    at: Mapped[str]
