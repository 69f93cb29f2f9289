"""The JSON of schedules and their runs, with an example of each."""

from typing import Annotated, Any

from pydantic import BaseModel, Field

from auditor.api.reading import AUDIT as AUDIT_FORM
from auditor.api.shapes import AT, AUDIT, DIGEST, OTHER, AuditAsked, Name, Sum, like
from auditor.domain.schedules import RunState, ScheduleState, Skip, Trigger

SCHEDULE = "sch-0f1e2d3c4b5a69788796a5b4"
RUN = "run-0f1e2d3c4b5a69788796a5b4"
CRON = "0 3 * * *"
EXAMPLE: dict[str, Any] = {
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


class ScheduleAsked(BaseModel):
    """What to audit again: ``audit`` as an audit is handed in, or ``same_as`` an audit. ``cron``
    (five fields, or six from the second on; UTC) says when, ``on`` upon what. ``batch_role`` is
    the data that a batch takes the place of. ``watch`` is a folder of the service's machine, or
    ``s3://BUCKET/PREFIX``, whose new files are batches; whoever runs the service says which may be.
    """

    model_config = like(name="nightly", same_as=AUDIT, cron=CRON, on=["batch", "new_version"])
    name: Annotated[str, Field(min_length=1, max_length=100)]
    audit: AuditAsked | None = None
    same_as: Annotated[str, Field(pattern=AUDIT_FORM)] | None = None
    cron: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    on: Annotated[list[Trigger], Field(max_length=20)] = []
    batch_role: Annotated[str, Field(max_length=20)] | None = None
    watch: Annotated[str, Field(min_length=1, max_length=1000)] | None = None


class ScheduleShown(BaseModel):
    """A schedule as it stands; ``next`` is when its cron comes next."""

    model_config = like(**EXAMPLE)
    id: str
    project: str
    maker: str
    name: str
    model: str
    state: ScheduleState
    cron: str | None
    next: str | None
    on: list[Trigger]
    batch_path: str | None
    watch: str | None
    created: str
    audit_file: str
    policy: str
    targets: list[str]


class SchedulePage(BaseModel):
    """Schedules, the newest first; ``next`` is the cursor of what follows, empty at the end."""

    model_config = like(schedules=[EXAMPLE], next="")
    schedules: list[ScheduleShown]
    next: str


class VersionShown(BaseModel):
    """A version whose gate is open now, and the record that opens it."""

    model_config = like(**BACK["candidate"])
    version: str
    artifact: str
    record: str
    audit: str


class RollbackShown(BaseModel):
    """The newest version whose gate is open on a target, or ``null`` where none is."""

    model_config = like(**BACK)
    target: str
    candidate: VersionShown | None


class RunShown(BaseModel):
    """A run: why it was due, the audit it made or why none, and what that came to."""

    model_config = like(**EXAMPLE_RUN)
    id: str
    schedule: str
    trigger: Trigger
    why: str
    at: str
    state: RunState
    audit: str | None
    skipped: Skip | None
    detail: str
    ended: str | None
    record: str | None
    verdict: str | None
    failed: list[str]
    rollback: list[RollbackShown]


class RunPage(BaseModel):
    """Runs, the newest first; ``next`` is the cursor of what follows, empty at the end."""

    model_config = like(runs=[EXAMPLE_RUN], next="")
    runs: list[RunShown]
    next: str


class BatchAsked(BaseModel):
    """A batch of production data, which was uploaded before, by its digest."""

    model_config = like(dataset=DIGEST)
    dataset: Sum


class VersionAsked(BaseModel):
    """A new version of the model, whose file was uploaded before, by its digest.

    ``name`` is the file's own, by which gates know it; else it is that of its upload.
    """

    model_config = like(artifact=DIGEST, version="2.1.0", name="model-2.1.onnx")
    artifact: Sum
    version: Name
    name: Annotated[str, Field(pattern=BARE, max_length=200)] | None = None
