"""API keys of callers: created, shown once, and recognised by a hash."""

import hashlib
import hmac
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from auditor._time import format_time, parse_time
from auditor.domain.waivers import parse_waiver_time
from auditor.errors import MalformedRequestError, UnauthorizedError
from auditor.service.domain.access import AccessRole, ApiKey

SECRET = 32
"""Random bytes of a secret: so many that nobody guesses one, and one hash is enough."""
NAMED = 8
TEXT = re.compile(r"auk_([0-9a-f]{16})_([A-Za-z0-9_-]{43})")
NOBODY = "0" * 64
NONE_OF_OURS = "this is not an API key of this service"
CURE = "Send `Authorization: Bearer auk_…` with an API key of this service. Ask an admin for one."


@dataclass(frozen=True, slots=True)
class NewApiKey:
    """A key that was just made, with the text that is shown once and kept nowhere."""

    key: ApiKey
    text: str


def create_api_key(
    project: str, role: AccessRole, name: str, created: str, expires: str | None
) -> NewApiKey:
    """Make a key of 32 random bytes; of its secret only a hash goes into what is kept."""
    key_id, secret = secrets.token_hex(NAMED), secrets.token_urlsafe(SECRET)
    key = ApiKey(
        id=key_id,
        project=project,
        role=role,
        name=name,
        secret_hash=hash_secret(secret),
        created=created,
        expires=expires,
    )
    return NewApiKey(key, f"auk_{key_id}_{secret}")


def resolve_key_expiry(asked: str | None, now: str, days: int) -> str | None:
    """Return when a key that is made now ends: as asked, or after so many days; 0 is any number.

    Raises ``MalformedRequestError`` for a time that is none, is over, or is more than so many days
    away.
    """
    starts = parse_time(now)
    longest = format_time(starts + timedelta(days=days)) if days else None
    if asked is None:
        return longest
    ends = parse_waiver_time(asked)
    if ends is None or ends <= starts:
        raise MalformedRequestError(
            "expires is not a time in the future", cure="Write it in UTC, as 2027-01-01T00:00:00Z."
        )
    if longest is not None and ends > parse_time(longest):
        raise MalformedRequestError(
            f"an API key of this service is valid for at most {days} days",
            cure=(
                f"Set expires to {longest} or earlier, or ask the operator of the "
                "service to change `--limit keys=N`."
            ),
        )
    return asked


def hash_secret(secret: str) -> str:
    """Return the hexadecimal SHA-256 of a secret as it is written in a key."""
    return hashlib.sha256(secret.encode()).hexdigest()


def authenticate_key(text: str, find: Callable[[str], ApiKey | None], now: str) -> ApiKey:
    """Return the key that a caller shows, if it holds now.

    Raises ``UnauthorizedError``, with the same words for what is no key, for a key that nobody
    made, and for a wrong secret.
    """
    match = TEXT.fullmatch(text)
    if match is None:
        raise UnauthorizedError(NONE_OF_OURS, cure=CURE)
    found = find(match[1])
    # An unknown id is compared as well, so that the time taken tells nothing of which there are.
    known = NOBODY if found is None else found.secret_hash
    same = hmac.compare_digest(hash_secret(match[2]), known)
    if found is None or not same:
        raise UnauthorizedError(NONE_OF_OURS, cure=CURE)
    require_valid_key(found, now)
    return found


def require_valid_key(key: ApiKey, now: str) -> None:
    """Raise ``UnauthorizedError`` for a key that has come to its end."""
    if not key.holds(now):
        raise UnauthorizedError(f"API key {key.id} has expired", cure="Ask an admin for a new one.")
