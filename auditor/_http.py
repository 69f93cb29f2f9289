"""HTTP client for addresses that a user or an operator named; redirects are never followed.

httpx is imported by the first request, so that a command that makes none starts without it.
"""

import contextlib
import math
import socket
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    import httpx

SECONDS = 30.0
"""How long a request may take unless its caller says otherwise."""
HEADERS: Mapping[str, str] = {"User-Agent": "auditor", "Accept-Encoding": "identity"}


class NoResponseError(OSError):
    """No whole response came; the text says why. The caller says who was asked."""


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """What a server answered: the HTTP status and the body."""

    status: int
    body: bytes


def is_http_url(url: str) -> bool:
    """Whether a text is an address that ``request_bytes`` takes."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and bool(parts.hostname)


def is_local_address(url: str) -> bool:
    """Whether an address is one of this very machine."""
    host = urlsplit(url).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def request_bytes(  # noqa: PLR0913 -- one argument a part of the request
    method: str,
    url: str,
    *,
    most_bytes: int,
    body: bytes = b"",
    headers: Mapping[str, str] = HEADERS,
    seconds: float = SECONDS,
    address: str | None = None,
) -> HttpResponse:
    """Make one request and return the response, cut off after ``most_bytes``.

    Where an ``address`` is given, the connection goes to that IP address and through no proxy,
    while the ``Host`` header and the certificate are still of the host in ``url``. Raises
    ``NoResponseError``, also for a response that is not complete after about ``seconds``.
    """
    import httpx  # noqa: PLC0415 -- takes longer than a command's help may

    deadline = RequestDeadline(seconds)
    extensions: dict[str, Any] = {"trace": deadline.note}
    try:
        place = httpx.URL(url)
        sent = {**HEADERS, **headers}
        if address is not None:
            sent["Host"] = place.netloc.decode("ascii")
            extensions["sni_hostname"] = place.host
            place = place.copy_with(host=address)
        with (
            httpx.Client(
                verify=ssl.create_default_context(),
                timeout=seconds,
                follow_redirects=False,
                trust_env=address is None and not is_local_address(url),
            ) as client,
            deadline.set(),
            client.stream(
                method, place, content=body, headers=sent, extensions=extensions
            ) as response,
        ):
            found = HttpResponse(response.status_code, _read_start(response, most_bytes))
    # Beside what httpx raises itself: a proxy of the environment of a kind that it cannot speak to.
    except (httpx.HTTPError, httpx.InvalidURL, OSError, ImportError, ValueError) as error:
        problem = str(error) or type(error).__name__
        raise NoResponseError(deadline.problem if deadline.rang else problem) from None
    finally:
        deadline.close()
    if deadline.rang:  # what was read until then may look like a response that came to its end
        raise NoResponseError(deadline.problem)
    return found


def _read_start(response: "httpx.Response", most_bytes: int) -> bytes:
    found = bytearray()
    for part in response.iter_raw():
        found += part
        if len(found) >= most_bytes:
            break
    return bytes(found[:most_bytes])


SHARE = 0.25
"""Of the limit, how far an alarm may be late."""
CONNECTED = ("connect_tcp.complete", "start_tls.complete")


class RequestDeadline:
    """Shuts the connection's socket when one request takes longer than ``seconds``.

    A server that sends a byte now and then keeps every single read within its timeout; only a
    second thread can end that.
    """

    problem = "no whole answer came in time"

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._due = math.inf
        self._socket: socket.socket | None = None
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None
        self.rang = False

    def note(self, event: str, info: Mapping[str, Any]) -> None:
        """Take note of a new connection, as the transport traces it."""
        if event.endswith(CONNECTED):
            self._socket = info["return_value"].get_extra_info("socket")
            if self.rang:  # while TLS was agreed upon, when there was no socket to shut
                self._shut()

    @contextlib.contextmanager
    def set(self) -> Iterator[None]:
        """Watch over what is done within."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._watch, name="alarm", daemon=True)
            self._thread.start()
        self.rang = False
        self._due = time.monotonic() + self._seconds
        try:
            yield
        finally:
            self._due = math.inf

    def close(self) -> None:
        """End the watch."""
        self._ended.set()

    def _watch(self) -> None:
        # Looking now and then costs a request nothing; waking this thread for each would.
        while not self._ended.wait(SHARE * self._seconds):
            if time.monotonic() > self._due:
                self._due = math.inf
                self.rang = True
                self._shut()

    def _shut(self) -> None:
        found = self._socket
        if found is not None:
            with contextlib.suppress(OSError):
                # Not the TLS socket's own method, which waits for the other end.
                socket.socket.shutdown(found, socket.SHUT_RDWR)
