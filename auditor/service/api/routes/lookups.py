"""What there is to audit by and on, and whether a gate opens."""

from typing import Annotated

from fastapi import APIRouter, Path, Query

from auditor.api.admitting import Viewer
from auditor.api.answers import (
    GateShown,
    PolicyLine,
    PolicyList,
    PolicyShown,
    StepShown,
    TargetList,
    TargetShown,
)
from auditor.api.parts import Served
from auditor.api.reading import SUM
from auditor.api.remembering import Remembering, remembered
from auditor.gatekeeping import Asking
from auditor.gates import parse_age

NAMED = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$"
Pack = Annotated[str, Path(pattern=NAMED, examples=["baseline"])]
ARTIFACT = """The artifact's digest, over the list of its files, and no file's own: `artifact` in
GET /v1/models, `request.artifact.digest` in a record."""
POLICY = """A pack's name, or the digest of a policy as it is judged by, with what it extends put
in: `policy` in GET /v1/models, `request.policy.digest` in a record. A file's name or own digest is
neither."""
TARGET = """A target's name, as in GET /v1/targets. Without one all have to open on which these
bytes were ever audited under this policy."""
PROBE = "`identity` of what `auditor targets probe NAME --out FILE` wrote on the target."
BASELINE = "Digest of the record that limits must have been taken from."
AGE = "How old the measurements may be: 12h, 30d, 4w."
Artifact = Annotated[
    str, Query(pattern=SUM, description=ARTIFACT, examples=["sha256:" + "ab" * 32])
]
Under = Annotated[
    str, Query(pattern=f"({NAMED})|({SUM})", description=POLICY, examples=["baseline"])
]
router = APIRouter(prefix="/v1", tags=["look-ups"], route_class=Remembering)


@router.get("/policies")
@remembered(progress=False)
def policies(caller: Viewer, service: Served) -> PolicyList:
    """List the policies that come with auditor."""
    found = [PolicyLine.model_validate(pack.to_json()) for pack in service.packs()]
    return PolicyList(policies=found)


@router.get("/policies/{name}")
@remembered(progress=False)
def policy(name: Pack, caller: Viewer, service: Served) -> PolicyShown:
    """Show a policy as it is judged by: with what it extends put in."""
    found = service.pack(name)
    return PolicyShown(
        name=found.name, version=found.version, digest=found.digest, document=dict(found.document)
    )


@router.get("/targets")
@remembered(progress=False)
def targets(caller: Viewer, service: Served) -> TargetList:
    """List the targets of the service, and whether somebody works for each now."""
    live = service.desk.live(caller.project)
    shown = [
        TargetShown(
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
def gate(
    caller: Viewer, service: Served, artifact: Artifact, policy: Under,
    target: Annotated[str | None, Query(max_length=200, description=TARGET)] = None,
    fingerprint: Annotated[str | None, Query(pattern=SUM, description=PROBE)] = None,
    max_age: Annotated[str | None, Query(max_length=8, description=AGE, examples=["30d"])] = None,
    baseline: Annotated[str | None, Query(pattern=SUM, description=BASELINE)] = None,
) -> GateShown:  # fmt: skip
    """Ask whether a valid, fresh, signed, passing record exists for exactly these bytes.

    A gate that is shut is an answer, not an error: read ``open``.
    """
    age = None if max_age is None else parse_age(max_age)
    name = None if target is None else target.replace("\0", "")
    asking = Asking(
        project=caller.project, artifact=artifact, policy=policy, target=name,
        identity=fingerprint, max_age=age, baseline=baseline,
    )  # fmt: skip
    found = service.gatekeeper.ask(asking)
    steps = [StepShown(name=it.name, result=it.result, detail=it.detail) for it in found.steps]
    return GateShown(
        open=found.open, artifact=artifact, policy=found.policy, target=name, asked=found.asked,
        record=found.record, audit=found.submission, steps=steps,
    )  # fmt: skip
