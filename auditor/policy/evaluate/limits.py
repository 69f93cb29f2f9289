"""Comparison of a figure with a limit, by its whole interval."""

import math
from dataclasses import dataclass
from enum import StrEnum

from auditor.domain.policies import MetricLimits
from auditor.domain.readings import BiasDirection, BoundKind, Measurement


class LimitComparison(StrEnum):
    """Where the truth can lie, seen from the limits."""

    KEEPS = "keeps"
    WITHSTANDS = "withstands"
    BREAKS = "breaks"
    OPEN = "open"


@dataclass(frozen=True, slots=True)
class FigureRange:
    """A figure with its interval and with what it says of the truth; exact ones have no width."""

    value: float
    low: float
    high: float
    bound: BoundKind

    @property
    def possible(self) -> tuple[float, float]:
        """The least and the greatest truth that the figure leaves possible.

        What is at most the figure found may be anything below it, so one end is infinite.
        """
        low = -math.inf if self.bound is BoundKind.AT_MOST else self.low
        high = math.inf if self.bound is BoundKind.AT_LEAST else self.high
        return low, high


def build_figure_range(measurement: Measurement) -> FigureRange | None:
    """Return where a measurement's figure lies, or nothing where its value is no number.

    One missing end of an interval is taken as unbounded, so that it proves nothing.
    """
    value, low, high = measurement.value, measurement.low, measurement.high
    if isinstance(value, bool | str) or value is None:
        return None
    if low is None and high is None:
        return FigureRange(value, value, value, measurement.bound)
    return FigureRange(
        value,
        -math.inf if low is None else low,
        math.inf if high is None else high,
        measurement.bound,
    )


def get_limit_bounds(limits: MetricLimits) -> tuple[float, float]:
    """Return the limits as numbers; absent sides are infinite."""
    return (
        -math.inf if limits.least is None else limits.least,
        math.inf if limits.most is None else limits.most,
    )


def compare_with_limits(span: FigureRange, limits: MetricLimits) -> LimitComparison:
    """Compare all that a figure leaves possible with what is allowed.

    It keeps the limits when nothing else is possible, breaks them when nothing within them is
    possible, and withstands when all that was found keeps them but worse stays possible.
    """
    floor, ceiling = get_limit_bounds(limits)
    least, most = span.possible
    if most < floor or least > ceiling:
        return LimitComparison.BREAKS
    if floor <= least and most <= ceiling:
        return LimitComparison.KEEPS
    if floor <= span.low and span.high <= ceiling:
        return LimitComparison.WITHSTANDS
    return LimitComparison.OPEN


def foretell_outcome(measurement: Measurement, limits: MetricLimits | None) -> str:
    """Say what a rule would do if more rows left its figure where it is; nothing without limits."""
    span = build_figure_range(measurement)
    if span is None or limits is None:
        return ""
    floor, ceiling = get_limit_bounds(limits)
    return "pass" if floor <= span.value <= ceiling else "fail"


def breaks_by_doubt(measurement: Measurement, span: FigureRange, limits: MetricLimits) -> bool:
    """Whether a figure that breaks the limits does so where its own doubt says that it may lie.

    One that may be too high shows nothing by lying above a limit, and one too low by lying below.
    """
    (least, _), (_, ceiling) = span.possible, get_limit_bounds(limits)
    side = BiasDirection.TOO_HIGH if least > ceiling else BiasDirection.TOO_LOW
    return measurement.doubted and measurement.astray in {side, BiasDirection.EITHER}


def keeps_despite_doubt(measurement: Measurement, limits: MetricLimits) -> bool:
    """Whether even the worst truth that a doubt of one side leaves possible keeps the limits.

    Only a limit on the far side of the disturbance can be kept so: one above a figure that may be
    too high, or below one that may be too low. How far the disturbance pushed is not known, so a
    limit on its own side never is.
    """
    worst = measurement.worst_case
    if worst is None:
        return False
    match measurement.astray:
        case BiasDirection.TOO_HIGH:
            return limits.least is None and limits.most is not None and worst <= limits.most
        case BiasDirection.TOO_LOW:
            return limits.most is None and limits.least is not None and worst >= limits.least
        case BiasDirection.EITHER | None:
            return False


def compute_margin(span: FigureRange, limits: MetricLimits) -> float:
    """Return how far the interval's worse end lies within the limits; negative when outside."""
    below = math.inf if limits.least is None else span.low - limits.least
    above = math.inf if limits.most is None else limits.most - span.high
    return min(below, above)
