"""Pydantic schemas of API requests and responses, each with an example."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from auditor.domain.budgets import Budget
from auditor.domain.datasets import DatasetRole
from auditor.domain.record_scope import RecordScope
from auditor.service.api.requests import SUM
from auditor.service.approvals.status import ApprovalStatus
from auditor.service.domain.access import AccessRole, AuditLogAction
from auditor.service.domain.submissions import SubmissionState

DIGEST = "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
OTHER = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
AUDIT = "sub-0f1e2d3c4b5a69788796a5b4"
AT = "2026-03-01T12:00:00Z"
Sum = Annotated[str, Field(pattern=SUM)]
Name = Annotated[str, Field(min_length=1, max_length=200)]
Few = Annotated[list[Name], Field(max_length=100)]
SET = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$"
SetName = Annotated[str, Field(pattern=SET)]
MOST_WAIT = 7 * 24 * 3600
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


class InputFileBody(BaseModel):
    """A file that the audit file names: its path as written there, and what it is."""

    model_config = build_model_config(
        path="model.onnx", name="model.onnx", size=1024, sha256="ab" * 32
    )
    path: Annotated[str, Field(min_length=1, max_length=4096)]
    name: Annotated[str, Field(min_length=1, max_length=4096)]
    size: Annotated[int, Field(ge=0)]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class AuditRequestBody(BaseModel):
    """What shall be audited. Digests were uploaded before; ``policy`` is one, or a pack's name, and
    ``baseline`` a record of the project. ``wait_for_target`` is how many seconds to wait for a
    live worker. What is ``sealed`` has its seed drawn here, and may name ``sealed_sets`` of inputs.
    """

    model_config = build_model_config(
        audit_file=DIGEST,
        source="audit.yaml",
        inputs=[{"path": "model.onnx", "name": "model.onnx", "size": 1024, "sha256": "ab" * 32}],
        policy="baseline",
        targets=["cpu"],
        budget="ci",
        wait_for_target=600,
        baseline=OTHER,
    )
    audit_file: Sum
    source: Name
    inputs: Annotated[list[InputFileBody], Field(max_length=100_000)]
    policy: Name
    targets: Few = []
    budget: Budget | None = None
    only: Few = []
    places: dict[str, Any] | None = None
    sealed: bool = False
    sealed_sets: Annotated[list[SetName], Field(max_length=4)] = []
    wait_for_target: Annotated[int, Field(ge=0, le=MOST_WAIT)] | None = None
    baseline: Sum | None = None


class FailureResponse(BaseModel):
    """Why an audit gave no record, and what to do about it."""

    model_config = build_model_config(
        problem="the file model.onnx is no ONNX model", cure="Send another."
    )
    problem: str
    cure: str


class LaterRecord(BaseModel):
    """A record of an audit that was judged again, with waivers."""

    model_config = build_model_config(**LATER)
    digest: str
    verdict: str
    derived_from: str | None
    at: str


class AuditResponse(BaseModel):
    """An audit as it stands: what was asked, how far it is, and what it came to.

    ``scope`` is what its record speaks for on all targets together: the artifact, or an endpoint
    that is not shown to give the artifact's answers. ``attempt`` is its number in its model's line.
    It stands with people (``standing``, ``awaits``) by the last of its ``records``: those that were
    judged again since.
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
    """Audits, the newest first; ``next`` is the cursor of what follows, empty at the end."""

    model_config = build_model_config(audits=[AUDIT_EXAMPLE], next="")
    audits: list[AuditResponse]
    next: str


class EventResponse(BaseModel):
    """One line of an audit's history; ``kind`` is a state, or says what a check does."""

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
    """Events in order, those after the last one that was seen."""

    model_config = build_model_config(state="running", events=[
        {"submission": AUDIT, "number": 1, "at": AT, "kind": "queued", "detail": {}},
    ])  # fmt: skip
    state: SubmissionState
    events: list[EventResponse]


class RecordFileResponse(BaseModel):
    """A file of an audit's folder, by its name there."""

    model_config = build_model_config(name="record.json", digest=DIGEST, size=20480)
    name: str
    digest: str
    size: int


class FileList(BaseModel):
    """Every file of an audit's folder, as ``auditor audit --out`` writes it."""

    model_config = build_model_config(
        files=[{"name": "record.json", "digest": DIGEST, "size": 20480}]
    )
    files: list[RecordFileResponse]


class UploadResponse(BaseModel):
    """A file that a project has uploaded."""

    model_config = build_model_config(
        digest=DIGEST, kind="artifact", name="model.onnx", size=1024, at=AT
    )
    digest: str
    kind: str
    name: str
    size: int
    at: str


class UploadPage(BaseModel):
    """Uploads in the order of their digests; ``next`` is the cursor of what follows."""

    model_config = build_model_config(next="", uploads=[
        {"digest": DIGEST, "kind": "artifact", "name": "model.onnx", "size": 1024, "at": AT},
    ])  # fmt: skip
    uploads: list[UploadResponse]
    next: str


class UploadProgressResponse(BaseModel):
    """How far an upload is; what is ``complete`` is kept."""

    model_config = build_model_config(digest=DIGEST, offset=1024, length=1024, complete=True)
    digest: str
    offset: int
    length: int
    complete: bool


class KeyRequestBody(BaseModel):
    """A key to make in the admin's project; without ``expires`` it holds as long as any may."""

    model_config = build_model_config(
        name="release pipeline", role="submitter", expires="2027-01-01T00:00:00Z"
    )
    name: Annotated[str, Field(min_length=1, max_length=100)]
    role: AccessRole
    expires: str | None = None


class KeyResponse(BaseModel):
    """A key; its secret is not among what is kept."""

    model_config = build_model_config(**KEY)
    id: str
    project: str
    role: AccessRole
    name: str
    created: str
    expires: str | None
    ended: str | None


class KeySecretResponse(BaseModel):
    """A key that was just made, with its text, which is shown this once."""

    model_config = build_model_config(key=KEY, text=f"auk_0123456789abcdef_{SECRET}")
    key: KeyResponse
    text: str


class KeyList(BaseModel):
    """A project's keys, the oldest first."""

    model_config = build_model_config(keys=[KEY])
    keys: list[KeyResponse]


class ReasonRequestBody(BaseModel):
    """Why a key is ended."""

    model_config = build_model_config(reason="it stood in a log")
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
    """A policy with what it extends put in: the document that is judged by, under its digest."""

    model_config = build_model_config(
        name="baseline", version="1.0.0", digest=OTHER, document={"rules": []}
    )
    name: str
    version: str
    digest: str
    document: dict[str, Any]


class TargetResponse(BaseModel):
    """A target of the service; without a ``live`` worker nothing runs there now."""

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
    """The targets of the service, and whether it runs the code of recipes (``recipes``)."""

    model_config = build_model_config(targets=[
        {"name": "cpu", "runtime": "onnxruntime", "provider": "CPUExecutionProvider",
         "emulated": None, "live": True},
    ], recipes=False)  # fmt: skip
    targets: list[TargetResponse]
    recipes: bool


class GateStepResponse(BaseModel):
    """One step of a gate: what was looked at, and what came of it."""

    model_config = build_model_config(
        name="verdict", result="holds", detail="every denying rule is kept"
    )
    name: str
    result: str
    detail: str


class GateResponse(BaseModel):
    """Whether a gate opens, and the record that was asked."""

    model_config = build_model_config(
        open=True, artifact=DIGEST, policy=OTHER, target="cpu", asked=AT, record=DIGEST,
        audit=AUDIT,
        steps=[{"name": "verdict", "result": "holds", "detail": "every denying rule is kept"}],
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
    """The public keys of a service: what signs its records, and its ledger's checkpoints."""

    model_config = build_model_config(
        report="-----BEGIN PUBLIC KEY-----\n…", identity="key:sha256:…",
        ledger="auditor-ledger/…+0123abcd+AQ…",
    )  # fmt: skip
    report: str
    identity: str
    ledger: str | None


class HealthResponse(BaseModel):
    """That the service answers; where it is not ready, what keeps it."""

    model_config = build_model_config(status="ok", lacking=[])
    status: str
    lacking: list[str] = []


class ProblemResponse(BaseModel):
    """A problem (RFC 9457): ``type`` ends in a stable word, ``cure`` says what to do."""

    model_config = build_model_config(
        type="https://auditor.invalid/problems/not_found", status=404,
        title="There is no such thing", detail="there is no audit …",
        cure="GET /v1/audits lists them.", instance="/v1/audits/…",
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
    """What the gate says of a version under a policy on a target: whether it is ``open``, and else
    ``why`` not, by the names of steps. ``record`` is the one that the gate asks, ``verdict`` that
    of it there. ``scope`` is what it speaks for: the artifact, or an endpoint that is not shown to
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
    """A version of a model, by its artifact, and how it stands on each target."""

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
    """Models by name; ``next`` is the cursor of what follows, empty at the end."""

    model_config = build_model_config(models=[{"name": "credit", "versions": [VERSION]}], next="")
    models: list[ModelResponse]
    next: str


class TrendPointResponse(BaseModel):
    """A measurement of one audit: the figure, its interval, and what it may prove."""

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
    """A metric over time, the newest first; ``next`` is the cursor of what follows."""

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
    """A file that the project uploaded, to be held from now on; ``file`` tells its form."""

    model_config = build_model_config(**ASKED)
    name: SetName
    role: DatasetRole
    digest: Sum
    file: Annotated[str, Field(pattern=FILE)]
    note: Annotated[str, Field(max_length=2000)] = ""


class SealedSetResponse(BaseModel):
    """Data that the auditor holds: what they are for, and what is said of them; never the rows."""

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
    """Sealed sets by their names; ``next`` is the cursor of what follows, empty at the end."""

    model_config = build_model_config(sealed_sets=[SEALED_SET_EXAMPLE], next="")
    sealed_sets: list[SealedSetResponse]
    next: str


ACT = "act-" + "0a" * 12


class AuditLogEntryResponse(BaseModel):
    """An act: who did what to what, and when; ``id`` is that of its leaf in the ledger."""

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
    """Some acts of a project, the newest first; ``next`` is the cursor of those before them."""

    model_config = build_model_config(acts=[], next="")
    acts: list[AuditLogEntryResponse]
    next: str
