"""Routes for webhooks: created, listed and ended by an admin, and their deliveries."""

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request
from starlette.concurrency import run_in_threadpool

from auditor.service.api.auth import Admin
from auditor.service.api.context import Served
from auditor.service.api.requests import Limit, build_openapi_extra, parse_json_body
from auditor.service.api.schemas_schedules import (
    DeliveryAttemptResponse,
    DeliveryPage,
    DeliveryResponse,
    WebhookList,
    WebhookRequestBody,
    WebhookSecretResponse,
    WebhookSettingsResponse,
)
from auditor.service.domain.webhooks import WebhookDelivery, WebhookSubscription
from auditor.service.webhooks.manage import (
    create_webhook,
    end_webhook,
    find_webhook,
    retry_delivery,
)

FORM, MESSAGE_FORM = "^hook-[0-9a-f]{24}$", "^msg_[0-9a-f]{32}$"
HookId = Annotated[str, Path(pattern=FORM, examples=["hook-" + "0a" * 12])]
MessageId = Annotated[str, Path(pattern=MESSAGE_FORM, examples=["msg_" + "0a" * 16])]
router = APIRouter(prefix="/v1/webhooks", tags=["webhooks"])


@router.post("", status_code=201, openapi_extra=build_openapi_extra(WebhookRequestBody))
async def add_webhook(request: Request, caller: Admin, service: Served) -> WebhookSecretResponse:
    """Create a webhook. Only this answer contains its secret."""
    body = await parse_json_body(request, WebhookRequestBody)
    made, secret = await run_in_threadpool(
        create_webhook, service.hooks, caller, body.url, body.events
    )
    return WebhookSecretResponse(webhook=_shown(made), secret=secret)


@router.get("")
def list_webhooks(caller: Admin, service: Served) -> WebhookList:
    """List the webhooks of the project, newest first, including ended ones."""
    return WebhookList(
        webhooks=[_shown(it) for it in service.hooks.kept.of_project(caller.project)]
    )


@router.get("/{webhook}")
def get_webhook(webhook: HookId, caller: Admin, service: Served) -> WebhookSettingsResponse:
    """Return a webhook."""
    return _shown(find_webhook(service.hooks, caller.project, webhook))


@router.post("/{webhook}/end")
def stop_webhook(webhook: HookId, caller: Admin, service: Served) -> WebhookSettingsResponse:
    """End a webhook permanently."""
    return _shown(end_webhook(service.hooks, caller, webhook))


@router.get("/{webhook}/deliveries")
def list_deliveries(
    webhook: HookId, caller: Admin, service: Served, limit: Limit = 50,
    cursor: Annotated[str | None, Query(pattern=MESSAGE_FORM)] = None,
) -> DeliveryPage:  # fmt: skip
    """List the messages of a webhook, newest first, with all attempts."""
    hook = find_webhook(service.hooks, caller.project, webhook)
    page, following = service.hooks.deliveries.of_hook(hook.id, cursor, limit)
    now = service.clock()
    return DeliveryPage(deliveries=[_delivery(item, now) for item in page], next=following)


@router.post("/{webhook}/deliveries/{message}/retry")
def resend_delivery(
    webhook: HookId, message: MessageId, caller: Admin, service: Served
) -> DeliveryResponse:
    """Send a dead message again, with all its retries."""
    delivery = retry_delivery(service.hooks, caller.project, webhook, message)
    return _delivery(delivery, service.clock())


def _shown(hook: WebhookSubscription) -> WebhookSettingsResponse:
    return WebhookSettingsResponse(
        id=hook.id,
        project=hook.project,
        maker=hook.maker,
        url=hook.url,
        events=list(hook.events),
        created=hook.created,
        ended=hook.ended,
    )


def _delivery(item: WebhookDelivery, now: str) -> DeliveryResponse:
    return DeliveryResponse(
        id=item.id,
        hook=item.hook,
        event=item.event,
        subject=item.subject,
        at=item.at,
        state=item.state(now),
        attempts=[
            DeliveryAttemptResponse(
                number=it.number,
                at=it.at,
                outcome=it.outcome,
                status=it.status,
                detail=it.detail,
                again=it.again,
            )
            for it in item.attempts
        ],
    )
