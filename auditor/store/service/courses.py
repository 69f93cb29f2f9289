"""The history of one audit as far as a page shows it: all that counts, and of progress the last."""

from sqlalchemy import func, select

from auditor.domain.submissions import Event, Said
from auditor.store.service.histories import event_of
from auditor.store.service.store import ServiceStore
from auditor.store.service.tables import SubmissionEventRow

MOST, LAST = 5000, 100
"""So many events are read that count, and so many of progress; a check tells of that for hours."""


def course(kept: ServiceStore, submission: str) -> tuple[Event, ...]:
    """Return a submission's events in order, of those that tell progress the last alone."""
    row = SubmissionEventRow
    mine = select(row).where(row.submission == submission)
    telling = mine.where(row.kind == Said.PROGRESS.value).order_by(row.number.desc()).limit(LAST)
    others = mine.where(row.kind != Said.PROGRESS.value).order_by(row.number.desc()).limit(MOST)
    with kept.store.reading() as session:
        found = [*session.scalars(telling), *session.scalars(others)]
        return tuple(event_of(item) for item in sorted(found, key=lambda item: item.number))


def last_number(kept: ServiceStore, submission: str) -> int:
    """Return the number of a history's last event."""
    row = SubmissionEventRow
    asked = select(func.max(row.number)).where(row.submission == submission)
    with kept.store.reading() as session:
        return int(session.scalar(asked) or 0)
