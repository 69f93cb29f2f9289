"""The tables of people who decide. Rows are only ever added: triggers refuse every other change."""

from sqlalchemy import ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from auditor.store.tables import Base


class PersonRow(Base):
    """A named person of a project; ``may`` lists, in one text, what the key may sign."""

    __tablename__ = "people_persons"
    __table_args__ = (UniqueConstraint("project", "key"),)

    id: Mapped[str] = mapped_column(primary_key=True)
    project: Mapped[str] = mapped_column(ForeignKey("projects.name"))
    name: Mapped[str]
    key: Mapped[str]
    may: Mapped[str]
    caller: Mapped[str | None]
    created: Mapped[str]
    by: Mapped[str]


class PersonEndRow(Base):
    """The end of a person's leave to decide, and why."""

    __tablename__ = "people_ends"

    person: Mapped[str] = mapped_column(ForeignKey("people_persons.id"), primary_key=True)
    ended: Mapped[str]
    reason: Mapped[str]
    by: Mapped[str]


class DecisionRow(Base):
    """A signed decision; ``number`` is its place among all of its project."""

    __tablename__ = "people_decisions"
    __table_args__ = (
        UniqueConstraint("project", "number"),
        Index("ix_people_decisions_record", "record"),
        Index("ix_people_decisions_kind", "project", "kind", "number"),
    )

    project: Mapped[str] = mapped_column(ForeignKey("projects.name"), primary_key=True)
    digest: Mapped[str] = mapped_column(primary_key=True)
    number: Mapped[int]
    kind: Mapped[str]
    person: Mapped[str] = mapped_column(ForeignKey("people_persons.id"))
    artifact: Mapped[str | None]
    record: Mapped[str | None]
    bundle: Mapped[bytes]
    at: Mapped[str]
    by: Mapped[str]


class LabelsRow(Base):
    """What a person called some cases of a record before the verdict was shown, once."""

    __tablename__ = "people_labels"

    project: Mapped[str] = mapped_column(ForeignKey("projects.name"), primary_key=True)
    record: Mapped[str] = mapped_column(primary_key=True)
    person: Mapped[str] = mapped_column(ForeignKey("people_persons.id"), primary_key=True)
    body: Mapped[str]
    at: Mapped[str]
    by: Mapped[str]


class RejudgementRow(Base):
    """A later record of a submission, and the manifest of its files."""

    __tablename__ = "people_rejudgements"
    __table_args__ = (Index("ix_people_rejudgements_record", "record_digest"),)

    submission: Mapped[str] = mapped_column(ForeignKey("submissions.id"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    record_digest: Mapped[str] = mapped_column(ForeignKey("records.digest"))
    files: Mapped[str]
    at: Mapped[str]
