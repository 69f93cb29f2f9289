"""Gaps kept as evidence, and read again."""

from collections.abc import Mapping
from typing import cast

from auditor.domain.canonical import Json
from auditor.domain.evidence import Item
from auditor.domain.readings import Gap, Reason, Scalar


def write_gap(gap: Gap) -> dict[str, Json]:
    """Return a gap's evidence form: why, and what helps."""
    return {"reason": gap.reason.value, "detail": gap.detail, "cure": gap.cure}


def too_few(metric: str, least: int, units: str = "rows") -> Gap:
    """Return the gap of a metric that has no interval from so few rows, or clusters of rows."""
    return Gap(
        reason=Reason.TOO_FEW_ROWS,
        detail=f"{metric} has no interval from fewer than {least} {units}.",
        cure=f"Evaluate on at least {least} {units}.",
        metric=metric,
    )


def read_gap(
    said: Item, metric: str | None = None, params: Mapping[str, Scalar] | None = None
) -> Gap:
    """Return a gap from its evidence form, or from the record's (``Gap.to_json``).

    ``metric`` and ``params`` say what is missing; left out, the metric is the one that was kept.
    """
    told = cast("Mapping[str, str]", said)
    return Gap(
        reason=Reason(told["reason"]),
        detail=told["detail"],
        cure=told["cure"],
        metric=told.get("metric", "") if metric is None else metric,
        params=params or {},
    )
