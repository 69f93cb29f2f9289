"""What an audit file declares that can make rules easier to keep, in a sentence."""

from auditor.domain.pins import EASING, words
from auditor.domain.requests import AuditRequest

LONGEST = 120


def easing_words(request: AuditRequest) -> str:
    """Say which settings ease, each cut after ``LONGEST`` characters; nothing where none do."""
    declared = request.declared or {}
    told = [words({name: declared[name]}) for name in EASING if name in declared]
    if not told:
        return ""
    short = [text if len(text) <= LONGEST else f"{text[:LONGEST]}…" for text in told]
    return f"The audit file declares what can make rules easier to keep: {'; '.join(short)}."
