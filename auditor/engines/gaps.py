"""Errors as Gaps: what could not be measured, and why."""

from auditor.domain.readings import Gap, Reason
from auditor.errors import (
    AuditorError,
    BrokenCheckError,
    EndpointLostError,
    LimitReachedError,
    MissingExtraError,
    ModelCrashedError,
    ModelFailedError,
    ModelHungError,
    ModelOutgrewMemoryError,
    RecipeError,
    RuntimeMissingError,
    ShadowsError,
    TargetChangedError,
    TwinError,
)

REASONS: dict[type[AuditorError], Reason] = {
    ModelCrashedError: Reason.MODEL_CRASHED,
    ModelHungError: Reason.MODEL_HUNG,
    ModelOutgrewMemoryError: Reason.MODEL_OUT_OF_MEMORY,
    ModelFailedError: Reason.MODEL_FAILED,
    TwinError: Reason.TWIN_UNSUPPORTED,
    MissingExtraError: Reason.NEEDS_EXTRA,
    BrokenCheckError: Reason.CHECK_CRASHED,
    RuntimeMissingError: Reason.NEEDS_RUNTIME,
    RecipeError: Reason.RECIPE_FAILED,
    ShadowsError: Reason.SHADOWS_FAILED,
    LimitReachedError: Reason.OVER_BUDGET,
    EndpointLostError: Reason.ENDPOINT_LOST,
    TargetChangedError: Reason.TARGET_CHANGED,
}


def gap_from(error: AuditorError, target: str = "", check: str = "") -> Gap:
    """Say an error as a Gap."""
    reason = REASONS.get(type(error), Reason.UNSUPPORTED)
    return Gap(reason=reason, detail=error.problem, cure=error.cure, target=target, check=check)
