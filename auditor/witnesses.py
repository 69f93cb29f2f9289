"""Speaks to a witness over HTTP (C2SP tlog-witness)."""

import urllib.error
import urllib.request
from dataclasses import dataclass
from http.client import HTTPException
from urllib.parse import urlsplit

from auditor.errors import UsageError, WitnessLostError

PATIENCE = 30.0
"""Seconds that a witness may take."""
MOST_BYTES = 2**16


@dataclass(frozen=True, slots=True)
class Answer:
    """What a witness answered: the HTTP status and the body."""

    status: int
    body: bytes


def submit(url: str, body: bytes) -> Answer:
    """Post a checkpoint to the witness at the prefix ``url``.

    Raises ``UsageError`` for what is no HTTP address, ``WitnessLostError`` where nobody answers.
    """
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise UsageError(
            f"{url!r} is no address of a witness", cure="Write it as https://HOST/PREFIX."
        )
    request = urllib.request.Request(  # noqa: S310 -- http and https alone, as checked above
        f"{url.rstrip('/')}/add-checkpoint", data=body, headers={"Content-Type": "text/plain"}
    )
    opener = urllib.request.build_opener(_NoRedirects)
    try:
        with opener.open(request, timeout=PATIENCE) as found:
            return Answer(found.status, found.read(MOST_BYTES))
    except urllib.error.HTTPError as error:
        with error:
            return Answer(error.code, error.read(MOST_BYTES))
    except (OSError, HTTPException) as error:
        raise WitnessLostError(
            f"the witness at {url} does not answer: {getattr(error, 'reason', None) or error}",
            cure="See that the address is right and that the witness runs; then repeat.",
        ) from None


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """A witness answers itself: another address was never asked for by anyone."""

    def redirect_request(self, *_: object) -> None:
        """Follow nothing."""
