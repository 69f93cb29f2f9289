"""Schedules: made, looked at, let rest and go on; and what is pushed for them to audit."""

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request, Response
from starlette.concurrency import run_in_threadpool

from auditor.api.admitting import Submitter, Viewer
from auditor.api.parts import Served, Service
from auditor.api.reading import Limit, body_of
from auditor.api.routes.audits import asked_of
from auditor.api.schedule_shapes import (
    BatchAsked,
    RollbackShown,
    RunPage,
    RunShown,
    ScheduleAsked,
    SchedulePage,
    ScheduleShown,
    VersionAsked,
)
from auditor.api.showing import documented
from auditor.domain.api_keys import ApiKey
from auditor.domain.json_parts import Part
from auditor.domain.schedules import Run, Schedule, ScheduleState
from auditor.refusals import CallError
from auditor.schedules.crons import Cron
from auditor.schedules.making import Wish, changed, found, make
from auditor.schedules.triggering import Version, push_batch, push_version

SEEN, NEW = 200, 201
FORM, RUN_FORM = "^sch-[0-9a-f]{24}$", "^run-[0-9a-f]{24}$"
ScheduleId = Annotated[str, Path(pattern=FORM, examples=["sch-" + "0a" * 12])]
Cursor = Annotated[str | None, Query(pattern=FORM)]
router = APIRouter(prefix="/v1/schedules", tags=["schedules"])


@router.post("", status_code=NEW, openapi_extra=documented(ScheduleAsked))
async def hand_in(request: Request, caller: Submitter, service: Served) -> ScheduleShown:
    """Audit again and again: what is asked is looked at as any audit that is handed in."""
    body = await body_of(request, ScheduleAsked)
    if not body.name.isprintable():
        raise CallError("the schedule's name is not one line", cure="Name it in printable signs.")
    wish = Wish(
        name=body.name,
        asked=None if body.audit is None else asked_of(body.audit),
        same=body.same_as,
        cron=body.cron,
        on=tuple(body.on),
        batch_role=body.batch_role,
        watch=body.watch,
    )
    made = await run_in_threadpool(make, service.schedules, caller, wish)
    return shown(service, made)


@router.get("")
def listed(
    caller: Viewer, service: Served, limit: Limit = 50, cursor: Cursor = None
) -> SchedulePage:
    """List the project's schedules, the newest first, those that have ended too."""
    page, following = service.schedules.kept.of_project(caller.project, cursor, limit)
    return SchedulePage(schedules=[shown(service, item) for item in page], next=following)


@router.get("/{schedule}")
def look(schedule: ScheduleId, caller: Viewer, service: Served) -> ScheduleShown:
    """Look at a schedule."""
    return shown(service, found(service.schedules, caller.project, schedule))


@router.post("/{schedule}/pause")
def pause(schedule: ScheduleId, caller: Submitter, service: Served) -> ScheduleShown:
    """Let a schedule rest: it makes no run, and what comes meanwhile is not made up."""
    return _changed(service, caller, schedule, ScheduleState.PAUSED)


@router.post("/{schedule}/resume")
def resume(schedule: ScheduleId, caller: Submitter, service: Served) -> ScheduleShown:
    """Let a schedule that rests go on."""
    return _changed(service, caller, schedule, ScheduleState.ACTIVE)


@router.post("/{schedule}/end")
def end(schedule: ScheduleId, caller: Submitter, service: Served) -> ScheduleShown:
    """End a schedule for good. Audits that it made go on."""
    return _changed(service, caller, schedule, ScheduleState.ENDED)


@router.get("/{schedule}/runs")
def runs(
    schedule: ScheduleId, caller: Viewer, service: Served, limit: Limit = 50,
    cursor: Annotated[str | None, Query(pattern=RUN_FORM)] = None,
) -> RunPage:  # fmt: skip
    """List a schedule's runs, the newest first, with what each came to."""
    of = found(service.schedules, caller.project, schedule)
    page, following = service.schedules.runs.of_schedule(of.id, cursor, limit)
    return RunPage(runs=[run_shown(item) for item in page], next=following)


@router.post("/{schedule}/batches", status_code=NEW, responses={SEEN: {"model": RunShown}},
             openapi_extra=documented(BatchAsked))  # fmt: skip
async def batch(
    schedule: ScheduleId, request: Request, response: Response, caller: Submitter, service: Served
) -> RunShown:
    """Audit with a batch in the place of its data. 200: the same batch was pushed before."""
    body = await body_of(request, BatchAsked)
    run, new = await run_in_threadpool(
        push_batch, service.schedules, caller, schedule, body.dataset
    )
    response.status_code = NEW if new else SEEN
    return run_shown(run)


@router.post("/{schedule}/versions", status_code=NEW, responses={SEEN: {"model": RunShown}},
             openapi_extra=documented(VersionAsked))  # fmt: skip
async def version(
    schedule: ScheduleId, request: Request, response: Response, caller: Submitter, service: Served
) -> RunShown:
    """Audit a new version of the model. 200: the same version was handed in before."""
    body = await body_of(request, VersionAsked)
    if not body.version.isprintable() or not body.version.strip():
        raise CallError("the version is not one line", cure="Name it in printable signs.")
    pushed = Version(body.artifact, body.version, body.name)
    run, new = await run_in_threadpool(push_version, service.schedules, caller, schedule, pushed)
    response.status_code = NEW if new else SEEN
    return run_shown(run)


def _changed(service: Service, caller: ApiKey, name: str, state: ScheduleState) -> ScheduleShown:
    return shown(service, changed(service.schedules, caller, name, state))


def shown(service: Service, item: Schedule) -> ScheduleShown:
    """Return a schedule as it stands."""
    part = Part(item.asked, "asked")
    active = item.cron is not None and item.state is ScheduleState.ACTIVE
    return ScheduleShown(
        id=item.id,
        project=item.project,
        maker=item.maker,
        name=item.name,
        model=item.model,
        state=item.state,
        cron=item.cron,
        next=Cron(str(item.cron)).next(service.clock()) if active else None,
        on=[it for it in item.triggers if it.value != "cron"],
        batch_path=item.batch_path,
        watch=item.watch,
        created=item.created,
        audit_file=part.get("audit_file", str),
        policy=part.get("policy", str),
        targets=list(part.texts("targets")),
    )


def run_shown(run: Run) -> RunShown:
    """Return a run as it stands."""
    return RunShown(
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
        rollback=[RollbackShown.model_validate(dict(item)) for item in run.rollback],
    )
