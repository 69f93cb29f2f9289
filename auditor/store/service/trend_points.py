"""Measurements of the whole sample over time, as narrow rows."""

from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import ColumnElement, and_, or_, select
from sqlalchemy.orm import Session

from auditor.domain.canonical import canonical
from auditor.domain.readings import Measurement
from auditor.domain.records import AuditRecord
from auditor.errors import UsageError
from auditor.store.service.trend_tables import TrendPointRow
from auditor.store.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Sought:
    """Which points are asked for: of a model's metric, by which check, on which target."""

    project: str
    model: str
    metric: str
    check: str | None = None
    target: str | None = None
    cursor: str | None = None
    limit: int = 50


@dataclass(frozen=True, slots=True)
class KeptPoints:
    """What is kept of measurements. Raises ``StoreError`` when the database refuses."""

    store: Store

    def points(self, sought: Sought) -> tuple[tuple[TrendPointRow, ...], str]:
        """Return points, the newest first, and the cursor of what follows.

        Raises ``UsageError`` for a cursor that is none.
        """
        row = TrendPointRow
        asked = select(row).where(
            row.project == sought.project,
            row.model == sought.model,
            row.metric == sought.metric,
            *([] if sought.check is None else [row.check_id == sought.check]),
            *([] if sought.target is None else [row.target == sought.target]),
        )
        with self.store.reading() as session:
            if sought.cursor:
                asked = asked.where(_before(session, sought))
            ordered = asked.order_by(row.finished.desc(), row.submission.desc(), row.number.desc())
            found = tuple(session.scalars(ordered.limit(sought.limit + 1)))
            session.expunge_all()
        page = found[: sought.limit]
        return page, f"{page[-1].submission}.{page[-1].number}" if len(found) > len(page) else ""


def points_of(submission: str, project: str, record: AuditRecord) -> Iterator[TrendPointRow]:
    """Return the rows of what a record measured of the whole sample."""
    for number, item in enumerate(record.readings):
        if not isinstance(item, Measurement) or item.slice or isinstance(item.value, str | None):
            continue
        yield TrendPointRow(
            submission=submission,
            number=number,
            project=project,
            model=record.request.name,
            version=record.request.version,
            target=item.target,
            check_id=item.check,
            check_version=item.version,
            metric=item.metric,
            params=canonical(dict(item.params)).decode(),
            value=float(item.value),
            low=item.low,
            high=item.high,
            confidence=item.confidence,
            bound=item.bound.value,
            n=item.n,
            unit=item.unit.value,
            doubted=item.doubted,
            record=record.digest,
            finished=record.finished,
        )


def _before(session: Session, sought: Sought) -> ColumnElement[bool]:
    row = TrendPointRow
    submission, _, number = str(sought.cursor).partition(".")
    last = session.get(row, (submission, int(number))) if number.isdecimal() else None
    if last is None or last.project != sought.project or last.model != sought.model:
        raise UsageError(
            f"{str(sought.cursor)[:80]!r} is no cursor of this list",
            cure="Give the cursor that the last page ended with, or none to begin.",
        )
    same_time = and_(row.finished == last.finished, row.submission == last.submission)
    return or_(
        row.finished < last.finished,
        and_(row.finished == last.finished, row.submission < last.submission),
        and_(same_time, row.number < last.number),
    )
