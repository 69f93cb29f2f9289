"""Audits: handed in, listed, looked at, and cancelled."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from starlette.concurrency import run_in_threadpool

from auditor.api.admitting import Submitter, Viewer
from auditor.api.parts import Served, Service
from auditor.api.reading import AUDIT, AuditId, Limit, body_of, once_of
from auditor.api.remembering import Remembering, remembered
from auditor.api.routes.decisions import judged
from auditor.api.shapes import AuditAsked, AuditPage, AuditShown, FailureShown
from auditor.api.showing import audit_of, documented
from auditor.api.watching import ABOUT
from auditor.domain.artifacts import FileDigest
from auditor.domain.json_parts import Part
from auditor.domain.places import Places, read_places
from auditor.domain.requests import InputFile
from auditor.domain.steps import StepResult
from auditor.domain.submissions import State, Submission
from auditor.errors import RecordError
from auditor.people.standing import Stands, standing, standings
from auditor.refusals import SubmissionError
from auditor.store.service.attempts import Attempts
from auditor.store.service.histories import no_submission
from auditor.store.service.overviews import Line, Overviews, Sought
from auditor.store.service.store import ServiceStore
from auditor.submitting import Asked, cancel, submit

SEEN, NEW = 200, 201
ONCE = {"name": "Idempotency-Key", "in": "header", "required": False,
        "schema": {"type": "string", "maxLength": 200},
        "description": "Calls with one key make one audit."}  # fmt: skip
router = APIRouter(prefix="/v1/audits", tags=["audits"], route_class=Remembering)


@router.post("", status_code=NEW, responses={SEEN: {"model": AuditShown}},
             openapi_extra=documented(AuditAsked, ONCE))  # fmt: skip
async def hand_in(
    request: Request, response: Response, caller: Submitter, service: Served
) -> AuditShown:
    """Ask for an audit. 201: it is new; 200: the same call with the same key was made before."""
    once, asked = once_of(request), asked_of(await body_of(request, AuditAsked))
    kept, new = await run_in_threadpool(submit, service.desk, caller, asked, once)
    request.scope[ABOUT] = kept.id
    response.status_code = NEW if new else SEEN
    response.headers["Location"] = f"/v1/audits/{kept.id}"
    return await run_in_threadpool(shown, service.kept, kept)


@router.get("")
@remembered(progress=False)
def listed(
    caller: Viewer, service: Served, limit: Limit = 50, state: State | None = None,
    model: Annotated[str | None, Query(max_length=200, description="A model's name.")] = None,
    cursor: Annotated[str | None, Query(pattern=AUDIT)] = None,
) -> AuditPage:  # fmt: skip
    """List the project's audits, the newest first."""
    name = None if model is None else model.replace("\0", "")
    states = () if state is None else (state,)
    sought = Sought(project=caller.project, states=states, model=name, cursor=cursor, limit=limit)
    with service.store.at_once():
        found, following = Overviews(service.kept).audits(sought)
        numbers = Attempts(service.kept.store).numbers([item.id for item in found])
        stands = standings(
            service.people, caller.project, [item for item in found if item.record is not None]
        )
    audits = [
        stood(it).model_copy(update={"attempt": numbers.get(it.id), **by_people(stands.get(it.id))})
        for it in found
    ]
    return AuditPage(audits=audits, next=following)


@router.get("/{audit}")
@remembered(progress=False)
def look(audit: AuditId, caller: Viewer, service: Served) -> AuditShown:
    """Look at an audit: how far it is, what it came to, and where it stands with people."""
    with service.store.at_once():
        found = audit_of(service, caller, audit)
        number = Attempts(service.kept.store).number(found.id)
        told = {"attempt": number, **with_people(service, found)}
        return shown(service.kept, found).model_copy(update=told)


@router.post("/{audit}/cancel")
def stop(audit: AuditId, caller: Submitter, service: Served) -> AuditShown:
    """Stop an audit before its next check. What was registered stays registered."""
    found = audit_of(service, caller, audit)
    cancel(service.desk, caller, found)
    return shown(service.kept, found)


def shown(kept: ServiceStore, item: Submission) -> AuditShown:
    """Return a submission as it stands."""
    line = Overviews(kept).line(item.project, item.id)
    if line is None:
        raise no_submission(item.id)
    return stood(line)


def stood(line: Line) -> AuditShown:
    """Return what is shown of a submission, how far it is, and what it came to."""
    failure = line.failure
    return AuditShown(
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
        else FailureShown(problem=failure.problem, cure=failure.cure),
    )


def with_people(service: Service, item: Submission) -> dict[str, Any]:
    """Return what people made of an audit: its later records, and where the last one stands."""
    return by_people(standing(service.people, item))


def by_people(stands: Stands | None) -> dict[str, Any]:
    """Return what is shown of where an audit stands, if it has a record."""
    if stands is None:
        return {}
    return {
        "standing": stands.standing,
        "awaits": "; ".join(it.detail for it in stands.steps if it.result is StepResult.FAILED)
        or None,
        "records": [judged(it) for it in stands.records[1:]],
    }


def asked_of(body: AuditAsked) -> Asked:
    """Return what a body asks for. Raises ``SubmissionError`` for places that are none."""
    files = [InputFile(it.path, FileDigest(it.name, it.size, it.sha256)) for it in body.inputs]
    return Asked(
        audit_file=body.audit_file,
        source=body.source,
        inputs=tuple(files),
        policy=body.policy,
        targets=tuple(body.targets),
        budget=body.budget,
        only=tuple(body.only),
        places=_places(body),
        sealed=body.sealed,
        sets=tuple(dict.fromkeys(body.sealed_sets)),
        wait=body.wait_for_target,
        baseline=body.baseline,
    )


def _places(body: AuditAsked) -> Places | None:
    try:
        return None if body.places is None else read_places(Part(body.places, "places"))
    except RecordError as error:
        raise SubmissionError(error.problem, cure="Send places as the client does.") from None
