"""Routes for signed decisions: waivers, approvals and human findings, submitted and listed."""

import base64
import binascii
from collections.abc import Callable, Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response
from starlette.concurrency import run_in_threadpool

from auditor.domain.json import Json, parse_json
from auditor.errors import MalformedRequestError
from auditor.service.api.auth import Approver, Viewer
from auditor.service.api.context import Served, ServiceContext
from auditor.service.api.requests import (
    SUM,
    DigestPath,
    Limit,
    build_openapi_extra,
    parse_json_body,
)
from auditor.service.api.schemas import LaterRecord
from auditor.service.api.schemas_people import (
    DecisionPage,
    DecisionRequestBody,
    DecisionResponse,
    LabelAgreementResponse,
)
from auditor.service.approvals.accept import (
    AcceptedDecision,
    SubmittedDecision,
    accept_approval,
    accept_finding,
    accept_waiver,
)
from auditor.service.approvals.people import ApprovalContext
from auditor.service.domain.access import ApiKey
from auditor.service.domain.people import (
    BlindLabels,
    DecisionKind,
    Person,
    RejudgedRecord,
    SignedDecision,
)
from auditor.service.store.people import DecisionQuery
from auditor.trust.signatures.sigstore_bundle import parse_bundle
from auditor.trust.signatures.verify import assemble_signed_bundle

SEEN, NEW = 200, 201
KINDS = {f"{kind}s": kind for kind in DecisionKind}
TAKES: Mapping[DecisionKind, Callable[[ApprovalContext, SubmittedDecision], AcceptedDecision]] = {
    DecisionKind.WAIVER: accept_waiver,
    DecisionKind.APPROVAL: accept_approval,
    DecisionKind.FINDING: accept_finding,
}
Sum = Annotated[str | None, Query(pattern=SUM, examples=["sha256:" + "ab" * 32])]


async def parse_decision_kind(request: Request) -> DecisionKind:
    """Return the kind of decision that a path speaks of."""
    return KINDS[request.url.path.split("/")[2]]


Kind = Annotated[DecisionKind, Depends(parse_decision_kind)]


async def submit_decision(
    request: Request, response: Response, kind: Kind, caller: Approver, service: Served
) -> DecisionResponse:
    """Hand in what a person of the project signed. 201: it is new; 200: it was kept before.

    Nothing is kept unless the signature holds, under a key that may sign this here, and in the very
    name of its person. A waiver judges again the records that it is for.
    """
    asked = await parse_json_body(request, DecisionRequestBody)
    offer = parse_signed_decision(caller, asked)
    taken = await run_in_threadpool(TAKES[kind], service.people, offer)
    response.status_code = NEW if taken.new else SEEN
    response.headers["Location"] = f"/v1/{kind}s/{taken.decision.digest}"
    return await run_in_threadpool(_one, service, taken.decision, taken.rejudged)


def list_decisions(
    kind: Kind, caller: Viewer, service: Served, limit: Limit = 50,
    record: Sum = None, artifact: Sum = None, cursor: Sum = None,
) -> DecisionPage:  # fmt: skip
    """List the decisions of the project of one kind, newest first."""
    people = service.people.people
    last = None if cursor is None else people.decision(caller.project, kind, cursor)
    if cursor is not None and last is None:
        raise MalformedRequestError(
            f"{cursor} is not a cursor of this list",
            cure="Use the `next` value of the last page.",
        )
    sought = DecisionQuery(
        kind=kind, record=record, artifact=artifact, limit=limit + 1,
        before=None if last is None else last.number,
    )  # fmt: skip
    found = people.decisions(caller.project, sought)
    known = {person.id: person for person in people.all(caller.project)}
    shown = [_shown(item, known[item.person]) for item in found[:limit]]
    return DecisionPage(decisions=shown, next=shown[-1].digest if len(found) > limit else "")


def get_decision(
    kind: Kind, digest: DigestPath, caller: Viewer, service: Served
) -> DecisionResponse:
    """Look at a decision, with the bundle that is signed and the key that signed it."""
    return _one(service, service.people.decision(caller.project, kind, digest))


def parse_signed_decision(caller: ApiKey, asked: DecisionRequestBody) -> SubmittedDecision:
    """Return what somebody hands in: a bundle, or a payload with its signature.

    Raises ``MalformedRequestError`` for neither or both, and ``VerificationError`` for what is no
    public key.
    """
    key = asked.key.encode()
    parts = (asked.payload, asked.signature)
    if asked.bundle is not None and parts == (None, None):
        bundle = asked.bundle.encode()
    elif asked.bundle is None and asked.payload is not None and asked.signature is not None:
        bundle = assemble_signed_bundle(_bytes(asked.payload), _bytes(asked.signature), key)
    else:
        raise MalformedRequestError(
            "the body needs either a bundle, or a payload with its signature",
            cure="Send exactly one of the two.",
        )
    return SubmittedDecision(project=caller.project, by=caller.id, bundle=bundle, key=key)


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise MalformedRequestError(
            "the payload or the signature is not base64", cure="Encode it as base64."
        ) from None


def _one(
    service: ServiceContext, item: SignedDecision, rejudged: tuple[RejudgedRecord, ...] = ()
) -> DecisionResponse:
    panel = service.people
    person = panel.person(item.project, item.person)
    shown = _shown(item, person)
    labels = {} if item.record is None else panel.people.labels(item.project, item.record)
    return shown.model_copy(
        update={
            "bundle": item.bundle.decode(),
            "key": item.key,
            "labels": build_label_agreement(labels[person.id], person)
            if person.id in labels
            else None,
            "rejudged": [build_later_record(it) for it in rejudged],
        }
    )


def _shown(item: SignedDecision, person: Person) -> DecisionResponse:
    return DecisionResponse(
        digest=item.digest,
        kind=item.kind,
        person=item.person,
        name=person.name,
        at=item.at,
        artifact=item.artifact,
        record=item.record,
        says=read_signed_statement(item.bundle),
    )


def read_signed_statement(bundle: bytes) -> dict[str, Json]:
    """Return what is signed, of a bundle whose signature held when it was kept."""
    said = parse_json(parse_bundle(bundle).envelope.payload)
    found = said.get("predicate") if isinstance(said, dict) else None
    return found if isinstance(found, dict) else {}


def build_label_agreement(item: BlindLabels, person: Person) -> LabelAgreementResponse:
    """Return how far a person agreed with the truth and the model."""
    return LabelAgreementResponse(
        person=person.id,
        name=person.name,
        record=item.record,
        cases=len(item.labels),
        agree_with_truth=item.truth,
        agree_with_model=item.model,
        at=item.at,
    )


def build_later_record(item: RejudgedRecord) -> LaterRecord:
    """Return a record that was judged again, as lists show one."""
    return LaterRecord(
        digest=item.record, verdict=item.verdict, derived_from=item.derived_from, at=item.at
    )


def add_decision_routes() -> APIRouter:
    """Return the same three routes for each kind of decision."""
    router = APIRouter(prefix="/v1", tags=["people"])
    kept: dict[int | str, dict[str, Any]] = {SEEN: {"model": DecisionResponse}}
    for word in KINDS:
        add = router.add_api_route
        add(f"/{word}", submit_decision, methods=["POST"], operation_id=f"post_{word}",
            status_code=NEW, responses=kept,
            openapi_extra=build_openapi_extra(DecisionRequestBody))  # fmt: skip
        add(f"/{word}", list_decisions, methods=["GET"], operation_id=f"list_{word}")
        add(f"/{word}/{{digest}}", get_decision, methods=["GET"], operation_id=f"get_{word}")
    return router


router = add_decision_routes()
