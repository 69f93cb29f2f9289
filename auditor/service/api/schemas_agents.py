"""Pydantic schemas of the agent APIs, each with an example."""

from typing import Annotated, Any

from pydantic import BaseModel, Field

from auditor.service.api.schemas import (
    AT,
    AUDIT,
    DIGEST,
    OTHER,
    SECRET,
    build_model_config,
)
from auditor.service.domain.submissions import Name, Sum

PEM = "-----BEGIN PUBLIC KEY-----\n…\n-----END PUBLIC KEY-----\n"
LEASE = "lea-0f1e2d3c4b5a69788796a5b4"
AGENT: dict[str, Any] = {
    "id": "0123456789abcdef", "project": "default", "name": "board 7", "targets": ["npu"],
    "identity": "key:sha256:…", "enrolled": AT, "expires": None, "ended": None, "seen": AT,
    "works_for": ["npu"], "live": True, "same_code": True, "probes": {"npu": None},
}  # fmt: skip
ASSIGNMENT: dict[str, Any] = {
    "lease": LEASE, "seconds": 30, "until": AT, "target": "npu", "check": "quality.accuracy",
    "shard": "", "submission": {"id": AUDIT}, "registered": AT, "request": DIGEST,
    "turn": {"seed": 7, "attempt": {"number": 1}},
    "known": {"bindings": [], "standing": "unknown"}, "code": OTHER, "blobs": [DIGEST],
}  # fmt: skip
Targets = Annotated[list[Name], Field(min_length=1, max_length=100)]
Count = Annotated[int, Field(ge=0, le=2**53)]


class EnrolmentRequestBody(BaseModel):
    """An agent to enrol in the project of the admin; its key signs its results."""

    model_config = build_model_config(name="board 7", targets=["npu"], public_key=PEM)
    name: Annotated[str, Field(min_length=1, max_length=100)]
    targets: Targets
    public_key: Annotated[str, Field(min_length=1, max_length=4096)]
    expires: str | None = None


class AgentResponse(BaseModel):
    """An agent, the time of its last contact, and its last report at start."""

    model_config = build_model_config(**AGENT)
    id: str
    project: str
    name: str
    targets: list[str]
    identity: str
    enrolled: str
    expires: str | None
    ended: str | None
    seen: str | None
    works_for: list[str]
    live: bool
    same_code: bool | None
    probes: dict[str, Any]


class EnrolmentResponse(BaseModel):
    """A new agent with the text of its API key, which is shown only once."""

    model_config = build_model_config(agent=AGENT, text=f"auk_0123456789abcdef_{SECRET}")
    agent: AgentResponse
    text: str


class AgentList(BaseModel):
    """The agents of a project, oldest first."""

    model_config = build_model_config(agents=[AGENT])
    agents: list[AgentResponse]


class AgentHelloRequestBody(BaseModel):
    """Report of an agent at start: its code, its targets, and a probe of each."""

    model_config = build_model_config(code=OTHER, targets=["npu"], probes={"npu": None})
    code: Sum
    targets: Targets
    probes: dict[Name, dict[str, Any] | None] = {}


class AgentHelloResponse(BaseModel):
    """The code of the service, and the seconds after which a lease expires without renewal."""

    model_config = build_model_config(code=OTHER, seconds=30)
    code: str
    seconds: int


class LeaseRequestBody(BaseModel):
    """A request for one shard; ``wait`` is the number of seconds to wait for one."""

    model_config = build_model_config(code=OTHER, wait=20)
    code: Sum
    wait: Annotated[int, Field(ge=0, le=30)] = 20


class AssignmentResponse(BaseModel):
    """A lease of one shard: its check, target and submission, and the files that it needs.

    It expires without contact for ``seconds``, and is then offered to others.
    """

    model_config = build_model_config(**ASSIGNMENT)
    lease: str
    seconds: int
    until: str
    target: str
    check: str
    shard: str
    submission: dict[str, Any]
    registered: str
    request: str
    turn: dict[str, Any]
    known: dict[str, Any]
    code: str
    blobs: list[str]


class ProgressRequestBody(BaseModel):
    """Progress of a check; without a total, only a sign that the agent is at work."""

    model_config = build_model_config(done=40, total=100, note="")
    done: Count = 0
    total: Count | None = None
    note: Annotated[str, Field(max_length=200)] = ""


class LeaseStatusResponse(BaseModel):
    """Whether to continue, and whether the lease has expired."""

    model_config = build_model_config(go_on=True, lapsed=False)
    go_on: bool
    lapsed: bool


class ResultRequestBody(BaseModel):
    """The observations of a check as canonical JSON text, and the agent's signature over it."""

    model_config = build_model_config(shard='{"code":"sha256:…",…}', bundle='{"dsseEnvelope":…}')
    shard: Annotated[str, Field(min_length=2)]
    bundle: Annotated[str, Field(min_length=2, max_length=2**20)]


class FailureRequestBody(BaseModel):
    """Why an agent returns a lease, and how to fix it."""

    model_config = build_model_config(problem="the disk is full", cure="Make room.")
    problem: Annotated[str, Field(min_length=1, max_length=2000)]
    cure: Annotated[str, Field(max_length=2000)] = ""


class ReceiptResponse(BaseModel):
    """Confirmation that the data was received and stored."""

    model_config = build_model_config(kept=True)
    kept: bool = True
