"""Runs of schedules in the store, each once for its key, whoever finds that it is due."""

import secrets
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from auditor.clock import instant, written
from auditor.domain.canonical import canonical
from auditor.domain.hooks import Told
from auditor.domain.schedules import Came, Due, Run, Schedule, Skip, Trigger
from auditor.store.service.adding import added
from auditor.store.service.announcing import announce
from auditor.store.service.schedule_run_rows import (
    Found,
    after_run,
    has_row,
    read_run,
    runs_asked,
)
from auditor.store.service.schedule_tables import (
    ScheduleRow,
    ScheduleRunEndRow,
    ScheduleRunRow,
    ScheduleRunStartRow,
)
from auditor.store.service.schedules import plain
from auditor.store.service.tables import OutcomeRow, SubmissionRow
from auditor.store.store import Store

WINDOW = timedelta(days=60)
"""How far back runs are looked for that are not over: no audit waits or works so long."""


@dataclass(frozen=True, slots=True)
class KeptRuns:
    """What is kept of runs. Every method is a transaction of its own, and may be called twice."""

    store: Store

    def claim(self, schedule: str, due: Due, at: str) -> tuple[Run, bool]:
        """Put a run down, unless there is one of its key; return the one there is, and if new."""
        with self.store.transaction() as session:
            return _claimed(session, schedule, due, at)

    def refused(self, schedule: Schedule, due: Due, skip: Skip, detail: str, at: str) -> bool:
        """Put a run down that makes no audit, and say whether it is new; web hooks hear of it."""
        with self.store.transaction() as session:
            run, new = _claimed(session, schedule.id, due, at)
            return new and _skipped(session, run, schedule.project, skip, detail, at)

    def started(self, run: str, submission: str, at: str, detail: str = "") -> bool:
        """Say which audit a run made, and whether that is new; ``detail`` says how, if not so."""
        with self.store.transaction() as session:
            row = ScheduleRunStartRow
            return added(
                session, row, run=run, submission=submission, skipped=None, detail=detail, at=at
            )

    def skipped(self, run: Run, project: str, skip: Skip, detail: str, at: str) -> bool:
        """Say why a run made no audit, and whether that is new; web hooks hear of it."""
        with self.store.transaction() as session:
            return _skipped(session, run, project, skip, detail, at)

    def ended(self, run: Run, project: str, came: Came, at: str) -> bool:
        """Say what a run came to, and whether that is new."""
        with self.store.transaction() as session:
            first = added(
                session,
                ScheduleRunEndRow,
                run=run.id,
                record=came.record,
                verdict=came.verdict,
                detail=came.detail,
                failed=canonical(list(came.failed)).decode(),
                rollback=canonical([dict(item) for item in came.rollback]).decode(),
                at=at,
            )
            if first and came.told:
                announce(session, project, Told.REAUDIT_FAILED, run.id, at)
            return first

    def of_key(self, schedule: str, key: str) -> Run | None:
        """Return the run of a schedule that there is under a key, if there is one."""
        row = ScheduleRunRow
        asked = runs_asked().where(row.schedule == schedule, row.key == key)
        with self.store.reading() as session:
            found = session.execute(asked).one_or_none()
            return None if found is None else read_run(found)

    def find(self, name: str) -> Run | None:
        """Return a run by its id, of whichever project."""
        with self.store.reading() as session:
            row = session.execute(runs_asked().where(ScheduleRunRow.id == name)).one_or_none()
            return None if row is None else read_run(row)

    def of_schedule(
        self, schedule: str, cursor: str | None, limit: int
    ) -> tuple[tuple[Run, ...], str]:
        """Return the runs of a schedule, the newest first, and the cursor of what follows.

        Raises ``UsageError`` for a cursor that is none.
        """
        row = ScheduleRunRow
        asked = runs_asked().where(row.schedule == schedule)
        with self.store.reading() as session:
            if cursor:
                asked = asked.where(after_run(session, schedule, cursor))
            ordered = asked.order_by(row.at.desc(), row.id.desc()).limit(limit + 1)
            found = tuple(read_run(item) for item in session.execute(ordered))
        return found[:limit], found[limit - 1].id if len(found) > limit else ""

    def last_came(self, schedules: Sequence[str]) -> Mapping[str, str]:
        """Return the key of the newest run upon the clock of each of some schedules, in one go."""
        row, plan = ScheduleRunRow, ScheduleRow
        mine = select(row.key).where(row.schedule == plan.id, row.trigger == Trigger.CRON.value)
        last = mine.order_by(row.at.desc(), row.id.desc()).limit(1).correlate(plan)
        asked = select(plan.id, last.scalar_subquery()).where(plan.id.in_(schedules))
        with self.store.reading() as session:
            return {name: key for name, key in session.execute(asked) if key is not None}

    def last_of(self, schedules: Collection[str]) -> dict[str, Run]:
        """Return the newest run of each of some schedules, by the schedule's id."""
        row, newest = ScheduleRunRow, (ScheduleRunRow.at.desc(), ScheduleRunRow.id.desc())
        place = func.row_number().over(partition_by=row.schedule, order_by=newest)
        ranked = select(row.id, place.label("place")).where(row.schedule.in_(schedules)).subquery()
        asked = runs_asked().where(row.id.in_(select(ranked.c.id).where(ranked.c.place == 1)))
        with self.store.reading() as session:
            return {run.schedule: run for run in map(read_run, session.execute(asked))}

    def last_made(self, schedule: str) -> str | None:
        """Return the newest audit that a schedule made."""
        row, start = ScheduleRunRow, ScheduleRunStartRow
        asked = select(start.submission).join(row, row.id == start.run)
        mine = asked.where(row.schedule == schedule, start.submission.is_not(None))
        with self.store.reading() as session:
            return session.scalar(mine.order_by(row.at.desc(), row.id.desc()).limit(1))

    def made_of(self, audits: tuple[str, ...], upon: Trigger | None = None) -> frozenset[str]:
        """Return those of some audits that schedules made, or made upon one trigger."""
        row, start = ScheduleRunRow, ScheduleRunStartRow
        asked = select(start.submission).where(start.submission.in_(audits))
        if upon is not None:
            asked = asked.join(row, row.id == start.run).where(row.trigger == upon.value)
        with self.store.reading() as session:
            return frozenset(name for name in session.scalars(asked) if name is not None)

    def due(self, now: str, limit: int = 100) -> tuple[tuple[Run, Schedule], ...]:
        """Return runs that have made no audit yet, the oldest first by turns of projects."""
        start = ScheduleRunStartRow
        return self._open(runs_asked().where(~has_row(start)), now, limit)

    def waits(self, schedule: str, trigger: Trigger, now: str) -> bool:
        """Whether a run of a schedule upon a trigger has made no audit yet, and still may."""
        row = ScheduleRunRow
        asked = select(row.id).where(
            row.schedule == schedule, row.trigger == trigger.value, row.at >= _since(now)
        )
        with self.store.reading() as session:
            found = session.scalar(asked.where(~has_row(ScheduleRunStartRow)).limit(1))
            return found is not None

    def over(self, now: str, limit: int = 20) -> tuple[tuple[Run, Schedule], ...]:
        """Return runs whose audit has ended, and of which nobody has said yet what it came to."""
        start = ScheduleRunStartRow
        asked = runs_asked().join(OutcomeRow, OutcomeRow.submission == start.submission)
        return self._open(asked.where(~has_row(ScheduleRunEndRow)), now, limit)

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

    def _open(self, asked: Found, now: str, limit: int) -> tuple[tuple[Run, Schedule], ...]:
        row = ScheduleRunRow
        mine = asked.join(ScheduleRow, ScheduleRow.id == row.schedule)
        # In turns, so that no project whose runs wait for room keeps those of others from theirs.
        turn = func.row_number().over(partition_by=ScheduleRow.project, order_by=(row.at, row.id))
        recent = mine.where(row.at >= _since(now)).order_by(turn, row.at, row.id).limit(limit)
        with self.store.reading() as session:
            return tuple(
                (read_run(item), plain(session.get_one(ScheduleRow, item[0].schedule)))
                for item in session.execute(recent).all()
            )


def _since(now: str) -> str:
    return written(instant(now) - WINDOW)


def _claimed(session: Session, schedule: str, due: Due, at: str) -> tuple[Run, bool]:
    row = ScheduleRunRow
    new = added(
        session,
        row,
        id=f"run-{secrets.token_hex(12)}",
        schedule=schedule,
        key=due.key,
        trigger=due.trigger.value,
        why=due.why,
        change=canonical(dict(due.change)).decode(),
        at=at,
    )
    asked = runs_asked().where(row.schedule == schedule, row.key == due.key)
    return read_run(session.execute(asked).one()), new


def _skipped(  # noqa: PLR0913, PLR0917 -- of which run, why, and who hears of it
    session: Session, run: Run, project: str, skip: Skip, detail: str, at: str
) -> bool:
    first = added(
        session, ScheduleRunStartRow, run=run.id, submission=None, skipped=skip.value,
        detail=detail, at=at,
    )  # fmt: skip
    if first:
        announce(session, project, Told.SCHEDULE_SKIPPED, run.id, at)
    return first
