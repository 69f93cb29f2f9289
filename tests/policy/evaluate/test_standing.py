"""How a figure stands to a limit, and how far from it: by all that it leaves possible."""

import math
from dataclasses import replace
from itertools import product

import pytest
from judging_cases import measured

from auditor.domain.policies import Limits
from auditor.domain.readings import Astray, Bound
from auditor.judging.standing import Span, Standing, breaks_by_doubt, edges, margin, span_of, stand

FAR = 9
"""A truth so far away that it stands for all beyond it."""
FIGURES = [(low, high) for low, high in product(range(5), repeat=2) if low <= high]
LIMITS = [
    Limits(least, most)
    for least, most in product((None, 1, 2, 3), repeat=2)
    if None in {least, most} or least <= most  # type: ignore[operator] -- both are numbers
]


def allowed(limits: Limits, truths: range) -> set[bool]:
    """Return whether some truths are allowed, and whether some are not."""
    floor = -FAR if limits.least is None else limits.least
    ceiling = FAR if limits.most is None else limits.most
    return {floor <= truth <= ceiling for truth in truths}


@pytest.mark.parametrize("bound", Bound)
@pytest.mark.parametrize("limits", LIMITS, ids=str)
def test_a_figure_stands_as_all_truths_stand_that_it_leaves_possible(
    limits: Limits, bound: Bound
) -> None:
    for low, high in FIGURES:
        least = -FAR if bound is Bound.AT_MOST else low
        most = FAR if bound is Bound.AT_LEAST else high
        possible, seen = range(least, most + 1), range(low, high + 1)
        if allowed(limits, possible) == {False}:
            told = Standing.BREAKS
        elif allowed(limits, possible) == {True}:
            told = Standing.KEEPS
        elif allowed(limits, seen) == {True}:
            told = Standing.WITHSTANDS
        else:
            told = Standing.OPEN
        assert stand(Span(low, low, high, bound), limits) is told, (low, high)


@pytest.mark.parametrize("value", [True, False, "high", None])
def test_what_is_no_number_has_no_span(value: bool | str | None) -> None:  # noqa: FBT001 -- the reading's value
    assert span_of(measured(value)) is None
    assert span_of(measured(value, 0.1, 0.9)) is None


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
    assert span_of(measured(0.5, low, high)) == Span(0.5, *span, Bound.ESTIMATE)


def test_an_absent_side_is_as_far_away_as_can_be() -> None:
    assert edges(Limits(least=0.2)) == (0.2, math.inf)
    assert edges(Limits(most=0.8)) == (-math.inf, 0.8)


@pytest.mark.parametrize(
    ("limits", "far"),
    [
        (Limits(least=1), 2),
        (Limits(least=4), -1),
        (Limits(most=7), 2),
        (Limits(most=3), -2),
        (Limits(1, 6), 1),
        (Limits(2, 9), 1),
    ],
)
def test_the_worse_end_of_an_interval_says_how_far_it_lies_within(
    limits: Limits, far: float
) -> None:
    assert margin(Span(4, 3, 5, Bound.ESTIMATE), limits) == far


@pytest.mark.parametrize("astray", [None, *Astray])
@pytest.mark.parametrize("doubted", [True, False])
@pytest.mark.parametrize(
    ("low", "high", "side"), [(0.8, 0.9, Astray.TOO_HIGH), (0.1, 0.2, Astray.TOO_LOW)]
)
def test_only_a_doubt_of_the_side_that_is_broken_takes_a_failure_away(
    low: float,
    high: float,
    side: Astray,
    doubted: bool,  # noqa: FBT001 -- pytest's
    astray: Astray | None,
) -> None:
    limits = Limits(0.3, 0.7)
    figure = replace(measured(low, low, high), doubted=doubted, astray=astray)
    span = Span(low, low, high, Bound.ESTIMATE)
    assert stand(span, limits) is Standing.BREAKS
    wanted = doubted and astray in {side, Astray.EITHER}
    assert breaks_by_doubt(figure, span, limits) is wanted


def test_a_figure_that_only_reaches_the_ceiling_does_not_lie_above_it() -> None:
    claimed = Limits(20, 10)  # as claims may have it that contradict each other
    span = Span(12, 10, 15, Bound.ESTIMATE)
    assert stand(span, claimed) is Standing.BREAKS
    low, high = (
        replace(measured(12, 10, 15), doubted=True, astray=side)
        for side in (Astray.TOO_LOW, Astray.TOO_HIGH)
    )
    assert breaks_by_doubt(low, span, claimed)
    assert not breaks_by_doubt(high, span, claimed)
