"""What rows say of a run of a schedule, and how those are asked for."""

from collections.abc import Mapping
from typing import TypeAlias

from sqlalchemy import ColumnElement, Row, Select, and_, or_, select
from sqlalchemy.orm import Session, aliased

from auditor.domain.canonical import Json, parse
from auditor.domain.json_parts import Part
from auditor.domain.schedules import Run, Skip, Trigger
from auditor.errors import UsageError
from auditor.store.service.schedule_tables import (
    ScheduleRunEndRow,
    ScheduleRunRow,
    ScheduleRunStartRow,
)

Found: TypeAlias = "Select[ScheduleRunRow, ScheduleRunStartRow, ScheduleRunEndRow]"


def runs_asked() -> Found:
    """Return the query of runs, each beside how it began and ended, as far as it has."""
    row, start, end = ScheduleRunRow, ScheduleRunStartRow, ScheduleRunEndRow
    beside = select(row, start, end).outerjoin(start, start.run == row.id)
    return beside.outerjoin(end, end.run == row.id)


def has_row(row: type[ScheduleRunStartRow | ScheduleRunEndRow]) -> ColumnElement[bool]:
    """Whether a run has a row of this kind."""
    other = aliased(row)
    return select(other.run).where(other.run == ScheduleRunRow.id).exists()


def after_run(session: Session, schedule: str, cursor: str) -> ColumnElement[bool]:
    """Return the condition that a run comes after a cursor, the newest first.

    Raises ``UsageError`` for a cursor that is none.
    """
    row = ScheduleRunRow
    last = session.get(row, cursor)
    if last is None or last.schedule != schedule:
        raise UsageError(
            f"{cursor[:80]!r} is no cursor of this list",
            cure="Give the cursor that the last page ended with, or none to begin.",
        )
    return or_(row.at < last.at, and_(row.at == last.at, row.id < last.id))


def read_run(
    found: "Row[ScheduleRunRow, ScheduleRunStartRow | None, ScheduleRunEndRow | None]",
) -> Run:
    """Return what rows say of a run."""
    row, start, end = found
    return Run(
        id=row.id,
        schedule=row.schedule,
        key=row.key,
        trigger=Trigger(row.trigger),
        why=row.why,
        at=row.at,
        change=Part(parse(row.change.encode()), "change").value,
        audit=None if start is None else start.submission,
        skipped=None if start is None or start.skipped is None else Skip(start.skipped),
        detail=(end.detail if end is not None else "") or (start.detail if start else ""),
        ended=None if end is None else end.at,
        record=None if end is None else end.record,
        verdict=None if end is None else end.verdict,
        failed=() if end is None else _texts(end.failed),
        rollback=() if end is None else _objects(end.rollback),
    )


def _texts(raw: str) -> tuple[str, ...]:
    return Part({"list": parse(raw.encode())}, "run").texts("list")


def _objects(raw: str) -> tuple[Mapping[str, Json], ...]:
    return Part({"list": parse(raw.encode())}, "run").list_of("list", lambda part: part.value)
