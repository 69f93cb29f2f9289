"""Drafts of decisions for a person to sign, and cases to label before."""

import base64
from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.concurrency import run_in_threadpool

from auditor.service.api.auth import Approver
from auditor.service.api.context import Served
from auditor.service.api.requests import SUM, build_openapi_extra, parse_json_body
from auditor.service.api.routes.decisions import build_label_agreement
from auditor.service.api.schemas_people import (
    PERSON,
    ApprovalDraftRequestBody,
    DraftResponse,
    FindingDraftRequestBody,
    LabelAgreementResponse,
    LabelCasesResponse,
    LabelsRequestBody,
    WaiverDraftRequestBody,
)
from auditor.service.approvals.draft import (
    DraftRequest,
    WaiverTerms,
    draft_approval,
    draft_finding,
    draft_waiver,
    draw_label_sample,
    store_labels,
)
from auditor.service.domain.access import ApiKey
from auditor.service.domain.people import BlindLabels
from auditor.trust.signatures.verify import UnsignedStatement

router = APIRouter(prefix="/v1", tags=["people"])


@router.post("/waivers/draft", openapi_extra=build_openapi_extra(WaiverDraftRequestBody))
async def create_waiver_draft(request: Request, caller: Approver, service: Served) -> DraftResponse:
    """Draft a waiver for the subject of a record, to sign elsewhere. The draft is not stored."""
    asked = await parse_json_body(request, WaiverDraftRequestBody)
    leave = WaiverTerms(
        rule=asked.rule,
        owner=asked.owner,
        ticket=asked.ticket,
        expires=asked.expires,
        target=asked.target,
        slice=asked.slice,
        compensating=tuple(asked.compensating),
        any_version=asked.any_version,
        any_edition=asked.any_edition,
    )
    words = _words(caller, asked, "")
    return _shown(await run_in_threadpool(draft_waiver, service.people, words, leave))


@router.post("/approvals/draft", openapi_extra=build_openapi_extra(ApprovalDraftRequestBody))
async def create_approval_draft(
    request: Request, caller: Approver, service: Served
) -> DraftResponse:
    """Draft an approval or rejection of a record, to sign elsewhere. The draft is not stored."""
    asked = await parse_json_body(request, ApprovalDraftRequestBody)
    words = _words(caller, asked, asked.role)
    made = await run_in_threadpool(
        draft_approval, service.people, words, asked.answer, asked.expires
    )
    return _shown(made)


@router.post("/findings/draft", openapi_extra=build_openapi_extra(FindingDraftRequestBody))
async def create_finding_draft(
    request: Request, caller: Approver, service: Served
) -> DraftResponse:
    """Draft a finding about a record, to sign elsewhere. The draft is not stored."""
    asked = await parse_json_body(request, FindingDraftRequestBody)
    words = _words(caller, asked, asked.role)
    return _shown(await run_in_threadpool(draft_finding, service.people, words))


@router.get("/approvals/cases")
def draw_label_cases(
    caller: Approver, service: Served,
    record: Annotated[str, Query(pattern=SUM, examples=["sha256:" + "ab" * 32])],
    person: Annotated[str, Query(pattern=PERSON)],
) -> LabelCasesResponse:  # fmt: skip
    """Draw the cases that a person must label before they see the verdict of a record and approve
    it.
    """
    found = draw_label_sample(service.people, caller.project, record, person)
    done = person in service.people.people.labels(caller.project, record)
    return LabelCasesResponse(
        record=record,
        person=person,
        cases=[case.id for case in found.cases],
        classes=list(found.classes),
        done=done,
    )


@router.post("/approvals/labels", openapi_extra=build_openapi_extra(LabelsRequestBody))
async def submit_labels(
    request: Request, caller: Approver, service: Served
) -> LabelAgreementResponse:
    """Submit the labels of the drawn cases, once, and return their agreement with the truth."""
    asked = await parse_json_body(request, LabelsRequestBody)
    given = BlindLabels(record=asked.record, person=asked.person, labels=asked.labels, by=caller.id)
    kept, _ = await run_in_threadpool(store_labels, service.people, caller.project, given)
    person = await run_in_threadpool(service.people.person, caller.project, asked.person)
    return build_label_agreement(kept, person)


def _words(
    caller: ApiKey,
    asked: WaiverDraftRequestBody | ApprovalDraftRequestBody | FindingDraftRequestBody,
    role: str,
) -> DraftRequest:
    return DraftRequest(
        project=caller.project, record=asked.record, key=asked.key, reason=asked.reason, role=role
    )


def _shown(made: UnsignedStatement) -> DraftResponse:
    return DraftResponse(
        payload=base64.b64encode(made.payload).decode(),
        payload_type=made.kind,
        to_sign=base64.b64encode(made.to_sign).decode(),
        bundle=made.bundle.decode(),
    )
