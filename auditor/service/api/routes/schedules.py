"""Routes for schedules: create, show, pause, resume and end; and batches pushed to them."""

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request, Response
from starlette.concurrency import run_in_threadpool

from auditor.domain.json import JsonPart
from auditor.errors import MalformedRequestError
from auditor.service.api.auth import Submitter, Viewer
from auditor.service.api.context import Served, ServiceContext
from auditor.service.api.requests import Limit, build_openapi_extra, parse_json_body
from auditor.service.api.schemas_schedules import (
    BatchRequestBody,
    RollbackResponse,
    RunPage,
    RunResponse,
    SchedulePage,
    ScheduleRequestBody,
    ScheduleResponse,
    VersionRequestBody,
)
from auditor.service.domain.access import ApiKey
from auditor.service.domain.schedules import Schedule, ScheduledRun, ScheduleState
from auditor.service.schedules.cron import CronExpression
from auditor.service.schedules.manage import (
    ScheduleOrder,
    change_schedule_state,
    create_schedule,
    find_schedule,
)
from auditor.service.schedules.triggers import VersionPush, push_batch, push_version

SEEN, NEW = 200, 201
FORM, RUN_FORM = "^sch-[0-9a-f]{24}$", "^run-[0-9a-f]{24}$"
ScheduleId = Annotated[str, Path(pattern=FORM, examples=["sch-" + "0a" * 12])]
Cursor = Annotated[str | None, Query(pattern=FORM)]
router = APIRouter(prefix="/v1/schedules", tags=["schedules"])


@router.post("", status_code=NEW, openapi_extra=build_openapi_extra(ScheduleRequestBody))
async def add_schedule(request: Request, caller: Submitter, service: Served) -> ScheduleResponse:
    """Create a schedule that audits regularly. The request is checked like an audit."""
    body = await parse_json_body(request, ScheduleRequestBody)
    if not body.name.isprintable():
        raise MalformedRequestError(
            "the name of the schedule is not a single line of text",
            cure="Use printable characters only.",
        )
    wish = ScheduleOrder(
        name=body.name,
        asked=body.audit,
        same=body.same_as,
        cron=body.cron,
        on=tuple(body.on),
        batch_role=body.batch_role,
        watch=body.watch,
    )
    made = await run_in_threadpool(create_schedule, service.schedules, caller, wish)
    return build_schedule_response(service, made)


@router.get("")
def list_schedules(
    caller: Viewer, service: Served, limit: Limit = 50, cursor: Cursor = None
) -> SchedulePage:
    """List the schedules of the project, newest first, including ended ones."""
    page, following = service.schedules.kept.of_project(caller.project, cursor, limit)
    return SchedulePage(
        schedules=[build_schedule_response(service, item) for item in page], next=following
    )


@router.get("/{schedule}")
def get_schedule(schedule: ScheduleId, caller: Viewer, service: Served) -> ScheduleResponse:
    """Return a schedule."""
    return build_schedule_response(
        service, find_schedule(service.schedules, caller.project, schedule)
    )


@router.post("/{schedule}/pause")
def pause_schedule(schedule: ScheduleId, caller: Submitter, service: Served) -> ScheduleResponse:
    """Pause a schedule. Audits that are due meanwhile are skipped."""
    return _changed(service, caller, schedule, ScheduleState.PAUSED)


@router.post("/{schedule}/resume")
def resume_schedule(schedule: ScheduleId, caller: Submitter, service: Served) -> ScheduleResponse:
    """Resume a paused schedule."""
    return _changed(service, caller, schedule, ScheduleState.ACTIVE)


@router.post("/{schedule}/end")
def end_schedule(schedule: ScheduleId, caller: Submitter, service: Served) -> ScheduleResponse:
    """End a schedule permanently. Audits that it started continue."""
    return _changed(service, caller, schedule, ScheduleState.ENDED)


@router.get("/{schedule}/runs")
def list_runs(
    schedule: ScheduleId, caller: Viewer, service: Served, limit: Limit = 50,
    cursor: Annotated[str | None, Query(pattern=RUN_FORM)] = None,
) -> RunPage:  # fmt: skip
    """List the runs of a schedule, newest first, with the result of each."""
    of = find_schedule(service.schedules, caller.project, schedule)
    page, following = service.schedules.runs.of_schedule(of.id, cursor, limit)
    return RunPage(runs=[build_run_response(item) for item in page], next=following)


@router.post("/{schedule}/batches", status_code=NEW, responses={SEEN: {"model": RunResponse}},
             openapi_extra=build_openapi_extra(BatchRequestBody))  # fmt: skip
async def submit_batch(
    schedule: ScheduleId, request: Request, response: Response, caller: Submitter, service: Served
) -> RunResponse:
    """Submit a batch that replaces the data of the schedule, and audit with it. 200: the same batch
    was submitted before.
    """
    body = await parse_json_body(request, BatchRequestBody)
    run, new = await run_in_threadpool(
        push_batch, service.schedules, caller, schedule, body.dataset
    )
    response.status_code = NEW if new else SEEN
    return build_run_response(run)


@router.post("/{schedule}/versions", status_code=NEW, responses={SEEN: {"model": RunResponse}},
             openapi_extra=build_openapi_extra(VersionRequestBody))  # fmt: skip
async def submit_version(
    schedule: ScheduleId, request: Request, response: Response, caller: Submitter, service: Served
) -> RunResponse:
    """Submit a new version of the model, and audit it. 200: it was submitted before."""
    body = await parse_json_body(request, VersionRequestBody)
    if not body.version.isprintable() or not body.version.strip():
        raise MalformedRequestError(
            "the version is not a single line of text", cure="Use printable characters only."
        )
    pushed = VersionPush(body.artifact, body.version, body.name)
    run, new = await run_in_threadpool(push_version, service.schedules, caller, schedule, pushed)
    response.status_code = NEW if new else SEEN
    return build_run_response(run)


def _changed(
    service: ServiceContext, caller: ApiKey, name: str, state: ScheduleState
) -> ScheduleResponse:
    return build_schedule_response(
        service, change_schedule_state(service.schedules, caller, name, state)
    )


def build_schedule_response(service: ServiceContext, item: Schedule) -> ScheduleResponse:
    """Return a schedule as it stands."""
    part = JsonPart(item.asked, "asked")
    active = item.cron is not None and item.state is ScheduleState.ACTIVE
    return ScheduleResponse(
        id=item.id,
        project=item.project,
        maker=item.maker,
        name=item.name,
        model=item.model,
        state=item.state,
        cron=item.cron,
        next=CronExpression(str(item.cron)).next(service.clock()) if active else None,
        on=[it for it in item.triggers if it.value != "cron"],
        batch_path=item.batch_path,
        watch=item.watch,
        created=item.created,
        audit_file=part.get("audit_file", str),
        policy=part.get("policy", str),
        targets=list(part.texts("targets")),
    )


def build_run_response(run: ScheduledRun) -> RunResponse:
    """Return a run as it stands."""
    return RunResponse(
        id=run.id,
        schedule=run.schedule,
        trigger=run.trigger,
        why=run.why,
        at=run.at,
        state=run.state,
        audit=run.audit,
        skipped=run.skipped,
        detail=run.detail,
        ended=run.ended,
        record=run.record,
        verdict=run.verdict,
        failed=list(run.failed),
        rollback=[RollbackResponse.model_validate(dict(item)) for item in run.rollback],
    )
