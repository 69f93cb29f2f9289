"""The time, as everything of ours writes it down."""

from datetime import UTC, datetime


def now() -> str:
    """Return the time in UTC, to the second, as RFC 3339 has it."""
    return written(datetime.now(UTC))


def instant(text: str) -> datetime:
    """Return a time in UTC as it was written. Raises ``ValueError`` for what is no time."""
    return datetime.fromisoformat(text).astimezone(UTC)


def written(at: datetime) -> str:
    """Return a time that is in UTC as RFC 3339 has it, to the second."""
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")
