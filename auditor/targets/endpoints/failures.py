"""What goes wrong between here and a server, in words that hold no secret."""

from email.utils import parsedate_to_datetime
from http import HTTPStatus

from auditor.errors import AuditorError, ModelFailedError, TargetError
from auditor.targets.messages import plain

MOST_WORDS = 300
PASSING = frozenset(
    {
        HTTPStatus.TOO_MANY_REQUESTS,
        HTTPStatus.BAD_GATEWAY,
        HTTPStatus.SERVICE_UNAVAILABLE,
        HTTPStatus.GATEWAY_TIMEOUT,
    }
)
"""Statuses after which the same request may be sent again."""
UNREAD = frozenset({HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE})
"""Those of them with which a server turns a request away without looking at it."""


class AttemptError(Exception):
    """One attempt failed in a way that may pass.

    ``wait`` is how many seconds the server asks to be left alone; ``reached`` says whether the
    server may have taken the rows all the same, ``lost`` whether the connection is gone.
    """

    def __init__(
        self, problem: str, *, wait: float | None = None, reached: bool = True, lost: bool = False
    ) -> None:
        super().__init__(problem)
        self.problem = problem
        self.wait = wait
        self.reached = reached
        self.lost = lost


def failure_of(title: str, status: int, said: str, retry_after: str, now: float) -> Exception:
    """Return what a response other than a success means.

    ``said`` is the server's own words, ``retry_after`` its header of that name, and ``now`` the
    seconds since 1970 that dates in it are counted from.
    """
    problem = f"{title} answers {status}{_words(said)}"
    if status in PASSING:
        return AttemptError(problem, wait=_seconds(retry_after, now), reached=status not in UNREAD)
    return _lasting(problem, status)


def _lasting(problem: str, status: int) -> AuditorError:
    if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        return TargetError(
            problem,
            cure="Name the environment variables that hold its credentials under "
            "`endpoint.headers`, and see that they are still valid.",
        )
    if status in {HTTPStatus.NOT_FOUND, HTTPStatus.NOT_IMPLEMENTED}:
        return TargetError(
            problem, cure="Look at `endpoint.url`, `model`, `model_version` and `protocol`."
        )
    if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
        return TargetError(
            f"{problem}: it sends us elsewhere, where the headers must not go",
            cure="Give the address that it redirects to as `endpoint.url`.",
        )
    cure = "Look at the server's log for that request."
    if status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        cure = "Set `endpoint.batch_limit` to fewer rows."
    return ModelFailedError(problem, cure=cure)


def _words(said: str) -> str:
    text = " ".join(plain(said, MOST_WORDS).split())
    return f": {text}" if text else ""


def _seconds(said: str, now: float) -> float | None:
    """Read ``Retry-After``: seconds, or a date (RFC 9110, 10.2.3)."""
    if not said:
        return None
    if said.isascii() and said.isdigit():
        return float(said[:9])
    try:
        return max(0.0, parsedate_to_datetime(said).timestamp() - now)
    except (ValueError, OverflowError):
        return None
