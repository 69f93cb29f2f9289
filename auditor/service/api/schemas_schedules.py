"""Pydantic schemas of the schedule and webhook APIs, each with an example."""

from typing import Annotated, Any

from pydantic import BaseModel, Field

from auditor.service.api.requests import AUDIT as AUDIT_FORM
from auditor.service.api.schemas import (
    AT,
    AUDIT,
    DIGEST,
    OTHER,
    build_model_config,
)
from auditor.service.domain.schedules import ScheduledRunState, ScheduleState, SkipReason
from auditor.service.domain.submissions import AuditOrder, Name, Sum
from auditor.service.domain.triggers import ScheduleTrigger
from auditor.service.domain.webhooks import DeliveryOutcome, DeliveryState, WebhookEvent

SCHEDULE = "sch-0f1e2d3c4b5a69788796a5b4"
RUN = "run-0f1e2d3c4b5a69788796a5b4"
CRON = "0 3 * * *"
SCHEDULE_EXAMPLE: dict[str, Any] = {
    "id": SCHEDULE, "project": "default", "maker": "0123456789abcdef", "name": "nightly",
    "model": "credit", "state": "active", "cron": CRON, "next": AT, "on": ["batch"],
    "batch_path": "production.csv", "watch": None, "created": AT, "audit_file": DIGEST,
    "policy": "baseline", "targets": ["cpu"],
}  # fmt: skip
BARE = r"^[^./\\\x00-\x1f][^/\\\x00-\x1f]*$"
"File name without folders."
WHY = "0 3 * * * came at 2026-03-01T03:00:00Z"
BACK: dict[str, Any] = {"target": "cpu", "candidate": {
    "version": "2.0.0", "artifact": OTHER, "record": OTHER, "audit": AUDIT,
}}  # fmt: skip
EXAMPLE_RUN: dict[str, Any] = {
    "id": RUN, "schedule": SCHEDULE, "trigger": "cron", "why": WHY, "at": AT, "state": "ended",
    "audit": AUDIT, "skipped": None, "detail": "", "ended": AT, "record": DIGEST,
    "verdict": "fail", "failed": ["accuracy on cpu"], "rollback": [BACK],
}  # fmt: skip


class ScheduleRequestBody(BaseModel):
    """A schedule: ``audit`` is a request as for an audit, or ``same_as`` an audit. ``cron`` (five
    fields, or six with seconds first; UTC) and ``on`` (events) are the triggers. ``batch_role`` is
    the data that a batch replaces. ``watch`` is a folder on the service's machine, or
    ``s3://BUCKET/PREFIX``, whose new files are batches; the operator of the service allows these
    places.
    """

    model_config = build_model_config(
        name="nightly", same_as=AUDIT, cron=CRON, on=["batch", "new_version"]
    )
    name: Annotated[str, Field(min_length=1, max_length=100)]
    audit: AuditOrder | None = None
    same_as: Annotated[str, Field(pattern=AUDIT_FORM)] | None = None
    cron: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    on: Annotated[list[ScheduleTrigger], Field(max_length=20)] = []
    batch_role: Annotated[str, Field(max_length=20)] | None = None
    watch: Annotated[str, Field(min_length=1, max_length=1000)] | None = None


class ScheduleResponse(BaseModel):
    """A schedule; ``next`` is the next time of its cron expression."""

    model_config = build_model_config(**SCHEDULE_EXAMPLE)
    id: str
    project: str
    maker: str
    name: str
    model: str
    state: ScheduleState
    cron: str | None
    next: str | None
    on: list[ScheduleTrigger]
    batch_path: str | None
    watch: str | None
    created: str
    audit_file: str
    policy: str
    targets: list[str]


class SchedulePage(BaseModel):
    """Schedules, newest first; ``next`` is the cursor of the next page, empty at the end."""

    model_config = build_model_config(schedules=[SCHEDULE_EXAMPLE], next="")
    schedules: list[ScheduleResponse]
    next: str


class OpenVersionResponse(BaseModel):
    """A version with an open gate, and the record that opens it."""

    model_config = build_model_config(**BACK["candidate"])
    version: str
    artifact: str
    record: str
    audit: str


class RollbackResponse(BaseModel):
    """The newest version with an open gate on a target, or ``null``."""

    model_config = build_model_config(**BACK)
    target: str
    candidate: OpenVersionResponse | None


class RunResponse(BaseModel):
    """A run: its cause, its audit or the reason for none, and the result."""

    model_config = build_model_config(**EXAMPLE_RUN)
    id: str
    schedule: str
    trigger: ScheduleTrigger
    why: str
    at: str
    state: ScheduledRunState
    audit: str | None
    skipped: SkipReason | None
    detail: str
    ended: str | None
    record: str | None
    verdict: str | None
    failed: list[str]
    rollback: list[RollbackResponse]


class RunPage(BaseModel):
    """Runs, newest first; ``next`` is the cursor of the next page, empty at the end."""

    model_config = build_model_config(runs=[EXAMPLE_RUN], next="")
    runs: list[RunResponse]
    next: str


class BatchRequestBody(BaseModel):
    """An uploaded batch of production data, by digest."""

    model_config = build_model_config(dataset=DIGEST)
    dataset: Sum


class VersionRequestBody(BaseModel):
    """A new version of the model, whose file was uploaded, by digest.

    ``name`` is the name of the file, by which gates know it; default: the name of the upload.
    """

    model_config = build_model_config(artifact=DIGEST, version="2.1.0", name="model-2.1.onnx")
    artifact: Sum
    version: Name
    name: Annotated[str, Field(pattern=BARE, max_length=200)] | None = None


HOOK = "hook-0f1e2d3c4b5a69788796a5b4"
URL = "https://chat.example.org/hooks/audits"
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo="  # noqa: S105 -- an example
WEBHOOK_EXAMPLE: dict[str, Any] = {
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


class WebhookRequestBody(BaseModel):
    """The address and the events of a webhook."""

    model_config = build_model_config(url=URL, events=["reaudit.failed", "audit.failed"])
    url: Annotated[str, Field(min_length=1, max_length=2000)]
    events: Annotated[list[WebhookEvent], Field(min_length=1, max_length=20)]


class WebhookSettingsResponse(BaseModel):
    """A webhook; its secret is not stored."""

    model_config = build_model_config(**WEBHOOK_EXAMPLE)
    id: str
    project: str
    maker: str
    url: str
    events: list[WebhookEvent]
    created: str
    ended: str | None


class WebhookSecretResponse(BaseModel):
    """A new webhook with the secret of its signatures, which is shown only once."""

    model_config = build_model_config(webhook=WEBHOOK_EXAMPLE, secret=SECRET)
    webhook: WebhookSettingsResponse
    secret: str


class WebhookList(BaseModel):
    """The webhooks of a project, newest first."""

    model_config = build_model_config(webhooks=[WEBHOOK_EXAMPLE])
    webhooks: list[WebhookSettingsResponse]


class DeliveryAttemptResponse(BaseModel):
    """An attempt to deliver a message; ``again`` is the time of the next attempt, if any."""

    model_config = build_model_config(**ATTEMPT)
    number: int
    at: str
    outcome: DeliveryOutcome
    status: int | None
    detail: str
    again: str | None


class DeliveryResponse(BaseModel):
    """A message for a webhook; a ``dead`` one is sent again only on request."""

    model_config = build_model_config(**DELIVERY)
    id: str
    hook: str
    event: WebhookEvent
    subject: str
    at: str
    state: DeliveryState
    attempts: list[DeliveryAttemptResponse]


class DeliveryPage(BaseModel):
    """Messages, newest first; ``next`` is the cursor of the next page, empty at the end."""

    model_config = build_model_config(deliveries=[DELIVERY], next="")
    deliveries: list[DeliveryResponse]
    next: str
