"""What a person is about to sign elsewhere: written by the service, and cases to label before."""

import base64
from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.concurrency import run_in_threadpool

from auditor.api.admitting import Approver
from auditor.api.decided import (
    PERSON,
    ApprovalDraftAsked,
    CasesShown,
    DraftShown,
    FindingDraftAsked,
    LabelsAsked,
    LabelsShown,
    WaiverDraftAsked,
)
from auditor.api.parts import Served
from auditor.api.reading import SUM, body_of
from auditor.api.routes.decisions import labels_shown
from auditor.api.showing import documented
from auditor.domain.api_keys import ApiKey
from auditor.domain.people import Labelled
from auditor.people.drafting import Leave, Words, approval_draft, finding_draft, waiver_draft
from auditor.people.labelling import drawn, label
from auditor.signatures.unsigned import Unsigned

router = APIRouter(prefix="/v1", tags=["people"])


@router.post("/waivers/draft", openapi_extra=documented(WaiverDraftAsked))
async def waiver(request: Request, caller: Approver, service: Served) -> DraftShown:
    """Write a waiver for what a record is of, to be signed elsewhere. Nothing is kept."""
    asked = await body_of(request, WaiverDraftAsked)
    leave = Leave(
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
    return _shown(await run_in_threadpool(waiver_draft, service.people, words, leave))


@router.post("/approvals/draft", openapi_extra=documented(ApprovalDraftAsked))
async def approval(request: Request, caller: Approver, service: Served) -> DraftShown:
    """Write a yes or no to a record, to be signed elsewhere. Nothing is kept."""
    asked = await body_of(request, ApprovalDraftAsked)
    words = _words(caller, asked, asked.role)
    made = await run_in_threadpool(
        approval_draft, service.people, words, asked.answer, asked.expires
    )
    return _shown(made)


@router.post("/findings/draft", openapi_extra=documented(FindingDraftAsked))
async def finding(request: Request, caller: Approver, service: Served) -> DraftShown:
    """Write what is wrong with a record, to be signed elsewhere. Nothing is kept."""
    asked = await body_of(request, FindingDraftAsked)
    words = _words(caller, asked, asked.role)
    return _shown(await run_in_threadpool(finding_draft, service.people, words))


@router.get("/approvals/cases")
def cases(
    caller: Approver, service: Served,
    record: Annotated[str, Query(pattern=SUM, examples=["sha256:" + "ab" * 32])],
    person: Annotated[str, Query(pattern=PERSON)],
) -> CasesShown:  # fmt: skip
    """Draw the cases that a person labels before they see a record's verdict and approve it."""
    found = drawn(service.people, caller.project, record, person)
    done = person in service.people.people.labels(caller.project, record)
    return CasesShown(
        record=record,
        person=person,
        cases=[case.id for case in found.cases],
        classes=list(found.classes),
        done=done,
    )


@router.post("/approvals/labels", openapi_extra=documented(LabelsAsked))
async def labels(request: Request, caller: Approver, service: Served) -> LabelsShown:
    """Label the cases that were drawn, once, and learn how far that agrees with the truth."""
    asked = await body_of(request, LabelsAsked)
    given = Labelled(record=asked.record, person=asked.person, labels=asked.labels, by=caller.id)
    kept, _ = await run_in_threadpool(label, service.people, caller.project, given)
    person = await run_in_threadpool(service.people.person, caller.project, asked.person)
    return labels_shown(kept, person)


def _words(
    caller: ApiKey, asked: WaiverDraftAsked | ApprovalDraftAsked | FindingDraftAsked, role: str
) -> Words:
    return Words(
        project=caller.project, record=asked.record, key=asked.key, reason=asked.reason, role=role
    )


def _shown(made: Unsigned) -> DraftShown:
    return DraftShown(
        payload=base64.b64encode(made.payload).decode(),
        payload_type=made.kind,
        to_sign=base64.b64encode(made.to_sign).decode(),
        bundle=made.bundle.decode(),
    )
