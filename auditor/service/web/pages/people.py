"""Page of people who decide, for admins: create with their key, list and revoke."""

from fastapi import Request, Response
from pydantic import ValidationError
from starlette.responses import RedirectResponse

from auditor.errors import InvalidInputError, MalformedRequestError
from auditor.service.api.auth import Admin
from auditor.service.api.routes.people import PersonId
from auditor.service.api.schemas import ReasonRequestBody
from auditor.service.api.schemas_people import PersonRequestBody
from auditor.service.approvals.people import end_person, register_person
from auditor.service.domain.access import AccessRole, ApiKey
from auditor.service.domain.people import DecisionKind, Person
from auditor.service.web.routing import PageEntry, create_page_router, get_form, render_page
from auditor.service.web.site import Shown, WebContext

INVALID, SEE_OTHER = 422, 303
router = create_page_router()


@router.get("/people")
def show_people(request: Request, caller: Admin, site: Shown) -> Response:
    """List the project's people."""
    return _shown(request, caller, site)


@router.post("/people")
def create_person(request: Request, caller: Admin, site: Shown) -> Response:
    """Let a person decide in the project, by a key of their own."""
    try:
        form = get_form(request)
        asked = PersonRequestBody(
            name=form.get("name", "").strip(),
            key=form.get("key", "").replace("\r\n", "\n").strip() + "\n",
            may=[kind for kind in DecisionKind if f"may-{kind}" in form],
            caller=form.get("caller") or None,
        )
        made = register_person(
            site.service.people, caller, asked.name, asked.key, asked.may, caller=asked.caller
        )  # fmt: skip
    except ValidationError:
        problem = "Enter a name and a public key, and choose at least one kind of decision."
        return _shown(request, caller, site, INVALID, problem)
    except InvalidInputError as error:
        return _shown(request, caller, site, INVALID, f"{error.problem}. {error.cure}")
    return _shown(request, caller, site, made=made)


@router.get("/people/{person}/end")
def confirm_revocation(request: Request, person: PersonId, caller: Admin, site: Shown) -> Response:
    """Ask why somebody is to decide no more."""
    found = site.service.people.person(caller.project, person)
    return render_page(request, "end_person", title="Revoke signing permission", person=found)


@router.post("/people/{person}/end")
def revoke_person(request: Request, person: PersonId, caller: Admin, site: Shown) -> Response:
    """End somebody's leave for good: their waivers and their yes count no more."""
    panel, reason = site.service.people, get_form(request).get("reason", "").strip()
    panel.person(caller.project, person)
    try:
        asked = ReasonRequestBody(reason=reason)
    except ValidationError:
        raise MalformedRequestError(
            "the reason is empty", cure="Go back and enter a reason."
        ) from None
    if not asked.reason.isprintable():
        raise MalformedRequestError(
            "the reason is not a single line of text", cure="Use printable characters only."
        )
    end_person(panel, caller, person, asked.reason)
    return RedirectResponse("/people", SEE_OTHER)


def _shown(
    request: Request, caller: ApiKey, site: WebContext, status: int = 200, problem: str = "",
    made: Person | None = None,
) -> Response:  # fmt: skip
    service, now = site.service, site.service.clock()
    keys = service.kept.keys(caller.project)
    people = service.people.people.all(caller.project)
    return render_page(request, "people", status=status, title="People", problem=problem, made=made,
                       given=get_form(request) if problem else {}, kinds=list(DecisionKind),
                       names={key.id: key.name for key in keys},
                       callers=[it for it in keys
                                if it.holds(now) and it.role.may(AccessRole.APPROVER)],
                       deciding=[it for it in people if it.ended is None],
                       over=[it for it in people if it.ended is not None])  # fmt: skip


ENTRY = PageEntry(
    "/people", router, title="People", order=92, least=AccessRole.ADMIN, group="Admin"
)
