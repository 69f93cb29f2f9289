"""Web hooks, for admins: where they send what, what came of each message, and the dead ones."""

from typing import Annotated

from fastapi import Query, Request, Response
from pydantic import ValidationError
from starlette.responses import RedirectResponse

from auditor.api.admitting import Admin
from auditor.api.hook_shapes import HookAsked
from auditor.api.routes.webhooks import MESSAGE_FORM, HookId, MessageId
from auditor.domain.api_keys import ApiKey, Role
from auditor.domain.hooks import DeliveryState, Hook, Told
from auditor.errors import InvalidInputError
from auditor.hooks.making import end, found, make, retry
from auditor.web.entries import Entry
from auditor.web.forms import form_of
from auditor.web.looking import show
from auditor.web.parts import Shown, Site
from auditor.web.routing import routes

INVALID, SEE_OTHER, PAGE = 422, 303, 50
router = routes()


@router.get("/webhooks")
def listed(request: Request, caller: Admin, site: Shown) -> Response:
    """List the project's web hooks."""
    return _shown(request, caller, site)


@router.post("/webhooks")
def create(request: Request, caller: Admin, site: Shown) -> Response:
    """Make a web hook. Its secret is on this page, and nowhere else."""
    form = form_of(request)
    try:
        asked = HookAsked(
            url=form.get("url", "").strip(), events=[it for it in Told if f"on-{it}" in form]
        )
        made, secret = make(site.service.hooks, caller, asked.url, asked.events)
    except ValidationError:
        problem = "Give an address, and choose what it is told of."
        return _shown(request, caller, site, INVALID, problem)
    except InvalidInputError as error:
        return _shown(request, caller, site, INVALID, f"{error.problem}. {error.cure}")
    return _shown(request, caller, site, made=made, secret=secret)


@router.get("/webhooks/{webhook}")
def look(
    request: Request, webhook: HookId, caller: Admin, site: Shown,
    cursor: Annotated[str, Query(pattern=f"({MESSAGE_FORM})|(^$)")] = "",
) -> Response:  # fmt: skip
    """Show a web hook with its messages, the newest first."""
    hooks, now = site.service.hooks, site.service.clock()
    hook = found(hooks, caller.project, webhook)
    page, following = hooks.deliveries.of_hook(hook.id, cursor or None, PAGE)
    rows = [(item, item.state(now)) for item in page]
    dead = sum(state is DeliveryState.DEAD for _, state in rows)
    return show(request, "webhook", title="Web hook", hook=hook, rows=rows, dead=dead,
                following=following)  # fmt: skip


@router.post("/webhooks/{webhook}/end")
def stop(webhook: HookId, caller: Admin, site: Shown) -> Response:
    """End a web hook for good."""
    end(site.service.hooks, caller, webhook)
    return RedirectResponse("/webhooks", SEE_OTHER)


@router.post("/webhooks/{webhook}/messages/{message}/retry")
def again(webhook: HookId, message: MessageId, caller: Admin, site: Shown) -> Response:
    """Send a dead message once more."""
    retry(site.service.hooks, caller.project, webhook, message)
    return RedirectResponse(f"/webhooks/{webhook}", SEE_OTHER)


def _shown(
    request: Request, caller: ApiKey, site: Site, status: int = 200, problem: str = "",
    made: Hook | None = None, secret: str = "",
) -> Response:  # fmt: skip
    every = site.service.hooks.kept.of_project(caller.project)
    return show(request, "webhooks", status=status, title="Web hooks", problem=problem, made=made,
                secret=secret, events=list(Told), given=form_of(request) if problem else {},
                hooks=[it for it in every if it.ended is None],
                over=[it for it in every if it.ended is not None])  # fmt: skip


ENTRY = Entry("/webhooks", router, title="Web hooks", order=93, least=Role.ADMIN, group="Admin")
