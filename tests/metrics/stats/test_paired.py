"""The change of a proportion between two runs over the same rows."""

import numpy as np
import pytest

from auditor.metrics.stats.means import LEAST_PAIRS, mean_difference, paired_difference


def test_no_row_that_changed_leaves_zero_in_the_interval() -> None:
    found = paired_difference(0, 0, 500, 0.95)
    assert found.value == 0
    assert found.low < 0 < found.high
    assert found.high < 0.01


def test_what_the_paper_computes_comes_out() -> None:
    """By hand from equation 3: n = 100, 20 gained, 5 lost: (21 - 6) / 102, and its half width."""
    found = paired_difference(20, 5, 100, 0.95)
    middle = 15 / 102
    half = 1.959964 * ((27 / 102 - middle**2) / 102) ** 0.5
    assert found.value == pytest.approx(0.15)
    assert (found.low, found.high) == pytest.approx((middle - half, middle + half), abs=1e-6)


def test_turning_the_runs_round_turns_the_interval_round() -> None:
    one, other = paired_difference(9, 2, 80, 0.9), paired_difference(2, 9, 80, 0.9)
    assert (one.low, one.high) == pytest.approx((-other.high, -other.low))


@pytest.mark.parametrize("counts", [(1, 0, 0), (-1, 0, 5), (3, 3, 5)])
def test_impossible_counts_are_refused(counts: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match="of"):
        paired_difference(*counts, 0.95)


@pytest.mark.parametrize("rates", [(0.01, 0.01), (0.1, 0.02), (0.0, 0.05), (0.3, 0.25)])
@pytest.mark.parametrize("rows", [50, 400])
def test_the_interval_covers_the_truth_as_often_as_it_says(
    rates: tuple[float, float], rows: int
) -> None:
    rng = np.random.default_rng([rows, int(rates[0] * 100), int(rates[1] * 100)])
    draws = rng.multinomial(rows, [*rates, 1 - sum(rates)], size=4000)
    truth = rates[0] - rates[1]
    kept = [
        found.low <= truth <= found.high
        for gained, lost, _ in draws
        for found in [paired_difference(int(gained), int(lost), rows, 0.95)]
    ]
    assert np.mean(kept) >= 0.94


def test_the_mean_of_equal_differences_has_an_interval_of_no_width() -> None:
    found = mean_difference(np.full(40, 0.25), 0.95)
    assert (found.low, found.value, found.high) == (0.25, 0.25, 0.25)


def test_too_few_rows_get_no_interval() -> None:
    with pytest.raises(ValueError, match="are needed"):
        mean_difference(np.zeros(LEAST_PAIRS - 1), 0.95)


@pytest.mark.parametrize("rows", [30, 200])
def test_mean_differences_of_losses_are_covered(rows: int) -> None:
    """Differences of Brier scores of two noisy forecasts: skewed, bounded, mostly near zero."""
    rng = np.random.default_rng(rows)
    stated = rng.beta(4, 1, size=(4000, rows))
    happened = rng.random((4000, rows)) < stated
    moved = np.clip(stated + rng.normal(0, 0.05, stated.shape), 0, 1)
    gaps = (moved - happened) ** 2 - (stated - happened) ** 2
    truth = gaps.mean()
    kept = [
        found.low <= truth <= found.high for row in gaps for found in [mean_difference(row, 0.95)]
    ]
    assert np.mean(kept) >= 0.935
