"""Keys of callers, for admins: made, shown once, listed, and ended; and the service's own."""

from fastapi import Request, Response
from pydantic import ValidationError
from starlette.responses import RedirectResponse

from auditor.api.admitting import Admin
from auditor.api.routes.anonymous import keys as public_keys
from auditor.api.routes.keys import KeyId, end_for, made_for
from auditor.api.shapes import EndAsked, KeyAsked
from auditor.domain.api_keys import ApiKey, Role
from auditor.errors import InvalidInputError
from auditor.refusals import CallError, NotFoundError
from auditor.web.entries import Entry
from auditor.web.forms import form_of
from auditor.web.looking import show
from auditor.web.parts import Shown, Site
from auditor.web.routing import routes

INVALID, SEE_OTHER = 422, 303
router = routes()


@router.get("/keys")
def listed(request: Request, caller: Admin, site: Shown) -> Response:
    """List the project's keys."""
    return _shown(request, caller, site)


@router.post("/keys")
def make(request: Request, caller: Admin, site: Shown) -> Response:
    """Make a key. Its text is on this page, and nowhere else."""
    form = form_of(request)
    until = form.get("expires", "").strip()
    try:
        asked = KeyAsked(
            name=form.get("name", "").strip(),
            role=Role(form.get("role", "")),
            expires=f"{until}T00:00:00Z" if until else None,
        )
        made = made_for(site.service, caller, asked)
    except (ValidationError, ValueError):
        return _shown(request, caller, site, INVALID, problem="Give it a name and a role.")
    except InvalidInputError as error:
        return _shown(request, caller, site, INVALID, problem=f"{error.problem}. {error.cure}")
    return _shown(request, caller, site, made=made)


@router.get("/keys/{key}/end")
def ask(request: Request, key: KeyId, caller: Admin, site: Shown) -> Response:
    """Ask why a key is to be ended."""
    found = site.service.kept.key(key)
    if found is None or found.project != caller.project:
        raise NotFoundError(f"there is no key {key}", cure="Choose one from the list.")
    return show(request, "end_key", title="End a key", key=found)


@router.post("/keys/{key}/end")
def end(request: Request, key: KeyId, caller: Admin, site: Shown) -> Response:
    """End a key for good; sessions that were begun with it end at once."""
    try:
        asked = EndAsked(reason=form_of(request).get("reason", "").strip())
    except ValidationError:
        raise CallError("a key is ended for a reason", cure="Go back, and write why.") from None
    end_for(site.service, caller, key, asked.reason)
    return RedirectResponse("/keys", SEE_OTHER)


def _shown(
    request: Request, caller: ApiKey, site: Site, status: int = 200, **told: object
) -> Response:
    about = {"made": None, "problem": "", **told}
    kept = site.service.kept.keys(caller.project)
    now, public = site.service.clock(), public_keys(site.service)
    return show(request, "keys", about, status=status, title="Keys", public=public,
                roles=list(Role), holding=[key for key in kept if key.holds(now)],
                over=[key for key in kept if not key.holds(now)])  # fmt: skip


ENTRY = Entry("/keys", router, title="Keys", order=91, least=Role.ADMIN, group="Admin")
