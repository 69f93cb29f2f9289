"""Pydantic schemas of API requests and responses, each with an example."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from auditor.domain.budgets import Budget
from auditor.domain.datasets import DatasetRole
from auditor.domain.record_scope import RecordScope
from auditor.service.approvals.status import ApprovalStatus
from auditor.service.domain.access import AccessRole, AuditLogAction
from auditor.service.domain.submissions import SetName, SubmissionState, Sum

DIGEST = "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
OTHER = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
AUDIT = "sub-0f1e2d3c4b5a69788796a5b4"
AT = "2026-03-01T12:00:00Z"
SECRET = "aBcDeFgHiJkLmNoPqRsTuVwXyZ0123456789-_aBcDe"  # noqa: S105 -- an example in the documents
AUDIT_EXAMPLE: dict[str, Any] = {
    "id": AUDIT, "project": "default", "submitter": "0123456789abcdef", "state": "done",
    "submitted": AT, "source": "audit.yaml", "audit_file": DIGEST, "policy": OTHER,
    "targets": ["cpu"], "budget": "ci", "only": [], "sealed": False, "attempt": 1,
    "ended": AT, "record": DIGEST, "verdict": "pass", "scope": "artifact", "failure": None,
    "standing": "awaiting approval", "records": [],
    "awaits": "0 of 1 approvals of this record are there",
}  # fmt: skip
LATER: dict[str, Any] = {"digest": OTHER, "verdict": "pass", "derived_from": DIGEST, "at": AT}
KEY: dict[str, Any] = {
    "id": "0123456789abcdef", "project": "default", "role": "submitter", "created": AT,
    "name": "release pipeline", "expires": None, "ended": None,
}  # fmt: skip


def build_model_config(**example: Any) -> ConfigDict:  # noqa: ANN401 -- JSON
    """Return the settings of a form: nothing unknown in it, and what it looks like."""
    return ConfigDict(extra="forbid", json_schema_extra={"examples": [example]})


class FailureResponse(BaseModel):
    """Why an audit has no record, and how to fix it."""

    model_config = build_model_config(
        problem="model.onnx is not an ONNX model", cure="Send another."
    )
    problem: str
    cure: str


class LaterRecord(BaseModel):
    """A record of an audit that was judged again with waivers."""

    model_config = build_model_config(**LATER)
    digest: str
    verdict: str
    derived_from: str | None
    at: str


class AuditResponse(BaseModel):
    """An audit: its request, its state, and its result.

    ``scope`` is the subject of its record on all targets: the artifact, or an endpoint that was not
    shown to give the artifact's answers. ``attempt`` is its number among the audits of this model.
    ``standing`` and ``awaits`` describe its approvals; they refer to the last of its ``records``,
    those that were judged again since.
    """

    model_config = build_model_config(**AUDIT_EXAMPLE)
    id: str
    project: str
    submitter: str
    state: SubmissionState
    submitted: str
    source: str
    audit_file: str
    policy: str
    targets: list[str]
    budget: Budget | None
    only: list[str]
    sealed: bool = False
    attempt: int | None = None
    ended: str | None = None
    record: str | None = None
    verdict: str | None = None
    scope: RecordScope | None = None
    failure: FailureResponse | None = None
    standing: ApprovalStatus | None = None
    awaits: str | None = None
    records: list[LaterRecord] = []


class AuditPage(BaseModel):
    """Audits, newest first; ``next`` is the cursor of the next page, empty at the end."""

    model_config = build_model_config(audits=[AUDIT_EXAMPLE], next="")
    audits: list[AuditResponse]
    next: str


class EventResponse(BaseModel):
    """One event of an audit; ``kind`` is a state, or describes the work of a check."""

    model_config = build_model_config(
        submission=AUDIT, number=3, at=AT, kind="check_ended",
        detail={"check": "quality.accuracy", "target": "cpu"},
    )  # fmt: skip
    submission: str
    number: int
    at: str
    kind: str
    detail: dict[str, Any]


class EventList(BaseModel):
    """Events in order, after the last one that was received."""

    model_config = build_model_config(state="running", events=[
        {"submission": AUDIT, "number": 1, "at": AT, "kind": "queued", "detail": {}},
    ])  # fmt: skip
    state: SubmissionState
    events: list[EventResponse]


class RecordFileResponse(BaseModel):
    """A file of an audit, by name."""

    model_config = build_model_config(name="record.json", digest=DIGEST, size=20480)
    name: str
    digest: str
    size: int


class FileList(BaseModel):
    """All files of an audit, as ``auditor audit --out`` writes them."""

    model_config = build_model_config(
        files=[{"name": "record.json", "digest": DIGEST, "size": 20480}]
    )
    files: list[RecordFileResponse]


class UploadResponse(BaseModel):
    """An uploaded file of a project."""

    model_config = build_model_config(
        digest=DIGEST, kind="artifact", name="model.onnx", size=1024, at=AT
    )
    digest: str
    kind: str
    name: str
    size: int
    at: str


class UploadPage(BaseModel):
    """Uploads in the order of their digests; ``next`` is the cursor of the next page, empty at the
    end.
    """

    model_config = build_model_config(next="", uploads=[
        {"digest": DIGEST, "kind": "artifact", "name": "model.onnx", "size": 1024, "at": AT},
    ])  # fmt: skip
    uploads: list[UploadResponse]
    next: str


class UploadProgressResponse(BaseModel):
    """Progress of an upload; a ``complete`` file is stored."""

    model_config = build_model_config(digest=DIGEST, offset=1024, length=1024, complete=True)
    digest: str
    offset: int
    length: int
    complete: bool


class KeyRequestBody(BaseModel):
    """An API key to create in the project of the admin; without ``expires`` it gets the longest
    validity allowed.
    """

    model_config = build_model_config(
        name="release pipeline", role="submitter", expires="2027-01-01T00:00:00Z"
    )
    name: Annotated[str, Field(min_length=1, max_length=100)]
    role: AccessRole
    expires: str | None = None


class KeyResponse(BaseModel):
    """An API key; its secret is not stored."""

    model_config = build_model_config(**KEY)
    id: str
    project: str
    role: AccessRole
    name: str
    created: str
    expires: str | None
    ended: str | None


class KeySecretResponse(BaseModel):
    """A new API key with its text, which is shown only once."""

    model_config = build_model_config(key=KEY, text=f"auk_0123456789abcdef_{SECRET}")
    key: KeyResponse
    text: str


class KeyList(BaseModel):
    """The API keys of a project, oldest first."""

    model_config = build_model_config(keys=[KEY])
    keys: list[KeyResponse]


class ReasonRequestBody(BaseModel):
    """The reason for the revocation of a key."""

    model_config = build_model_config(reason="it was written to a log")
    reason: Annotated[str, Field(min_length=1, max_length=200)]


class PolicyPackResponse(BaseModel):
    """A policy that comes with auditor."""

    model_config = build_model_config(
        name="baseline", version="1.0.0", owner="…", rules=6, description="…"
    )
    name: str
    version: str
    owner: str
    rules: int
    description: str


class PolicyList(BaseModel):
    """The policies that come with auditor."""

    model_config = build_model_config(policies=[
        {"name": "baseline", "version": "1.0.0", "owner": "…", "rules": 6, "description": "…"},
    ])  # fmt: skip
    policies: list[PolicyPackResponse]


class PolicyResponse(BaseModel):
    """A resolved policy, with everything that it extends, under its digest."""

    model_config = build_model_config(
        name="baseline", version="1.0.0", digest=OTHER, document={"rules": []}
    )
    name: str
    version: str
    digest: str
    document: dict[str, Any]


class TargetResponse(BaseModel):
    """A target of the service; checks run there only if it has a ``live`` worker."""

    model_config = build_model_config(
        name="cpu", runtime="onnxruntime", provider="CPUExecutionProvider", emulated=None,
        live=True,
    )  # fmt: skip
    name: str
    runtime: str
    provider: str
    emulated: str | None
    live: bool


class TargetList(BaseModel):
    """The targets of the service, and whether it runs training recipes (``recipes``)."""

    model_config = build_model_config(targets=[
        {"name": "cpu", "runtime": "onnxruntime", "provider": "CPUExecutionProvider",
         "emulated": None, "live": True},
    ], recipes=False)  # fmt: skip
    targets: list[TargetResponse]
    recipes: bool


class GateStepResponse(BaseModel):
    """One step of a gate, with its result."""

    model_config = build_model_config(
        name="verdict", result="holds", detail="all required rules pass"
    )
    name: str
    result: str
    detail: str


class GateResponse(BaseModel):
    """The decision of a gate, and the record that it checked."""

    model_config = build_model_config(
        open=True, artifact=DIGEST, policy=OTHER, target="cpu", asked=AT, record=DIGEST,
        audit=AUDIT,
        steps=[{"name": "verdict", "result": "holds", "detail": "all required rules pass"}],
    )  # fmt: skip
    open: bool
    artifact: str
    policy: str
    target: str | None
    asked: str
    record: str | None
    audit: str | None
    steps: list[GateStepResponse]


class ServiceKeysResponse(BaseModel):
    """The public keys of a service, for its records and for the checkpoints of its ledger."""

    model_config = build_model_config(
        report="-----BEGIN PUBLIC KEY-----\n…", identity="key:sha256:…",
        ledger="auditor-ledger/…+0123abcd+AQ…",
    )  # fmt: skip
    report: str
    identity: str
    ledger: str | None


class HealthResponse(BaseModel):
    """Health of the service; if it is not ready, the reasons."""

    model_config = build_model_config(status="ok", lacking=[])
    status: str
    lacking: list[str] = []


class ProblemResponse(BaseModel):
    """A problem (RFC 9457): ``type`` ends in a stable identifier, and ``cure`` describes how to fix
    it.
    """

    model_config = build_model_config(
        type="https://auditor.invalid/problems/not_found", status=404,
        title="Not found", detail="there is no audit …",
        cure="List the audits with GET /v1/audits.", instance="/v1/audits/…",
    )  # fmt: skip
    type: str
    title: str
    status: int
    detail: str
    cure: str
    instance: str
    errors: list[dict[str, str]] = []


STANDING: dict[str, Any] = {
    "target": "cpu", "verdict": "pass", "policy": OTHER, "record": DIGEST, "audit": AUDIT,
    "finished": AT, "scope": "artifact", "open": False, "why": "freshness",
}  # fmt: skip
VERSION: dict[str, Any] = {"version": "2.0.0", "artifact": DIGEST, "targets": [STANDING]}
POINT: dict[str, Any] = {
    "finished": AT, "version": "2.0.0", "target": "cpu", "check": "quality.accuracy",
    "check_version": 1, "params": {}, "value": 0.91, "low": 0.88, "high": 0.94, "confidence": 0.95,
    "bound": "estimate", "n": 450, "unit": "share", "doubted": False, "record": DIGEST,
    "audit": AUDIT,
}  # fmt: skip


class VersionStatusResponse(BaseModel):
    """The gate of a version under a policy on a target: whether it is ``open``, and if not, the
    failed steps in ``why``. ``record`` is the record that the gate checks, ``verdict`` its verdict
    on this target. ``scope`` is its subject: the artifact, or an endpoint that was not shown to
    give the artifact's answers.
    """

    model_config = build_model_config(**STANDING)
    target: str
    verdict: str
    policy: str
    record: str
    audit: str
    finished: str
    scope: RecordScope
    open: bool
    why: str


class ModelVersionResponse(BaseModel):
    """A version of a model, by its artifact, with its gate on each target."""

    model_config = build_model_config(**VERSION)
    version: str
    artifact: str | None
    targets: list[VersionStatusResponse]


class ModelResponse(BaseModel):
    """A model and its newest versions."""

    model_config = build_model_config(name="credit", versions=[VERSION])
    name: str
    versions: list[ModelVersionResponse]


class ModelPage(BaseModel):
    """Models by name; ``next`` is the cursor of the next page, empty at the end."""

    model_config = build_model_config(models=[{"name": "credit", "versions": [VERSION]}], next="")
    models: list[ModelResponse]
    next: str


class TrendPointResponse(BaseModel):
    """A measurement of one audit: the figure, its interval, and its kind of bound."""

    model_config = build_model_config(**POINT)
    finished: str
    version: str
    target: str
    check: str
    check_version: int
    params: dict[str, Any]
    value: float
    low: float | None
    high: float | None
    confidence: float | None
    bound: str
    n: int
    unit: str
    doubted: bool
    record: str
    audit: str


class TrendResponse(BaseModel):
    """A metric over time, newest first; ``next`` is the cursor of the next page, or empty."""

    model_config = build_model_config(model="credit", metric="accuracy", points=[POINT], next="")
    model: str
    metric: str
    points: list[TrendPointResponse]
    next: str


FILE = r"^[A-Za-z0-9][A-Za-z0-9._ -]{0,199}$"
ASKED: dict[str, Any] = {
    "name": "loans-2026", "role": "evaluation", "digest": DIGEST, "file": "loans.csv",
    "note": "columns id, income, debt; labels in `default`",
}  # fmt: skip
SEALED_SET_EXAMPLE: dict[str, Any] = {**ASKED, "size": 4096, "by": "0123456789abcdef", "at": AT}


class SealedSetRequestBody(BaseModel):
    """An uploaded file to seal; ``file`` describes its format."""

    model_config = build_model_config(**ASKED)
    name: SetName
    role: DatasetRole
    digest: Sum
    file: Annotated[str, Field(pattern=FILE)]
    note: Annotated[str, Field(max_length=2000)] = ""


class SealedSetResponse(BaseModel):
    """A sealed set: its role and its description, never its rows."""

    model_config = build_model_config(**SEALED_SET_EXAMPLE)
    name: str
    role: DatasetRole
    digest: str
    file: str
    note: str
    size: int
    by: str
    at: str


class SealedSetPage(BaseModel):
    """Sealed sets by name; ``next`` is the cursor of the next page, empty at the end."""

    model_config = build_model_config(sealed_sets=[SEALED_SET_EXAMPLE], next="")
    sealed_sets: list[SealedSetResponse]
    next: str


ACT = "act-" + "0a" * 12


class AuditLogEntryResponse(BaseModel):
    """An entry of the audit log: who did what to what, and when; ``id`` is that of its leaf in the
    ledger.
    """

    model_config = build_model_config(
        id=ACT, project="default", caller="0123456789abcdef", subject=None, kind="key_made",
        about="fedcba9876543210", at=AT, detail={"role": "submitter"}, digest="sha256:" + "ab" * 32,
    )  # fmt: skip
    id: str
    project: str
    caller: str
    subject: str | None
    kind: AuditLogAction
    about: str
    at: str
    detail: dict[str, Any]
    digest: str


class AuditLogPage(BaseModel):
    """Entries of the audit log, newest first; ``next`` is the cursor of the next page, empty at the
    end.
    """

    model_config = build_model_config(acts=[], next="")
    acts: list[AuditLogEntryResponse]
    next: str
