"""Look-up routes: policies, targets, and the deployment gate."""

from typing import Annotated

from fastapi import APIRouter, Path, Query

from auditor.service.api.auth import Viewer
from auditor.service.api.context import Served
from auditor.service.api.requests import SUM
from auditor.service.api.response_cache import CachedRoute, cache_response
from auditor.service.api.schemas import (
    GateResponse,
    GateStepResponse,
    PolicyList,
    PolicyPackResponse,
    PolicyResponse,
    TargetList,
    TargetResponse,
)
from auditor.service.gate import GateRequest
from auditor.workflows.gate import parse_age

NAMED = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$"
Pack = Annotated[str, Path(pattern=NAMED, examples=["baseline"])]
ARTIFACT = (
    "Digest of the artifact, over the list of its files (not of a single file): "
    "`artifact` in GET /v1/models, `request.artifact.digest` in a record."
)
POLICY = (
    "Name of a pack, or digest of a resolved policy: `policy` in GET /v1/models, "
    "`request.policy.digest` in a record. It is not the name or the digest of a "
    "file."
)
TARGET = (
    "Name of a target, as in GET /v1/targets. Without it, the gate must be open "
    "on every target on which these bytes were audited under this policy."
)
PROBE = "`identity` in the file that `auditor targets probe NAME --out FILE` wrote on the target."
BASELINE = "Digest of the record that limits must use as baseline."
AGE = "Maximum age of the measurements: 12h, 30d, 4w."
Artifact = Annotated[
    str, Query(pattern=SUM, description=ARTIFACT, examples=["sha256:" + "ab" * 32])
]
Under = Annotated[
    str, Query(pattern=f"({NAMED})|({SUM})", description=POLICY, examples=["baseline"])
]
router = APIRouter(prefix="/v1", tags=["look-ups"], route_class=CachedRoute)


@router.get("/policies")
@cache_response()
def list_policies(caller: Viewer, service: Served) -> PolicyList:
    """List the policies that come with auditor."""
    found = [PolicyPackResponse.model_validate(pack.to_json()) for pack in service.packs()]
    return PolicyList(policies=found)


@router.get("/policies/{name}")
@cache_response()
def get_policy(name: Pack, caller: Viewer, service: Served) -> PolicyResponse:
    """Return a resolved policy, with everything that it extends."""
    found = service.pack(name)
    return PolicyResponse(
        name=found.name, version=found.version, digest=found.digest, document=dict(found.document)
    )


@router.get("/targets")
@cache_response()
def list_targets(caller: Viewer, service: Served) -> TargetList:
    """List the targets of the service, and whether each has a worker online."""
    live = service.desk.live(caller.project)
    shown = [
        TargetResponse(
            name=spec.name,
            runtime=spec.runtime,
            provider=spec.provider,
            emulated=spec.emulated,
            live=spec.name in live,
        )
        for spec in service.desk.targets.values()
    ]
    return TargetList(targets=shown, recipes=service.desk.recipes)


@router.get("/gate")
def query_gate(
    caller: Viewer, service: Served, artifact: Artifact, policy: Under,
    target: Annotated[str | None, Query(max_length=200, description=TARGET)] = None,
    fingerprint: Annotated[str | None, Query(pattern=SUM, description=PROBE)] = None,
    max_age: Annotated[str | None, Query(max_length=8, description=AGE, examples=["30d"])] = None,
    baseline: Annotated[str | None, Query(pattern=SUM, description=BASELINE)] = None,
) -> GateResponse:  # fmt: skip
    """Check that a valid, recent, signed, passing record exists for exactly these bytes.

    A closed gate is a normal answer, not an error: read ``open``.
    """
    age = None if max_age is None else parse_age(max_age)
    name = None if target is None else target.replace("\0", "")
    asking = GateRequest(
        project=caller.project, artifact=artifact, policy=policy, target=name,
        identity=fingerprint, max_age=age, baseline=baseline,
    )  # fmt: skip
    found = service.gatekeeper.ask(asking)
    steps = [
        GateStepResponse(name=it.name, result=it.result, detail=it.detail) for it in found.steps
    ]
    return GateResponse(
        open=found.open, artifact=artifact, policy=found.policy, target=name, asked=found.asked,
        record=found.record, audit=found.submission, steps=steps,
    )  # fmt: skip
