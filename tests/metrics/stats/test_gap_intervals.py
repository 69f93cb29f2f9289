import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import ndtri
from scipy.stats import studentized_range
from simulated_coverage import allowed, coverage

from auditor.domain.readings import ConfidenceInterval
from auditor.metrics.stats.group_gaps import (
    equalised_odds_gap,
    gap_half_width,
    max_gap,
    min_ratio,
    ratio_half_width,
    widest_gap,
)
from auditor.metrics.stats.group_rates import joint_limits, pair_level, pair_quantile
from auditor.metrics.stats.proportions import clopper_pearson

COUNTS = st.integers(1, 300).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))
TABLES = st.lists(COUNTS, min_size=2, max_size=12)


def gap_coverage(
    rates: list[float], trials: list[int], level: float, repeats: int, seed: int = 5
) -> float:
    rng = np.random.default_rng(seed)
    drawn = rng.binomial(trials, rates, size=(repeats, len(rates)))
    found = (max_gap(hits, trials, level).interval for hits in drawn)
    return coverage(found, max(rates) - min(rates))[0]


def ratio_coverage(
    rates: list[float], trials: list[int], level: float, repeats: int, seed: int = 6
) -> float:
    rng = np.random.default_rng(seed)
    drawn = rng.binomial(trials, rates, size=(repeats, len(rates)))
    found = (min_ratio(hits, trials, level).interval for hits in drawn if hits.any())
    return coverage(found, min(rates) / max(rates))[0]


@pytest.mark.parametrize("groups", [2, 5, 30])
@pytest.mark.parametrize("level", [0.9, 0.95, 0.999])
def test_the_pair_quantile_is_scipys_studentised_range(groups: int, level: float) -> None:
    oracle = studentized_range.ppf(level, groups, np.inf) / np.sqrt(2)
    assert pair_quantile(groups, level) == pytest.approx(oracle, abs=1e-6)


def test_for_two_groups_the_pair_quantile_is_the_normal_one() -> None:
    assert pair_quantile(2, 0.95) == pytest.approx(ndtri(0.975))


def test_compas_false_positive_rates_differ_by_the_published_gap() -> None:
    # ProPublica's two-year table: 805 of 1,795 black, 349 of 1,488 white people were wrongly
    # labelled; Fairlearn gives 0.213925 as their equalised-odds difference.
    found = max_gap([805, 349], [1795, 1488], 0.95)
    assert found.interval.value == pytest.approx(0.213925, abs=5e-7)
    assert (found.highest, found.lowest) == (0, 1)
    assert 0.17 < found.interval.low < found.interval.high < 0.26


def test_compas_selection_rates_stand_in_the_published_ratio() -> None:
    # Fairlearn's demographic-parity ratio on the same table: 0.59164.
    found = min_ratio([805 + 1369, 349 + 505], [3696, 2454], 0.95)
    assert found.interval.value == pytest.approx(0.59164, abs=5e-6)
    assert found.interval.high < 0.8


@given(TABLES, st.sampled_from([0.5, 0.95, 0.999]))
def test_the_observed_gap_lies_within_its_interval(
    table: list[tuple[int, int]], level: float
) -> None:
    hits, trials = zip(*table, strict=True)
    interval = max_gap(hits, trials, level).interval
    assert 0 <= interval.low <= interval.value <= interval.high <= 1


@given(TABLES, st.sampled_from([0.5, 0.95, 0.999]))
def test_the_observed_ratio_lies_within_its_interval(
    table: list[tuple[int, int]], level: float
) -> None:
    hits, trials = zip(*table, strict=True)
    if any(hits):
        interval = min_ratio(hits, trials, level).interval
        assert 0 <= interval.low <= interval.value <= interval.high <= 1


@given(TABLES)
def test_the_order_of_groups_plays_no_part(table: list[tuple[int, int]]) -> None:
    shuffled = sorted(table)
    one = max_gap(*zip(*table, strict=True), 0.95).interval
    other = max_gap(*zip(*shuffled, strict=True), 0.95).interval
    assert (one.value, one.low, one.high) == pytest.approx((other.value, other.low, other.high))


@given(TABLES)
def test_asking_for_more_intervals_at_once_widens_each(table: list[tuple[int, int]]) -> None:
    hits, trials = zip(*table, strict=True)
    alone = max_gap(hits, trials, 0.95).interval
    joint = max_gap(hits, trials, 0.95, family=10).interval
    assert joint.low <= alone.low
    assert joint.high >= alone.high
    assert joint.confidence == 0.95
    assert "bonferroni over 10" in joint.method


def test_a_group_without_rows_may_have_any_rate() -> None:
    gap = max_gap([50, 10, 0], [100, 100, 0], 0.95)
    ratio = min_ratio([50, 10, 0], [100, 100, 0], 0.95)
    assert gap.interval.low > 0.2
    assert gap.interval.high == 1
    assert ratio.interval.low == 0
    assert (gap.highest, gap.lowest) == (0, 1)


def test_a_group_that_is_never_selected_has_ratio_zero_and_an_upper_limit_above_it() -> None:
    interval = min_ratio([0, 50], [20, 100], 0.95).interval
    assert (interval.value, interval.low) == (0, 0)
    assert 0.1 < interval.high < 0.6


def test_a_comparison_of_one_group_is_refused() -> None:
    with pytest.raises(ValueError, match="two groups"):
        max_gap([3, 0], [5, 0], 0.95)


def test_a_ratio_of_rates_that_are_all_zero_is_refused() -> None:
    with pytest.raises(ValueError, match="all zero"):
        min_ratio([0, 0], [5, 5], 0.95)


def test_expected_half_widths_are_those_of_the_intervals() -> None:
    trials, hits = [40, 400, 90], [20, 200, 45]
    gap, ratio = max_gap(hits, trials, 0.95, 5).interval, min_ratio(hits, trials, 0.95, 5).interval
    assert gap.high == pytest.approx(gap_half_width(trials, 0.95, 5))
    assert 1 - ratio.low == pytest.approx(ratio_half_width(trials, 0.95, 5))


def test_nothing_can_be_expected_of_a_group_without_rows() -> None:
    assert gap_half_width([0, 100], 0.95) == ratio_half_width([0, 100], 0.95) == 1.0


def test_a_fair_model_of_five_groups_is_not_accused() -> None:
    # 5 groups, 500 rows: a percentile bootstrap of max - min leaves out 0 in 30 of 30 such runs.
    rng = np.random.default_rng(11)
    drawn = rng.binomial(100, 0.3, size=(600, 5))
    accused = [max_gap(hits, [100] * 5, 0.95).interval.low > 0 for hits in drawn]
    assert np.mean(accused) <= 1 - allowed(0.95, len(accused))


@pytest.mark.parametrize("groups", [2, 5, 30])
@pytest.mark.parametrize("gap", [0.0, 0.1])
def test_the_largest_gap_is_covered(groups: int, gap: float) -> None:
    rates = [0.3 + gap, *[0.3] * (groups - 1)]
    assert gap_coverage(rates, [60] * groups, 0.95, 400) >= allowed(0.95, 400)


@pytest.mark.parametrize("ratio", [1.0, 0.75])
def test_the_smallest_ratio_is_covered(ratio: float) -> None:
    rates = [0.4 * ratio, 0.4, 0.4]
    assert ratio_coverage(rates, [80, 300, 20], 0.95, 600) >= allowed(0.95, 600)


def test_the_plain_difference_interval_would_not_cover_many_small_groups() -> None:
    # Why limits are exact: with one success and one failure added (Agresti and Caffo 2000) the
    # same all-pairs construction covers 0.885 for 30 groups of 30 rows.
    rng = np.random.default_rng(2)
    hits = rng.binomial(30, 0.5, size=(400, 30))
    rates = (hits + 1) / 32
    errors = np.sqrt(rates * (1 - rates) / 32)
    quantile = pair_quantile(30, 0.95)
    apart = np.abs(rates[:, :, None] - rates[:, None, :])
    room = quantile * np.hypot(errors[:, :, None], errors[:, None, :])
    assert np.mean((apart - room).max(axis=(1, 2)) <= 0) < 0.94
    assert gap_coverage([0.5] * 30, [30] * 30, 0.95, 400) >= 0.94


@pytest.mark.slow
@pytest.mark.parametrize("groups", [2, 3, 5, 10, 20, 30])
@pytest.mark.parametrize("gap", [0.0, 0.05, 0.2])
def test_the_largest_gap_is_covered_in_ten_thousand_samples(groups: int, gap: float) -> None:
    rates = [0.3 + gap, *[0.3] * (groups - 1)]
    assert gap_coverage(rates, [100] * groups, 0.95, 10_000) >= 0.94


@pytest.mark.slow
@pytest.mark.parametrize("rate", [0.02, 0.1, 0.5, 0.95])
@pytest.mark.parametrize("trials", [[2000, 10], [2000, 5], [30, 30], [5000, 25, 25, 25], [20] * 30])
def test_gaps_and_ratios_are_covered_at_joint_levels(rate: float, trials: list[int]) -> None:
    rates = [rate] * len(trials)
    assert gap_coverage(rates, trials, 0.99, 4000) >= allowed(0.99, 4000)
    assert ratio_coverage(rates, trials, 0.99, 4000) >= allowed(0.99, 4000)


def test_intervals_are_plain_numbers() -> None:
    interval: ConfidenceInterval = max_gap([1, 2], [3, 4], 0.95).interval
    assert {type(item) for item in (interval.value, interval.low, interval.high)} == {float}
    assert type(interval.n) is int


def test_compas_odds_differ_most_in_false_alarms() -> None:
    # As above; true positive rates 1,369 of 1,901 and 505 of 966 differ by 0.1974.
    hits, trials = [[1369, 505], [805, 349]], [[1901, 966], [1795, 1488]]
    which, found = equalised_odds_gap(hits, trials, 0.95)
    assert which == 1
    assert found.interval.value == pytest.approx(0.213925, abs=5e-7)
    alone = max_gap(hits[1], trials[1], 0.95).interval
    assert found.interval.low < alone.low
    assert found.interval.n == 1901 + 966 + 1795 + 1488
    assert "bonferroni over 2" in found.interval.method


@given(st.lists(st.tuples(COUNTS, COUNTS), min_size=2, max_size=8))
def test_the_largest_of_two_gaps_lies_within_its_interval(
    table: list[tuple[tuple[int, int], tuple[int, int]]],
) -> None:
    hits, trials = np.moveaxis(np.array(table), (0, 1, 2), (2, 1, 0))
    which, found = equalised_odds_gap(hits, trials, 0.95)
    gaps = np.ptp(hits / trials, axis=1)
    assert found.interval.value == pytest.approx(gaps.max())
    assert gaps[which] == pytest.approx(gaps.max())
    assert 0 <= found.interval.low <= found.interval.value <= found.interval.high <= 1


def test_a_group_without_positives_may_have_any_true_positive_rate() -> None:
    _, found = equalised_odds_gap([[40, 30, 0], [5, 5, 5]], [[50, 50, 0], [60, 60, 60]], 0.95)
    assert found.interval.high == 1
    with pytest.raises(ValueError, match="two groups"):
        equalised_odds_gap([[4, 0], [1, 1]], [[5, 0], [5, 5]], 0.95)


@pytest.mark.parametrize("gap", [0.0, 0.3])
def test_the_larger_of_two_gaps_is_covered(gap: float) -> None:
    rng = np.random.default_rng(12)
    rates, trials = [[0.5 + gap, 0.5, 0.5], [0.1, 0.1 + gap / 2, 0.1]], [[25, 40, 20], [60, 9, 80]]
    drawn = rng.binomial(trials, rates, size=(800, 2, 3))
    found = (equalised_odds_gap(hits, trials, 0.95)[1].interval for hits in drawn)
    assert coverage(found, gap)[0] >= allowed(0.95, 800)


def test_the_widest_gap_of_exact_limits_is_that_of_rates() -> None:
    hits, rows = [5, 20, 40], [50, 60, 80]
    level = pair_level(3, 0.95)
    limits = [clopper_pearson(k, n, level) for k, n in zip(hits, rows, strict=True)]
    ours, rates = widest_gap(joint_limits(limits, 0.95, "exact limits")), max_gap(hits, rows, 0.95)
    assert (ours.highest, ours.lowest) == (rates.highest, rates.lowest)
    assert ours.interval.value == pytest.approx(rates.interval.value)
    assert ours.interval.low == pytest.approx(rates.interval.low)
    assert ours.interval.high == pytest.approx(rates.interval.high)


def test_one_group_has_no_widest_gap() -> None:
    with pytest.raises(ValueError, match="two groups"):
        joint_limits([clopper_pearson(1, 2, 0.95)], 0.95, "exact limits")
