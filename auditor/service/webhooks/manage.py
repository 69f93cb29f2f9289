"""Creates and ends webhooks, and sends a failed message again."""

from collections.abc import Sequence

from auditor._time import generate_id
from auditor.domain.json import Json, compute_digest
from auditor.errors import NotFoundError, StateConflictError
from auditor.service.auth.api_keys import hash_secret
from auditor.service.domain.access import ApiKey, AuditLogAction, build_log_entry
from auditor.service.domain.webhooks import (
    DeliveryAttempt,
    DeliveryOutcome,
    DeliveryState,
    WebhookDelivery,
    WebhookEvent,
    WebhookSubscription,
)
from auditor.service.webhooks.deliver import WebhookService, parse_hook_url


def create_webhook(
    messenger: WebhookService, caller: ApiKey, url: str, events: Sequence[WebhookEvent]
) -> tuple[WebhookSubscription, str]:
    """Make a web hook, and return it with its secret, which is shown this once.

    Raises ``WebhookError`` for an address that is not sent to, ``StateConflictError`` for one too
    many.
    """
    parse_hook_url(url, messenger.sender.rules)
    name = generate_id("hook")
    secret = messenger.key().secret(name)
    hook = WebhookSubscription(
        id=name,
        project=caller.project,
        maker=caller.id,
        url=url,
        events=tuple(dict.fromkeys(events)),
        secret_hash=hash_secret(secret),
        created=messenger.clock(),
    )
    told: list[Json] = [item.value for item in hook.events]
    act = build_log_entry(
        caller,
        AuditLogAction.HOOK_MADE,
        name,
        hook.created,
        url=compute_digest(url.encode()),
        events=told,
    )
    messenger.kept.add(hook, act)
    return hook, secret


def find_webhook(messenger: WebhookService, project: str, name: str) -> WebhookSubscription:
    """Return a web hook of a project. Raises ``NotFoundError``."""
    hook = messenger.kept.find(project, name)
    if hook is None:
        raise NotFoundError(
            f"there is no webhook {name}", cure="List the webhooks with GET /v1/webhooks."
        )
    return hook


def end_webhook(messenger: WebhookService, caller: ApiKey, name: str) -> WebhookSubscription:
    """End a web hook for good; nothing is sent there any more. Raises ``NotFoundError``."""
    hook = find_webhook(messenger, caller.project, name)
    now = messenger.clock()
    messenger.kept.end(
        hook, caller.id, now, build_log_entry(caller, AuditLogAction.HOOK_ENDED, hook.id, now)
    )
    return find_webhook(messenger, caller.project, name)


def retry_delivery(
    messenger: WebhookService, project: str, name: str, message: str
) -> WebhookDelivery:
    """Let a message that is dead be sent again, from the first pause on.

    Raises ``NotFoundError``, and ``StateConflictError`` for one that is not dead, or whose web hook
    has ended.
    """
    hook, now = find_webhook(messenger, project, name), messenger.clock()
    delivery = messenger.deliveries.find(hook.id, message)
    if delivery is None:
        raise NotFoundError(
            f"{name} has no message {message}", cure=f"GET /v1/webhooks/{name}/deliveries."
        )
    state = delivery.state(now)
    if state is not DeliveryState.DEAD or hook.ended is not None:
        said = f"{name} has ended" if hook.ended is not None else f"{message} is {state}"
        raise StateConflictError(
            said, cure="Only dead messages of active webhooks can be sent again."
        )
    again = DeliveryAttempt(
        number=delivery.attempts[-1].number + 1, at=now, outcome=DeliveryOutcome.RETRIED, again=now
    )
    messenger.deliveries.attempted(delivery.id, again)
    return messenger.deliveries.find(hook.id, message) or delivery
