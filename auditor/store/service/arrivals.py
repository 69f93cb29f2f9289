"""Files of watched places that were dealt with, in the store."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from auditor.domain.arrivals import Arrived
from auditor.store.service.adding import added
from auditor.store.service.watch_tables import ArrivalRow
from auditor.store.store import Store


@dataclass(frozen=True, slots=True)
class KeptArrivals:
    """What is kept of files in places. Every method is a transaction of its own."""

    store: Store

    def known(self, schedule: str) -> frozenset[tuple[str, str]]:
        """Return the names and marks of the files that were dealt with for a schedule."""
        row = ArrivalRow
        asked = select(row.name, row.mark).where(row.schedule == schedule)
        with self.store.reading() as session:
            return frozenset((name, mark) for name, mark in session.execute(asked))

    def note(self, schedule: str, file: Arrived, digest: str | None, at: str) -> bool:
        """Write down that a file was brought in, or why not is told; say whether that is new."""
        with self.store.transaction() as session:
            return _noted(session, schedule, file, digest, at)


def note_there(session: Session, schedule: str, files: Sequence[Arrived], at: str) -> None:
    """Write down which files a schedule finds in its place when it begins: they are past."""
    for file in files:
        _noted(session, schedule, file, None, at)


def _noted(session: Session, schedule: str, file: Arrived, digest: str | None, at: str) -> bool:
    return added(
        session, ArrivalRow, schedule=schedule, name=file.name, mark=file.mark, digest=digest, at=at
    )
