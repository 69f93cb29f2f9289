"""Queues messages for web hooks, in the very transaction in which what they tell of happens."""

import hashlib

from sqlalchemy import select
from sqlalchemy.orm import Session

from auditor.domain.canonical import parse
from auditor.domain.hooks import Outcome, Told
from auditor.store.service.adding import added
from auditor.store.service.hook_tables import (
    HookAttemptRow,
    HookDeliveryRow,
    HookEndRow,
    HookRow,
)


def announce(session: Session, project: str, event: Told, subject: str, at: str) -> None:
    """Queue a message for every web hook of a project that wants to hear of it, once each."""
    asked = (
        select(HookRow.id, HookRow.events)
        .outerjoin(HookEndRow, HookEndRow.hook == HookRow.id)
        .where(HookRow.project == project, HookEndRow.hook.is_(None))
    )
    for hook, events in session.execute(asked).all():
        wanted = parse(events.encode())
        if isinstance(wanted, list) and event.value in wanted:
            _queue(session, hook, event, subject, at)


def _queue(session: Session, hook: str, event: Told, subject: str, at: str) -> None:
    message = message_id(hook, event, subject)
    new = added(
        session, HookDeliveryRow, id=message, hook=hook, event=event.value, subject=subject, at=at
    )
    if new:
        queued = Outcome.QUEUED.value
        session.add(
            HookAttemptRow(
                delivery=message, number=0, at=at, outcome=queued, status=None, detail="", again=at
            )
        )
        session.flush()


def message_id(hook: str, event: Told, subject: str) -> str:
    """Return the id of a message, by which who receives it twice knows that it is one."""
    named = hashlib.sha256(f"{hook} {event.value} {subject}".encode()).hexdigest()
    return f"msg_{named[:32]}"
