"""Webhooks: subscriptions, messages, and delivery attempts."""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from auditor.domain.waivers import parse_waiver_time

WINDOW = timedelta(days=7)
"""A message that was due longer ago, while no service ran, is not sent by itself any more."""


class WebhookEvent(StrEnum):
    """What a web hook may be told of."""

    AUDIT_DONE = "audit.done"
    AUDIT_FAILED = "audit.failed"
    REAUDIT_FAILED = "reaudit.failed"
    SCHEDULE_SKIPPED = "schedule.skipped"
    KEY_ENDED = "key.ended"


class DeliveryState(StrEnum):
    """How far a message is."""

    PENDING = "pending"
    DELIVERED = "delivered"
    DEAD = "dead"


class DeliveryOutcome(StrEnum):
    """What came of one attempt to deliver a message."""

    QUEUED = "queued"
    DELIVERED = "delivered"
    FAILED = "failed"
    RETRIED = "retried"


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookSubscription:
    """A web hook of a project. Of its secret a hash is kept."""

    id: str
    project: str
    maker: str
    url: str
    events: tuple[WebhookEvent, ...]
    secret_hash: str
    created: str
    ended: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryAttempt:
    """One attempt: its number from 1, when, what came of it, and when it is made again."""

    number: int
    at: str
    outcome: DeliveryOutcome
    status: int | None = None
    detail: str = ""
    again: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookDelivery:
    """A message for one web hook: what it tells of, and every attempt so far."""

    id: str
    hook: str
    event: WebhookEvent
    subject: str
    at: str
    attempts: tuple[DeliveryAttempt, ...] = ()

    def state(self, now: str) -> DeliveryState:
        """Return how far it is at a time; what is not to be sent again, or not in time, is dead."""
        last = self.attempts[-1] if self.attempts else None
        if last is not None and last.outcome is DeliveryOutcome.DELIVERED:
            return DeliveryState.DELIVERED
        again = None if last is None or last.again is None else parse_waiver_time(last.again)
        asked = parse_waiver_time(now)
        if again is None or asked is None or asked - again >= WINDOW:
            return DeliveryState.DEAD
        return DeliveryState.PENDING

    @property
    def failures(self) -> int:
        """How many attempts failed since it was queued, or sent again on demand."""
        begun = [
            i for i, it in enumerate(self.attempts) if it.outcome is not DeliveryOutcome.FAILED
        ]
        return len(self.attempts) - 1 - begun[-1] if begun else len(self.attempts)
