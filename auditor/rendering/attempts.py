"""Which attempt a verdict is of, so that nobody reads the last of many as the only one."""

from auditor.domain.requests import AuditRequest


def attempt_words(request: AuditRequest) -> str:
    """Say which audit of its line it is, and who chose the seed; nothing where nobody counted."""
    attempt = request.attempt
    if attempt is None:
        return ""
    policy = (attempt.policy or request.policy).name
    held = f"; the auditor held the data {', '.join(attempt.sets)}" if attempt.sets else ""
    line = f"on the data of {request.name}" if attempt.by_data else f"of {request.name}"
    return f"number {attempt.number} {line} under {policy}; {_sealing(request)}{held}"


def _sealing(request: AuditRequest) -> str:
    """Say which of seed and rows whoever asked chose."""
    if request.attempt is None or not request.attempt.sealed:
        return "not sealed: whoever asked chose the seed"
    drawn = "the seed was drawn after the request was registered"
    if request.sealed:
        return f"sealed: {drawn}"
    return f"seed sealed: {drawn}, and whoever asked chose the {' and '.join(request.brought)} rows"
