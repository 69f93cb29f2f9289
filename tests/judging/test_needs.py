"""What would decide an unknown."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from judging_cases import RULE, measured

from auditor.domain.policies import Limits
from auditor.domain.readings import Bound, Measurement
from auditor.judging.needs import would_decide
from auditor.judging.standing import Standing, span_of, stand
from auditor.stats.counts import round_up

LEAST = Limits(least=0.8)


def rows(reading: Measurement, limits: Limits, *, accepts: bool = False) -> int:
    needed = would_decide(reading, limits, accepts=accepts)
    assert needed is not None
    return int(str(needed["rows"]))


def test_twice_the_distance_needs_a_quarter_of_the_rows() -> None:
    near = rows(measured(0.81, 0.71, 0.91, n=100), LEAST)
    far = rows(measured(0.82, 0.72, 0.92, n=100), LEAST)
    assert (near, far) == (10_000, 2_500)


def test_the_side_that_must_clear_the_limit_counts() -> None:
    assert rows(measured(0.79, 0.6, 0.83, n=100), LEAST) == 1600
    assert rows(measured(0.81, 0.77, 0.99, n=100), LEAST) == 1600


def test_a_range_needs_both_ends_inside() -> None:
    assert rows(measured(1.0, 0.7, 1.3, n=100), Limits(0.9, 1.2)) == 900


@pytest.mark.parametrize(("exact", "said"), [(1234, 1300), (99, 99), (101, 110), (0.5, 1), (7, 7)])
def test_rows_are_rounded_up_to_two_digits(exact: float, said: int) -> None:
    assert round_up(exact) == said


@pytest.mark.parametrize(
    ("reading", "limits", "word"),
    [
        (measured(0.9, 0.7, 1.0, bound=Bound.AT_MOST), LEAST, "certificate"),
        (measured(0.9, 0.85, 0.95, bound=Bound.AT_MOST), Limits(most=0.8), "tighter bound"),
        (measured(0.8, 0.7, 0.9), LEAST, "further from the limit"),
        (measured("high"), LEAST, "a number"),
        (measured(0.81, 0.7, 0.9, n=0), LEAST, "further from the limit"),
        (measured(0.81, None, 0.9), LEAST, "further from the limit"),
    ],
)
def test_where_no_rows_help_it_says_what_does(
    reading: Measurement, limits: Limits, word: str
) -> None:
    needed = would_decide(reading, limits, accepts=False)
    assert needed is not None
    assert word in str(needed["needs"])


def test_more_rows_help_an_accepted_bound_to_withstand_or_any_bound_to_fail() -> None:
    reading = measured(0.9, 0.7, 1.0, bound=Bound.AT_MOST, n=100)
    assert rows(reading, LEAST, accepts=True) == 400
    assert rows(measured(0.7, 0.6, 0.9, bound=Bound.AT_MOST, n=100), LEAST) == 400


@given(
    value=st.floats(0.01, 0.99),
    below=st.floats(0.001, 0.5),
    above=st.floats(0.001, 0.5),
    n=st.integers(1, 10_000),
)
def test_the_rows_named_do_decide_when_half_widths_shrink_with_the_root(
    value: float, below: float, above: float, n: int
) -> None:
    reading = measured(value, value - below, value + above, n=n)
    span = span_of(reading)
    assert span is not None
    assert RULE.limits is not None
    assume(stand(span, RULE.limits) is Standing.OPEN)
    needed = would_decide(reading, RULE.limits, accepts=False)
    assert needed is not None
    assume("rows" in needed)
    shrink = (n / int(str(needed["rows"]))) ** 0.5 * (1 - 1e-6)
    later = span_of(measured(value, value - below * shrink, value + above * shrink))
    assert later is not None
    assert stand(later, RULE.limits) is not Standing.OPEN
