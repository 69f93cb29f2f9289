"""Ratios and differences of medians, permutation tests, and limits that tell two kinds apart."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ks_2samp

from auditor.metrics.stats.ks_distance import (
    SeparationRule,
    best_separation_rule,
    ks_distance,
    largest_ks_distance,
    separation_gain,
)
from auditor.metrics.stats.p_values import permutation_p_value, shuffle_statistic, swap_within_pairs
from auditor.metrics.stats.quantiles import difference_of_medians, ratio_of_medians

TIMES = st.lists(st.integers(0, 30), min_size=4, max_size=60)


def test_known_medians_give_their_ratio_and_difference() -> None:
    above, below = np.arange(1.0, 102.0) + 100, np.arange(1.0, 102.0)
    ratio, apart = (of(above, below, 0.95) for of in (ratio_of_medians, difference_of_medians))
    assert (ratio.value, apart.value) == (151 / 51, 100.0)
    assert ratio.low < ratio.value < ratio.high
    assert apart.low < 100 < apart.high
    assert ratio.n == 101


def test_too_few_samples_give_no_interval() -> None:
    few, many = np.ones(5), np.ones(50)
    assert ratio_of_medians(few, many, 0.95) is None
    assert difference_of_medians(many, few, 0.95) is None
    assert ratio_of_medians(many, np.zeros(50), 0.95) is None, "nothing is divided by 0"


@pytest.mark.parametrize("shift", [1.0, 1.5])
def test_the_ratio_covers_the_truth(shift: float) -> None:
    """300 draws of skewed times whose medians have a known ratio."""
    rng = np.random.default_rng(1)
    held = 0
    for _ in range(300):
        above, below = rng.lognormal(size=(2, 41))
        found = ratio_of_medians(shift * above, below, 0.9)
        assert found is not None
        held += found.low <= shift <= found.high
    assert held >= 0.9 * 300


@given(TIMES, st.integers(0, 2**31))
def test_the_distance_is_that_of_kolmogorov_and_smirnov(times: list[int], seed: int) -> None:
    values = np.array(times, dtype=float)
    ours = np.random.default_rng(seed).random(len(values)) < 0.5
    found, _, _ = ks_distance(values, ours)
    if 0 < ours.sum() < len(values):
        assert found == pytest.approx(
            ks_2samp(values[ours], values[~ours], method="asymp").statistic
        )
    else:
        assert found == 0.0


@given(TIMES, st.integers(0, 2**31))
def test_on_its_own_rows_a_cut_gains_the_distance(times: list[int], seed: int) -> None:
    values = np.array(times, dtype=float)
    kinds = (np.random.default_rng(seed).random(len(values)) < 0.5).astype(int)
    if not 0 < kinds.sum() < len(kinds):
        return
    found = separation_gain(best_separation_rule(values, kinds), values, kinds, 0.95)
    assert found is not None
    assert found.value == pytest.approx(largest_ks_distance(values, kinds))
    assert found.low <= found.value <= found.high


def test_a_cut_lies_halfway_between_what_it_separates() -> None:
    cut = best_separation_rule(np.array([1.0, 2.0, 10.0, 11.0]), np.array([0, 0, 1, 1]))
    assert cut.at == 6.0
    assert cut.says(np.array([5.0, 7.0])).tolist() == [cut.kind == 0, cut.kind == 1]


def test_a_kind_that_is_missing_gives_no_gain() -> None:
    assert (
        separation_gain(SeparationRule(3, 1.0, above=True), np.arange(4.0), np.zeros(4, int), 0.95)
        is None
    )


def test_p_counts_what_was_seen_as_one_of_the_chances() -> None:
    assert permutation_p_value(5.0, np.array([1.0, 5.0, 6.0])) == 0.75
    assert permutation_p_value(9.0, np.zeros(99)) == 0.01


def test_swapping_pairs_that_always_differ_makes_chance_unlikely() -> None:
    rng = np.random.default_rng(2)
    pairs = np.stack([np.full(20, 2.0), np.full(20, 1.0)], axis=1)
    assert permutation_p_value(1.0, swap_within_pairs(pairs, 999, rng)) == 0.001
    level = rng.normal(size=(400, 12, 2))
    small = [
        permutation_p_value(float((p[:, 0] - p[:, 1]).mean()), swap_within_pairs(p, 199, rng))
        <= 0.05
        for p in level
    ]
    assert np.mean(small) < 0.09, "under no difference, p is small as often as it says"


def test_shuffling_keeps_what_there_is() -> None:
    labels = np.array([0, 1, 1, 2])
    sums = shuffle_statistic(lambda mixed: float(mixed.sum()), labels, 10, np.random.default_rng(0))
    assert sums.tolist() == [4.0] * 10
