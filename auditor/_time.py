"""Time in UTC as text, and ids that sort by time."""

import secrets
import time
from datetime import UTC, datetime


def utc_now() -> str:
    """Return the time in UTC, to the second, as RFC 3339 has it."""
    return format_time(datetime.now(UTC))


def parse_time(text: str) -> datetime:
    """Return a time in UTC as it was written. Raises ``ValueError`` for what is no time."""
    return datetime.fromisoformat(text).astimezone(UTC)


def format_time(at: datetime) -> str:
    """Return a time that is in UTC as RFC 3339 has it, to the second."""
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def format_moment(text: str) -> str:
    """Write a time for people, in UTC; what is no time stays as it is."""
    try:
        when = parse_time(text)
    except ValueError:
        return text
    return f"{when.day} {when:%B %Y, %H:%M} UTC"


def generate_id(kind: str) -> str:
    """Return a name that nothing else has: ``kind``, a hyphen and 24 hexadecimal digits.

    Times are written to the second, and many things happen in one: of those the names tell the
    order, since a name sorts after each that was given microseconds before on the same clock.
    The last eleven digits are by chance.
    """
    return f"{kind}-{time.time_ns() // 1000:013x}{secrets.token_hex(6)[1:]}"
