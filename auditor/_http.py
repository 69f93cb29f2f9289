"""Posts bytes to a server over HTTP, which happens only where a user named its address."""

import urllib.error
import urllib.request
from dataclasses import dataclass
from http.client import HTTPException
from urllib.parse import urlsplit

PATIENCE = 30.0
"""Seconds that a server may take."""


class NoResponseError(Exception):
    """Nobody answers; the text says why. The caller says who was asked."""


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """What a server answered: the HTTP status and the body."""

    status: int
    body: bytes


def is_http_url(url: str) -> bool:
    """Whether a text is an address that ``post_bytes`` takes."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and bool(parts.hostname)


def post_bytes(url: str, body: bytes, content_type: str, most_bytes: int) -> HttpResponse:
    """Post ``body`` to ``url`` and return the answer, cut off after ``most_bytes``.

    Raises ``NoResponseError`` where nobody answers.
    """
    request = urllib.request.Request(  # noqa: S310 -- callers ask ``is_http_url`` first
        url, data=body, headers={"Content-Type": content_type}
    )
    opener = urllib.request.build_opener(RedirectRefusal)
    try:
        with opener.open(request, timeout=PATIENCE) as found:
            return HttpResponse(found.status, found.read(most_bytes))
    except urllib.error.HTTPError as error:
        with error:
            return HttpResponse(error.code, error.read(most_bytes))
    except (OSError, HTTPException) as error:
        raise NoResponseError(str(getattr(error, "reason", None) or error)) from None


class RedirectRefusal(urllib.request.HTTPRedirectHandler):
    """Who was asked answers: another address was never named by anyone."""

    def redirect_request(self, *_: object) -> None:
        """Follow nothing."""
