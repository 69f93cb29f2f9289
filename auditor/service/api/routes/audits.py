"""Routes for audits: submit, list, show and cancel."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from starlette.concurrency import run_in_threadpool

from auditor.domain.verification_steps import StepResult
from auditor.service.api.access_log import ABOUT
from auditor.service.api.auth import Submitter, Viewer
from auditor.service.api.context import Served, ServiceContext
from auditor.service.api.requests import (
    AUDIT,
    AuditId,
    Limit,
    build_openapi_extra,
    find_audit,
    parse_json_body,
    read_idempotency_key,
)
from auditor.service.api.response_cache import CachedRoute, cache_response
from auditor.service.api.routes.decisions import build_later_record
from auditor.service.api.schemas import AuditPage, AuditResponse, FailureResponse
from auditor.service.approvals.status import (
    AuditApprovalStatus,
    find_approval_status,
    find_approval_statuses,
)
from auditor.service.domain.submissions import AuditOrder, Submission, SubmissionState
from auditor.service.jobs.submit import cancel_submission, submit_audit
from auditor.service.store.audit_attempts import AttemptStore
from auditor.service.store.audit_queries import AuditListQueries, AuditQuery, AuditSummary
from auditor.service.store.submission_history import ServiceStore, build_missing_submission_error

SEEN, NEW = 200, 201
ONCE = {"name": "Idempotency-Key", "in": "header", "required": False,
        "schema": {"type": "string", "maxLength": 200},
        "description": "Requests with the same key create one audit."}  # fmt: skip
router = APIRouter(prefix="/v1/audits", tags=["audits"], route_class=CachedRoute)


@router.post("", status_code=NEW, responses={SEEN: {"model": AuditResponse}},
             openapi_extra=build_openapi_extra(AuditOrder, ONCE))  # fmt: skip
async def create_audit(
    request: Request, response: Response, caller: Submitter, service: Served
) -> AuditResponse:
    """Submit an audit. 201: a new audit; 200: the same request with the same idempotency key was
    sent before.
    """
    once, asked = read_idempotency_key(request), await parse_json_body(request, AuditOrder)
    kept, new = await run_in_threadpool(submit_audit, service.desk, caller, asked, once)
    request.scope[ABOUT] = kept.id
    response.status_code = NEW if new else SEEN
    response.headers["Location"] = f"/v1/audits/{kept.id}"
    return await run_in_threadpool(load_audit_response, service.kept, kept)


@router.get("")
@cache_response()
def list_audits(
    caller: Viewer, service: Served, limit: Limit = 50, state: SubmissionState | None = None,
    model: Annotated[str | None, Query(max_length=200, description="Name of a model.")] = None,
    cursor: Annotated[str | None, Query(pattern=AUDIT)] = None,
) -> AuditPage:  # fmt: skip
    """List the audits of the project, newest first."""
    name = None if model is None else model.replace("\0", "")
    states = () if state is None else (state,)
    sought = AuditQuery(
        project=caller.project, states=states, model=name, cursor=cursor, limit=limit
    )
    with service.store.at_once():
        found, following = AuditListQueries(service.kept).audits(sought)
        numbers = AttemptStore(service.kept.store).numbers([item.id for item in found])
        stands = find_approval_statuses(
            service.people, caller.project, [item for item in found if item.record is not None]
        )
    audits = [
        build_audit_response(it).model_copy(
            update={"attempt": numbers.get(it.id), **build_approval_fields(stands.get(it.id))}
        )
        for it in found
    ]
    return AuditPage(audits=audits, next=following)


@router.get("/{audit}")
@cache_response()
def get_audit(audit: AuditId, caller: Viewer, service: Served) -> AuditResponse:
    """Return an audit: its state, its result, and its approvals."""
    with service.store.at_once():
        found = find_audit(service, caller, audit)
        number = AttemptStore(service.kept.store).number(found.id)
        told = {"attempt": number, **build_people_fields(service, found)}
        return load_audit_response(service.kept, found).model_copy(update=told)


@router.post("/{audit}/cancel")
def cancel_audit(audit: AuditId, caller: Submitter, service: Served) -> AuditResponse:
    """Cancel an audit before its next check. Its registration stays."""
    found = find_audit(service, caller, audit)
    cancel_submission(service.desk, caller, found)
    return load_audit_response(service.kept, found)


def load_audit_response(kept: ServiceStore, item: Submission) -> AuditResponse:
    """Return a submission as it stands."""
    line = AuditListQueries(kept).line(item.project, item.id)
    if line is None:
        raise build_missing_submission_error(item.id)
    return build_audit_response(line)


def build_audit_response(line: AuditSummary) -> AuditResponse:
    """Return what is shown of a submission, how far it is, and what it came to."""
    failure = line.failure
    return AuditResponse(
        id=line.id,
        project=line.project,
        submitter=line.submitter,
        state=line.state,
        submitted=line.submitted,
        source=line.source,
        audit_file=line.audit_file,
        policy=line.policy,
        targets=list(line.targets),
        budget=line.budget,
        only=list(line.only),
        sealed=line.sealed,
        ended=line.ended,
        record=line.record,
        verdict=line.first_verdict,
        scope=line.scope,
        failure=None
        if failure is None
        else FailureResponse(problem=failure.problem, cure=failure.cure),
    )


def build_people_fields(service: ServiceContext, item: Submission) -> dict[str, Any]:
    """Return what people made of an audit: its later records, and where the last one stands."""
    return build_approval_fields(find_approval_status(service.people, item))


def build_approval_fields(stands: AuditApprovalStatus | None) -> dict[str, Any]:
    """Return what is shown of where an audit stands, if it has a record."""
    if stands is None:
        return {}
    return {
        "standing": stands.standing,
        "awaits": "; ".join(it.detail for it in stands.steps if it.result is StepResult.FAILED)
        or None,
        "records": [build_later_record(it) for it in stands.records[1:]],
    }
