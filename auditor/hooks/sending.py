"""Send one message to one place: once, to an address that was looked at, and not for long."""

import http.client
import socket
import ssl
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from auditor.hooks.addresses import HookRules, Look, addresses_of, place_of
from auditor.refusals import HookError

SECONDS = 15.0
"""So long the whole of an attempt may take, however slowly somebody answers."""
KEPT = 200
"""No more bytes of an answer are read."""
OK, MOVED = 200, 300


@dataclass(frozen=True, slots=True)
class Sent:
    """What came of it: the status, or none where nobody answered, and a word on it."""

    status: int | None
    detail: str

    @property
    def taken(self) -> bool:
        """Whether the receiver took the message: any 2xx, and no redirect."""
        return self.status is not None and OK <= self.status < MOVED


@dataclass(frozen=True, slots=True, kw_only=True)
class Sender:
    """How messages leave: by which rules, how hosts are looked up, and for how long at most."""

    rules: HookRules
    look: Look
    seconds: float = SECONDS

    def send(self, url: str, headers: Mapping[str, str], body: bytes) -> Sent:
        """Post a body, follow nothing, and return what came of it, whatever that is."""
        try:
            return self._post(url, headers, body)
        except HookError as error:
            return Sent(None, error.problem)
        except (OSError, http.client.HTTPException, UnicodeError) as error:
            return Sent(None, f"{type(error).__name__}: {str(error)[:KEPT]}")

    def _post(self, url: str, headers: Mapping[str, str], body: bytes) -> Sent:
        place = place_of(url, self.rules)
        address = addresses_of(place, self.rules, self.look)[0]
        connection = http.client.HTTPConnection(place.host, place.port)
        with _Line(address, place.port, self.seconds) as line:
            connection.sock = line.secured(place.host) if place.scheme == "https" else line.socket
            connection.request("POST", place.path, body, {"Host": place.header, **headers})
            answer = connection.getresponse()
            said = answer.read(KEPT).decode(errors="replace")
            return Sent(answer.status, "".join(it if it.isprintable() else " " for it in said))


class _Line:
    """A connection that breaks off once its time is over, in whichever state it is then."""

    def __init__(self, address: str, port: int, seconds: float) -> None:
        self._watch = threading.Timer(seconds, self._break)
        self._watch.daemon = True
        self._over = False
        self.socket = socket.create_connection((address, port), seconds)

    def __enter__(self) -> Self:
        self._watch.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._watch.cancel()
        self.socket.close()
        if self._over:
            # What was read until then may look like an answer that came to its end.
            raise TimeoutError("no whole answer came in time")

    def secured(self, host: str) -> socket.socket:
        """Return the line with TLS on it, whose certificate is of the host."""
        context = ssl.create_default_context()
        secured = context.wrap_socket(
            self.socket, server_hostname=host, do_handshake_on_connect=False
        )
        # What is watched from here on is the new one: the old one no longer has the connection.
        self.socket = secured
        secured.do_handshake()
        return secured

    def _break(self) -> None:
        self._over = True
        try:
            self.socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            return  # it is closed already
