"""What people sign: waivers, approvals and human findings, taken in, listed, and looked at."""

import base64
import binascii
from collections.abc import Callable, Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response
from starlette.concurrency import run_in_threadpool

from auditor.api.admitting import Approver, Viewer
from auditor.api.decided import DecisionAsked, DecisionPage, DecisionShown, LabelsShown
from auditor.api.parts import Served, Service
from auditor.api.reading import SUM, Digest, Limit, body_of
from auditor.api.shapes import LaterRecord
from auditor.api.showing import documented
from auditor.domain.api_keys import ApiKey
from auditor.domain.canonical import Json, parse
from auditor.domain.people import Decision, DecisionKind, Labelled, Person, Rejudgement
from auditor.people.panels import Panel
from auditor.people.taking import Offer, Taken, take_approval, take_finding, take_waiver
from auditor.refusals import CallError
from auditor.signatures.bundles import parse_bundle
from auditor.signatures.unsigned import signed_elsewhere
from auditor.store.service.people import Sought

SEEN, NEW = 200, 201
KINDS = {f"{kind}s": kind for kind in DecisionKind}
TAKES: Mapping[DecisionKind, Callable[[Panel, Offer], Taken]] = {
    DecisionKind.WAIVER: take_waiver,
    DecisionKind.APPROVAL: take_approval,
    DecisionKind.FINDING: take_finding,
}
Sum = Annotated[str | None, Query(pattern=SUM, examples=["sha256:" + "ab" * 32])]


async def kind_of(request: Request) -> DecisionKind:
    """Return the kind of decision that a path speaks of."""
    return KINDS[request.url.path.split("/")[2]]


Kind = Annotated[DecisionKind, Depends(kind_of)]


async def take(
    request: Request, response: Response, kind: Kind, caller: Approver, service: Served
) -> DecisionShown:
    """Hand in what a person of the project signed. 201: it is new; 200: it was kept before.

    Nothing is kept unless the signature holds, under a key that may sign this here, and in the very
    name of its person. A waiver judges again the records that it is for.
    """
    asked = await body_of(request, DecisionAsked)
    offer = offered(caller, asked)
    taken = await run_in_threadpool(TAKES[kind], service.people, offer)
    response.status_code = NEW if taken.new else SEEN
    response.headers["Location"] = f"/v1/{kind}s/{taken.decision.digest}"
    return await run_in_threadpool(_one, service, taken.decision, taken.rejudged)


def listed(
    kind: Kind, caller: Viewer, service: Served, limit: Limit = 50,
    record: Sum = None, artifact: Sum = None, cursor: Sum = None,
) -> DecisionPage:  # fmt: skip
    """List the project's decisions of a kind, the newest first."""
    people = service.people.people
    last = None if cursor is None else people.decision(caller.project, kind, cursor)
    if cursor is not None and last is None:
        raise CallError(
            f"{cursor} is no cursor of this list",
            cure="Give the one that the last page ended with.",
        )
    sought = Sought(
        kind=kind, record=record, artifact=artifact, limit=limit + 1,
        before=None if last is None else last.number,
    )  # fmt: skip
    found = people.decisions(caller.project, sought)
    known = {person.id: person for person in people.all(caller.project)}
    shown = [_shown(item, known[item.person]) for item in found[:limit]]
    return DecisionPage(decisions=shown, next=shown[-1].digest if len(found) > limit else "")


def look(kind: Kind, digest: Digest, caller: Viewer, service: Served) -> DecisionShown:
    """Look at a decision, with the bundle that is signed and the key that signed it."""
    return _one(service, service.people.decision(caller.project, kind, digest))


def offered(caller: ApiKey, asked: DecisionAsked) -> Offer:
    """Return what somebody hands in: a bundle, or a payload with its signature.

    Raises ``CallError`` for neither or both, and ``Refused`` for what is no public key.
    """
    key = asked.key.encode()
    parts = (asked.payload, asked.signature)
    if asked.bundle is not None and parts == (None, None):
        bundle = asked.bundle.encode()
    elif asked.bundle is None and asked.payload is not None and asked.signature is not None:
        bundle = signed_elsewhere(_bytes(asked.payload), _bytes(asked.signature), key)
    else:
        raise CallError(
            "there is neither a bundle alone, nor a payload with its signature",
            cure="Send one of the two.",
        )
    return Offer(project=caller.project, by=caller.id, bundle=bundle, key=key)


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise CallError("the payload or the signature is no base64", cure="Encode it so.") from None


def _one(service: Service, item: Decision, rejudged: tuple[Rejudgement, ...] = ()) -> DecisionShown:
    panel = service.people
    person = panel.person(item.project, item.person)
    shown = _shown(item, person)
    labels = {} if item.record is None else panel.people.labels(item.project, item.record)
    return shown.model_copy(
        update={
            "bundle": item.bundle.decode(),
            "key": item.key,
            "labels": labels_shown(labels[person.id], person) if person.id in labels else None,
            "rejudged": [judged(it) for it in rejudged],
        }
    )


def _shown(item: Decision, person: Person) -> DecisionShown:
    return DecisionShown(
        digest=item.digest,
        kind=item.kind,
        person=item.person,
        name=person.name,
        at=item.at,
        artifact=item.artifact,
        record=item.record,
        says=says(item.bundle),
    )


def says(bundle: bytes) -> dict[str, Json]:
    """Return what is signed, of a bundle whose signature held when it was kept."""
    said = parse(parse_bundle(bundle).envelope.payload)
    found = said.get("predicate") if isinstance(said, dict) else None
    return found if isinstance(found, dict) else {}


def labels_shown(item: Labelled, person: Person) -> LabelsShown:
    """Return how far a person agreed with the truth and the model."""
    return LabelsShown(
        person=person.id,
        name=person.name,
        record=item.record,
        cases=len(item.labels),
        agree_with_truth=item.truth,
        agree_with_model=item.model,
        at=item.at,
    )


def judged(item: Rejudgement) -> LaterRecord:
    """Return a record that was judged again, as lists show one."""
    return LaterRecord(
        digest=item.record, verdict=item.verdict, derived_from=item.derived_from, at=item.at
    )


def routes() -> APIRouter:
    """Return the same three routes for each kind of decision."""
    router = APIRouter(prefix="/v1", tags=["people"])
    kept: dict[int | str, dict[str, Any]] = {SEEN: {"model": DecisionShown}}
    for word in KINDS:
        add = router.add_api_route
        add(f"/{word}", take, methods=["POST"], operation_id=f"post_{word}", status_code=NEW,
            responses=kept, openapi_extra=documented(DecisionAsked))  # fmt: skip
        add(f"/{word}", listed, methods=["GET"], operation_id=f"list_{word}")
        add(f"/{word}/{{digest}}", look, methods=["GET"], operation_id=f"get_{word}")
    return router
