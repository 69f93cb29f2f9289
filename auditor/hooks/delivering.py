"""Deliver messages to web hooks: again after a while where that fails, and at last no more."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

from auditor.clock import instant, written
from auditor.domain.hooks import WINDOW, Attempt, Delivery, Hook, Outcome
from auditor.errors import AuditorError
from auditor.hooks.sending import Sender, Sent
from auditor.hooks.signing import SecretKey, hash_of, signature
from auditor.hooks.telling import Teller
from auditor.store.service.hook_deliveries import KeptDeliveries
from auditor.store.service.hooks import KeptHooks

PAUSES = (5, 30, 120, 600, 3600, 6 * 3600)
"""Seconds from one failed attempt to the next; after the last of them a message is dead."""
TURN = 60
"""Seconds for which one process has a message to itself: longer than any attempt takes."""
AT_ONCE, MOST = 4, 40
LATE, SELDOM = timedelta(minutes=10), 60
"""How far back most looks go, and which of them goes back all the way."""
AGENT = "auditor-webhooks/1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Messenger:
    """What delivers: what is kept, the key that secrets follow from, and the way out."""

    kept: KeptHooks
    deliveries: KeptDeliveries
    teller: Teller
    key: Callable[[], SecretKey]
    sender: Sender
    clock: Callable[[], str]


@dataclass(slots=True)
class Courier:
    """Delivers again and again; for what was due long ago it looks seldom, since that is a lot."""

    messenger: Messenger
    looks: int = 0

    def deliver(self) -> None:
        """Send what came to be due of late, and now and then whatever is."""
        whole = self.looks % SELDOM == 0
        self.looks += 1
        deliver_due(self.messenger, WINDOW if whole else LATE)


def deliver_due(messenger: Messenger, back: timedelta = WINDOW) -> None:
    """Send what is to be sent by now, a few at once; a slow receiver holds up no other for long.

    What was due longer ago than ``back`` is left where it is.
    """
    due = messenger.deliveries.due(messenger.clock(), MOST, back)
    if not due:
        return
    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="auditor-hook") as pool:
        for done in [pool.submit(_deliver, messenger, *pair) for pair in due]:
            done.result()


def _deliver(messenger: Messenger, delivery: Delivery, hook: Hook) -> None:
    """Make the next attempt, unless another process makes it now."""
    number, now = delivery.attempts[-1].number + 1, messenger.clock()
    turn = int(instant(now).timestamp()) // TURN
    if not messenger.deliveries.claim(delivery.id, number, turn, now):
        return
    sent = _sent(messenger, delivery, hook)
    attempted = partial(Attempt, number=number, status=sent.status, detail=sent.detail)
    ended = messenger.clock()
    if sent.taken:
        attempt = attempted(at=ended, outcome=Outcome.DELIVERED)
    else:
        again = next_time(delivery.failures, ended)
        attempt = attempted(at=ended, outcome=Outcome.FAILED, again=again)
    messenger.deliveries.attempted(delivery.id, attempt)


def next_time(failures: int, now: str) -> str | None:
    """Return when to try again after so many failures before this one, or that it is dead."""
    if failures >= len(PAUSES):
        return None
    return written(instant(now) + timedelta(seconds=PAUSES[failures]))


def _sent(messenger: Messenger, delivery: Delivery, hook: Hook) -> Sent:
    try:
        secret = messenger.key().secret(hook.id)
        if hash_of(secret) != hook.secret_hash:
            return Sent(None, "the key file of the service is not the one that made this web hook")
        body = messenger.teller.body(delivery, hook)
    except AuditorError as error:
        # Also a record of a version that this one does not read: it must not wait for ever.
        return Sent(None, error.problem)
    stamp = int(instant(messenger.clock()).timestamp())
    headers = {
        "Content-Type": "application/json",
        "User-Agent": AGENT,
        "webhook-id": delivery.id,
        "webhook-timestamp": str(stamp),
        "webhook-signature": signature(secret, delivery.id, stamp, body),
    }
    return messenger.sender.send(hook.url, headers, body)
