"""Make web hooks, end them, and send a message that was given up once more."""

from collections.abc import Sequence

from auditor.acting import act_by
from auditor.clock import fresh_id
from auditor.domain.acts import ActKind
from auditor.domain.api_keys import ApiKey
from auditor.domain.canonical import Json, digest
from auditor.domain.hooks import Attempt, Delivery, DeliveryState, Hook, Outcome, Told
from auditor.hooks.addresses import place_of
from auditor.hooks.delivering import Messenger
from auditor.hooks.signing import hash_of
from auditor.refusals import NotFoundError, StandingError


def make(
    messenger: Messenger, caller: ApiKey, url: str, events: Sequence[Told]
) -> tuple[Hook, str]:
    """Make a web hook, and return it with its secret, which is shown this once.

    Raises ``HookError`` for an address that is not sent to, ``StandingError`` for one too many.
    """
    place_of(url, messenger.sender.rules)
    name = fresh_id("hook")
    secret = messenger.key().secret(name)
    hook = Hook(
        id=name,
        project=caller.project,
        maker=caller.id,
        url=url,
        events=tuple(dict.fromkeys(events)),
        secret_hash=hash_of(secret),
        created=messenger.clock(),
    )
    told: list[Json] = [item.value for item in hook.events]
    act = act_by(
        caller, ActKind.HOOK_MADE, name, hook.created, url=digest(url.encode()), events=told
    )
    messenger.kept.add(hook, act)
    return hook, secret


def found(messenger: Messenger, project: str, name: str) -> Hook:
    """Return a web hook of a project. Raises ``NotFoundError``."""
    hook = messenger.kept.find(project, name)
    if hook is None:
        raise NotFoundError(f"there is no web hook {name}", cure="GET /v1/webhooks lists them.")
    return hook


def end(messenger: Messenger, caller: ApiKey, name: str) -> Hook:
    """End a web hook for good; nothing is sent there any more. Raises ``NotFoundError``."""
    hook = found(messenger, caller.project, name)
    now = messenger.clock()
    messenger.kept.end(hook, caller.id, now, act_by(caller, ActKind.HOOK_ENDED, hook.id, now))
    return found(messenger, caller.project, name)


def retry(messenger: Messenger, project: str, name: str, message: str) -> Delivery:
    """Let a message that is dead be sent again, from the first pause on.

    Raises ``NotFoundError``, and ``StandingError`` for one that is not dead, or whose web hook
    has ended.
    """
    hook, now = found(messenger, project, name), messenger.clock()
    delivery = messenger.deliveries.find(hook.id, message)
    if delivery is None:
        raise NotFoundError(
            f"{name} has no message {message}", cure=f"GET /v1/webhooks/{name}/deliveries."
        )
    state = delivery.state(now)
    if state is not DeliveryState.DEAD or hook.ended is not None:
        said = f"{name} has ended" if hook.ended is not None else f"{message} is {state}"
        raise StandingError(said, cure="Only dead messages of web hooks in use are sent again.")
    again = Attempt(
        number=delivery.attempts[-1].number + 1, at=now, outcome=Outcome.RETRIED, again=now
    )
    messenger.deliveries.attempted(delivery.id, again)
    return messenger.deliveries.find(hook.id, message) or delivery
