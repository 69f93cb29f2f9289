"""Pages of webhooks, for admins: addresses, messages, and failed deliveries."""

from typing import Annotated

from fastapi import Query, Request, Response
from pydantic import ValidationError
from starlette.responses import RedirectResponse

from auditor.errors import InvalidInputError
from auditor.service.api.auth import Admin
from auditor.service.api.routes.webhooks import MESSAGE_FORM, HookId, MessageId
from auditor.service.api.schemas_schedules import WebhookRequestBody
from auditor.service.domain.access import AccessRole, ApiKey
from auditor.service.domain.webhooks import DeliveryState, WebhookEvent, WebhookSubscription
from auditor.service.web.routing import PageEntry, create_page_router, get_form, render_page
from auditor.service.web.site import Shown, WebContext
from auditor.service.webhooks.manage import (
    create_webhook,
    end_webhook,
    find_webhook,
    retry_delivery,
)

INVALID, SEE_OTHER, PAGE = 422, 303, 50
router = create_page_router()


@router.get("/webhooks")
def show_webhooks(request: Request, caller: Admin, site: Shown) -> Response:
    """List the project's web hooks."""
    return _shown(request, caller, site)


@router.post("/webhooks")
def add_webhook(request: Request, caller: Admin, site: Shown) -> Response:
    """Make a web hook. Its secret is on this page, and nowhere else."""
    form = get_form(request)
    try:
        asked = WebhookRequestBody(
            url=form.get("url", "").strip(),
            events=[it for it in WebhookEvent if f"on-{it}" in form],
        )
        made, secret = create_webhook(site.service.hooks, caller, asked.url, asked.events)
    except ValidationError:
        problem = "Enter an address and choose at least one event."
        return _shown(request, caller, site, INVALID, problem)
    except InvalidInputError as error:
        return _shown(request, caller, site, INVALID, f"{error.problem}. {error.cure}")
    return _shown(request, caller, site, made=made, secret=secret)


@router.get("/webhooks/{webhook}")
def show_webhook(
    request: Request, webhook: HookId, caller: Admin, site: Shown,
    cursor: Annotated[str, Query(pattern=f"({MESSAGE_FORM})|(^$)")] = "",
) -> Response:  # fmt: skip
    """Show a web hook with its messages, the newest first."""
    hooks, now = site.service.hooks, site.service.clock()
    hook = find_webhook(hooks, caller.project, webhook)
    page, following = hooks.deliveries.of_hook(hook.id, cursor or None, PAGE)
    rows = [(item, item.state(now)) for item in page]
    dead = sum(state is DeliveryState.DEAD for _, state in rows)
    return render_page(request, "webhook", title="Webhook", hook=hook, rows=rows, dead=dead,
                       following=following)  # fmt: skip


@router.post("/webhooks/{webhook}/end")
def stop_webhook(webhook: HookId, caller: Admin, site: Shown) -> Response:
    """End a web hook for good."""
    end_webhook(site.service.hooks, caller, webhook)
    return RedirectResponse("/webhooks", SEE_OTHER)


@router.post("/webhooks/{webhook}/messages/{message}/retry")
def resend_delivery(webhook: HookId, message: MessageId, caller: Admin, site: Shown) -> Response:
    """Send a dead message once more."""
    retry_delivery(site.service.hooks, caller.project, webhook, message)
    return RedirectResponse(f"/webhooks/{webhook}", SEE_OTHER)


def _shown(
    request: Request, caller: ApiKey, site: WebContext, status: int = 200, problem: str = "",
    made: WebhookSubscription | None = None, secret: str = "",
) -> Response:  # fmt: skip
    every = site.service.hooks.kept.of_project(caller.project)
    return render_page(request, "webhooks", status=status, title="Webhooks", problem=problem,
                       made=made, secret=secret, events=list(WebhookEvent),
                       given=get_form(request) if problem else {},
                       hooks=[it for it in every if it.ended is None],
                       over=[it for it in every if it.ended is not None])  # fmt: skip


ENTRY = PageEntry(
    "/webhooks", router, title="Webhooks", order=93, least=AccessRole.ADMIN, group="Admin"
)
