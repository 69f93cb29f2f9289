"""Page of API keys, for admins: create, show once, list and revoke; and the service's own keys."""

from fastapi import Request, Response
from pydantic import ValidationError
from starlette.responses import RedirectResponse

from auditor.errors import InvalidInputError, MalformedRequestError, NotFoundError
from auditor.service.api.auth import Admin
from auditor.service.api.routes.anonymous import get_service_keys
from auditor.service.api.routes.keys import KeyId, create_caller_key, revoke_caller_key
from auditor.service.api.schemas import KeyRequestBody, ReasonRequestBody
from auditor.service.domain.access import AccessRole, ApiKey
from auditor.service.web.routing import PageEntry, create_page_router, get_form, render_page
from auditor.service.web.site import Shown, WebContext

INVALID, SEE_OTHER = 422, 303
router = create_page_router()


@router.get("/keys")
def show_keys(request: Request, caller: Admin, site: Shown) -> Response:
    """List the project's keys."""
    return _shown(request, caller, site)


@router.post("/keys")
def create_key(request: Request, caller: Admin, site: Shown) -> Response:
    """Make a key. Its text is on this page, and nowhere else."""
    form = get_form(request)
    until = form.get("expires", "").strip()
    try:
        asked = KeyRequestBody(
            name=form.get("name", "").strip(),
            role=AccessRole(form.get("role", "")),
            expires=f"{until}T00:00:00Z" if until else None,
        )
        made = create_caller_key(site.service, caller, asked)
    except (ValidationError, ValueError):
        return _shown(request, caller, site, INVALID, problem="Enter a name and choose a role.")
    except InvalidInputError as error:
        return _shown(request, caller, site, INVALID, problem=f"{error.problem}. {error.cure}")
    return _shown(request, caller, site, made=made)


@router.get("/keys/{key}/end")
def confirm_revocation(request: Request, key: KeyId, caller: Admin, site: Shown) -> Response:
    """Ask why a key is to be ended."""
    found = site.service.kept.key(key)
    if found is None or found.project != caller.project:
        raise NotFoundError(f"there is no API key {key}", cure="Choose one from the list.")
    return render_page(request, "end_key", title="Revoke an API key", key=found)


@router.post("/keys/{key}/end")
def revoke_key(request: Request, key: KeyId, caller: Admin, site: Shown) -> Response:
    """End a key for good; sessions that were begun with it end at once."""
    try:
        asked = ReasonRequestBody(reason=get_form(request).get("reason", "").strip())
    except ValidationError:
        raise MalformedRequestError(
            "the reason is empty or too long", cure="Go back and enter a reason."
        ) from None
    revoke_caller_key(site.service, caller, key, asked.reason)
    return RedirectResponse("/keys", SEE_OTHER)


def _shown(
    request: Request, caller: ApiKey, site: WebContext, status: int = 200, **told: object
) -> Response:
    about = {"made": None, "problem": "", **told}
    kept = site.service.kept.keys(caller.project)
    now, public = site.service.clock(), get_service_keys(site.service)
    return render_page(request, "keys", about, status=status, title="API keys", public=public,
                       roles=list(AccessRole), holding=[key for key in kept if key.holds(now)],
                       over=[key for key in kept if not key.holds(now)])  # fmt: skip


ENTRY = PageEntry(
    "/keys", router, title="API keys", order=91, least=AccessRole.ADMIN, group="Admin"
)
