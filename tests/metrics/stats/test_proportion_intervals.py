import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom, binomtest
from simulated_coverage import allowed, coverage

from auditor.metrics.stats.proportions import (
    clopper_pearson,
    exact_limits,
    mean_of_proportions,
    mid_p,
    wilson,
)

COUNTS = st.integers(1, 400).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))
LEVELS = st.sampled_from([0.8, 0.95, 0.999])


@given(COUNTS, LEVELS)
def test_the_exact_interval_is_scipys(counts: tuple[int, int], level: float) -> None:
    hits, trials = counts
    oracle = binomtest(hits, trials).proportion_ci(level, method="exact")
    interval = clopper_pearson(hits, trials, level)
    assert (interval.low, interval.high) == pytest.approx((oracle.low, oracle.high), abs=1e-9)


@given(COUNTS, LEVELS)
def test_the_wilson_interval_is_scipys(counts: tuple[int, int], level: float) -> None:
    hits, trials = counts
    oracle = binomtest(hits, trials).proportion_ci(level, method="wilson")
    interval = wilson(hits, trials, level)
    assert (interval.low, interval.high) == pytest.approx((oracle.low, oracle.high), abs=1e-9)


@given(COUNTS, LEVELS)
def test_mid_p_lies_within_the_exact_interval(counts: tuple[int, int], level: float) -> None:
    exact, shorter = clopper_pearson(*counts, level), mid_p(*counts, level)
    assert exact.low <= shorter.low + 1e-9 <= shorter.value + 2e-9
    assert shorter.value <= shorter.high + 1e-9 <= exact.high + 2e-9


def test_mid_p_of_no_success_has_its_closed_form() -> None:
    assert mid_p(0, 20, 0.95).high == pytest.approx(1 - 0.05 ** (1 / 20), abs=1e-9)


@pytest.mark.parametrize("rate", [0.02, 0.3, 0.9])
def test_the_exact_interval_covers_at_every_truth(rate: float) -> None:
    trials = 50
    low, high = exact_limits(np.arange(trials + 1), np.full(trials + 1, trials), 0.025)
    inside = (low <= rate) & (rate <= high)
    assert binom.pmf(np.arange(trials + 1), trials, rate)[inside].sum() >= 0.95


def test_dressel_and_farids_overall_accuracy_of_compas_is_reproduced() -> None:
    # Dressel & Farid (2018), Science Advances 4, table 2: 65.4 % [64.3, 66.5]; 7,214 people.
    interval = wilson(round(0.6537 * 7214), 7214, 0.95)
    assert (round(interval.low, 3), round(interval.high, 3)) == (0.643, 0.665)


@pytest.mark.parametrize("counts", [(-1, 5), (6, 5), (0, 0)])
def test_impossible_counts_are_refused(counts: tuple[int, int]) -> None:
    for method in (wilson, clopper_pearson, mid_p):
        with pytest.raises(ValueError, match="no proportion"):
            method(*counts, 0.95)


def test_a_mean_over_a_class_without_rows_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one trial"):
        mean_of_proportions([1, 0], [2, 0], 0.95)


@given(st.lists(COUNTS, min_size=1, max_size=12), LEVELS)
def test_a_mean_of_proportions_lies_within_its_interval(
    counts: list[tuple[int, int]], level: float
) -> None:
    hits, trials = zip(*counts, strict=True)
    interval = mean_of_proportions(hits, trials, level)
    assert 0 <= interval.low <= interval.value <= interval.high <= 1
    assert interval.low < interval.high


def test_a_mean_of_perfect_proportions_keeps_a_distance_from_one() -> None:
    interval = mean_of_proportions([45] * 10, [45] * 10, 0.95)
    exact = 1 - 0.025 ** (1 / 45)
    assert interval.low == pytest.approx(1 - exact / math.sqrt(10))


def test_above_a_mean_of_rates_near_one_the_smoothed_normal_limit_holds() -> None:
    interval = mean_of_proportions([44] * 10, [45] * 10, 0.95)
    smooth = 45 / 47
    half = 1.959964 * math.sqrt(10 * smooth * (1 - smooth) / 45) / 10
    assert interval.high == pytest.approx(44 / 45 + half)


@pytest.mark.parametrize(
    ("trials", "rates"),
    [
        ([20, 20], [0.9, 0.9]),
        ([10, 190], [0.98, 0.98]),
        ([45] * 10, [0.98] * 10),
        ([300, 30, 5], [0.6, 0.99, 0.8]),
    ],
)
def test_means_of_proportions_are_covered(trials: list[int], rates: list[float]) -> None:
    rng = np.random.default_rng(3)
    drawn = rng.binomial(trials, rates, size=(1500, len(trials)))
    found = (mean_of_proportions(hits, trials, 0.95) for hits in drawn)
    share, repeats = coverage(found, float(np.mean(rates)))
    assert share >= allowed(0.95, repeats)
