"""Messages for web hooks in the store, and every attempt to deliver each."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import ColumnElement, and_, func, or_, select
from sqlalchemy.orm import Session, aliased

from auditor.clock import instant, written
from auditor.domain.hooks import WINDOW, Attempt, Delivery, Hook, Outcome, Told
from auditor.errors import UsageError
from auditor.store.service.adding import added
from auditor.store.service.hook_tables import (
    HookAttemptRow,
    HookClaimRow,
    HookDeliveryRow,
    HookEndRow,
    HookRow,
)
from auditor.store.service.hooks import asked_hooks, read_hook
from auditor.store.store import Store

EACH = 5
"""So many messages of one web hook are sent in one round, that no slow one holds up the others."""


@dataclass(frozen=True, slots=True)
class KeptDeliveries:
    """What is kept of messages. Every method is a transaction of its own."""

    store: Store

    def due(
        self, now: str, limit: int, back: timedelta = WINDOW
    ) -> tuple[tuple[Delivery, Hook], ...]:
        """Return messages that are to be sent by now, and where, those due longest first.

        Those are left out that were due longer ago than ``back``.
        """
        row, attempt, later = HookDeliveryRow, HookAttemptRow, aliased(HookAttemptRow)
        since = instant(now) - back
        place = func.row_number().over(partition_by=row.hook, order_by=attempt.again)
        waiting = (
            select(row.id, attempt.again, place.label("place"))
            .join(attempt, attempt.delivery == row.id)
            .outerjoin(HookEndRow, HookEndRow.hook == row.hook)
            .where(attempt.again > written(since), attempt.again <= now, HookEndRow.hook.is_(None))
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
            wanted = asked_hooks().where(HookRow.id.in_({item.hook for item in rows}))
            hooks = {found[0].id: read_hook(found) for found in session.execute(wanted)}
            return tuple((item, hooks[item.hook]) for item in _read(session, rows))

    def claim(self, delivery: str, number: int, turn: int, at: str) -> bool:
        """Take the sending of a message for one turn, and say whether nobody else had."""
        with self.store.transaction() as session:
            return added(session, HookClaimRow, delivery=delivery, number=number, turn=turn, at=at)

    def attempted(self, delivery: str, attempt: Attempt) -> bool:
        """Put down what came of an attempt, and say whether that is new."""
        with self.store.transaction() as session:
            return added(
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

    def find(self, hook: str, name: str) -> Delivery | None:
        """Return a message of a web hook by its id."""
        with self.store.reading() as session:
            row = session.get(HookDeliveryRow, name)
            return None if row is None or row.hook != hook else _read(session, [row])[0]

    def of_hook(
        self, hook: str, cursor: str | None, limit: int
    ) -> tuple[tuple[Delivery, ...], str]:
        """Return the messages of a web hook, the newest first, and the cursor of what follows.

        Raises ``UsageError`` for a cursor that is none.
        """
        row = HookDeliveryRow
        asked = select(row).where(row.hook == hook)
        with self.store.transaction() as session:
            if cursor:
                asked = asked.where(_after(session, hook, cursor))
            ordered = asked.order_by(row.at.desc(), row.id.desc()).limit(limit + 1)
            rows = tuple(session.scalars(ordered))
            found = _read(session, rows[:limit])
        return found, found[-1].id if len(rows) > limit else ""


def _read(session: Session, rows: Sequence[HookDeliveryRow]) -> tuple[Delivery, ...]:
    """Return messages with their attempts, which are asked for all at once."""
    attempts: dict[str, list[Attempt]] = {row.id: [] for row in rows}
    row = HookAttemptRow
    asked = select(row).where(row.delivery.in_(attempts)).order_by(row.delivery, row.number)
    for item in session.scalars(asked):
        attempts[item.delivery].append(
            Attempt(
                number=item.number,
                at=item.at,
                outcome=Outcome(item.outcome),
                status=item.status,
                detail=item.detail,
                again=item.again,
            )
        )
    return tuple(
        Delivery(
            id=item.id,
            hook=item.hook,
            event=Told(item.event),
            subject=item.subject,
            at=item.at,
            attempts=tuple(attempts[item.id]),
        )
        for item in rows
    )


def _after(session: Session, hook: str, cursor: str) -> ColumnElement[bool]:
    row = HookDeliveryRow
    last = session.get(row, cursor)
    if last is None or last.hook != hook:
        raise UsageError(
            f"{cursor[:80]!r} is no cursor of this list",
            cure="Give the cursor that the last page ended with, or none to begin.",
        )
    return or_(row.at < last.at, and_(row.at == last.at, row.id < last.id))
