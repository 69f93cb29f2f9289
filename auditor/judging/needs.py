"""What would turn an unknown into an answer."""

import math
from collections.abc import Mapping

from auditor.domain.canonical import Json
from auditor.domain.policies import Limits
from auditor.domain.readings import Bound, Measurement
from auditor.judging.standing import Span, edges, span_of
from auditor.stats.counts import MOST_ROWS, round_up

PROOF = "a proof such as a certificate, or a policy that accepts withstood"


def would_decide(
    measurement: Measurement, limits: Limits, *, accepts: bool
) -> Mapping[str, Json] | None:
    """Say how many rows would decide if the figure stays what it is, as ``{"rows": 1200}``.

    Half widths shrink with the root of the sample, so that ``n`` grows by the squared ratio of
    half width to distance. Where no number of rows helps, says what does: ``{"needs": "..."}``.
    """
    span = span_of(measurement)
    if span is None:
        return {"needs": "a figure that is a number"}
    obstacle = _obstacle(span, limits, accepts=accepts)
    if obstacle:
        return {"needs": obstacle}
    ratio = _ratio(span, limits)
    rows = measurement.n * (ratio * ratio)
    if not 0 < rows <= MOST_ROWS:
        return {"needs": "a figure further from the limit: no sample of practical size decides"}
    return {"rows": max(round_up(rows), measurement.n + 1)}


def _obstacle(span: Span, limits: Limits, *, accepts: bool) -> str:
    floor, ceiling = edges(limits)
    if floor <= span.value <= ceiling:
        open_below = span.bound is Bound.AT_MOST and limits.least is not None
        open_above = span.bound is Bound.AT_LEAST and limits.most is not None
        return PROOF if (open_below or open_above) and not accepts else ""
    too_low = span.value < floor
    provable = span.bound is Bound.ESTIMATE or too_low == (span.bound is Bound.AT_MOST)
    return "" if provable else "a tighter bound: this one can show a kept limit, not a broken one"


def _ratio(span: Span, limits: Limits) -> float:
    """Return the greatest ratio of half width to distance over the ends that must clear a limit."""
    floor, ceiling = edges(limits)
    if span.value < floor:
        return _over(span.high - span.value, floor - span.value)
    if span.value > ceiling:
        return _over(span.value - span.low, span.value - ceiling)
    return max(
        _over(span.value - span.low, span.value - floor),
        _over(span.high - span.value, ceiling - span.value),
    )


def _over(width: float, distance: float) -> float:
    if math.isinf(distance):
        return 0.0
    return math.inf if distance == 0 else width / distance
