"""The change of the widest gap between groups, from one run to another over the same rows."""

import numpy as np
import pytest
from simulated_coverage import allowed

from auditor.metrics.stats.group_gaps import _least, _most, widest_gap_change

CODES = np.repeat([0, 1], 500)


def rates(first: int, second: int) -> np.ndarray:
    """The first rows of two groups of 500 are selected."""
    return np.concatenate([np.arange(500) < first, np.arange(500) < second])


def test_runs_that_decide_alike_change_no_gap() -> None:
    found = widest_gap_change(rates(200, 300), rates(200, 300), CODES, 0.95)
    assert found.value == 0
    assert -0.03 < found.low < 0 < found.high < 0.03


def test_a_gap_that_opens_and_one_that_closes_are_told_by_their_sign() -> None:
    opened = widest_gap_change(rates(200, 300), rates(200, 400), CODES, 0.95)
    closed = widest_gap_change(rates(200, 400), rates(200, 300), CODES, 0.95)
    assert opened.value == pytest.approx(0.2)
    assert closed.value == pytest.approx(-0.2)
    assert opened.low > 0.1
    assert closed.high < -0.1


def test_a_gap_that_turns_round_has_not_changed_its_size() -> None:
    found = widest_gap_change(rates(200, 400), rates(400, 200), CODES, 0.95)
    assert found.value == 0
    assert found.low < 0 < found.high


def test_what_the_widest_gap_can_do_within_limits_is_what_a_search_finds() -> None:
    """One pair: every difference and change within their limits, tried on a fine grid."""
    rng = np.random.default_rng(3)
    for _ in range(200):
        apart, change = (np.sort(rng.uniform(-1, 1, 2)) for _ in range(2))
        places, moves = (np.linspace(*ends, 401) for ends in (apart, change))
        seen = np.abs(places[:, None] + moves[None, :]) - np.abs(places[:, None])
        limits = [(np.array([ends[0]]), np.array([ends[1]])) for ends in (apart, change)]
        assert _most(*limits) == pytest.approx(seen.max(), abs=1e-12)
        assert _least(*limits) == pytest.approx(seen.min(), abs=0.01)
        assert _least(*limits) <= seen.min() + 1e-12


@pytest.mark.parametrize("codes", [np.zeros(1000, int), np.repeat([0, 2], 500)])
def test_one_group_or_one_without_rows_has_no_gap(codes: np.ndarray) -> None:
    with pytest.raises(ValueError, match="two groups"):
        widest_gap_change(rates(1, 2), rates(1, 2), codes, 0.95)


@pytest.mark.parametrize(
    ("rows", "shares", "before", "after"),
    [
        (400, (0.5, 0.5), (0.5, 0.5), (0.5, 0.6)),
        (300, (0.9, 0.1), (0.5, 0.5), (0.5, 0.52)),
        (400, (0.5, 0.5), (0.4, 0.6), (0.4, 0.7)),
        (2000, (0.3, 0.2, 0.15, 0.1, 0.1, 0.05, 0.05, 0.05), (0.5,) * 8, (0.5,) * 7 + (0.3,)),
        (400, (0.25,) * 4, (0.5,) * 4, (0.5,) * 4),
    ],
)
def test_the_interval_covers_the_truth_as_often_as_it_says(
    rows: int, shares: tuple[float, ...], before: tuple[float, ...], after: tuple[float, ...]
) -> None:
    """The percentile bootstrap covers 37 % of the second case, and 63 % of the fourth."""
    rng, repeats, held = np.random.default_rng(5), 400, 0
    truth = np.ptp(after) - np.ptp(before)
    for _ in range(repeats):
        codes = np.sort(rng.choice(len(shares), size=rows, p=shares))
        luck = rng.random(rows)
        first, second = (luck < np.array(each)[codes] for each in (before, after))
        found = widest_gap_change(first, second, codes, 0.95)
        held += found.low <= truth <= found.high
    assert held / repeats >= allowed(0.95, repeats)
