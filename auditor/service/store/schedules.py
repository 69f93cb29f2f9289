"""Stored schedules, their runs, and the processed files of watched folders.

The key of a run is unique: a run is stored once, whichever process finds it due.
"""

import secrets
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TypeAlias

from sqlalchemy import ColumnElement, Row, Select, and_, func, or_, select
from sqlalchemy.orm import Session, aliased, defer

from auditor._time import format_time, parse_time
from auditor.domain.json import Json, JsonPart, encode_canonical, parse_json
from auditor.errors import StateConflictError, UsageError
from auditor.service.domain.access import AuditLogEntry
from auditor.service.domain.schedules import (
    DueRun,
    Schedule,
    ScheduledRun,
    ScheduledRunResult,
    ScheduleState,
    SkipReason,
    WatchedFile,
)
from auditor.service.domain.triggers import ScheduleTrigger
from auditor.service.domain.webhooks import WebhookEvent
from auditor.service.store.projects import log_change, require_project
from auditor.service.store.tables import (
    ArrivalRow,
    OutcomeRow,
    ScheduleChangeRow,
    ScheduleRow,
    ScheduleRunEndRow,
    ScheduleRunRow,
    ScheduleRunStartRow,
    SubmissionRow,
    WatchRow,
)
from auditor.service.store.webhook_outbox import queue_webhook_messages
from auditor.store.record_store import RecordStore
from auditor.store.sql import insert_if_absent

Found: TypeAlias = "Select[ScheduleRunRow, ScheduleRunStartRow, ScheduleRunEndRow]"


def select_runs() -> Found:
    """Return the query of runs, each beside how it began and ended, as far as it has."""
    row, start, end = ScheduleRunRow, ScheduleRunStartRow, ScheduleRunEndRow
    beside = select(row, start, end).outerjoin(start, start.run == row.id)
    return beside.outerjoin(end, end.run == row.id)


def has_run_row(row: type[ScheduleRunStartRow | ScheduleRunEndRow]) -> ColumnElement[bool]:
    """Whether a run has a row of this kind."""
    other = aliased(row)
    return select(other.run).where(other.run == ScheduleRunRow.id).exists()


def build_run_cursor_condition(session: Session, schedule: str, cursor: str) -> ColumnElement[bool]:
    """Return the condition that a run comes after a cursor, the newest first.

    Raises ``UsageError`` for a cursor that is none.
    """
    row = ScheduleRunRow
    last = session.get(row, cursor)
    if last is None or last.schedule != schedule:
        raise UsageError(
            f"{cursor[:80]!r} is not a cursor of this list",
            cure="Use the `next` value of the last page, or no cursor for the first page.",
        )
    return or_(row.at < last.at, and_(row.at == last.at, row.id < last.id))


def read_run(
    found: "Row[ScheduleRunRow, ScheduleRunStartRow | None, ScheduleRunEndRow | None]",
) -> ScheduledRun:
    """Return what rows say of a run."""
    row, start, end = found
    return ScheduledRun(
        id=row.id,
        schedule=row.schedule,
        key=row.key,
        trigger=ScheduleTrigger(row.trigger),
        why=row.why,
        at=row.at,
        change=JsonPart(parse_json(row.change.encode()), "change").value,
        audit=None if start is None else start.submission,
        skipped=None if start is None or start.skipped is None else SkipReason(start.skipped),
        detail=(end.detail if end is not None else "") or (start.detail if start else ""),
        ended=None if end is None else end.at,
        record=None if end is None else end.record,
        verdict=None if end is None else end.verdict,
        failed=() if end is None else _texts(end.failed),
        rollback=() if end is None else _objects(end.rollback),
    )


def _texts(raw: str) -> tuple[str, ...]:
    return JsonPart({"list": parse_json(raw.encode())}, "run").texts("list")


def _objects(raw: str) -> tuple[Mapping[str, Json], ...]:
    return JsonPart({"list": parse_json(raw.encode())}, "run").list_of(
        "list", lambda part: part.value
    )


@dataclass(frozen=True, slots=True)
class ArrivalStore:
    """What is kept of files in places. Every method is a transaction of its own."""

    store: RecordStore

    def known(self, schedule: str) -> frozenset[tuple[str, str]]:
        """Return the names and marks of the files that were dealt with for a schedule."""
        row = ArrivalRow
        asked = select(row.name, row.mark).where(row.schedule == schedule)
        with self.store.reading() as session:
            return frozenset((name, mark) for name, mark in session.execute(asked))

    def note(self, schedule: str, file: WatchedFile, digest: str | None, at: str) -> bool:
        """Write down that a file was brought in, or why not is told; say whether that is new."""
        with self.store.transaction() as session:
            return _noted(session, schedule, file, digest, at)


def record_present_files(
    session: Session, schedule: str, files: Sequence[WatchedFile], at: str
) -> None:
    """Write down which files a schedule finds in its place when it begins: they are past."""
    for file in files:
        _noted(session, schedule, file, None, at)


def _noted(session: Session, schedule: str, file: WatchedFile, digest: str | None, at: str) -> bool:
    return insert_if_absent(
        session, ArrivalRow, schedule=schedule, name=file.name, mark=file.mark, digest=digest, at=at
    )


MOST = 200
"""A project has no more schedules that have not ended."""


@dataclass(frozen=True, slots=True)
class ScheduleStore:
    """What is kept of schedules. Every method is a transaction of its own.

    Whatever belongs to a project is asked for with the project. An act that is given along with a
    change is kept with it, and in the ledger, if it changed something. Raises ``StoreError`` when
    the database refuses.
    """

    store: RecordStore

    def add(
        self,
        schedule: Schedule,
        act: AuditLogEntry | None = None,
        there: Sequence[WatchedFile] = (),
    ) -> None:
        """Keep a schedule, and that files were ``there`` in its place before.

        Raises ``StateConflictError`` where the project has as many as it may.
        """
        with self.store.unit_of_work() as work:
            session = work.session
            require_project(session, schedule.project)
            open_now = select(func.count()).select_from(ScheduleRow)
            here = open_now.where(ScheduleRow.project == schedule.project)
            if (session.scalar(here.where(_state() != ScheduleState.ENDED.value)) or 0) >= MOST:
                raise StateConflictError(
                    f"the project already has {MOST} schedules, which is the limit",
                    cure="End a schedule that you do not need.",
                )
            session.add(
                ScheduleRow(
                    id=schedule.id,
                    project=schedule.project,
                    maker=schedule.maker,
                    name=schedule.name,
                    model=schedule.model,
                    asked=encode_canonical(dict(schedule.asked)).decode(),
                    cron=schedule.cron,
                    triggers=encode_canonical([item.value for item in schedule.triggers]).decode(),
                    batch_path=schedule.batch_path,
                    created=schedule.created,
                )
            )
            if schedule.watch is not None:
                session.flush()
                session.add(WatchRow(schedule=schedule.id, place=schedule.watch))
                session.flush()
                record_present_files(session, schedule.id, there, schedule.created)
            log_change(work, act, changed=True)

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
                last = session.get(row, cursor)
                if last is None or last.project != project:
                    raise UsageError(
                        f"{cursor[:80]!r} is not a cursor of this list",
                        cure=(
                            "Use the `next` value of the last page, or no cursor for "
                            "the first page."
                        ),
                    )
                same = and_(row.created == last.created, row.id < last.id)
                asked = asked.where(or_(row.created < last.created, same))
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
        act: AuditLogEntry | None = None,
        there: Sequence[WatchedFile] = (),
    ) -> bool:
        """Let a schedule be in another state from now on, and say whether it was not in it before.

        Files that are ``there`` in its place are past where it changed. Raises
        ``StateConflictError`` for a schedule that has ended.
        """
        with self.store.unit_of_work() as work:
            session, row = work.session, ScheduleRow
            session.execute(select(row.id).where(row.id == schedule.id).with_for_update())
            now = session.scalar(select(_state()).where(row.id == schedule.id))
            if now == state.value:
                return False
            if now == ScheduleState.ENDED.value:
                raise StateConflictError(
                    f"{schedule.id} has ended", cure="Create another schedule."
                )
            change = ScheduleChangeRow
            last = select(func.coalesce(func.max(change.number), 0))
            number = int(session.scalar(last.where(change.schedule == schedule.id)) or 0) + 1
            new = insert_if_absent(
                session, change, schedule=schedule.id, number=number, state=state.value, by=by,
                at=at,
            )  # fmt: skip
            record_present_files(session, schedule.id, there if new else (), at)
            return log_change(work, act, changed=new)


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


def read_schedule(row: ScheduleRow, *, whole: bool = True) -> Schedule:
    """Return a schedule as it was made, whatever happened to it since.

    What it asks is left out where it is not wanted ``whole``.
    """
    named = JsonPart({"triggers": parse_json(row.triggers.encode())}, "schedule").texts("triggers")
    return Schedule(
        id=row.id,
        project=row.project,
        maker=row.maker,
        name=row.name,
        model=row.model,
        asked=JsonPart(parse_json(row.asked.encode()), "asked").value if whole else {},
        cron=row.cron,
        triggers=tuple(ScheduleTrigger(item) for item in named),
        batch_path=row.batch_path,
        created=row.created,
    )


def _read(found: "Row[ScheduleRow, str, str, str | None]", *, whole: bool = True) -> Schedule:
    row, state, changed, place = found
    made = read_schedule(row, whole=whole)
    return replace(made, state=ScheduleState(state), resumed=changed or row.created, watch=place)


WINDOW = timedelta(days=60)
"""How far back runs are looked for that are not over: no audit waits or works so long."""


@dataclass(frozen=True, slots=True)
class RunStore:
    """What is kept of runs. Every method is a transaction of its own, and may be called twice."""

    store: RecordStore

    def claim(self, schedule: str, due: DueRun, at: str) -> tuple[ScheduledRun, bool]:
        """Put a run down, unless there is one of its key; return the one there is, and if new."""
        with self.store.transaction() as session:
            return _claimed(session, schedule, due, at)

    def refused(
        self, schedule: Schedule, due: DueRun, skip: SkipReason, detail: str, at: str
    ) -> bool:
        """Put a run down that makes no audit, and say whether it is new; web hooks hear of it."""
        with self.store.transaction() as session:
            run, new = _claimed(session, schedule.id, due, at)
            return new and _skipped(session, run, schedule.project, skip, detail, at)

    def started(self, run: str, submission: str, at: str, detail: str = "") -> bool:
        """Say which audit a run made, and whether that is new; ``detail`` says how, if not so."""
        with self.store.transaction() as session:
            row = ScheduleRunStartRow
            return insert_if_absent(
                session, row, run=run, submission=submission, skipped=None, detail=detail, at=at
            )

    def skipped(
        self, run: ScheduledRun, project: str, skip: SkipReason, detail: str, at: str
    ) -> bool:
        """Say why a run made no audit, and whether that is new; web hooks hear of it."""
        with self.store.transaction() as session:
            return _skipped(session, run, project, skip, detail, at)

    def ended(self, run: ScheduledRun, project: str, came: ScheduledRunResult, at: str) -> bool:
        """Say what a run came to, and whether that is new."""
        with self.store.transaction() as session:
            first = insert_if_absent(
                session,
                ScheduleRunEndRow,
                run=run.id,
                record=came.record,
                verdict=came.verdict,
                detail=came.detail,
                failed=encode_canonical(list(came.failed)).decode(),
                rollback=encode_canonical([dict(item) for item in came.rollback]).decode(),
                at=at,
            )
            if first and came.told:
                queue_webhook_messages(session, project, WebhookEvent.REAUDIT_FAILED, run.id, at)
            return first

    def of_key(self, schedule: str, key: str) -> ScheduledRun | None:
        """Return the run of a schedule that there is under a key, if there is one."""
        row = ScheduleRunRow
        asked = select_runs().where(row.schedule == schedule, row.key == key)
        with self.store.reading() as session:
            found = session.execute(asked).one_or_none()
            return None if found is None else read_run(found)

    def find(self, name: str) -> ScheduledRun | None:
        """Return a run by its id, of whichever project."""
        with self.store.reading() as session:
            row = session.execute(select_runs().where(ScheduleRunRow.id == name)).one_or_none()
            return None if row is None else read_run(row)

    def of_schedule(
        self, schedule: str, cursor: str | None, limit: int
    ) -> tuple[tuple[ScheduledRun, ...], str]:
        """Return the runs of a schedule, the newest first, and the cursor of what follows.

        Raises ``UsageError`` for a cursor that is none.
        """
        row = ScheduleRunRow
        asked = select_runs().where(row.schedule == schedule)
        with self.store.reading() as session:
            if cursor:
                asked = asked.where(build_run_cursor_condition(session, schedule, cursor))
            ordered = asked.order_by(row.at.desc(), row.id.desc()).limit(limit + 1)
            found = tuple(read_run(item) for item in session.execute(ordered))
        return found[:limit], found[limit - 1].id if len(found) > limit else ""

    def last_came(self, schedules: Sequence[str]) -> Mapping[str, str]:
        """Return the key of the newest run upon the clock of each of some schedules, in one go."""
        row, plan = ScheduleRunRow, ScheduleRow
        mine = select(row.key).where(
            row.schedule == plan.id, row.trigger == ScheduleTrigger.CRON.value
        )
        last = mine.order_by(row.at.desc(), row.id.desc()).limit(1).correlate(plan)
        asked = select(plan.id, last.scalar_subquery()).where(plan.id.in_(schedules))
        with self.store.reading() as session:
            return {name: key for name, key in session.execute(asked) if key is not None}

    def last_of(self, schedules: Collection[str]) -> dict[str, ScheduledRun]:
        """Return the newest run of each of some schedules, by the schedule's id."""
        row, newest = ScheduleRunRow, (ScheduleRunRow.at.desc(), ScheduleRunRow.id.desc())
        place = func.row_number().over(partition_by=row.schedule, order_by=newest)
        ranked = select(row.id, place.label("place")).where(row.schedule.in_(schedules)).subquery()
        asked = select_runs().where(row.id.in_(select(ranked.c.id).where(ranked.c.place == 1)))
        with self.store.reading() as session:
            return {run.schedule: run for run in map(read_run, session.execute(asked))}

    def last_made(self, schedule: str) -> str | None:
        """Return the newest audit that a schedule made."""
        row, start = ScheduleRunRow, ScheduleRunStartRow
        asked = select(start.submission).join(row, row.id == start.run)
        mine = asked.where(row.schedule == schedule, start.submission.is_not(None))
        with self.store.reading() as session:
            return session.scalar(mine.order_by(row.at.desc(), row.id.desc()).limit(1))

    def made_of(
        self, audits: tuple[str, ...], upon: ScheduleTrigger | None = None
    ) -> frozenset[str]:
        """Return those of some audits that schedules made, or made upon one trigger."""
        row, start = ScheduleRunRow, ScheduleRunStartRow
        asked = select(start.submission).where(start.submission.in_(audits))
        if upon is not None:
            asked = asked.join(row, row.id == start.run).where(row.trigger == upon.value)
        with self.store.reading() as session:
            return frozenset(name for name in session.scalars(asked) if name is not None)

    def due(self, now: str, limit: int = 100) -> tuple[tuple[ScheduledRun, Schedule], ...]:
        """Return runs that have made no audit yet, the oldest first by turns of projects."""
        start = ScheduleRunStartRow
        return self._open(select_runs().where(~has_run_row(start)), now, limit)

    def waits(self, schedule: str, trigger: ScheduleTrigger, now: str) -> bool:
        """Whether a run of a schedule upon a trigger has made no audit yet, and still may."""
        row = ScheduleRunRow
        asked = select(row.id).where(
            row.schedule == schedule, row.trigger == trigger.value, row.at >= _since(now)
        )
        with self.store.reading() as session:
            found = session.scalar(asked.where(~has_run_row(ScheduleRunStartRow)).limit(1))
            return found is not None

    def over(self, now: str, limit: int = 20) -> tuple[tuple[ScheduledRun, Schedule], ...]:
        """Return runs whose audit has ended, and of which nobody has said yet what it came to."""
        start = ScheduleRunStartRow
        asked = select_runs().join(OutcomeRow, OutcomeRow.submission == start.submission)
        return self._open(asked.where(~has_run_row(ScheduleRunEndRow)), now, limit)

    def going_on(self, project: str, asked: str, but: str) -> str | None:
        """Return an audit that asks for the same and has not ended, but not that of a key."""
        row, key = SubmissionRow, SubmissionRow.idempotency_key
        same = (
            select(row.id)
            .outerjoin(OutcomeRow, OutcomeRow.submission == row.id)
            .where(row.project == project, row.body_digest == asked)
            .where(OutcomeRow.submission.is_(None), or_(key.is_(None), key != but))
            .limit(1)
        )
        with self.store.reading() as session:
            return session.scalar(same)

    def made_under(self, project: str, key: str) -> str | None:
        """Return the audit that was handed in under a key already, if one was."""
        row = SubmissionRow
        asked = select(row.id).where(row.project == project, row.idempotency_key == key)
        with self.store.reading() as session:
            return session.scalar(asked)

    def _open(
        self, asked: Found, now: str, limit: int
    ) -> tuple[tuple[ScheduledRun, Schedule], ...]:
        row = ScheduleRunRow
        mine = asked.join(ScheduleRow, ScheduleRow.id == row.schedule)
        # In turns, so that no project whose runs wait for room keeps those of others from theirs.
        turn = func.row_number().over(partition_by=ScheduleRow.project, order_by=(row.at, row.id))
        recent = mine.where(row.at >= _since(now)).order_by(turn, row.at, row.id).limit(limit)
        with self.store.reading() as session:
            return tuple(
                (read_run(item), read_schedule(session.get_one(ScheduleRow, item[0].schedule)))
                for item in session.execute(recent).all()
            )


def _since(now: str) -> str:
    return format_time(parse_time(now) - WINDOW)


def _claimed(session: Session, schedule: str, due: DueRun, at: str) -> tuple[ScheduledRun, bool]:
    row = ScheduleRunRow
    new = insert_if_absent(
        session,
        row,
        id=f"run-{secrets.token_hex(12)}",
        schedule=schedule,
        key=due.key,
        trigger=due.trigger.value,
        why=due.why,
        change=encode_canonical(dict(due.change)).decode(),
        at=at,
    )
    asked = select_runs().where(row.schedule == schedule, row.key == due.key)
    return read_run(session.execute(asked).one()), new


def _skipped(  # noqa: PLR0913, PLR0917 -- of which run, why, and who hears of it
    session: Session, run: ScheduledRun, project: str, skip: SkipReason, detail: str, at: str
) -> bool:
    first = insert_if_absent(
        session, ScheduleRunStartRow, run=run.id, submission=None, skipped=skip.value,
        detail=detail, at=at,
    )  # fmt: skip
    if first:
        queue_webhook_messages(session, project, WebhookEvent.SCHEDULE_SKIPPED, run.id, at)
    return first
