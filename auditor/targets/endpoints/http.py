"""HTTP to one server, over one connection that is kept open."""

import hashlib
import ssl
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx

from auditor.errors import AuditorError, ModelFailedError, ModelHungError, TargetError
from auditor.targets.endpoints.addresses import Address
from auditor.targets.endpoints.alarms import Alarm
from auditor.targets.endpoints.credentials import Credentials
from auditor.targets.endpoints.failures import PASSING, AttemptError, failure_of
from auditor.targets.endpoints.trust import certificate_error, trust

MOST_BYTES = 2**28
"""Of one response."""
AGENT = {"user-agent": "auditor", "accept-encoding": "identity"}
SUCCESS = range(200, 300)
BROKEN = 500
CONNECTED = "connection.connect_tcp.complete"


@dataclass(frozen=True, slots=True)
class Reply:
    """A response: its status, headers by lower-case names, and body."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def words(self) -> str:
        """Return the start of the body as text, for an error."""
        return self.body[:4096].decode("utf-8", errors="replace")


class Http:
    """Makes HTTP requests, one attempt a call; TLS is always verified, redirects never followed.

    Settings of the environment (proxies, ``.netrc``) are not read: nothing but what the target
    declares decides where requests go and what they carry.
    """

    def __init__(
        self, address: Address, credentials: Credentials, ca: str | None, seconds: float
    ) -> None:
        self._address = address
        self._credentials = credentials
        self._ca = ca
        self._seconds = seconds
        self._client: httpx.Client | None = None
        self._alarm: Alarm | None = None
        self.certificate = ""
        self.status = 0
        self.connections = 0

    def ask(
        self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> Reply:
        """Return a response of success.

        Raises ``AttemptError`` for what may pass, ``TargetError`` where the server does not let
        us, ``ModelFailedError`` where it refuses the request, ``ModelHungError`` past the limit.
        """
        reply = self.exchange(method, path, body, headers)
        if reply.status >= BROKEN and reply.status not in PASSING:
            self.close()  # servers hang up behind such an answer without saying so
        if reply.status not in SUCCESS:
            words = self._credentials.redact(reply.words)
            after = reply.headers.get("retry-after", "")
            raise failure_of(self._address.title, reply.status, words, after, time.time())
        return reply

    def exchange(
        self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> Reply:
        """Return the response, whatever its status; raises what ``ask`` does but for statuses."""
        client, alarm = self._connected()
        url = self._address.origin + self._address.path + path
        with (
            self._watched(alarm),
            alarm.set(),
            client.stream(
                method, url, content=body, headers=headers, extensions={"trace": self._note}
            ) as response,
        ):
            self.status = response.status_code
            self._note_certificate(response)
            received = self._read(response)
        return Reply(response.status_code, dict(response.headers), received)

    def close(self) -> None:
        """Drop the connection; the next request makes another."""
        client, alarm, self._client, self._alarm = self._client, self._alarm, None, None
        if alarm is not None:
            alarm.close()
        if client is not None:
            client.close()

    def _connected(self) -> tuple[httpx.Client, Alarm]:
        if self._client is None or self._alarm is None:
            self._alarm = Alarm(self._seconds)
            self._client = httpx.Client(
                verify=trust(self._ca) if self._address.encrypted else True,
                headers={**AGENT, **self._credentials.headers()},
                timeout=self._seconds,
                limits=httpx.Limits(max_connections=1),
                follow_redirects=False,
                trust_env=False,
            )
        return self._client, self._alarm

    @contextmanager
    def _watched(self, alarm: Alarm) -> Iterator[None]:
        """Say what the transport raises in our words; whatever interrupts, drop the connection."""
        try:
            yield
        except httpx.TransportError as error:
            self.close()
            raise self._failure(error, rang=alarm.rang) from None  # its request holds the headers
        except BaseException:
            self.close()
            raise

    def _failure(self, error: httpx.TransportError, *, rang: bool) -> AuditorError | AttemptError:
        title = self._address.title
        bad = certificate_error(error)
        if bad is not None:
            return TargetError(
                f"{title} is not who it says it is: {bad}",
                cure="Give the file of roots that signed its certificate as `endpoint.ca`; "
                "verification cannot be switched off.",
            )
        if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
            return AttemptError(f"{title} cannot be reached: {error}", reached=False, lost=True)
        if rang or isinstance(error, httpx.TimeoutException):
            return ModelHungError(
                f"{title} did not answer within {self._seconds:g} seconds",
                cure="Raise the target's `time_limit`, or set `endpoint.batch_limit`.",
            )
        words = self._credentials.redact(str(error))[:200]
        return AttemptError(f"{title} broke the connection off: {words}", lost=True)

    def _note(self, event: str, info: Mapping[str, Any]) -> None:
        self.connections += event == CONNECTED
        if self._alarm is not None:
            self._alarm.note(event, info)

    def _note_certificate(self, response: httpx.Response) -> None:
        found = response.extensions["network_stream"].get_extra_info("socket")
        if isinstance(found, ssl.SSLSocket):
            raw = found.getpeercert(binary_form=True) or b""
            self.certificate = "sha256:" + hashlib.sha256(raw).hexdigest()

    def _read(self, response: httpx.Response) -> bytes:
        if response.headers.get("content-encoding", "identity") != "identity":
            raise ModelFailedError(
                f"{self._address.title} compresses what was asked for as it is",
                cure="Switch compression off on the server or the gateway in front of it.",
            )
        parts, size = [], 0
        for part in response.iter_raw():
            size += len(part)
            if size > MOST_BYTES:
                raise ModelFailedError(
                    f"{self._address.title} answers with more than {MOST_BYTES // 2**20} MiB",
                    cure="Set `endpoint.batch_limit` to fewer rows.",
                )
            parts.append(part)
        return b"".join(parts)
