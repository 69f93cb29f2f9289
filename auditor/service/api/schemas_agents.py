"""The JSON that admins and agents send and read, with an example of each."""

from typing import Annotated, Any

from pydantic import BaseModel, Field

from auditor.service.api.schemas import (
    AT,
    AUDIT,
    DIGEST,
    OTHER,
    SECRET,
    Name,
    Sum,
    build_model_config,
)

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
    """An agent to enrol in the project of the admin who asks; its key signs what it sees."""

    model_config = build_model_config(name="board 7", targets=["npu"], public_key=PEM)
    name: Annotated[str, Field(min_length=1, max_length=100)]
    targets: Targets
    public_key: Annotated[str, Field(min_length=1, max_length=4096)]
    expires: str | None = None


class AgentResponse(BaseModel):
    """An agent, when it was last heard of, and what it said of itself when it started last."""

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
    """An agent that was just enrolled, with the text of its key, which is shown this once."""

    model_config = build_model_config(agent=AGENT, text=f"auk_0123456789abcdef_{SECRET}")
    agent: AgentResponse
    text: str


class AgentList(BaseModel):
    """A project's agents, the oldest first."""

    model_config = build_model_config(agents=[AGENT])
    agents: list[AgentResponse]


class AgentHelloRequestBody(BaseModel):
    """What an agent says when it starts: its code, its targets, and a probe of each."""

    model_config = build_model_config(code=OTHER, targets=["npu"], probes={"npu": None})
    code: Sum
    targets: Targets
    probes: dict[Name, dict[str, Any] | None] = {}


class AgentHelloResponse(BaseModel):
    """The service's own code, and how many seconds a lease holds that is not renewed."""

    model_config = build_model_config(code=OTHER, seconds=30)
    code: str
    seconds: int


class LeaseRequestBody(BaseModel):
    """A wish for one shard; ``wait`` is how many seconds to wait for one."""

    model_config = build_model_config(code=OTHER, wait=20)
    code: Sum
    wait: Annotated[int, Field(ge=0, le=30)] = 20


class AssignmentResponse(BaseModel):
    """A lease of one shard: which check on which target of which submission, and what it needs.

    Without a word for ``seconds`` it is over, and offered to others.
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
    """How far a check is; without a total, only that the agent is at work."""

    model_config = build_model_config(done=40, total=100, note="")
    done: Count = 0
    total: Count | None = None
    note: Annotated[str, Field(max_length=200)] = ""


class LeaseStatusResponse(BaseModel):
    """Whether there is a reason to go on, and whether the lease is over all the same."""

    model_config = build_model_config(go_on=True, lapsed=False)
    go_on: bool
    lapsed: bool


class ResultRequestBody(BaseModel):
    """What a check saw, as canonical JSON in a text, and the agent's signature over it."""

    model_config = build_model_config(shard='{"code":"sha256:…",…}', bundle='{"dsseEnvelope":…}')
    shard: Annotated[str, Field(min_length=2)]
    bundle: Annotated[str, Field(min_length=2, max_length=2**20)]


class FailureRequestBody(BaseModel):
    """Why an agent gives a lease back, and what to do about it."""

    model_config = build_model_config(problem="the disk is full", cure="Make room.")
    problem: Annotated[str, Field(min_length=1, max_length=2000)]
    cure: Annotated[str, Field(max_length=2000)] = ""


class ReceiptResponse(BaseModel):
    """That something was taken, and is kept."""

    model_config = build_model_config(kept=True)
    kept: bool = True
