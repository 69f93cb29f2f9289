"""The JSON of what is looked up and asked, with an example of each."""

from typing import Any

from pydantic import BaseModel

from auditor.api.shapes import AT, AUDIT, DIGEST, OTHER, like


class PolicyLine(BaseModel):
    """A policy that comes with auditor."""

    model_config = like(name="baseline", version="1.0.0", owner="…", rules=6, description="…")
    name: str
    version: str
    owner: str
    rules: int
    description: str


class PolicyList(BaseModel):
    """The policies that come with auditor."""

    model_config = like(policies=[
        {"name": "baseline", "version": "1.0.0", "owner": "…", "rules": 6, "description": "…"},
    ])  # fmt: skip
    policies: list[PolicyLine]


class PolicyShown(BaseModel):
    """A policy with what it extends put in: the document that is judged by, under its digest."""

    model_config = like(name="baseline", version="1.0.0", digest=OTHER, document={"rules": []})
    name: str
    version: str
    digest: str
    document: dict[str, Any]


class TargetShown(BaseModel):
    """A target of the service; without a ``live`` worker nothing runs there now."""

    model_config = like(name="cpu", runtime="onnxruntime", provider="CPUExecutionProvider",
                        emulated=None, live=True)  # fmt: skip
    name: str
    runtime: str
    provider: str
    emulated: str | None
    live: bool


class TargetList(BaseModel):
    """The targets of the service, and whether it runs the code of recipes (``recipes``)."""

    model_config = like(targets=[
        {"name": "cpu", "runtime": "onnxruntime", "provider": "CPUExecutionProvider",
         "emulated": None, "live": True},
    ], recipes=False)  # fmt: skip
    targets: list[TargetShown]
    recipes: bool


class StepShown(BaseModel):
    """One step of a gate: what was looked at, and what came of it."""

    model_config = like(name="verdict", result="holds", detail="every denying rule is kept")
    name: str
    result: str
    detail: str


class GateShown(BaseModel):
    """Whether a gate opens, and the record that was asked."""

    model_config = like(open=True, artifact=DIGEST, policy=OTHER, target="cpu", asked=AT,
                        record=DIGEST, audit=AUDIT, steps=[
        {"name": "verdict", "result": "holds", "detail": "every denying rule is kept"},
    ])  # fmt: skip
    open: bool
    artifact: str
    policy: str
    target: str | None
    asked: str
    record: str | None
    audit: str | None
    steps: list[StepShown]


class KeysShown(BaseModel):
    """The public keys of a service: what signs its records, and its ledger's checkpoints."""

    model_config = like(report="-----BEGIN PUBLIC KEY-----\n…", identity="key:sha256:…",
                        ledger="auditor-ledger/…+0123abcd+AQ…")  # fmt: skip
    report: str
    identity: str
    ledger: str | None


class Health(BaseModel):
    """That the service answers; where it is not ready, what keeps it."""

    model_config = like(status="ok", lacking=[])
    status: str
    lacking: list[str] = []


class ProblemShown(BaseModel):
    """A problem (RFC 9457): ``type`` ends in a stable word, ``cure`` says what to do."""

    model_config = like(type="https://auditor.invalid/problems/not_found", status=404,
                        title="There is no such thing", detail="there is no audit …",
                        cure="GET /v1/audits lists them.", instance="/v1/audits/…")  # fmt: skip
    type: str
    title: str
    status: int
    detail: str
    cure: str
    instance: str
    errors: list[dict[str, str]] = []
