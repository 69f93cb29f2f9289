"""Pydantic schemas of the schedule and webhook APIs, each with an example."""

from typing import Annotated, Any

from pydantic import BaseModel, Field

from auditor.service.api.requests import AUDIT as AUDIT_FORM
from auditor.service.api.schemas import (
    AT,
    AUDIT,
    DIGEST,
    OTHER,
    AuditRequestBody,
    Name,
    Sum,
    build_model_config,
)
from auditor.service.domain.schedules import (
    ScheduledRunState,
    ScheduleState,
    ScheduleTrigger,
    SkipReason,
)
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
"""The name of a file in no folder."""
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
    """What to audit again: ``audit`` as an audit is handed in, or ``same_as`` an audit. ``cron``
    (five fields, or six from the second on; UTC) says when, ``on`` upon what. ``batch_role`` is
    the data that a batch takes the place of. ``watch`` is a folder of the service's machine, or
    ``s3://BUCKET/PREFIX``, whose new files are batches; whoever runs the service says which may be.
    """

    model_config = build_model_config(
        name="nightly", same_as=AUDIT, cron=CRON, on=["batch", "new_version"]
    )
    name: Annotated[str, Field(min_length=1, max_length=100)]
    audit: AuditRequestBody | None = None
    same_as: Annotated[str, Field(pattern=AUDIT_FORM)] | None = None
    cron: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    on: Annotated[list[ScheduleTrigger], Field(max_length=20)] = []
    batch_role: Annotated[str, Field(max_length=20)] | None = None
    watch: Annotated[str, Field(min_length=1, max_length=1000)] | None = None


class ScheduleResponse(BaseModel):
    """A schedule as it stands; ``next`` is when its cron comes next."""

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
    """Schedules, the newest first; ``next`` is the cursor of what follows, empty at the end."""

    model_config = build_model_config(schedules=[SCHEDULE_EXAMPLE], next="")
    schedules: list[ScheduleResponse]
    next: str


class OpenVersionResponse(BaseModel):
    """A version whose gate is open now, and the record that opens it."""

    model_config = build_model_config(**BACK["candidate"])
    version: str
    artifact: str
    record: str
    audit: str


class RollbackResponse(BaseModel):
    """The newest version whose gate is open on a target, or ``null`` where none is."""

    model_config = build_model_config(**BACK)
    target: str
    candidate: OpenVersionResponse | None


class RunResponse(BaseModel):
    """A run: why it was due, the audit it made or why none, and what that came to."""

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
    """Runs, the newest first; ``next`` is the cursor of what follows, empty at the end."""

    model_config = build_model_config(runs=[EXAMPLE_RUN], next="")
    runs: list[RunResponse]
    next: str


class BatchRequestBody(BaseModel):
    """A batch of production data, which was uploaded before, by its digest."""

    model_config = build_model_config(dataset=DIGEST)
    dataset: Sum


class VersionRequestBody(BaseModel):
    """A new version of the model, whose file was uploaded before, by its digest.

    ``name`` is the file's own, by which gates know it; else it is that of its upload.
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
    """Where to tell of what."""

    model_config = build_model_config(url=URL, events=["reaudit.failed", "audit.failed"])
    url: Annotated[str, Field(min_length=1, max_length=2000)]
    events: Annotated[list[WebhookEvent], Field(min_length=1, max_length=20)]


class WebhookSettingsResponse(BaseModel):
    """A web hook; its secret is not among what is kept."""

    model_config = build_model_config(**WEBHOOK_EXAMPLE)
    id: str
    project: str
    maker: str
    url: str
    events: list[WebhookEvent]
    created: str
    ended: str | None


class WebhookSecretResponse(BaseModel):
    """A web hook that was just made, with the secret of its signatures, shown this once."""

    model_config = build_model_config(webhook=WEBHOOK_EXAMPLE, secret=SECRET)
    webhook: WebhookSettingsResponse
    secret: str


class WebhookList(BaseModel):
    """A project's web hooks, the newest first."""

    model_config = build_model_config(webhooks=[WEBHOOK_EXAMPLE])
    webhooks: list[WebhookSettingsResponse]


class DeliveryAttemptResponse(BaseModel):
    """An attempt to deliver a message; ``again`` is when it is made again, if it is."""

    model_config = build_model_config(**ATTEMPT)
    number: int
    at: str
    outcome: DeliveryOutcome
    status: int | None
    detail: str
    again: str | None


class DeliveryResponse(BaseModel):
    """A message for a web hook; one that is ``dead`` is sent again on demand alone."""

    model_config = build_model_config(**DELIVERY)
    id: str
    hook: str
    event: WebhookEvent
    subject: str
    at: str
    state: DeliveryState
    attempts: list[DeliveryAttemptResponse]


class DeliveryPage(BaseModel):
    """Messages, the newest first; ``next`` is the cursor of what follows, empty at the end."""

    model_config = build_model_config(deliveries=[DELIVERY], next="")
    deliveries: list[DeliveryResponse]
    next: str
