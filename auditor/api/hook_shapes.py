"""The JSON of web hooks and their messages, with an example of each."""

from typing import Annotated, Any

from pydantic import BaseModel, Field

from auditor.api.shapes import AT, AUDIT, like
from auditor.domain.hooks import DeliveryState, Outcome, Told

HOOK = "hook-0f1e2d3c4b5a69788796a5b4"
URL = "https://chat.example.org/hooks/audits"
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo="  # noqa: S105 -- an example
EXAMPLE: dict[str, Any] = {
    "id": HOOK, "project": "default", "maker": "0123456789abcdef", "url": URL,
    "events": ["reaudit.failed"], "created": AT, "ended": None,
}  # fmt: skip
ATTEMPT: dict[str, Any] = {
    "number": 1, "at": AT, "outcome": "failed", "status": 503, "detail": "down", "again": AT,
}  # fmt: skip
DELIVERY: dict[str, Any] = {
    "id": "msg_" + "0a" * 16, "hook": HOOK, "event": "audit.done", "subject": AUDIT, "at": AT,
    "state": "pending", "attempts": [ATTEMPT],
}  # fmt: skip


class HookAsked(BaseModel):
    """Where to tell of what."""

    model_config = like(url=URL, events=["reaudit.failed", "audit.failed"])
    url: Annotated[str, Field(min_length=1, max_length=2000)]
    events: Annotated[list[Told], Field(min_length=1, max_length=20)]


class HookShown(BaseModel):
    """A web hook; its secret is not among what is kept."""

    model_config = like(**EXAMPLE)
    id: str
    project: str
    maker: str
    url: str
    events: list[Told]
    created: str
    ended: str | None


class HookMade(BaseModel):
    """A web hook that was just made, with the secret of its signatures, shown this once."""

    model_config = like(webhook=EXAMPLE, secret=SECRET)
    webhook: HookShown
    secret: str


class HookList(BaseModel):
    """A project's web hooks, the newest first."""

    model_config = like(webhooks=[EXAMPLE])
    webhooks: list[HookShown]


class AttemptShown(BaseModel):
    """An attempt to deliver a message; ``again`` is when it is made again, if it is."""

    model_config = like(**ATTEMPT)
    number: int
    at: str
    outcome: Outcome
    status: int | None
    detail: str
    again: str | None


class DeliveryShown(BaseModel):
    """A message for a web hook; one that is ``dead`` is sent again on demand alone."""

    model_config = like(**DELIVERY)
    id: str
    hook: str
    event: Told
    subject: str
    at: str
    state: DeliveryState
    attempts: list[AttemptShown]


class DeliveryPage(BaseModel):
    """Messages, the newest first; ``next`` is the cursor of what follows, empty at the end."""

    model_config = like(deliveries=[DELIVERY], next="")
    deliveries: list[DeliveryShown]
    next: str
