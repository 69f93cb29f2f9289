"""How a figure stands to a limit, and how far from it: by all that it leaves possible."""

import math
from dataclasses import replace
from itertools import product

import pytest
from judging_cases import measured

from auditor.domain.policies import MetricLimits
from auditor.domain.readings import BiasDirection, BoundKind
from auditor.policy.evaluate.limits import (
    FigureRange,
    LimitComparison,
    breaks_by_doubt,
    build_figure_range,
    compare_with_limits,
    compute_margin,
    get_limit_bounds,
)

FAR = 9
"""A truth so far away that it stands for all beyond it."""
FIGURES = [(low, high) for low, high in product(range(5), repeat=2) if low <= high]
LIMITS = [
    MetricLimits(least, most)
    for least, most in product((None, 1, 2, 3), repeat=2)
    if None in {least, most} or least <= most  # type: ignore[operator] -- both are numbers
]


def allowed(limits: MetricLimits, truths: range) -> set[bool]:
    """Return whether some truths are allowed, and whether some are not."""
    floor = -FAR if limits.least is None else limits.least
    ceiling = FAR if limits.most is None else limits.most
    return {floor <= truth <= ceiling for truth in truths}


@pytest.mark.parametrize("bound", BoundKind)
@pytest.mark.parametrize("limits", LIMITS, ids=str)
def test_a_figure_stands_as_all_truths_stand_that_it_leaves_possible(
    limits: MetricLimits, bound: BoundKind
) -> None:
    for low, high in FIGURES:
        least = -FAR if bound is BoundKind.AT_MOST else low
        most = FAR if bound is BoundKind.AT_LEAST else high
        possible, seen = range(least, most + 1), range(low, high + 1)
        if allowed(limits, possible) == {False}:
            told = LimitComparison.BREAKS
        elif allowed(limits, possible) == {True}:
            told = LimitComparison.KEEPS
        elif allowed(limits, seen) == {True}:
            told = LimitComparison.WITHSTANDS
        else:
            told = LimitComparison.OPEN
        assert compare_with_limits(FigureRange(low, low, high, bound), limits) is told, (low, high)


@pytest.mark.parametrize("value", [True, False, "high", None])
def test_what_is_no_number_has_no_span(value: bool | str | None) -> None:  # noqa: FBT001 -- the reading's value
    assert build_figure_range(measured(value)) is None
    assert build_figure_range(measured(value, 0.1, 0.9)) is None


@pytest.mark.parametrize(
    ("low", "high", "span"),
    [
        (None, None, (0.5, 0.5)),
        (0.4, 0.6, (0.4, 0.6)),
        (None, 0.6, (-math.inf, 0.6)),
        (0.4, None, (0.4, math.inf)),
    ],
)
def test_an_exact_figure_has_no_width_and_half_an_interval_no_end(
    low: float | None, high: float | None, span: tuple[float, float]
) -> None:
    assert build_figure_range(measured(0.5, low, high)) == FigureRange(
        0.5, *span, BoundKind.ESTIMATE
    )


def test_an_absent_side_is_as_far_away_as_can_be() -> None:
    assert get_limit_bounds(MetricLimits(least=0.2)) == (0.2, math.inf)
    assert get_limit_bounds(MetricLimits(most=0.8)) == (-math.inf, 0.8)


@pytest.mark.parametrize(
    ("limits", "far"),
    [
        (MetricLimits(least=1), 2),
        (MetricLimits(least=4), -1),
        (MetricLimits(most=7), 2),
        (MetricLimits(most=3), -2),
        (MetricLimits(1, 6), 1),
        (MetricLimits(2, 9), 1),
    ],
)
def test_the_worse_end_of_an_interval_says_how_far_it_lies_within(
    limits: MetricLimits, far: float
) -> None:
    assert compute_margin(FigureRange(4, 3, 5, BoundKind.ESTIMATE), limits) == far


@pytest.mark.parametrize("astray", [None, *BiasDirection])
@pytest.mark.parametrize("doubted", [True, False])
@pytest.mark.parametrize(
    ("low", "high", "side"), [(0.8, 0.9, BiasDirection.TOO_HIGH), (0.1, 0.2, BiasDirection.TOO_LOW)]
)
def test_only_a_doubt_of_the_side_that_is_broken_takes_a_failure_away(
    low: float,
    high: float,
    side: BiasDirection,
    doubted: bool,  # noqa: FBT001 -- pytest's
    astray: BiasDirection | None,
) -> None:
    limits = MetricLimits(0.3, 0.7)
    figure = replace(measured(low, low, high), doubted=doubted, astray=astray)
    span = FigureRange(low, low, high, BoundKind.ESTIMATE)
    assert compare_with_limits(span, limits) is LimitComparison.BREAKS
    wanted = doubted and astray in {side, BiasDirection.EITHER}
    assert breaks_by_doubt(figure, span, limits) is wanted


def test_a_figure_that_only_reaches_the_ceiling_does_not_lie_above_it() -> None:
    claimed = MetricLimits(20, 10)  # as claims may have it that contradict each other
    span = FigureRange(12, 10, 15, BoundKind.ESTIMATE)
    assert compare_with_limits(span, claimed) is LimitComparison.BREAKS
    low, high = (
        replace(measured(12, 10, 15), doubted=True, astray=side)
        for side in (BiasDirection.TOO_LOW, BiasDirection.TOO_HIGH)
    )
    assert breaks_by_doubt(low, span, claimed)
    assert not breaks_by_doubt(high, span, claimed)
