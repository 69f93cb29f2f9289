"""People who decide, for admins: named with a key of their own, listed, and ended."""

from fastapi import Request, Response
from pydantic import ValidationError
from starlette.responses import RedirectResponse

from auditor.api.admitting import Admin
from auditor.api.decided import PersonAsked
from auditor.api.routes.people import PersonId
from auditor.api.shapes import EndAsked
from auditor.domain.api_keys import ApiKey, Role
from auditor.domain.people import DecisionKind, Person
from auditor.errors import InvalidInputError
from auditor.people.naming import end_person, name_person
from auditor.refusals import CallError
from auditor.web.entries import Entry
from auditor.web.forms import form_of
from auditor.web.looking import show
from auditor.web.parts import Shown, Site
from auditor.web.routing import routes

INVALID, SEE_OTHER = 422, 303
router = routes()


@router.get("/people")
def listed(request: Request, caller: Admin, site: Shown) -> Response:
    """List the project's people."""
    return _shown(request, caller, site)


@router.post("/people")
def name(request: Request, caller: Admin, site: Shown) -> Response:
    """Let a person decide in the project, by a key of their own."""
    try:
        made = _named(request, caller, site)
    except ValidationError:
        problem = "Give a name, a public key, and something that it may sign."
        return _shown(request, caller, site, INVALID, problem)
    except InvalidInputError as error:
        return _shown(request, caller, site, INVALID, f"{error.problem}. {error.cure}")
    return _shown(request, caller, site, made=made)


@router.get("/people/{person}/end")
def ask(request: Request, person: PersonId, caller: Admin, site: Shown) -> Response:
    """Ask why somebody is to decide no more."""
    found = site.service.people.person(caller.project, person)
    return show(request, "end_person", title="End somebody's leave", person=found)


@router.post("/people/{person}/end")
def end(request: Request, person: PersonId, caller: Admin, site: Shown) -> Response:
    """End somebody's leave for good: their waivers and their yes count no more."""
    panel, reason = site.service.people, form_of(request).get("reason", "").strip()
    panel.person(caller.project, person)
    try:
        asked = EndAsked(reason=reason)
    except ValidationError:
        raise CallError("leave is ended for a reason", cure="Go back, and write why.") from None
    if not asked.reason.isprintable():
        raise CallError("the reason is not one line", cure="Give it in printable signs.")
    end_person(panel, caller, person, asked.reason)
    return RedirectResponse("/people", SEE_OTHER)


def _named(request: Request, caller: ApiKey, site: Site) -> Person:
    form = form_of(request)
    asked = PersonAsked(
        name=form.get("name", "").strip(),
        key=form.get("key", "").replace("\r\n", "\n").strip() + "\n",
        may=[kind for kind in DecisionKind if f"may-{kind}" in form],
        caller=form.get("caller") or None,
    )
    return name_person(
        site.service.people, caller, asked.name, asked.key, asked.may, caller=asked.caller
    )  # fmt: skip


def _shown(
    request: Request, caller: ApiKey, site: Site, status: int = 200, problem: str = "",
    made: Person | None = None,
) -> Response:  # fmt: skip
    service, now = site.service, site.service.clock()
    keys = service.kept.keys(caller.project)
    people = service.people.people.all(caller.project)
    return show(request, "people", status=status, title="People", problem=problem, made=made,
                given=form_of(request) if problem else {}, kinds=list(DecisionKind),
                names={key.id: key.name for key in keys},
                callers=[it for it in keys if it.holds(now) and it.role.may(Role.APPROVER)],
                deciding=[it for it in people if it.ended is None],
                over=[it for it in people if it.ended is not None])  # fmt: skip


ENTRY = Entry("/people", router, title="People", order=92, least=Role.ADMIN, group="Admin")
