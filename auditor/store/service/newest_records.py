"""The newest records of a model, among those of a project's audits and those judged of them."""

from dataclasses import dataclass

from sqlalchemy import ColumnElement, func, select

from auditor.store.service.people_tables import RejudgementRow
from auditor.store.service.trend_tables import TrendStandingRow
from auditor.store.store import Store


def newest_record(store: Store, project: str, model: str) -> str | None:
    """Return the digest of the record at which the newest audit of a model stands, if any does."""
    standing, later = TrendStandingRow, RejudgementRow
    last = (
        select(standing.submission, standing.record)
        .where(standing.project == project, standing.model == model)
        .order_by(standing.finished.desc(), standing.submission.desc())
        .limit(1)
    )
    with store.reading() as session:
        found = session.execute(last).first()
        if found is None:
            return None
        again = select(later.record_digest).where(later.submission == found.submission)
        return session.scalar(again.order_by(later.number.desc()).limit(1)) or str(found.record)


@dataclass(frozen=True, slots=True)
class Stood:
    """An audit of a model that ended with a record on a target, and the record it stands at."""

    submission: str
    target: str
    record: str
    finished: str


def records_since(
    store: Store, project: str, model: str, since: str, limit: int
) -> tuple[Stood, ...]:
    """Return how the newest audits of a model stand that ended since a time, the newest first.

    An audit of several targets is there once for each, and counts once.
    """
    standing = TrendStandingRow
    newest = (
        select(standing.submission)
        .where(standing.project == project, standing.model == model, standing.finished >= since)
        .group_by(standing.submission)
        .order_by(func.max(standing.finished).desc(), standing.submission.desc())
        .limit(limit)
    )
    return _stood(store, standing.submission.in_(newest))


def newest_there(store: Store, project: str, model: str, target: str) -> Stood | None:
    """Return how the newest audit of a model on a target stands, if there is one."""
    standing = TrendStandingRow
    last = (
        select(standing.submission)
        .where(
            standing.project == project, standing.model == model, standing.target == target
        )
        .order_by(standing.finished.desc(), standing.submission.desc())
        .limit(1)
    )  # fmt: skip
    found = _stood(store, standing.submission.in_(last))
    return next((item for item in found if item.target == target), None)


def _stood(store: Store, which: ColumnElement[bool]) -> tuple[Stood, ...]:
    standing, later = TrendStandingRow, RejudgementRow
    again = (
        select(later.record_digest)
        .where(later.submission == standing.submission)
        .order_by(later.number.desc())
        .limit(1)
        .correlate(standing)
        .scalar_subquery()
    )
    asked = (
        select(
            standing.submission, standing.target, func.coalesce(again, standing.record),
            standing.finished,
        )
        .where(which)
        .order_by(standing.finished.desc(), standing.submission.desc(), standing.target)
    )  # fmt: skip
    with store.reading() as session:
        return tuple(Stood(*row) for row in session.execute(asked))
