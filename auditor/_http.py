"""Posts bytes to a server over HTTP, which happens only where a user named its address."""

import urllib.error
import urllib.request
from dataclasses import dataclass
from http.client import HTTPException
from urllib.parse import urlsplit

PATIENCE = 30.0
"""Seconds that a server may take."""


class NoAnswerError(Exception):
    """Nobody answers; the text says why. The caller says who was asked."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server answered: the HTTP status and the body."""

    status: int
    body: bytes


def is_address(url: str) -> bool:
    """Whether a text is an address that ``post`` takes."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and bool(parts.hostname)


def post(url: str, body: bytes, content_type: str, most_bytes: int) -> Answer:
    """Post ``body`` to ``url`` and return the answer, cut off after ``most_bytes``.

    Raises ``NoAnswerError`` where nobody answers.
    """
    request = urllib.request.Request(  # noqa: S310 -- callers ask ``is_address`` first
        url, data=body, headers={"Content-Type": content_type}
    )
    opener = urllib.request.build_opener(_NoRedirects)
    try:
        with opener.open(request, timeout=PATIENCE) as found:
            return Answer(found.status, found.read(most_bytes))
    except urllib.error.HTTPError as error:
        with error:
            return Answer(error.code, error.read(most_bytes))
    except (OSError, HTTPException) as error:
        raise NoAnswerError(str(getattr(error, "reason", None) or error)) from None


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """Who was asked answers: another address was never named by anyone."""

    def redirect_request(self, *_: object) -> None:
        """Follow nothing."""
