"""Comparisons of groups beyond independent proportions: clusters, means, differential fairness."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from simulated_coverage import allowed

from auditor.metrics.stats.cluster_robust import (
    clustered_proportion,
    clustered_proportion_difference,
)
from auditor.metrics.stats.group_gaps import max_gap, smallest_ratio, widest_gap
from auditor.metrics.stats.group_rates import (
    clustered_rates,
    differential_fairness,
    independent_rates,
    joint_group_means,
)


def crowd(rng: np.random.Generator, shared: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:  # type: ignore[type-arg]
    """Three groups of equal rate in 60 households of 4, of which two groups share each."""
    clusters = np.repeat(np.arange(60), 4)
    groups = (clusters + np.arange(240) % 2) % 3
    alike = (rng.random(60) < 0.3)[clusters]
    own = rng.random(240) < 0.3
    return np.where(rng.random(240) < shared, alike, own), groups, clusters


def test_two_groups_in_their_own_clusters_are_compared_as_by_the_difference() -> None:
    rng = np.random.default_rng(0)
    clusters = np.repeat(np.arange(40), 5)
    hits, groups = rng.random(200) < 0.4, (clusters % 2).astype(np.int64)
    found = widest_gap(clustered_rates(hits, (groups, 2), clusters, 0.95)).interval
    expected = clustered_proportion_difference(hits, groups == 1, clusters, 0.95)
    assert found.value == pytest.approx(abs(expected.value))
    ends = sorted((abs(expected.low), abs(expected.high)))
    assert found.high == pytest.approx(ends[1])


def test_limits_of_one_group_are_those_of_its_share_alone_at_the_joint_level() -> None:
    hits, groups, clusters = crowd(np.random.default_rng(1), 0.3)
    found = clustered_rates(hits, (groups, 3), clusters, 0.95, 2)
    inside = groups == 0
    alone = clustered_proportion(hits[inside], clusters[inside], 1 - 0.05 / 2 / 3)
    assert (found.rates[0], found.low[0], found.high[0]) == pytest.approx(
        (alone.value, alone.low, alone.high), abs=1e-3
    )


@pytest.mark.parametrize("shared", [0.0, 0.5])
def test_gaps_of_clustered_groups_hold_their_level(shared: float) -> None:
    rng, accused = np.random.default_rng(2), 0
    for _ in range(300):
        hits, groups, clusters = crowd(rng, shared)
        accused += widest_gap(clustered_rates(hits, (groups, 3), clusters, 0.95)).interval.low > 0
    assert 1 - accused / 300 >= allowed(0.95, 300)


def test_rows_of_one_cluster_taken_as_independent_accuse_far_too_often() -> None:
    rng, accused = np.random.default_rng(3), 0
    for _ in range(200):
        clusters = np.repeat(np.arange(60), 8)
        hits, groups = (rng.random(60) < 0.3)[clusters], clusters % 3
        counts = np.bincount(groups, hits), np.bincount(groups)
        accused += max_gap(*counts, 0.95).interval.low > 0
        robust = widest_gap(clustered_rates(hits, (groups, 3), clusters, 0.95))
        assert robust.interval.high > max_gap(*counts, 0.95).interval.high
    assert accused > 50


def test_a_group_in_one_cluster_leaves_any_gap_possible() -> None:
    clusters = np.array([0, 1, 2, 3, 4, 4])
    found = clustered_rates(
        np.arange(6) % 2 == 0, (np.array([0, 0, 1, 1, 2, 2]), 3), clusters, 0.95
    )
    assert (found.index, found.complete) == ((0, 1), False)
    assert widest_gap(found).interval.high == 1
    assert smallest_ratio(found).interval.low == 0


def test_one_group_in_two_clusters_cannot_be_compared() -> None:
    with pytest.raises(ValueError, match="two groups"):
        clustered_rates(np.ones(3, np.bool_), (np.array([0, 0, 1]), 2), np.array([0, 1, 1]), 0.95)


COUNTS = st.integers(1, 99).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


@given(st.lists(COUNTS, min_size=2, max_size=6))
def test_differences_and_ratios_of_two_groups_mirror_each_other(
    table: list[tuple[int, int]],
) -> None:
    groups = independent_rates(*zip(*table, strict=True), 0.95)
    value, low, high = groups.differences()
    assert np.allclose(value, -value.T)
    assert np.allclose(low, -high.T)
    lower, upper = groups.ratios()
    assert np.all(lower <= upper)


def test_gaps_of_means_hold_their_level_for_groups_of_unlike_spread() -> None:
    rng, held = np.random.default_rng(4), 0
    codes = np.repeat([0, 1, 2], [30, 60, 400])
    spread, middle = np.array([3.0, 1.0, 0.5])[codes], np.array([0.0, 0.4, 0.0])[codes]
    for _ in range(400):
        values = middle + spread * (rng.exponential(size=codes.size) - 1)
        found = widest_gap(joint_group_means(values, codes, None, 0.95)).interval
        held += found.low <= 0.4 <= found.high
    assert held / 400 >= allowed(0.95, 400)


def test_means_of_errors_with_long_tails_apart_cover_their_difference() -> None:
    # Student's interval covers 0.83 here.
    rng, held, truth = np.random.default_rng(6), 0, 2 * math.exp(1.5**2 / 2)
    for _ in range(400):
        tails = rng.lognormal(0.0, 1.5, (2, 30))
        values = np.concatenate([tails[0], -tails[1]])
        found = widest_gap(joint_group_means(values, np.repeat([0, 1], 30), None, 0.95)).interval
        held += found.low <= truth <= found.high
    assert held / 400 >= allowed(0.94, 400)


def test_one_mean_cannot_be_compared() -> None:
    with pytest.raises(ValueError, match="two groups"):
        joint_group_means(np.zeros(4), np.zeros(4, np.int64), None, 0.95)


def test_differential_fairness_is_the_one_on_paper() -> None:
    # (1 + .5) / 3 = 1/2 and (3 + .5) / 7 = 1/2 are alike; (5 + .5) / 11 is too; 9 of 9 is 9.5 / 10.
    assert differential_fairness([1, 3], [2, 6]) == 0
    assert differential_fairness([1, 9], [2, 9]) == pytest.approx(math.log(0.5 / 0.05))
    assert differential_fairness([1, 9, 0], [2, 9, 0]) == differential_fairness([1, 9], [2, 9])
    with pytest.raises(ValueError, match="two groups"):
        differential_fairness([1, 0], [2, 0])
