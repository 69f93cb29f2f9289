"""Webhook delivery: URL validation, HTTP requests with a deadline, and retries.

A webhook address must not reach the service's private network. The request goes to the IP address
that was checked. Failed deliveries are retried after increasing pauses, and then given up.
"""

import socket
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from urllib.parse import SplitResult, urlsplit

from auditor._http import is_local_address, request_bytes
from auditor._time import format_time, parse_time
from auditor.errors import AuditorError, WebhookError
from auditor.service.auth.api_keys import hash_secret
from auditor.service.domain.webhooks import (
    WINDOW,
    DeliveryAttempt,
    DeliveryOutcome,
    WebhookDelivery,
    WebhookSubscription,
)
from auditor.service.store.webhooks import DeliveryStore, WebhookStore
from auditor.service.webhooks.payload import PayloadWriter
from auditor.service.webhooks.signature import WebhookSecretKey, sign_message

PORTS = {"https": 443, "http": 80}
Look = Callable[[str, int], Sequence[str]]
LONGEST = 2000
TRANSLATED = IPv6Network("64:ff9b::/96")


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookRules:
    """The leave of whoever runs the service: plain HTTP, and addresses of networks of its own.

    ``public`` is the address at which people reach the service, for links; empty, they are paths.
    """

    http: bool = False
    private: bool = False
    public: str = ""


@dataclass(frozen=True, slots=True)
class WebhookAddress:
    """A URL taken apart: its scheme, host, port, and path with query."""

    scheme: str
    host: str
    port: int
    path: str


def parse_hook_url(url: str, rules: WebhookRules) -> WebhookAddress:
    """Take apart a URL that messages may be sent to, as far as it can be told without looking up.

    Raises ``WebhookError``.
    """
    parts, port = _split(url)
    if parts is None or port is None:
        raise WebhookError(
            f"{url[:80]!r} is not the address of a webhook", cure="Write it as https://host/path."
        )
    host = str(parts.hostname)
    if parts.scheme == "http" and not rules.http and not is_local_address(url):
        raise WebhookError(
            f"{url[:80]!r} uses plain HTTP, which others on the network can read",
            cure="Use https, or ask the operator to start the service with --allow-http-hooks.",
        )
    if _is_address(host):
        refuse_private_address(host, host, rules)
    query = f"?{parts.query}" if parts.query else ""
    return WebhookAddress(parts.scheme, host, port, (parts.path or "/") + query)


def resolve_addresses(place: WebhookAddress, rules: WebhookRules, look: Look) -> Sequence[str]:
    """Return the addresses of a place. Raises ``WebhookError`` where one of them may not be had.

    Whoever connects takes one of these, and asks for the name no more: what it stands for may be
    another thing a moment later.
    """
    found = look(place.host, place.port)
    for address in found:
        refuse_private_address(address, place.host, rules)
    return found


def look_up_host(host: str, port: int) -> Sequence[str]:
    """Return the addresses of a host, as the system knows them. Raises ``OSError``."""
    known = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return tuple(dict.fromkeys(str(item[4][0]) for item in known))


def refuse_private_address(address: str, host: str, rules: WebhookRules) -> None:
    """Raise ``WebhookError`` for an address that is not one of the open internet."""
    if rules.private:
        return
    read = ip_address(address.partition("%")[0])
    inner = _inside(read) if isinstance(read, IPv6Address) else None
    if not all(item.is_global and not item.is_multicast for item in (read, inner or read)):
        raise WebhookError(
            f"{host[:80]} is in a private network of the service",
            cure="Use a public host, or ask the operator to start the service with "
            "--allow-private-hooks.",
        )


def _inside(address: IPv6Address) -> IPv4Address | None:
    """Return the older address that a newer one carries, if it carries one."""
    if address in TRANSLATED:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    teredo = address.teredo
    return address.ipv4_mapped or address.sixtofour or (teredo[1] if teredo else None)


def _split(url: str) -> tuple[SplitResult | None, int | None]:
    plain = url.isascii() and url.isprintable() and " " not in url and len(url) <= LONGEST
    try:
        parts = urlsplit(url)
        port = parts.port or PORTS.get(parts.scheme)
    except ValueError:
        return None, None
    odd = parts.username is not None or parts.password is not None or parts.fragment
    return (None, None) if not plain or odd or not parts.hostname else (parts, port)


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


SECONDS = 15.0
"""So long the whole of an attempt may take, however slowly somebody answers."""
KEPT = 200
"""No more bytes of an answer are read."""
OK, MOVED = 200, 300


@dataclass(frozen=True, slots=True)
class WebhookSendResult:
    """What came of it: the status, or none where nobody answered, and a word on it."""

    status: int | None
    detail: str

    @property
    def taken(self) -> bool:
        """Whether the receiver took the message: any 2xx, and no redirect."""
        return self.status is not None and OK <= self.status < MOVED


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookSender:
    """How messages leave: by which rules, how hosts are looked up, and for how long at most."""

    rules: WebhookRules
    look: Look
    seconds: float = SECONDS

    def send(self, url: str, headers: Mapping[str, str], body: bytes) -> WebhookSendResult:
        """Post a body, follow nothing, and return what came of it, whatever that is."""
        try:
            place = parse_hook_url(url, self.rules)
            address = resolve_addresses(place, self.rules, self.look)[0]
            found = request_bytes(
                "POST", url, body=body, headers=headers, most_bytes=KEPT, seconds=self.seconds,
                address=address,
            )  # fmt: skip
            said = found.body.decode(errors="replace")
            return WebhookSendResult(
                found.status, "".join(it if it.isprintable() else " " for it in said)
            )
        except WebhookError as error:
            return WebhookSendResult(None, error.problem)
        except (OSError, UnicodeError) as error:
            return WebhookSendResult(None, str(error)[:KEPT])


PAUSES = (5, 30, 120, 600, 3600, 6 * 3600)
"""Seconds from one failed attempt to the next; after the last of them a message is dead."""
TURN = 60
"""Seconds for which one process has a message to itself: longer than any attempt takes."""
AT_ONCE, MOST = 4, 40
LATE, SELDOM = timedelta(minutes=10), 60
"""How far back most looks go, and which of them goes back all the way."""
AGENT = "auditor-webhooks/1"


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookService:
    """What delivers: what is kept, the key that secrets follow from, and the way out."""

    kept: WebhookStore
    deliveries: DeliveryStore
    teller: PayloadWriter
    key: Callable[[], WebhookSecretKey]
    sender: WebhookSender
    clock: Callable[[], str]


@dataclass(slots=True)
class DeliveryWorker:
    """Delivers again and again; for what was due long ago it looks seldom, since that is a lot."""

    messenger: WebhookService
    looks: int = 0

    def deliver(self) -> None:
        """Send what came to be due of late, and now and then whatever is."""
        whole = self.looks % SELDOM == 0
        self.looks += 1
        deliver_due_messages(self.messenger, WINDOW if whole else LATE)


def deliver_due_messages(messenger: WebhookService, back: timedelta = WINDOW) -> None:
    """Send what is to be sent by now, a few at once; a slow receiver holds up no other for long.

    What was due longer ago than ``back`` is left where it is.
    """
    due = messenger.deliveries.due(messenger.clock(), MOST, back)
    if not due:
        return
    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="auditor-hook") as pool:
        for done in [pool.submit(_deliver, messenger, *pair) for pair in due]:
            done.result()


def _deliver(
    messenger: WebhookService, delivery: WebhookDelivery, hook: WebhookSubscription
) -> None:
    """Make the next attempt, unless another process makes it now."""
    number, now = delivery.attempts[-1].number + 1, messenger.clock()
    turn = int(parse_time(now).timestamp()) // TURN
    if not messenger.deliveries.claim(delivery.id, number, turn, now):
        return
    sent = _sent(messenger, delivery, hook)
    attempted = partial(DeliveryAttempt, number=number, status=sent.status, detail=sent.detail)
    ended = messenger.clock()
    if sent.taken:
        attempt = attempted(at=ended, outcome=DeliveryOutcome.DELIVERED)
    else:
        again = next_attempt_time(delivery.failures, ended)
        attempt = attempted(at=ended, outcome=DeliveryOutcome.FAILED, again=again)
    messenger.deliveries.attempted(delivery.id, attempt)


def next_attempt_time(failures: int, now: str) -> str | None:
    """Return when to try again after so many failures before this one, or that it is dead."""
    if failures >= len(PAUSES):
        return None
    return format_time(parse_time(now) + timedelta(seconds=PAUSES[failures]))


def _sent(
    messenger: WebhookService, delivery: WebhookDelivery, hook: WebhookSubscription
) -> WebhookSendResult:
    try:
        secret = messenger.key().secret(hook.id)
        if hash_secret(secret) != hook.secret_hash:
            return WebhookSendResult(
                None, "the key file of the service does not belong to this webhook"
            )
        body = messenger.teller.body(delivery, hook)
    except AuditorError as error:
        # Also a record of a version that this one does not read: it must not wait for ever.
        return WebhookSendResult(None, error.problem)
    stamp = int(parse_time(messenger.clock()).timestamp())
    headers = {
        "Content-Type": "application/json",
        "User-Agent": AGENT,
        "webhook-id": delivery.id,
        "webhook-timestamp": str(stamp),
        "webhook-signature": sign_message(secret, delivery.id, stamp, body),
    }
    return messenger.sender.send(hook.url, headers, body)
