"""HTTP transport of the service client: authentication, retries, and errors from problem details.

Problem details follow RFC 9457.
"""

import os
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from auditor._http import is_local_address
from auditor.domain.json import JsonPart, parse_json, read_json
from auditor.errors import (
    AuditorError,
    MissingExtraError,
    RecordError,
    ServiceFailedError,
    ServiceRefusedError,
    ServiceUnreachableError,
    UsageError,
    suggest_install,
)

T = TypeVar("T")
WRONG, BROKEN = 400, 500
CURES: Mapping[str, str] = {
    "unauthorized": (
        "Set AUDITOR_API_KEY to a valid API key of this service. Ask an admin for one."
    ),
    "forbidden": "Ask an admin of the service for an API key with a role that allows this.",
}
"""What helps a caller who never writes a header by hand."""
STRANGER = "Check that this is the address of an auditor service of a similar version."


def build_problem_error(url: str, status: int, body: bytes) -> AuditorError:
    """Return the error that an answer means: the caller's to mend below 500, the service's else."""
    try:
        part = JsonPart(parse_json(body), "problem")
        kind = part.get("type", str).rpartition("/")[2]
        problem, cure = part.get("detail", str), part.get("cure", str)
    except (ValueError, RecursionError, RecordError):
        unexplained = f"{url} answers {status} without a reason"
        if status >= BROKEN:
            return ServiceFailedError(
                unexplained, cure="Try again later, or contact the operator of the service."
            )
        return ServiceRefusedError(unexplained, cure=STRANGER)
    told = f"{url}: {problem}"
    if status >= BROKEN:
        return ServiceFailedError(told, cure=cure)
    return ServiceRefusedError(told, cure=CURES.get(kind, cure), kind=kind)


def read_response(url: str, body: bytes, make: type[T] | Callable[[JsonPart], T]) -> T:
    """Read an answer, a value of a type or what is made of it.

    Raises ``ServiceFailedError`` for what no service of ours says.
    """
    try:
        found = parse_json(body)
        if isinstance(make, type):
            return read_json(make, found, "answer")
        return make(JsonPart(found, "answer"))
    except (ValueError, RecursionError, AuditorError) as error:
        said = error.problem if isinstance(error, AuditorError) else "the answer is not JSON"
        raise ServiceFailedError(
            f"the answer of {url} cannot be read: {said}", cure=STRANGER
        ) from None


LONG = 600.0
"""Seconds for which a service may be away that was there before: as long as a restart takes."""
FIRST, LONGEST = 0.5, 5.0


class ConnectionBackoff:
    """Waits ever longer for a service that was reached before, and gives up in the end.

    One that was never reached, unless it is said to have been ``met``, is not waited for: its
    address may be wrong. Times are in seconds.
    """

    def __init__(
        self,
        seconds: float,
        pause: Callable[[float], None],
        clock: Callable[[], float],
        *,
        met: bool = False,
    ) -> None:
        self._seconds = seconds
        self._pause = pause
        self._clock = clock
        self._met = met
        self._lost_at: float | None = None
        self._next = FIRST

    def found(self) -> None:
        """Take note that the service answered."""
        self._met = True
        self._lost_at = None
        self._next = FIRST

    def lost(self, error: ServiceUnreachableError) -> None:
        """Wait a little before the next try. Raises ``error`` where it is time to give up."""
        now = self._clock()
        since = now if self._lost_at is None else self._lost_at
        if not self._met or now - since >= self._seconds:
            raise error
        self._lost_at = since
        self._pause(self._next)
        self._next = min(2 * self._next, LONGEST)


if TYPE_CHECKING:
    import httpx

OK, MOVED = 200, 300
AWAY = frozenset({429, 502, 503, 504})
"""Statuses of a service, or of what stands before it, that will answer later."""
CONNECTING, SILENT = 10.0, 60.0
"""Seconds until a connection is given up, and until a line is on which nothing comes."""
AGAIN = "Check that the service runs and that its address is correct."
BELIEVED = "SSL_CERT_FILE"
"""Names the certificates (PEM) that are believed in place of the public ones."""
UNBELIEVED = "CERTIFICATE_VERIFY_FAILED"
BELIEVE = f"Set {BELIEVED} to a file with the certificates that you trust (PEM)."


@dataclass(frozen=True, slots=True)
class ServiceRequest:
    """One call: a verb, a path, and what goes with it. ``expected`` are statuses beside 2xx."""

    verb: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | Iterator[bytes] | None = None
    expected: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class ServiceResponse:
    """What came back: the status, the headers, and the whole body."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class HttpTransport:
    """Calls of one service with one key. Nothing of the key is ever sent to another address.

    With ``ca``, or else ``SSL_CERT_FILE``, only certificates below those of that file are believed;
    on a line that is ``silent`` for so many seconds nothing is waited for; one whose service was
    ``met`` before waits from its first call on. Raises ``UsageError`` for a URL that is none, and
    ``MissingExtraError`` without httpx.
    """

    def __init__(  # noqa: PLR0913 -- one argument a manner of calling
        self,
        url: str,
        key: str | None,
        *,
        seconds: float = LONG,
        ca: Path | None = None,
        silent: float = SILENT,
        met: bool = False,
        pause: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.url = normalise_service_url(url)
        self._httpx = _library()
        self._patience = ConnectionBackoff(seconds, pause, clock, met=met)
        self._client: httpx.Client = self._httpx.Client(
            base_url=self.url,
            headers={"User-Agent": "auditor"}
            | ({} if key is None else {"Authorization": f"Bearer {key}"}),
            timeout=self._httpx.Timeout(silent, connect=min(silent, CONNECTING)),
            trust_env=not is_local_address(self.url),  # no proxy stands before this very machine
            verify=_trusting(ca),
        )

    def close(self) -> None:
        """Let go of the connections."""
        self._client.close()

    def ask(self, call: ServiceRequest) -> ServiceResponse:
        """Make a call that may be made twice, and make it again where the line breaks.

        Raises ``ServiceUnreachableError``, and as ``build_problem_error`` for what is not well.
        """
        return self.trying(lambda: self.once(call))

    def once(self, call: ServiceRequest) -> ServiceResponse:
        """Make a call, this once. Raises as ``ask``."""
        with self.stream(call) as response:
            body = response.read()
            return ServiceResponse(response.status_code, response.headers, body)

    def trying(self, act: Callable[[], T]) -> T:
        """Do what may be done twice, until it is done or patience ends."""
        while True:
            try:
                return act()
            except ServiceUnreachableError as error:
                self.lost(error)

    def lost(self, error: ServiceUnreachableError) -> None:
        """Wait before another try. Raises ``error`` where it is time to give up."""
        self._patience.lost(error)

    @contextmanager
    def stream(self, call: ServiceRequest) -> "Iterator[httpx.Response]":
        """Make a call whose answer is read as it comes. Raises as ``ask``, also while it comes."""
        try:
            with self._client.stream(
                call.verb,
                call.path,
                params=dict(call.query),
                headers=dict(call.headers),
                content=call.body,
            ) as response:
                self._look(call, response)
                yield response
        except self._httpx.RequestError as error:
            said = str(error) or type(error).__name__
            cure = BELIEVE if UNBELIEVED in said else AGAIN
            raise ServiceUnreachableError(
                f"{self.url} cannot be reached: {said}", cure=cure
            ) from error

    def _look(self, call: ServiceRequest, response: "httpx.Response") -> None:
        status = response.status_code
        if status in AWAY:
            raise ServiceUnreachableError(f"{self.url} answers {status} for now", cure=AGAIN)
        self._patience.found()
        if not OK <= status < MOVED and status not in call.expected:
            raise build_problem_error(self.url, status, response.read() if status >= WRONG else b"")


def normalise_service_url(url: str) -> str:
    """Return a service's address without a slash at its end. Raises ``UsageError``."""
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.username:
        raise UsageError(
            f"{url!r} is not the address of a service",
            cure="Write it as https://auditor.example.org.",
        )
    return url.rstrip("/")


def _trusting(ca: Path | None) -> ssl.SSLContext | bool:
    named = str(ca or os.environ.get(BELIEVED, ""))
    if not named:
        return True
    try:
        return ssl.create_default_context(cafile=named)
    except OSError as error:  # ssl's own errors are of that kind
        raise UsageError(
            f"{named} holds no certificates: {error}", cure="Name a file of certificates (PEM)."
        ) from None


def _library() -> Any:  # noqa: ANN401 -- a module
    try:
        import httpx  # noqa: PLC0415 -- takes longer than a command's help may
    except ImportError as error:
        raise MissingExtraError(
            "a service is called through httpx, which is not installed",
            cure=f"{suggest_install('client')}.",
        ) from error
    return httpx
