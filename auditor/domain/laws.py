"""Whether a fact of law, or of a published framework, may still be relied on at a day."""

from datetime import date

UNREAD = "unread"
"""Stands in place of a day where nobody has read the source."""
LONGEST_DAYS = 365
"""How long what was verified counts, where nothing says until when."""


def doubt_of(verified: str, review_by: str, today: date) -> str:
    """Say why a day of verification does not count on ``today``, or nothing.

    ``verified`` is a day or ``unread``, ``review_by`` a day or empty, both in ISO 8601.
    """
    if verified == UNREAD:
        return "was never read at its source"
    looked = date.fromisoformat(verified)
    if looked > today:
        return f"is said to be verified on {verified}, a day yet to come"
    if review_by and date.fromisoformat(review_by) < today:
        return f"was to be reviewed by {review_by}"
    if (today - looked).days > LONGEST_DAYS:
        return f"was last verified on {verified}, more than a year ago"
    return ""
