"""Schedules: what is audited again, when, and what the last run of each came to."""

from collections.abc import Mapping
from typing import Annotated

from fastapi import Query, Request, Response
from pydantic import ValidationError
from starlette.responses import RedirectResponse

from auditor.api.admitting import Submitter, Viewer
from auditor.api.routes.schedules import FORM as SCHEDULE
from auditor.api.routes.schedules import RUN_FORM, ScheduleId, shown
from auditor.api.schedule_shapes import ScheduleAsked
from auditor.domain.api_keys import ApiKey
from auditor.domain.schedules import Schedule, ScheduleState, Trigger
from auditor.domain.submissions import State
from auditor.errors import InvalidInputError
from auditor.refusals import CallError, NotFoundError
from auditor.schedules.making import Wish, changed, found, make
from auditor.store.service.overviews import Sought
from auditor.web.entries import Entry
from auditor.web.forms import form_of
from auditor.web.looking import show
from auditor.web.parts import Shown, Site
from auditor.web.routing import routes

INVALID, SEE_OTHER = 422, 303
PAGE, FEW = 50, 100
ON = tuple(item for item in Trigger if item is not Trigger.CRON)
CHANGES: Mapping[str, ScheduleState] = {
    "pause": ScheduleState.PAUSED,
    "resume": ScheduleState.ACTIVE,
    "end": ScheduleState.ENDED,
}
router = routes()


@router.get("/schedules")
def listed(
    request: Request, caller: Viewer, site: Shown,
    cursor: Annotated[str, Query(pattern=f"({SCHEDULE})|(^$)")] = "",
    like: Annotated[str, Query(max_length=40)] = "",
) -> Response:  # fmt: skip
    """List the project's schedules, the newest first."""
    return _shown(request, caller, site, cursor=cursor, given={"same_as": like})


@router.post("/schedules")
def create(request: Request, caller: Submitter, site: Shown) -> Response:
    """Make a schedule that asks for the same as an audit, by cron or upon what happens."""
    form = form_of(request)
    try:
        made = make(site.service.schedules, caller, _wish(form))
    except ValidationError:
        problem = "Give it a name, and choose an audit."
        return _shown(request, caller, site, INVALID, problem, form)
    except InvalidInputError as error:
        return _shown(request, caller, site, INVALID, f"{error.problem}. {error.cure}", form)
    return RedirectResponse(f"/schedules/{made.id}", SEE_OTHER)


@router.get("/schedules/{schedule}")
def look(
    request: Request, schedule: ScheduleId, caller: Viewer, site: Shown,
    cursor: Annotated[str, Query(pattern=f"({RUN_FORM})|(^$)")] = "",
) -> Response:  # fmt: skip
    """Show a schedule with its runs."""
    of = found(site.service.schedules, caller.project, schedule)
    runs, following = site.service.schedules.runs.of_schedule(of.id, cursor or None, PAGE)
    return show(request, "schedule", title=of.name, it=shown(site.service, of), runs=runs,
                following=following)  # fmt: skip


@router.post("/schedules/{schedule}/{change}")
def alter(schedule: ScheduleId, change: str, caller: Submitter, site: Shown) -> Response:
    """Let a schedule rest, go on, or end."""
    if change not in CHANGES:
        raise NotFoundError("there is no such change", cure="Choose one on the page.")
    changed(site.service.schedules, caller, schedule, CHANGES[change])
    return RedirectResponse(f"/schedules/{schedule}", SEE_OTHER)


def _wish(form: Mapping[str, str]) -> Wish:
    asked = ScheduleAsked(
        name=form.get("name", "").strip(),
        same_as=form.get("same_as") or None,
        cron=form.get("cron", "").strip() or None,
        on=[item for item in ON if f"on-{item}" in form],
        watch=form.get("watch", "").strip() or None,
    )
    if not asked.name.isprintable():
        raise CallError("the name is not one line", cure="Write it in printable signs.")
    return Wish(
        name=asked.name, asked=None, same=asked.same_as, cron=asked.cron, on=tuple(asked.on),
        batch_role=None, watch=asked.watch,
    )  # fmt: skip


def _shown(
    request: Request, caller: ApiKey, site: Site, status: int = 200, problem: str = "",
    given: Mapping[str, str] | None = None, *, cursor: str = "",
) -> Response:  # fmt: skip
    scheduler = site.service.schedules
    page, following = scheduler.kept.of_project(caller.project, cursor or None, PAGE)
    last = scheduler.runs.last_of([item.id for item in page])
    lines, _ = site.overviews.audits(
        Sought(project=caller.project, states=(State.DONE,), limit=FEW)
    )
    rows = [(shown(site.service, item), last.get(item.id)) for item in _ordered(page)]
    return show(request, "schedules", status=status, title="Schedules", problem=problem, on=ON,
                given=given or {}, rows=rows, lines=lines, following=following,
                watches=scheduler.roots.allowed.get(caller.project, ()))  # fmt: skip


def _ordered(page: tuple[Schedule, ...]) -> list[Schedule]:
    """Return schedules with those that have ended last."""
    return sorted(page, key=lambda item: item.state is ScheduleState.ENDED)


ENTRY = Entry("/schedules", router, title="Schedules", order=55)
