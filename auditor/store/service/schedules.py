"""Schedules in the store: what they ask, and how each stands."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from sqlalchemy import ColumnElement, Row, Select, and_, func, or_, select
from sqlalchemy.orm import Session, defer

from auditor.domain.acts import Act
from auditor.domain.arrivals import Arrived
from auditor.domain.canonical import canonical, parse
from auditor.domain.json_parts import Part
from auditor.domain.schedules import Schedule, ScheduleState, Trigger
from auditor.errors import UsageError
from auditor.refusals import StandingError
from auditor.store.service.acts import noted
from auditor.store.service.adding import added
from auditor.store.service.arrivals import note_there
from auditor.store.service.callers import require_project
from auditor.store.service.schedule_tables import ScheduleChangeRow, ScheduleRow
from auditor.store.service.watch_tables import WatchRow
from auditor.store.store import Store

MOST = 200
"""A project has no more schedules that have not ended."""


@dataclass(frozen=True, slots=True)
class KeptSchedules:
    """What is kept of schedules. Every method is a transaction of its own.

    Whatever belongs to a project is asked for with the project. An act that is given along with a
    change is kept with it, and in the ledger, if it changed something. Raises ``StoreError`` when
    the database refuses.
    """

    store: Store

    def add(
        self, schedule: Schedule, act: Act | None = None, there: Sequence[Arrived] = ()
    ) -> None:
        """Keep a schedule, and that files were ``there`` in its place before.

        Raises ``StandingError`` where the project has as many as it may.
        """
        with self.store.unit_of_work() as work:
            session = work.session
            require_project(session, schedule.project)
            open_now = select(func.count()).select_from(ScheduleRow)
            here = open_now.where(ScheduleRow.project == schedule.project)
            if (session.scalar(here.where(_state() != ScheduleState.ENDED.value)) or 0) >= MOST:
                raise StandingError(
                    f"the project has {MOST} schedules already", cure="End one that is not needed."
                )
            session.add(_row(schedule))
            if schedule.watch is not None:
                session.flush()
                session.add(WatchRow(schedule=schedule.id, place=schedule.watch))
                session.flush()
                note_there(session, schedule.id, there, schedule.created)
            noted(work, act, changed=True)

    def find(self, project: str, name: str) -> Schedule | None:
        """Return a schedule of a project by its id."""
        asked = _asked().where(ScheduleRow.id == name, ScheduleRow.project == project)
        with self.store.reading() as session:
            row = session.execute(asked).one_or_none()
            return None if row is None else _read(row)

    def of_project(
        self, project: str, cursor: str | None, limit: int
    ) -> tuple[tuple[Schedule, ...], str]:
        """Return a project's schedules, the newest first, and the cursor of what follows.

        Raises ``UsageError`` for a cursor that is none.
        """
        row = ScheduleRow
        asked = _asked().where(row.project == project)
        with self.store.reading() as session:
            if cursor:
                asked = asked.where(_after(session, project, cursor))
            ordered = asked.order_by(row.created.desc(), row.id.desc()).limit(limit + 1)
            found = tuple(_read(item) for item in session.execute(ordered))
        return found[:limit], found[limit - 1].id if len(found) > limit else ""

    def active(self) -> tuple[Schedule, ...]:
        """Return the schedules of all projects that make runs now."""
        asked = _asked().where(_state() == ScheduleState.ACTIVE.value).order_by(ScheduleRow.id)
        with self.store.reading() as session:
            return tuple(_read(item) for item in session.execute(asked))

    def clocked(self) -> tuple[Schedule, ...]:
        """Return those of them that have a cron, without what they ask, which may be long."""
        row = ScheduleRow
        asked = _asked().options(defer(row.asked)).where(row.cron.is_not(None))
        here = asked.where(_state() == ScheduleState.ACTIVE.value).order_by(row.id)
        with self.store.reading() as session:
            return tuple(_read(item, whole=False) for item in session.execute(here))

    def change(  # noqa: PLR0913, PLR0917 -- what of which schedule, by whom, and what goes with it
        self,
        schedule: Schedule,
        state: ScheduleState,
        by: str,
        at: str,
        act: Act | None = None,
        there: Sequence[Arrived] = (),
    ) -> bool:
        """Let a schedule be in another state from now on, and say whether it was not in it before.

        Files that are ``there`` in its place are past where it changed.
        Raises ``StandingError`` for a schedule that has ended.
        """
        with self.store.unit_of_work() as work:
            session, row = work.session, ScheduleRow
            session.execute(select(row.id).where(row.id == schedule.id).with_for_update())
            now = session.scalar(select(_state()).where(row.id == schedule.id))
            if now == state.value:
                return False
            if now == ScheduleState.ENDED.value:
                raise StandingError(f"{schedule.id} has ended", cure="Make another schedule.")
            change = ScheduleChangeRow
            last = select(func.coalesce(func.max(change.number), 0))
            number = int(session.scalar(last.where(change.schedule == schedule.id)) or 0) + 1
            new = added(
                session, change, schedule=schedule.id, number=number, state=state.value, by=by,
                at=at,
            )  # fmt: skip
            note_there(session, schedule.id, there if new else (), at)
            return noted(work, act, changed=new)


def _row(schedule: Schedule) -> ScheduleRow:
    return ScheduleRow(
        id=schedule.id,
        project=schedule.project,
        maker=schedule.maker,
        name=schedule.name,
        model=schedule.model,
        asked=canonical(dict(schedule.asked)).decode(),
        cron=schedule.cron,
        triggers=canonical([item.value for item in schedule.triggers]).decode(),
        batch_path=schedule.batch_path,
        created=schedule.created,
    )


def _last(column: ColumnElement[str]) -> ColumnElement[str]:
    change = ScheduleChangeRow
    asked = select(column).where(change.schedule == ScheduleRow.id)
    last = asked.order_by(change.number.desc()).limit(1)
    return last.correlate(ScheduleRow).scalar_subquery()


def _state() -> ColumnElement[str]:
    found = _last(ScheduleChangeRow.__table__.c.state)
    return func.coalesce(found, ScheduleState.ACTIVE.value)


def _asked() -> "Select[ScheduleRow, str, str, str | None]":
    row, watch = ScheduleRow, WatchRow
    asked = select(row, _state(), _last(ScheduleChangeRow.__table__.c.at), watch.place)
    return asked.outerjoin(watch, watch.schedule == row.id)


def _after(session: Session, project: str, cursor: str) -> ColumnElement[bool]:
    row = ScheduleRow
    last = session.get(row, cursor)
    if last is None or last.project != project:
        raise UsageError(
            f"{cursor[:80]!r} is no cursor of this list",
            cure="Give the cursor that the last page ended with, or none to begin.",
        )
    same = and_(row.created == last.created, row.id < last.id)
    return or_(row.created < last.created, same)


def plain(row: ScheduleRow, *, whole: bool = True) -> Schedule:
    """Return a schedule as it was made, whatever happened to it since.

    What it asks is left out where it is not wanted ``whole``.
    """
    named = Part({"triggers": parse(row.triggers.encode())}, "schedule").texts("triggers")
    return Schedule(
        id=row.id,
        project=row.project,
        maker=row.maker,
        name=row.name,
        model=row.model,
        asked=Part(parse(row.asked.encode()), "asked").value if whole else {},
        cron=row.cron,
        triggers=tuple(Trigger(item) for item in named),
        batch_path=row.batch_path,
        created=row.created,
    )


def _read(found: "Row[ScheduleRow, str, str, str | None]", *, whole: bool = True) -> Schedule:
    row, state, changed, place = found
    made = plain(row, whole=whole)
    return replace(made, state=ScheduleState(state), resumed=changed or row.created, watch=place)
