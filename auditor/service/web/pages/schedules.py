"""Pages of schedules: their audits, their times, and the result of the last run."""

from collections.abc import Iterable, Mapping
from typing import Annotated

from fastapi import Query, Request, Response
from pydantic import ValidationError
from starlette.responses import RedirectResponse

from auditor.errors import InvalidInputError, MalformedRequestError, NotFoundError
from auditor.service.api.auth import Submitter, Viewer
from auditor.service.api.routes.schedules import FORM as SCHEDULE
from auditor.service.api.routes.schedules import RUN_FORM, ScheduleId, build_schedule_response
from auditor.service.api.schemas_schedules import ScheduleRequestBody
from auditor.service.domain.access import ApiKey
from auditor.service.domain.schedules import ScheduledRun, ScheduleState
from auditor.service.domain.submissions import SubmissionState
from auditor.service.domain.triggers import ScheduleTrigger
from auditor.service.schedules.manage import (
    ScheduleOrder,
    change_schedule_state,
    create_schedule,
    find_schedule,
)
from auditor.service.store.audit_queries import AuditQuery
from auditor.service.web.routing import PageEntry, create_page_router, get_form, render_page
from auditor.service.web.site import Shown, WebContext

INVALID, SEE_OTHER = 422, 303
PAGE, FEW = 50, 100
ON = tuple(item for item in ScheduleTrigger if item is not ScheduleTrigger.CRON)
CHANGES: Mapping[str, ScheduleState] = {
    "pause": ScheduleState.PAUSED,
    "resume": ScheduleState.ACTIVE,
    "end": ScheduleState.ENDED,
}
router = create_page_router()


@router.get("/schedules")
def show_schedules(
    request: Request, caller: Viewer, site: Shown,
    cursor: Annotated[str, Query(pattern=f"({SCHEDULE})|(^$)")] = "",
    like: Annotated[str, Query(max_length=40)] = "",
) -> Response:  # fmt: skip
    """List the project's schedules, the newest first."""
    return _shown(request, caller, site, cursor=cursor, given={"same_as": like})


@router.post("/schedules")
def add_schedule(request: Request, caller: Submitter, site: Shown) -> Response:
    """Make a schedule that asks for the same as an audit, by cron or upon what happens."""
    form = get_form(request)
    try:
        asked = ScheduleRequestBody(
            name=form.get("name", "").strip(),
            same_as=form.get("same_as") or None,
            cron=form.get("cron", "").strip() or None,
            on=[item for item in ON if f"on-{item}" in form],
            watch=form.get("watch", "").strip() or None,
        )
        if not asked.name.isprintable():
            raise MalformedRequestError(
                "the name is not a single line of text", cure="Use printable characters only."
            )
        wish = ScheduleOrder(
            name=asked.name, asked=None, same=asked.same_as, cron=asked.cron, on=tuple(asked.on),
            batch_role=None, watch=asked.watch,
        )  # fmt: skip
        made = create_schedule(site.service.schedules, caller, wish)
    except ValidationError:
        problem = "Enter a name and choose an audit."
        return _shown(request, caller, site, INVALID, problem, form)
    except InvalidInputError as error:
        return _shown(request, caller, site, INVALID, f"{error.problem}. {error.cure}", form)
    return RedirectResponse(f"/schedules/{made.id}", SEE_OTHER)


@router.get("/schedules/{schedule}")
def show_schedule(
    request: Request, schedule: ScheduleId, caller: Viewer, site: Shown,
    cursor: Annotated[str, Query(pattern=f"({RUN_FORM})|(^$)")] = "",
) -> Response:  # fmt: skip
    """Show a schedule with its runs."""
    of = find_schedule(site.service.schedules, caller.project, schedule)
    runs, following = site.service.schedules.runs.of_schedule(of.id, cursor or None, PAGE)
    return render_page(request, "schedule", title=of.name,
                       it=build_schedule_response(site.service, of), runs=runs,
                       waived=_list_exceptions(site, runs),
                       following=following)  # fmt: skip


@router.post("/schedules/{schedule}/{change}")
def change_schedule(schedule: ScheduleId, change: str, caller: Submitter, site: Shown) -> Response:
    """Let a schedule rest, go on, or end."""
    if change not in CHANGES:
        raise NotFoundError("this action does not exist", cure="Choose one on the page.")
    change_schedule_state(site.service.schedules, caller, schedule, CHANGES[change])
    return RedirectResponse(f"/schedules/{schedule}", SEE_OTHER)


def _shown(
    request: Request, caller: ApiKey, site: WebContext, status: int = 200, problem: str = "",
    given: Mapping[str, str] | None = None, *, cursor: str = "",
) -> Response:  # fmt: skip
    scheduler = site.service.schedules
    page, following = scheduler.kept.of_project(caller.project, cursor or None, PAGE)
    last = scheduler.runs.last_of([item.id for item in page])
    lines, _ = site.overviews.audits(
        AuditQuery(project=caller.project, states=(SubmissionState.DONE,), limit=FEW)
    )
    rows = [
        (build_schedule_response(site.service, item), last.get(item.id))
        for item in sorted(page, key=lambda item: item.state is ScheduleState.ENDED)
    ]
    return render_page(request, "schedules", status=status, title="Schedules", problem=problem,
                       on=ON, given=given or {}, rows=rows, lines=lines, following=following,
                       waived=_list_exceptions(site, last.values()),
                       watches=scheduler.roots.allowed.get(caller.project, ()))  # fmt: skip


def _list_exceptions(site: WebContext, runs: Iterable[ScheduledRun]) -> frozenset[str]:
    return site.latest.exceptions([run.record for run in runs if run.record is not None])


ENTRY = PageEntry("/schedules", router, title="Schedules", order=55)
