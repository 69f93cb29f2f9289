"""Common gaps of missing data or labels, gaps as evidence, and verdicts of privacy checks."""

from collections.abc import Mapping
from typing import cast

from auditor.domain.datasets import DatasetRole
from auditor.domain.evidence import Item
from auditor.domain.json import Json
from auditor.domain.readings import Gap, GapReason, Measurement, Scalar

ABSENT: Mapping[DatasetRole, Gap] = {
    DatasetRole.EVALUATION: Gap(
        reason=GapReason.NEEDS_EVALUATION_DATA,
        detail="The audit names no evaluation data.",
        cure="Name a labelled sample under data.evaluation in the audit file.",
    ),
    DatasetRole.TRAINING: Gap(
        reason=GapReason.NEEDS_TRAINING_DATA,
        detail="The audit names no training data.",
        cure="Name the sample that the model was trained on under data.training in the audit file.",
    ),
    DatasetRole.REFERENCE: Gap(
        reason=GapReason.NEEDS_REFERENCE_DATA,
        detail="The audit names no reference data to compare with.",
        cure="Name an earlier sample under data.reference in the audit file.",
    ),
    DatasetRole.PRODUCTION: Gap(
        reason=GapReason.NEEDS_PRODUCTION_DATA,
        detail="The audit names no data from production.",
        cure="Name rows that the deployed model met under data.production in the audit file.",
    ),
}
"""Why there is no dataset of a role."""


def missing_labels_gap(role: DatasetRole, metric: str = "") -> Gap:
    """Return the gap of what needs the truth of each row; of one metric at its coordinates."""
    return Gap(
        reason=GapReason.NEEDS_LABELS,
        detail=f"The {role.value} data has no labels.",
        cure=f"Name the label column under data.{role.value}.labels in the audit file.",
        metric=metric,
        params={"data": role.value} if metric else {},
    )


def write_gap(gap: Gap) -> dict[str, Json]:
    """Return a gap's evidence form: why, and what helps."""
    return {"reason": gap.reason.value, "detail": gap.detail, "cure": gap.cure}


def too_few_rows_gap(metric: str, least: int, units: str = "rows") -> Gap:
    """Return the gap of a metric that has no interval from so few rows, or clusters of rows."""
    return Gap(
        reason=GapReason.TOO_FEW_ROWS,
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
        reason=GapReason(told["reason"]),
        detail=told["detail"],
        cure=told["cure"],
        metric=told.get("metric", "") if metric is None else metric,
        params=params or {},
    )


VERDICT = "verdict"
"""The metric whose value is one of these words."""
SHOWN = "shown"
"""What was found is beyond chance, after correction for all that was tried."""
NOT_SEEN = "no evidence at this power"
"""The tests ran as they should, and found nothing: that proves nothing."""
OPEN = "inconclusive"
"""A gate failed, or there was too little to see anything."""
WEAK = 0.25
"""A check that would not even see an advantage of this size says nothing."""


def is_inconclusive(reading: Measurement) -> bool:
    """Return whether a reading is a verdict that decides nothing, and so passes no rule."""
    return reading.metric == VERDICT and reading.value == OPEN
