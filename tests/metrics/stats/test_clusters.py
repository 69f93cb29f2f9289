"""Rows that hang together: textbook limits, the matrices written out, and coverage."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import t
from simulated_coverage import allowed, coverage

from auditor.domain.readings import ConfidenceInterval
from auditor.domain.tasks import Floats
from auditor.metrics.stats.cluster_robust import (
    RobustEstimate,
    clustered_mean,
    clustered_mean_difference,
    clustered_means,
    clustered_proportion,
    clustered_proportion_difference,
    intraclass_correlation,
)
from auditor.metrics.stats.proportions import clopper_pearson

Codes = np.ndarray[tuple[int], np.dtype[np.int64]]


def written_out(
    values: Floats, kinds: Codes, clusters: Codes, weights: Floats, contrast: Floats
) -> RobustEstimate:
    """CR2 and Satterthwaite's freedom from whole matrices, as Pustejovsky and Tipton print them."""
    design = np.eye(contrast.size)[kinds]
    weigh = np.diag(weights)
    bread = np.linalg.inv(design.T @ weigh @ design)
    keep = np.eye(values.size) - design @ bread @ design.T @ weigh
    squared, loads = 0.0, []
    for cluster in np.unique(clusters):
        mine = clusters == cluster
        sizes, axes = np.linalg.eigh((keep @ keep.T)[np.ix_(mine, mine)])
        root = np.where(sizes > 1e-9, 1 / np.sqrt(np.where(sizes > 1e-9, sizes, 1)), 0)
        load = axes @ np.diag(root) @ axes.T @ weigh[np.ix_(mine, mine)] @ design[mine]
        load = load @ bread @ contrast
        squared += float(load @ (keep @ values)[mine]) ** 2
        loads.append(keep[mine].T @ load)
    products = np.array(loads) @ np.array(loads).T
    freedom = np.trace(products) ** 2 / np.sum(products**2)
    value = contrast @ bread @ design.T @ weigh @ values
    return RobustEstimate(float(value), squared**0.5, float(freedom))


@pytest.mark.parametrize("seed", range(12))
def test_errors_and_freedom_are_those_of_the_matrices_written_out(seed: int) -> None:
    rng = np.random.default_rng(seed)
    sides = seed % 2 + 1
    start = np.arange(2 * sides)
    kinds = np.concatenate([start % sides, rng.integers(0, sides, 25)])
    clusters = np.concatenate([start // sides, rng.integers(0, 6, 25)])
    weights = (np.ones(kinds.size), 1e4 * rng.exponential(size=kinds.size))[seed % 3 > 0]
    values, contrast = rng.normal(size=kinds.size), np.array([1.0, -1.0])[:sides]
    found = clustered_means(values, kinds, clusters, weights).estimate(contrast)
    oracle = written_out(values, kinds, clusters, weights, contrast)
    assert (found.value, found.error, found.freedom) == pytest.approx(
        (oracle.value, oracle.error, oracle.freedom)
    )


def test_one_row_a_cluster_gives_students_interval() -> None:
    values = np.random.default_rng(0).normal(size=12)
    found = clustered_mean(values, np.arange(12), 0.9)
    half = t.ppf(0.95, 11) * values.std(ddof=1) / np.sqrt(12)
    assert (found.low, found.high) == pytest.approx((values.mean() - half, values.mean() + half))


def test_equal_clusters_give_students_interval_of_their_means() -> None:
    values = np.random.default_rng(1).normal(size=(5, 4))
    found = clustered_mean(values.ravel(), np.repeat(np.arange(5), 4), 0.95)
    half = t.ppf(0.975, 4) * values.mean(axis=1).std(ddof=1) / np.sqrt(5)
    assert (found.low, found.high) == pytest.approx((values.mean() - half, values.mean() + half))


def test_two_sides_without_clusters_have_the_freedom_of_bell_and_mccaffrey() -> None:
    # Imbens and Kolesar (2016), equation 15: for 3 and 27 rows it is 2.5, no matter the values.
    kinds = (np.arange(30) < 3).astype(np.int64)
    values = np.random.default_rng(2).normal(size=30)
    found = clustered_means(values, kinds, np.arange(30), np.ones(30))
    one, other = values[:3].var(ddof=1) / 3, values[3:].var(ddof=1) / 27
    spread = (1 / 3 + 1 / 27) ** 2 / (1 / (9 * 2) + 1 / (27**2 * 26))
    estimate = found.estimate(np.array([-1.0, 1.0]))
    assert estimate.error == pytest.approx(np.sqrt(one + other))
    assert estimate.freedom == pytest.approx(spread)
    assert spread == pytest.approx(2.5, abs=0.05)


def test_a_weight_of_three_is_not_three_rows() -> None:
    values, weights = np.array([0.0, 1, 2, 5, 3, 4]), np.array([3.0, 1, 1, 2, 1, 1])
    found = clustered_mean(values, np.arange(6), 0.95, weights)
    copies = np.repeat(values, weights.astype(int))
    assert found.value == pytest.approx(copies.mean())
    longer = clustered_mean(copies, np.arange(copies.size), 0.95)
    assert found.high - found.low > longer.high - longer.low


@given(st.floats(1e-3, 1e3))
def test_the_unit_of_weights_plays_no_part(unit: float) -> None:
    rng = np.random.default_rng(3)
    values, clusters, weights = rng.normal(size=30), rng.integers(0, 6, 30), rng.random(30) + 0.1
    one, other = (clustered_mean(values, clusters, 0.95, w) for w in (weights, unit * weights))
    assert (one.low, one.high) == pytest.approx((other.low, other.high))


def test_a_proportion_without_clusters_is_nearly_the_exact_one() -> None:
    found = clustered_proportion(np.arange(400) < 40, np.arange(400), 0.95)
    exact = clopper_pearson(40, 400, 0.95)
    assert (found.low, found.high) == pytest.approx((exact.low, exact.high), abs=1e-3)


def test_rows_that_are_copies_count_once() -> None:
    hits = np.arange(30) < 6
    copied = clustered_proportion(np.repeat(hits, 50), np.repeat(np.arange(30), 50), 0.95)
    alone = clopper_pearson(6, 30, 0.95)
    assert copied.low <= alone.low + 0.01
    assert copied.high >= alone.high - 0.01


def test_clusters_without_a_single_hit_count_for_one_row_each() -> None:
    found = clustered_proportion(np.zeros(1000, dtype=bool), np.arange(1000) % 10, 0.95)
    assert (found.low, found.high) == pytest.approx((0, clopper_pearson(0, 10, 0.95).high))


def test_what_both_sides_share_in_a_cluster_cancels() -> None:
    rng = np.random.default_rng(4)
    clusters = np.repeat(np.arange(12), 10)
    values = 5 * rng.normal(size=12)[clusters] + rng.normal(size=120)
    within, apart = np.arange(120) % 2 == 0, clusters % 2 == 0
    narrow, wide = (clustered_mean_difference(values, o, clusters, 0.95) for o in (within, apart))
    assert narrow.high - narrow.low < 0.3 * (wide.high - wide.low)


def test_turning_the_sides_round_turns_the_difference_round() -> None:
    rng = np.random.default_rng(5)
    clusters, ours, hits = rng.integers(0, 8, 90), rng.random(90) < 0.4, rng.random(90) < 0.3
    for of in (clustered_mean_difference, clustered_proportion_difference):
        measured = hits if of is clustered_proportion_difference else hits.astype(np.float64)
        one, other = of(measured, ours, clusters, 0.9), of(measured, ~ours, clusters, 0.9)
        assert (one.value, one.low, one.high) == pytest.approx(
            (-other.value, -other.high, -other.low)
        )


@given(st.lists(st.tuples(st.booleans(), st.booleans(), st.integers(0, 4)), max_size=60))
def test_a_share_and_a_difference_lie_within_their_limits(
    rows: list[tuple[bool, bool, int]],
) -> None:
    ends = [(side, side, cluster) for side in (False, True) for cluster in (5, 6)]
    hits, ours, clusters = (np.array(column) for column in zip(*rows, *ends, strict=True))
    share = clustered_proportion(hits, clusters, 0.95)
    apart = clustered_proportion_difference(hits, ours, clusters, 0.95)
    assert 0 <= share.low <= share.value <= share.high <= 1
    assert -1 <= apart.low <= apart.value <= apart.high <= 1


def test_one_cluster_says_nothing_of_others() -> None:
    with pytest.raises(ValueError, match="two clusters"):
        clustered_mean(np.arange(9.0), np.zeros(9, dtype=np.int64), 0.95)
    with pytest.raises(ValueError, match="two clusters"):
        clustered_mean_difference(np.arange(9.0), np.arange(9) < 1, np.arange(9), 0.95)
    with pytest.raises(ValueError, match="two clusters"):
        clustered_proportion(np.zeros(0, dtype=bool), np.zeros(0, dtype=np.int64), 0.95)


@pytest.mark.parametrize("weights", [[1, 1], [1, 1, 0], [1, 1, -1], [1, 1, np.inf], [1, np.nan, 1]])
def test_weights_that_are_none_are_refused(weights: list[float]) -> None:
    with pytest.raises(ValueError, match="positive weight"):
        clustered_mean(np.arange(3.0), np.arange(3), 0.95, weights)


def shared_normal(rng: np.random.Generator, clusters: Codes) -> Floats:
    """Values of which the clusters explain three tenths."""
    common = np.sqrt(0.3) * rng.normal(size=clusters.max() + 1)
    return np.asarray(common[clusters] + np.sqrt(0.7) * rng.normal(size=clusters.size))


def repeated(
    of: Callable[[np.random.Generator], ConfidenceInterval], times: int
) -> list[ConfidenceInterval]:
    rng = np.random.default_rng(6)
    return [of(rng) for _ in range(times)]


@pytest.mark.parametrize("groups", [3, 5, 12])
def test_a_mean_of_few_equal_clusters_is_covered(groups: int) -> None:
    clusters = np.repeat(np.arange(groups), 8)
    found = repeated(lambda rng: clustered_mean(shared_normal(rng, clusters), clusters, 0.95), 1500)
    assert coverage(found, 0.0)[0] >= allowed(0.95, len(found))


@pytest.mark.parametrize("sizes", [[2, 3, 4, 5, 6, 30], [1, 2, 5, 8, 10, 12, 15, 40]])
def test_a_mean_of_few_unequal_clusters_is_covered(sizes: list[int]) -> None:
    clusters = np.repeat(np.arange(len(sizes)), sizes)
    found = repeated(lambda rng: clustered_mean(shared_normal(rng, clusters), clusters, 0.95), 1500)
    assert coverage(found, 0.0)[0] >= allowed(0.93, len(found))


@pytest.mark.parametrize(("groups", "rate"), [(3, 0.5), (6, 0.1), (20, 0.3)])
def test_a_share_of_few_clusters_is_covered(groups: int, rate: float) -> None:
    clusters = np.repeat(np.arange(groups), np.arange(groups) % 7 + 4)

    def draw(rng: np.random.Generator) -> ConfidenceInterval:
        rates = rng.beta(4 * rate, 4 * (1 - rate), groups)
        return clustered_proportion(rng.random(clusters.size) < rates[clusters], clusters, 0.95)

    found = repeated(draw, 1500)
    assert coverage(found, rate)[0] >= allowed(0.95, len(found))


def test_a_rare_thing_that_comes_in_whole_small_clusters_is_covered() -> None:
    sizes = np.arange(40) % 20 + 1
    clusters = np.repeat(np.arange(40), sizes)

    def draw(rng: np.random.Generator) -> ConfidenceInterval:
        rates = rng.beta(0.05 * 2 / 3, 0.95 * 2 / 3, 40)  # rows are correlated by 0.6
        return clustered_proportion(rng.random(clusters.size) < rates[clusters], clusters, 0.95)

    found = repeated(draw, 1500)
    assert coverage(found, 0.05)[0] >= allowed(0.95, len(found))


def test_rows_of_one_mind_are_correlated_and_rows_of_many_are_not() -> None:
    two = np.full((6, 1), 2.0)
    alike = intraclass_correlation(two, np.array([[2.0], [2.0], [2.0], [0.0], [0.0], [0.0]]))
    apart = intraclass_correlation(two, np.ones((6, 1)))
    alone = intraclass_correlation(np.ones((6, 1)), np.array([[1.0], [0.0]] * 3))
    assert (alike.item(), apart.item(), alone.item()) == (1.0, 0.0, 0.0)
    # Shares 1, 2/3, 1/3 and 0 of three rows each: mean squares between and within by hand.
    some = intraclass_correlation(np.full((4, 1), 3.0), np.array([[3.0], [2.0], [1.0], [0.0]]))
    between, within = 3 * 2 * ((1 / 2) ** 2 + (1 / 6) ** 2) / 3, 2 * (2 / 3) / 8
    assert some.item() == pytest.approx((between - within) / (between + 2 * within))


@pytest.mark.parametrize("within", [True, False])
def test_a_difference_of_shares_is_covered(within: bool) -> None:  # noqa: FBT001
    clusters = np.repeat(np.arange(8), 10)
    ours = (np.arange(80) if within else clusters) % 2 == 0

    def draw(rng: np.random.Generator) -> ConfidenceInterval:
        hits = rng.random(80) < rng.beta(0.8, 3.2, 8)[clusters] + 0.0
        return clustered_proportion_difference(hits, ours, clusters, 0.95)

    found = repeated(draw, 1500)
    assert coverage(found, 0.0)[0] >= allowed(0.95, len(found))


def test_without_clusters_the_interval_of_alike_rows_would_be_far_too_short() -> None:
    clusters = np.repeat(np.arange(20), 30)
    found = repeated(
        lambda rng: clustered_mean(shared_normal(rng, clusters), np.arange(600), 0.95), 400
    )
    assert coverage(found, 0.0)[0] < 0.6
