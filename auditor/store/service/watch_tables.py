"""The tables of places that are watched, and of what targets turned out to be.

Rows are only ever added: triggers refuse every other change.
"""

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from auditor.store.tables import Base


class WatchRow(Base):
    """The place that a schedule watches for batches."""

    __tablename__ = "schedule_watches"

    schedule: Mapped[str] = mapped_column(ForeignKey("schedule_plans.id"), primary_key=True)
    place: Mapped[str]


class ArrivalRow(Base):
    """A file of a place that was dealt with, under the mark that changes when it does.

    Without a digest nothing was brought in: it was there before, or cannot be had.
    """

    __tablename__ = "schedule_arrivals"

    schedule: Mapped[str] = mapped_column(ForeignKey("schedule_watches.schedule"), primary_key=True)
    name: Mapped[str] = mapped_column(primary_key=True)
    mark: Mapped[str] = mapped_column(primary_key=True)
    digest: Mapped[str | None]
    at: Mapped[str]


class SightingRow(Base):
    """What a target was, said by a worker of all projects, or by an agent of one.

    A row is added where it is another than the seer said last; ``facts`` is canonical JSON, and
    ``identity`` its digest.
    """

    __tablename__ = "target_sightings"

    seer: Mapped[str] = mapped_column(primary_key=True)
    target: Mapped[str] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    project: Mapped[str | None] = mapped_column(ForeignKey("projects.name"))
    identity: Mapped[str]
    facts: Mapped[str]
    at: Mapped[str] = mapped_column(index=True)
