"""The range of values that each metric can take, whatever the model and data are."""

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import TypeAlias

from auditor.domain.policies import MetricLimits
from auditor.domain.readings import Unit

Ends: TypeAlias = tuple[float, float]

ANYWHERE: Ends = (-math.inf, math.inf)
POSITIVE: Ends = (0.0, math.inf)
SHARE: Ends = (0.0, 1.0)
CHANGE: Ends = (-1.0, 1.0)
"""A share less another one."""

BY_UNIT: Mapping[Unit, Ends] = MappingProxyType(
    {
        Unit.SHARE: SHARE,
        Unit.SECOND: POSITIVE,
        Unit.BYTE: POSITIVE,
        Unit.PER_SECOND: POSITIVE,
        Unit.NAT: POSITIVE,
        Unit.COUNT: POSITIVE,
        Unit.NONE: ANYWHERE,
    }
)
_CHANGES = (
    "accuracy_gain", "accuracy_drop", "accuracy_change", "auc_change", "smece_change",
    "calibration_change", "label_share_change", "selection_change_gap", "excess_share",
    "advantage", "membership_advantage", "gain_over_labels", "gain_over_baseline",
    "member_proximity", "in_the_large", "trigger_gap", "success_gap", "parent_gap",
    "gradient_correlation",
)  # fmt: skip
_DIFFERENCES = (
    "nll_change", "log_evidence", "temperature_gain", "platt_gain", "median_difference",
    "transport", "resident_added",
)  # fmt: skip
_RATIOS = (
    "imbalance_ratio", "effective_classes", "representation_ratio", "impact_ratio",
    "reference_ratio", "min_breaking_eps", "median_distance", "slope_gap", "intercept_gap",
    "in_the_large_gap", "mean_error_gap", "max_logit_diff", "mean_logit_diff",
    "max_score_difference", "slowdown", "worst_to_median_latency", "mae", "rmse",
    "price_per_million_rows", "joules_per_million_rows",
)  # fmt: skip
BY_NAME: Mapping[str, Ends] = MappingProxyType(
    {
        **dict.fromkeys(_CHANGES, CHANGE),
        **dict.fromkeys(_DIFFERENCES, ANYWHERE),
        **dict.fromkeys(_RATIOS, POSITIVE),
        **dict.fromkeys(("least_p", "classifier_p", "accuracy_range"), SHARE),
        "brier": (0.0, 2.0),
        "r2": (-math.inf, 1.0),
    }
)
"""Metrics that do not lie where their unit says, or that have no unit."""


def find_metric_range(name: str, unit: Unit) -> Ends:
    """Return the least and the greatest number that a metric can be; infinite where unknown."""
    named = BY_NAME.get(name)
    if named is None:
        return BY_UNIT[unit]
    # A share stays one, by any name: another package's metric may have the name of one of ours.
    least, most = CHANGE if unit is Unit.SHARE else ANYWHERE
    return max(least, named[0]), min(most, named[1])


def allows_whole_range(limits: MetricLimits, span: Ends) -> bool:
    """Whether limits allow all that a metric can be, so that no reading breaks them."""
    below = limits.least is None or limits.least <= span[0]
    return below and (limits.most is None or limits.most >= span[1])
