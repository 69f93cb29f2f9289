"""Web hooks: made, listed and ended by an admin, and what came of every message."""

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request
from starlette.concurrency import run_in_threadpool

from auditor.api.admitting import Admin
from auditor.api.hook_shapes import (
    AttemptShown,
    DeliveryPage,
    DeliveryShown,
    HookAsked,
    HookList,
    HookMade,
    HookShown,
)
from auditor.api.parts import Served
from auditor.api.reading import Limit, body_of
from auditor.api.showing import documented
from auditor.domain.hooks import Delivery, Hook
from auditor.hooks.making import end, found, make, retry

FORM, MESSAGE_FORM = "^hook-[0-9a-f]{24}$", "^msg_[0-9a-f]{32}$"
HookId = Annotated[str, Path(pattern=FORM, examples=["hook-" + "0a" * 12])]
MessageId = Annotated[str, Path(pattern=MESSAGE_FORM, examples=["msg_" + "0a" * 16])]
router = APIRouter(prefix="/v1/webhooks", tags=["web hooks"])


@router.post("", status_code=201, openapi_extra=documented(HookAsked))
async def hand_in(request: Request, caller: Admin, service: Served) -> HookMade:
    """Make a web hook. Its secret is in this answer, and nowhere else."""
    body = await body_of(request, HookAsked)
    made, secret = await run_in_threadpool(make, service.hooks, caller, body.url, body.events)
    return HookMade(webhook=_shown(made), secret=secret)


@router.get("")
def listed(caller: Admin, service: Served) -> HookList:
    """List the project's web hooks, the newest first, those that have ended too."""
    return HookList(webhooks=[_shown(it) for it in service.hooks.kept.of_project(caller.project)])


@router.get("/{webhook}")
def look(webhook: HookId, caller: Admin, service: Served) -> HookShown:
    """Look at a web hook."""
    return _shown(found(service.hooks, caller.project, webhook))


@router.post("/{webhook}/end")
def stop(webhook: HookId, caller: Admin, service: Served) -> HookShown:
    """End a web hook for good: nothing is sent there any more."""
    return _shown(end(service.hooks, caller, webhook))


@router.get("/{webhook}/deliveries")
def deliveries(
    webhook: HookId, caller: Admin, service: Served, limit: Limit = 50,
    cursor: Annotated[str | None, Query(pattern=MESSAGE_FORM)] = None,
) -> DeliveryPage:  # fmt: skip
    """List a web hook's messages, the newest first, with every attempt; dead ones say so."""
    hook = found(service.hooks, caller.project, webhook)
    page, following = service.hooks.deliveries.of_hook(hook.id, cursor, limit)
    now = service.clock()
    return DeliveryPage(deliveries=[_delivery(item, now) for item in page], next=following)


@router.post("/{webhook}/deliveries/{message}/retry")
def again(webhook: HookId, message: MessageId, caller: Admin, service: Served) -> DeliveryShown:
    """Send a message that is dead once more, with all its pauses."""
    delivery = retry(service.hooks, caller.project, webhook, message)
    return _delivery(delivery, service.clock())


def _shown(hook: Hook) -> HookShown:
    return HookShown(
        id=hook.id,
        project=hook.project,
        maker=hook.maker,
        url=hook.url,
        events=list(hook.events),
        created=hook.created,
        ended=hook.ended,
    )


def _delivery(item: Delivery, now: str) -> DeliveryShown:
    return DeliveryShown(
        id=item.id,
        hook=item.hook,
        event=item.event,
        subject=item.subject,
        at=item.at,
        state=item.state(now),
        attempts=[
            AttemptShown(
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
