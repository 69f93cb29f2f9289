"""HTTP client for one server over a kept-alive connection, with deadlines and untrusted JSON.

The deadline covers the whole request; socket timeouts cover only single reads.
"""

import json
import ssl
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx

from auditor._http import HEADERS, RequestDeadline
from auditor.domain.json import compute_digest
from auditor.errors import AuditorError, ModelFailedError, ModelTimeoutError, TargetError
from auditor.targets.endpoints.client import PASSING, AttemptError, build_http_failure
from auditor.targets.endpoints.config import (
    Credentials,
    EndpointAddress,
    build_tls_context,
    find_certificate_error,
)
from auditor.targets.protocol import is_encodable

CURE = "See that the address is that of the model server, and that it speaks this protocol."


def encode_json_body(value: Any) -> bytes:  # noqa: ANN401 -- any JSON
    """Return the bytes of a JSON body."""
    return json.dumps(value, separators=(",", ":"), allow_nan=False).encode()


def decode_json_body(title: str, body: "bytes | memoryview") -> Any:  # noqa: ANN401 -- any JSON
    """Return what a body holds; NaN is read as such. Raises ``ModelFailedError``."""
    raw = bytes(body)
    try:
        found = json.loads(raw)
    except (ValueError, RecursionError):
        raise ModelFailedError(f"{title} answers with what is not JSON", cure=CURE) from None
    if not is_encodable(raw, found):
        raise ModelFailedError(f"{title} answers with text that is none", cure=CURE)
    return found


def decode_json_object(title: str, body: "bytes | memoryview") -> Mapping[str, Any]:
    """Return the JSON object that a body holds. Raises ``ModelFailedError``."""
    found = decode_json_body(title, body)
    if not isinstance(found, dict):
        raise ModelFailedError(f"{title} answers with JSON that is not an object", cure=CURE)
    return found


def put_at_path(path: str, value: Any) -> Any:  # noqa: ANN401 -- any JSON
    """Return ``value`` under the keys of a dotted path; as it is where the path is empty."""
    for key in reversed(path.split(".") if path else []):
        value = {key: value}
    return value


def read_at_path(title: str, body: Any, path: str) -> Any:  # noqa: ANN401 -- any JSON
    """Return what lies at a dotted path; numbers count items of lists from 0.

    Raises ``ModelFailedError`` that says how far the path leads.
    """
    found = body
    for depth, key in enumerate(path.split(".") if path else []):
        if isinstance(found, dict) and key in found:
            found = found[key]
        elif isinstance(found, list) and key.isdecimal() and int(key) < len(found):
            found = found[int(key)]
        else:
            led = ".".join(path.split(".")[:depth]) or "its top"
            there = (
                f" ({', '.join(sorted(map(str, found))[:10])})" if isinstance(found, dict) else ""
            )
            raise ModelFailedError(
                f"the answer of {title} has no {key!r} at {led}{there}",
                cure="Set `endpoint.scores_at` to the dotted path of the scores.",
            )
    return found


MOST_BYTES = 2**28
"""Of one response."""
SUCCESS = range(200, 300)
BROKEN = 500
CONNECTED = "connection.connect_tcp.complete"


@dataclass(frozen=True, slots=True)
class EndpointReply:
    """A response: its status, headers by lower-case names, and body."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def words(self) -> str:
        """Return the start of the body as text, for an error."""
        return self.body[:4096].decode("utf-8", errors="replace")


class StrictHttpClient:
    """Makes HTTP requests, one attempt a call; TLS is always verified, redirects never followed.

    Settings of the environment (proxies, ``.netrc``) are not read: nothing but what the target
    declares decides where requests go and what they carry.
    """

    def __init__(
        self, address: EndpointAddress, credentials: Credentials, ca: str | None, seconds: float
    ) -> None:
        self._address = address
        self._credentials = credentials
        self._ca = ca
        self._seconds = seconds
        self._client: httpx.Client | None = None
        self._alarm: RequestDeadline | None = None
        self.certificate = ""
        self.status = 0
        self.connections = 0

    def ask(
        self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> EndpointReply:
        """Return a response of success.

        Raises ``AttemptError`` for what may pass, ``TargetError`` where the server does not let
        us, ``ModelFailedError`` where it refuses the request, ``ModelTimeoutError`` past the limit.
        """
        reply = self.exchange(method, path, body, headers)
        if reply.status >= BROKEN and reply.status not in PASSING:
            self.close()  # servers hang up behind such an answer without saying so
        if reply.status not in SUCCESS:
            words = self._credentials.redact(reply.words)
            after = reply.headers.get("retry-after", "")
            raise build_http_failure(self._address.title, reply.status, words, after, time.time())
        return reply

    def exchange(
        self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> EndpointReply:
        """Return the response, whatever its status; raises what ``ask`` does but for statuses."""
        if self._client is None or self._alarm is None:
            self._alarm = RequestDeadline(self._seconds)
            self._client = httpx.Client(
                verify=build_tls_context(self._ca) if self._address.encrypted else True,
                headers={**HEADERS, **self._credentials.headers()},
                timeout=self._seconds,
                limits=httpx.Limits(max_connections=1),
                follow_redirects=False,
                trust_env=False,
            )
        client, alarm = self._client, self._alarm
        url = self._address.origin + self._address.path + path
        with (
            self._watched(alarm),
            alarm.set(),
            client.stream(
                method, url, content=body, headers=headers, extensions={"trace": self._note}
            ) as response,
        ):
            self.status = response.status_code
            found = response.extensions["network_stream"].get_extra_info("socket")
            if isinstance(found, ssl.SSLSocket):
                raw = found.getpeercert(binary_form=True) or b""
                self.certificate = compute_digest(raw)
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
            received = b"".join(parts)
        return EndpointReply(response.status_code, dict(response.headers), received)

    def close(self) -> None:
        """Drop the connection; the next request makes another."""
        client, alarm, self._client, self._alarm = self._client, self._alarm, None, None
        if alarm is not None:
            alarm.close()
        if client is not None:
            client.close()

    @contextmanager
    def _watched(self, alarm: RequestDeadline) -> Iterator[None]:
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
        bad = find_certificate_error(error)
        if bad is not None:
            return TargetError(
                f"{title} is not who it says it is: {bad}",
                cure="Give the file of roots that signed its certificate as `endpoint.ca`; "
                "verification cannot be switched off.",
            )
        if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
            return AttemptError(f"{title} cannot be reached: {error}", reached=False, lost=True)
        if rang or isinstance(error, httpx.TimeoutException):
            return ModelTimeoutError(
                f"{title} did not answer within {self._seconds:g} seconds",
                cure="Raise the target's `time_limit`, or set `endpoint.batch_limit`.",
            )
        words = self._credentials.redact(str(error))[:200]
        return AttemptError(f"{title} broke the connection off: {words}", lost=True)

    def _note(self, event: str, info: Mapping[str, Any]) -> None:
        self.connections += event == CONNECTED
        if self._alarm is not None:
            self._alarm.note(event, info)
