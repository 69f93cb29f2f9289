"""Stored webhooks, their messages, and every delivery attempt."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import Row, Select, and_, func, or_, select
from sqlalchemy.orm import Session, aliased

from auditor._time import format_time, parse_time
from auditor.domain.json import JsonPart, encode_canonical, parse_json
from auditor.errors import StateConflictError, UsageError
from auditor.service.domain.access import AuditLogEntry
from auditor.service.domain.webhooks import (
    WINDOW,
    DeliveryAttempt,
    DeliveryOutcome,
    WebhookDelivery,
    WebhookEvent,
    WebhookSubscription,
)
from auditor.service.store.projects import log_change, require_project
from auditor.service.store.tables import (
    HookAttemptRow,
    HookClaimRow,
    HookDeliveryRow,
    HookEndRow,
    HookRow,
)
from auditor.store.record_store import RecordStore
from auditor.store.sql import insert_if_absent

MOST = 20
"""A project has no more web hooks that have not ended."""


@dataclass(frozen=True, slots=True)
class WebhookStore:
    """What is kept of web hooks. Every method is a transaction of its own.

    Whatever belongs to a project is asked for with the project. An act that is given along with a
    change is kept with it, and in the ledger, if it changed something. Raises ``StoreError`` when
    the database refuses.
    """

    store: RecordStore

    def add(self, hook: WebhookSubscription, act: AuditLogEntry | None = None) -> None:
        """Keep a web hook. Raises ``StateConflictError`` where the project has as many as it
        may.
        """
        with self.store.unit_of_work() as work:
            session = work.session
            require_project(session, hook.project)
            row, end = HookRow, HookEndRow
            asked = select(func.count()).select_from(row).outerjoin(end, end.hook == row.id)
            here = asked.where(row.project == hook.project, end.hook.is_(None))
            if (session.scalar(here) or 0) >= MOST:
                raise StateConflictError(
                    f"the project already has {MOST} webhooks, which is the limit",
                    cure="End a webhook that you do not need.",
                )
            session.add(
                row(
                    id=hook.id,
                    project=hook.project,
                    maker=hook.maker,
                    url=hook.url,
                    events=encode_canonical([item.value for item in hook.events]).decode(),
                    secret_hash=hook.secret_hash,
                    created=hook.created,
                )
            )
            log_change(work, act, changed=True)

    def find(self, project: str, name: str) -> WebhookSubscription | None:
        """Return a web hook of a project by its id, ended or not."""
        asked = select_hooks().where(HookRow.id == name, HookRow.project == project)
        with self.store.reading() as session:
            row = session.execute(asked).one_or_none()
            return None if row is None else read_hook(row)

    def of_project(self, project: str) -> tuple[WebhookSubscription, ...]:
        """Return the 200 newest web hooks of a project, the newest first."""
        row = HookRow
        asked = select_hooks().where(row.project == project)
        ordered = asked.order_by(row.created.desc(), row.id.desc()).limit(200)
        with self.store.reading() as session:
            return tuple(read_hook(item) for item in session.execute(ordered))

    def end(
        self, hook: WebhookSubscription, by: str, at: str, act: AuditLogEntry | None = None
    ) -> bool:
        """End a web hook for good, and say whether it had not ended."""
        with self.store.unit_of_work() as work:
            ended = insert_if_absent(work.session, HookEndRow, hook=hook.id, by=by, at=at)
            return log_change(work, act, changed=ended)


def select_hooks() -> "Select[HookRow, str]":
    """Return the query of web hooks, with when each ended."""
    return select(HookRow, HookEndRow.at).outerjoin(HookEndRow, HookEndRow.hook == HookRow.id)


def read_hook(found: "Row[HookRow, str]") -> WebhookSubscription:
    """Return a web hook as it was kept."""
    row, ended = found
    named = JsonPart({"events": parse_json(row.events.encode())}, "hook").texts("events")
    return WebhookSubscription(
        id=row.id,
        project=row.project,
        maker=row.maker,
        url=row.url,
        events=tuple(WebhookEvent(item) for item in named),
        secret_hash=row.secret_hash,
        created=row.created,
        ended=ended,
    )


EACH = 5
"""So many messages of one web hook are sent in one round, that no slow one holds up the others."""


@dataclass(frozen=True, slots=True)
class DeliveryStore:
    """What is kept of messages. Every method is a transaction of its own."""

    store: RecordStore

    def due(
        self, now: str, limit: int, back: timedelta = WINDOW
    ) -> tuple[tuple[WebhookDelivery, WebhookSubscription], ...]:
        """Return messages that are to be sent by now, and where, those due longest first.

        Those are left out that were due longer ago than ``back``.
        """
        row, attempt, later = HookDeliveryRow, HookAttemptRow, aliased(HookAttemptRow)
        since = parse_time(now) - back
        place = func.row_number().over(partition_by=row.hook, order_by=attempt.again)
        waiting = (
            select(row.id, attempt.again, place.label("place"))
            .join(attempt, attempt.delivery == row.id)
            .outerjoin(HookEndRow, HookEndRow.hook == row.hook)
            .where(
                attempt.again > format_time(since), attempt.again <= now, HookEndRow.hook.is_(None)
            )
            .where(
                ~select(later.number)
                .where(later.delivery == row.id, later.number > attempt.number)
                .exists()
            )
            .subquery()
        )
        asked = (
            select(row)
            .join(waiting, waiting.c.id == row.id)
            .where(waiting.c.place <= EACH)
            .order_by(waiting.c.again, row.id)
            .limit(limit)
        )
        with self.store.reading() as session:
            rows = tuple(session.scalars(asked))
            wanted = select_hooks().where(HookRow.id.in_({item.hook for item in rows}))
            hooks = {found[0].id: read_hook(found) for found in session.execute(wanted)}
            return tuple((item, hooks[item.hook]) for item in _read(session, rows))

    def claim(self, delivery: str, number: int, turn: int, at: str) -> bool:
        """Take the sending of a message for one turn, and say whether nobody else had."""
        with self.store.transaction() as session:
            return insert_if_absent(
                session, HookClaimRow, delivery=delivery, number=number, turn=turn, at=at
            )

    def attempted(self, delivery: str, attempt: DeliveryAttempt) -> bool:
        """Put down what came of an attempt, and say whether that is new."""
        with self.store.transaction() as session:
            return insert_if_absent(
                session,
                HookAttemptRow,
                delivery=delivery,
                number=attempt.number,
                at=attempt.at,
                outcome=attempt.outcome.value,
                status=attempt.status,
                detail=attempt.detail,
                again=attempt.again,
            )

    def find(self, hook: str, name: str) -> WebhookDelivery | None:
        """Return a message of a web hook by its id."""
        with self.store.reading() as session:
            row = session.get(HookDeliveryRow, name)
            return None if row is None or row.hook != hook else _read(session, [row])[0]

    def of_hook(
        self, hook: str, cursor: str | None, limit: int
    ) -> tuple[tuple[WebhookDelivery, ...], str]:
        """Return the messages of a web hook, the newest first, and the cursor of what follows.

        Raises ``UsageError`` for a cursor that is none.
        """
        row = HookDeliveryRow
        asked = select(row).where(row.hook == hook)
        with self.store.transaction() as session:
            if cursor:
                last = session.get(row, cursor)
                if last is None or last.hook != hook:
                    raise UsageError(
                        f"{cursor[:80]!r} is not a cursor of this list",
                        cure=(
                            "Use the `next` value of the last page, or no cursor for "
                            "the first page."
                        ),
                    )
                asked = asked.where(
                    or_(row.at < last.at, and_(row.at == last.at, row.id < last.id))
                )
            ordered = asked.order_by(row.at.desc(), row.id.desc()).limit(limit + 1)
            rows = tuple(session.scalars(ordered))
            found = _read(session, rows[:limit])
        return found, found[-1].id if len(rows) > limit else ""


def _read(session: Session, rows: Sequence[HookDeliveryRow]) -> tuple[WebhookDelivery, ...]:
    """Return messages with their attempts, which are asked for all at once."""
    attempts: dict[str, list[DeliveryAttempt]] = {row.id: [] for row in rows}
    row = HookAttemptRow
    asked = select(row).where(row.delivery.in_(attempts)).order_by(row.delivery, row.number)
    for item in session.scalars(asked):
        attempts[item.delivery].append(
            DeliveryAttempt(
                number=item.number,
                at=item.at,
                outcome=DeliveryOutcome(item.outcome),
                status=item.status,
                detail=item.detail,
                again=item.again,
            )
        )
    return tuple(
        WebhookDelivery(
            id=item.id,
            hook=item.hook,
            event=WebhookEvent(item.event),
            subject=item.subject,
            at=item.at,
            attempts=tuple(attempts[item.id]),
        )
        for item in rows
    )
