"""What would decide an unknown."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from judging_cases import RULE, measured

from auditor.domain.policies import MetricLimits
from auditor.domain.readings import BoundKind, Measurement
from auditor.metrics.stats.proportions import round_up_to_two_digits
from auditor.policy.evaluate.limits import LimitComparison, build_figure_range, compare_with_limits
from auditor.policy.evaluate.rules import PROOF, estimate_deciding_rows

LEAST = MetricLimits(least=0.8)


def rows(reading: Measurement, limits: MetricLimits, *, accepts: bool = False) -> int:
    needed = estimate_deciding_rows(reading, limits, accepts=accepts)
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
    assert rows(measured(1.0, 0.7, 1.3, n=100), MetricLimits(0.9, 1.2)) == 900


@pytest.mark.parametrize(("exact", "said"), [(1234, 1300), (99, 99), (101, 110), (0.5, 1), (7, 7)])
def test_rows_are_rounded_up_to_two_digits(exact: float, said: int) -> None:
    assert round_up_to_two_digits(exact) == said


@pytest.mark.parametrize(
    ("reading", "limits", "word"),
    [
        (measured(0.9, 0.7, 1.0, bound=BoundKind.AT_MOST), LEAST, "certificate"),
        (
            measured(0.9, 0.85, 0.95, bound=BoundKind.AT_MOST),
            MetricLimits(most=0.8),
            "tighter bound",
        ),
        (measured(0.8, 0.7, 0.9), LEAST, "further from the limit"),
        (measured("high"), LEAST, "a number"),
        (measured(0.81, 0.7, 0.9, n=0), LEAST, "further from the limit"),
        (measured(0.81, None, 0.9), LEAST, "further from the limit"),
    ],
)
def test_where_no_rows_help_it_says_what_does(
    reading: Measurement, limits: MetricLimits, word: str
) -> None:
    needed = estimate_deciding_rows(reading, limits, accepts=False)
    assert needed is not None
    assert word in str(needed["needs"])


def test_more_rows_help_an_accepted_bound_to_withstand_or_any_bound_to_fail() -> None:
    reading = measured(0.9, 0.7, 1.0, bound=BoundKind.AT_MOST, n=100)
    assert rows(reading, LEAST, accepts=True) == 400
    assert rows(measured(0.7, 0.6, 0.9, bound=BoundKind.AT_MOST, n=100), LEAST) == 400


TIGHTER = "a tighter bound: this one can show a kept limit, not a broken one"
FURTHER = "a figure further from the limit: no sample of practical size decides"
LOW, HIGH, BOTH = MetricLimits(least=10), MetricLimits(most=20), MetricLimits(10, 20)


@pytest.mark.parametrize("accepts", [True, False])
@pytest.mark.parametrize(
    ("bound", "limits", "value", "needed"),
    [
        # What is found by searching keeps a limit at best until a stronger search breaks it.
        (BoundKind.AT_MOST, LOW, 12, PROOF),
        (BoundKind.AT_MOST, BOTH, 12, PROOF),
        (BoundKind.AT_MOST, BOTH, 10, PROOF),
        (BoundKind.AT_MOST, HIGH, 18, 400),
        (BoundKind.AT_LEAST, HIGH, 18, PROOF),
        (BoundKind.AT_LEAST, BOTH, 18, PROOF),
        (BoundKind.AT_LEAST, BOTH, 20, PROOF),
        (BoundKind.AT_LEAST, LOW, 12, 400),
        (BoundKind.ESTIMATE, LOW, 12, 400),
        (BoundKind.ESTIMATE, HIGH, 18, 400),
        (BoundKind.ESTIMATE, BOTH, 12, 400),
        (BoundKind.ESTIMATE, BOTH, 18, 400),
        # It shows that a limit is broken on the side that it bounds, and not on the other.
        (BoundKind.AT_MOST, LOW, 8, 400),
        (BoundKind.AT_MOST, BOTH, 8, 400),
        (BoundKind.AT_MOST, HIGH, 22, TIGHTER),
        (BoundKind.AT_MOST, BOTH, 22, TIGHTER),
        (BoundKind.AT_LEAST, HIGH, 22, 400),
        (BoundKind.AT_LEAST, BOTH, 22, 400),
        (BoundKind.AT_LEAST, LOW, 8, TIGHTER),
        (BoundKind.AT_LEAST, BOTH, 8, TIGHTER),
        (BoundKind.ESTIMATE, LOW, 8, 400),
        (BoundKind.ESTIMATE, HIGH, 22, 400),
    ],
)
def test_rows_help_where_the_bound_can_show_what_is_open(
    bound: BoundKind,
    limits: MetricLimits,
    value: int,
    needed: str | int,
    accepts: bool,  # noqa: FBT001 -- pytest's
) -> None:
    reading = measured(value, value - 4, value + 4, bound=bound, n=100)
    told = estimate_deciding_rows(reading, limits, accepts=accepts)
    if needed == PROOF and accepts:
        assert told == ({"rows": 400} if value in {12, 18} else {"needs": FURTHER})
    else:
        assert told == ({"rows": needed} if isinstance(needed, int) else {"needs": needed})


@pytest.mark.parametrize(
    ("value", "low", "high", "limits", "ratio"),
    [
        (13, 7, 14, LOW, 2),  # what must clear the floor is the lower end
        (7, 6, 13, LOW, 2),  # or, below it, the upper one
        (17, 16, 23, HIGH, 2),
        (23, 17, 24, HIGH, 2),
        (12, 8, 30, BOTH, 2.25),  # of both ends, the one that needs more
        (12, 2, 21, BOTH, 5),
        (11, 7, 12, BOTH, 4),
        (17, None, 23, HIGH, 2),  # no end at all matters on a side that has no limit
        (13, 7, None, LOW, 2),
    ],
)
def test_rows_grow_with_the_square_of_half_width_over_distance(
    value: float, low: float | None, high: float | None, limits: MetricLimits, ratio: float
) -> None:
    needed = rows(measured(value, low, high, n=1000), limits)
    assert needed == round_up_to_two_digits(1000 * ratio**2)


@pytest.mark.parametrize("value", [10, 20])
def test_a_figure_on_its_limit_is_decided_by_no_number_of_rows(value: int) -> None:
    told = estimate_deciding_rows(measured(value, value - 1, value + 1), BOTH, accepts=False)
    assert told == {"needs": FURTHER}


@pytest.mark.parametrize("bound", [BoundKind.ESTIMATE, BoundKind.AT_LEAST])
def test_limits_that_contradict_each_other_are_broken_with_rows_enough(bound: BoundKind) -> None:
    claimed = MetricLimits(20, 10)
    assert rows(measured(20, 5, 35, bound=bound, n=100), claimed) == 230


@pytest.mark.parametrize(
    ("n", "told"),
    [
        (10**7, {"rows": 10**9}),
        (10**7 + 1, {"needs": FURTHER}),
        (0, {"needs": FURTHER}),
    ],
)
def test_no_more_rows_are_asked_for_than_anybody_has(n: int, told: dict[str, int | str]) -> None:
    assert estimate_deciding_rows(measured(11, 1, 12, n=n), LOW, accepts=False) == told


@pytest.mark.parametrize("n", [1, 100])
def test_one_row_more_is_the_least_that_decides(n: int) -> None:
    assert rows(measured(12, 11, 13, n=n), LOW) == n + 1


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
    span = build_figure_range(reading)
    assert span is not None
    assert RULE.limits is not None
    assume(compare_with_limits(span, RULE.limits) is LimitComparison.OPEN)
    needed = estimate_deciding_rows(reading, RULE.limits, accepts=False)
    assert needed is not None
    assume("rows" in needed)
    shrink = (n / int(str(needed["rows"]))) ** 0.5 * (1 - 1e-6)
    later = build_figure_range(measured(value, value - below * shrink, value + above * shrink))
    assert later is not None
    assert compare_with_limits(later, RULE.limits) is not LimitComparison.OPEN
