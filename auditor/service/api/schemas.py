"""The JSON that callers send and read, with an example of each."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from auditor.api.reading import SUM
from auditor.domain.api_keys import Role
from auditor.domain.budgets import Budget
from auditor.domain.record_scopes import RecordScope
from auditor.domain.submissions import State
from auditor.people.standing import Standing

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
EXAMPLE: dict[str, Any] = {
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


def like(**example: Any) -> ConfigDict:  # noqa: ANN401 -- JSON
    """Return the settings of a form: nothing unknown in it, and what it looks like."""
    return ConfigDict(extra="forbid", json_schema_extra={"examples": [example]})


class InputAsked(BaseModel):
    """A file that the audit file names: its path as written there, and what it is."""

    model_config = like(path="model.onnx", name="model.onnx", size=1024, sha256="ab" * 32)
    path: Annotated[str, Field(min_length=1, max_length=4096)]
    name: Annotated[str, Field(min_length=1, max_length=4096)]
    size: Annotated[int, Field(ge=0)]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class AuditAsked(BaseModel):
    """What shall be audited. Digests were uploaded before; ``policy`` is one, or a pack's name, and
    ``baseline`` a record of the project. ``wait_for_target`` is how many seconds to wait for a
    live worker. What is ``sealed`` has its seed drawn here, and may name ``sealed_sets`` of inputs.
    """

    model_config = like(
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
    inputs: Annotated[list[InputAsked], Field(max_length=100_000)]
    policy: Name
    targets: Few = []
    budget: Budget | None = None
    only: Few = []
    places: dict[str, Any] | None = None
    sealed: bool = False
    sealed_sets: Annotated[list[SetName], Field(max_length=4)] = []
    wait_for_target: Annotated[int, Field(ge=0, le=MOST_WAIT)] | None = None
    baseline: Sum | None = None


class FailureShown(BaseModel):
    """Why an audit gave no record, and what to do about it."""

    model_config = like(problem="the file model.onnx is no ONNX model", cure="Send another.")
    problem: str
    cure: str


class LaterRecord(BaseModel):
    """A record of an audit that was judged again, with waivers."""

    model_config = like(**LATER)
    digest: str
    verdict: str
    derived_from: str | None
    at: str


class AuditShown(BaseModel):
    """An audit as it stands: what was asked, how far it is, and what it came to.

    ``scope`` is what its record speaks for on all targets together: the artifact, or an endpoint
    that is not shown to give the artifact's answers. ``attempt`` is its number in its model's line.
    It stands with people (``standing``, ``awaits``) by the last of its ``records``: those that were
    judged again since.
    """

    model_config = like(**EXAMPLE)
    id: str
    project: str
    submitter: str
    state: State
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
    failure: FailureShown | None = None
    standing: Standing | None = None
    awaits: str | None = None
    records: list[LaterRecord] = []


class AuditPage(BaseModel):
    """Audits, the newest first; ``next`` is the cursor of what follows, empty at the end."""

    model_config = like(audits=[EXAMPLE], next="")
    audits: list[AuditShown]
    next: str


class EventShown(BaseModel):
    """One line of an audit's history; ``kind`` is a state, or says what a check does."""

    model_config = like(submission=AUDIT, number=3, at=AT, kind="check_ended",
                         detail={"check": "quality.accuracy", "target": "cpu"})  # fmt: skip
    submission: str
    number: int
    at: str
    kind: str
    detail: dict[str, Any]


class EventList(BaseModel):
    """Events in order, those after the last one that was seen."""

    model_config = like(state="running", events=[
        {"submission": AUDIT, "number": 1, "at": AT, "kind": "queued", "detail": {}},
    ])  # fmt: skip
    state: State
    events: list[EventShown]


class FileShown(BaseModel):
    """A file of an audit's folder, by its name there."""

    model_config = like(name="record.json", digest=DIGEST, size=20480)
    name: str
    digest: str
    size: int


class FileList(BaseModel):
    """Every file of an audit's folder, as ``auditor audit --out`` writes it."""

    model_config = like(files=[{"name": "record.json", "digest": DIGEST, "size": 20480}])
    files: list[FileShown]


class UploadShown(BaseModel):
    """A file that a project has uploaded."""

    model_config = like(digest=DIGEST, kind="artifact", name="model.onnx", size=1024, at=AT)
    digest: str
    kind: str
    name: str
    size: int
    at: str


class UploadPage(BaseModel):
    """Uploads in the order of their digests; ``next`` is the cursor of what follows."""

    model_config = like(next="", uploads=[
        {"digest": DIGEST, "kind": "artifact", "name": "model.onnx", "size": 1024, "at": AT},
    ])  # fmt: skip
    uploads: list[UploadShown]
    next: str


class Reached(BaseModel):
    """How far an upload is; what is ``complete`` is kept."""

    model_config = like(digest=DIGEST, offset=1024, length=1024, complete=True)
    digest: str
    offset: int
    length: int
    complete: bool


class KeyAsked(BaseModel):
    """A key to make in the admin's project; without ``expires`` it holds as long as any may."""

    model_config = like(name="release pipeline", role="submitter", expires="2027-01-01T00:00:00Z")
    name: Annotated[str, Field(min_length=1, max_length=100)]
    role: Role
    expires: str | None = None


class KeyShown(BaseModel):
    """A key; its secret is not among what is kept."""

    model_config = like(**KEY)
    id: str
    project: str
    role: Role
    name: str
    created: str
    expires: str | None
    ended: str | None


class KeyMade(BaseModel):
    """A key that was just made, with its text, which is shown this once."""

    model_config = like(key=KEY, text=f"auk_0123456789abcdef_{SECRET}")
    key: KeyShown
    text: str


class KeyList(BaseModel):
    """A project's keys, the oldest first."""

    model_config = like(keys=[KEY])
    keys: list[KeyShown]


class EndAsked(BaseModel):
    """Why a key is ended."""

    model_config = like(reason="it stood in a log")
    reason: Annotated[str, Field(min_length=1, max_length=200)]
