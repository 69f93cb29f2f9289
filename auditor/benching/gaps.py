"""What a bench could not measure."""

from collections.abc import Mapping

from auditor.domain.readings import Gap, Reason, Scalar
from auditor.errors import AuditorError, RuntimeMissingError, SubjectLostError


def gap_of(error: AuditorError) -> Gap:
    """Say what a bench raised as a gap, where the rest of a check goes on without it."""
    reason = Reason.MODEL_FAILED
    if isinstance(error, SubjectLostError):
        reason = Reason(error.slug)
    elif isinstance(error, RuntimeMissingError):
        reason = Reason.NEEDS_RUNTIME
    return Gap(reason=reason, detail=error.problem, cure=error.cure)


def too_few(metric: str, have: int, need: int, what: str, params: Mapping[str, Scalar]) -> Gap:
    """Return the gap of a figure for which too little was seen."""
    return Gap(
        reason=Reason.TOO_FEW_ROWS,
        detail=f"{metric} needs {need:,} {what} at this confidence; {have:,} were made in what "
        "the budget gives.",
        cure="Audit with a larger budget, or raise this check's own numbers in the policy.",
        metric=metric,
        params=params,
    )
