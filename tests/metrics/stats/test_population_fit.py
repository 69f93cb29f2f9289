import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom, chisquare, multinomial
from simulated_coverage import allowed, coverage

from auditor.metrics.stats.drift import goodness_of_fit, largest_deviation, share_limits

SHARES = np.array([0.5, 0.3, 0.2])


def test_the_fit_of_large_counts_is_scipys_chi_square() -> None:
    counts = np.array([60.0, 20.0, 20.0])
    oracle = chisquare(counts, 100 * SHARES)
    found = goodness_of_fit(counts, SHARES, 1)
    assert (found.statistic, found.p_value) == pytest.approx((oracle.statistic, oracle.pvalue))
    assert found.method == "chi-square"


def test_the_fit_of_small_counts_is_the_exact_multinomial_one() -> None:
    counts = np.array([1.0, 1.0, 4.0])
    law = multinomial(6, SHARES)
    tables = [(a, b, 6 - a - b) for a in range(7) for b in range(7 - a)]
    distance = {it: float(np.sum((np.array(it) - 6 * SHARES) ** 2 / (6 * SHARES))) for it in tables}
    worst = distance[(1, 1, 4)] - 1e-9
    exact = sum(law.pmf(it) for it in tables if distance[it] >= worst)
    assert goodness_of_fit(counts, SHARES, 3).p_value == pytest.approx(exact, abs=0.01)


@pytest.mark.parametrize("rows", [12, 200])
def test_a_sample_of_the_population_is_seldom_called_unfit(rows: int) -> None:
    rng = np.random.default_rng(1)
    drawn = rng.multinomial(rows, SHARES, 300).astype(float)
    false = sum(goodness_of_fit(counts, SHARES, 5).p_value <= 0.05 for counts in drawn)
    assert false <= 30  # fifteen expected; four Monte-Carlo errors


def test_the_deviation_on_paper() -> None:
    # Half and half of ten rows against 0.9 and 0.1, two levels: 0.0125 are left beyond each limit.
    found = largest_deviation(np.array([5.0, 5.0]), np.array([0.9, 0.1]), 0.95, 2)
    low, high = share_limits(np.array([5.0]), 10, 0.95, 2)
    assert binom.sf(4, 10, low[0]) == pytest.approx(0.0125)
    assert binom.cdf(5, 10, high[0]) == pytest.approx(0.0125)
    assert (found.value, found.low, found.high) == pytest.approx((0.4, 0.9 - high[0], 0.9 - low[0]))


def test_the_largest_deviation_covers_the_planted_one() -> None:
    rng = np.random.default_rng(2)
    drawn = rng.multinomial(400, [0.4, 0.35, 0.25], 300).astype(float)
    share, count = coverage([largest_deviation(it, SHARES, 0.95, 3) for it in drawn], 0.1)
    assert share >= allowed(0.95, count)


@given(st.lists(st.integers(0, 60), min_size=2, max_size=6).filter(sum))
def test_counts_that_are_the_populations_deviate_by_nothing(counts: list[int]) -> None:
    seen = np.array(counts, dtype=float)
    found = largest_deviation(seen, seen / seen.sum(), 0.95, len(counts))
    assert (found.value, found.low) == (0, 0)


def test_nothing_can_be_said_of_no_rows() -> None:
    with pytest.raises(ValueError, match="needs rows"):
        largest_deviation(np.zeros(2), np.array([0.5, 0.5]), 0.95, 2)
    with pytest.raises(ValueError, match="positive share"):
        goodness_of_fit(np.array([1.0, 1.0]), np.array([1.0, 0.0]), 1)
