"""Webhook outbox: queues messages in the transaction of the change that they report."""

import hashlib

from sqlalchemy import select
from sqlalchemy.orm import Session

from auditor.domain.json import parse_json
from auditor.service.domain.webhooks import DeliveryOutcome, WebhookEvent
from auditor.service.store.tables import HookAttemptRow, HookDeliveryRow, HookEndRow, HookRow
from auditor.store.sql import insert_if_absent


def queue_webhook_messages(
    session: Session, project: str, event: WebhookEvent, subject: str, at: str
) -> None:
    """Queue a message for every web hook of a project that wants to hear of it, once each."""
    asked = (
        select(HookRow.id, HookRow.events)
        .outerjoin(HookEndRow, HookEndRow.hook == HookRow.id)
        .where(HookRow.project == project, HookEndRow.hook.is_(None))
    )
    for hook, events in session.execute(asked).all():
        wanted = parse_json(events.encode())
        if isinstance(wanted, list) and event.value in wanted:
            _queue(session, hook, event, subject, at)


def _queue(session: Session, hook: str, event: WebhookEvent, subject: str, at: str) -> None:
    message = build_message_id(hook, event, subject)
    new = insert_if_absent(
        session, HookDeliveryRow, id=message, hook=hook, event=event.value, subject=subject, at=at
    )
    if new:
        queued = DeliveryOutcome.QUEUED.value
        session.add(
            HookAttemptRow(
                delivery=message, number=0, at=at, outcome=queued, status=None, detail="", again=at
            )
        )
        session.flush()


def build_message_id(hook: str, event: WebhookEvent, subject: str) -> str:
    """Return the id of a message, by which who receives it twice knows that it is one."""
    named = hashlib.sha256(f"{hook} {event.value} {subject}".encode()).hexdigest()
    return f"msg_{named[:32]}"
