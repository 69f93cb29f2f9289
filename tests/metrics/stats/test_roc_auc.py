import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit, logit, ndtri
from simulated_coverage import allowed, coverage
from sklearn.metrics import roc_auc_score

from auditor.domain.readings import ConfidenceInterval
from auditor.domain.tasks import Floats
from auditor.metrics.stats.roc_auc import (
    auc,
    auc_and_influence,
    auc_covariance,
    auc_difference,
    macro_auc,
    paired_auc_difference,
)

Flags = np.ndarray[tuple[int], np.dtype[np.bool_]]

ROWS = st.lists(st.tuples(st.integers(0, 9), st.booleans()), min_size=2, max_size=80).filter(
    lambda rows: len({kind for _, kind in rows}) == 2
)


@given(ROWS)
def test_the_area_is_scikit_learns_with_ties(rows: list[tuple[int, bool]]) -> None:
    scores, kinds = (np.array(column) for column in zip(*rows, strict=True))
    interval = auc(scores, kinds, 0.95)
    assert interval.value == pytest.approx(roc_auc_score(kinds, scores))
    assert 0 <= interval.low <= interval.value <= interval.high <= 1
    assert interval.low < interval.high


def test_with_enough_rows_the_interval_is_delongs_on_the_logit_scale() -> None:
    rng = np.random.default_rng(0)
    above, below = np.exp(rng.normal(1, 2, 150)), np.exp(rng.normal(0, 0.3, 900))
    kernel = (above[:, None] > below) + 0.5 * (above[:, None] == below)
    spread = kernel.mean(1).var(ddof=1) / 150 + kernel.mean(0).var(ddof=1) / 900
    area = kernel.mean()
    half = ndtri(0.975) * np.sqrt(spread) / (area * (1 - area))
    found = auc(np.concatenate([above, below]), np.arange(1050) < 150, 0.95)
    assert found.low == pytest.approx(expit(logit(area) - half))
    assert found.high == pytest.approx(expit(logit(area) + half))


def test_a_perfect_order_has_newcombes_lower_limit() -> None:
    found = auc(np.arange(40.0), np.arange(40) >= 20, 0.95)
    shape = 1 + 19 * ((1 - found.low) / (2 - found.low) + found.low / (1 + found.low))
    variance = found.low * (1 - found.low) * shape / 400
    assert found.value == found.high == 1
    assert (1 - found.low) ** 2 == pytest.approx(ndtri(0.975) ** 2 * variance)


def test_turning_the_scores_round_mirrors_the_interval() -> None:
    rng = np.random.default_rng(4)
    scores, kinds = rng.normal(size=60), rng.random(60) < 0.4
    one, other = auc(scores, kinds, 0.9), auc(-scores, kinds, 0.9)
    assert (one.low, one.high) == pytest.approx((1 - other.high, 1 - other.low))


def test_the_mean_area_of_two_classes_is_the_area_of_one() -> None:
    rng = np.random.default_rng(5)
    labels = rng.integers(0, 2, 300)
    stated = expit(rng.normal(labels, 1))
    both = macro_auc(np.stack([1 - stated, stated], axis=1), labels, 0.95)
    one = auc(stated, labels == 1, 0.95)
    assert both.value == pytest.approx(one.value)
    assert (both.low, both.high) == pytest.approx((one.low, one.high), abs=2e-3)


def test_the_mean_area_is_scikit_learns() -> None:
    scores, labels = clusters(np.random.default_rng(6), 200, 4, 1.0)
    oracle = roc_auc_score(labels, scores, multi_class="ovr", average="macro")
    assert macro_auc(scores, labels, 0.95).value == pytest.approx(oracle)


def test_rows_of_one_kind_have_no_area() -> None:
    with pytest.raises(ValueError, match="both kinds"):
        auc(np.arange(3.0), np.ones(3, dtype=bool), 0.95)
    with pytest.raises(ValueError, match="both kinds"):
        macro_auc(np.full((3, 3), 1 / 3), np.array([0, 1, 1]), 0.95)


def clusters(
    rng: np.random.Generator, rows: int, classes: int, apart: float
) -> tuple[Floats, np.ndarray[tuple[int], np.dtype[np.int64]]]:
    labels = np.arange(rows) % classes
    heights = np.exp(rng.normal(size=(rows, classes)) + apart * np.eye(classes)[labels])
    return heights / heights.sum(axis=1, keepdims=True), labels


def normal_area(
    rng: np.random.Generator, above: int, below: int, area: float
) -> ConfidenceInterval:
    """Two normal samples whose true area under the curve is known."""
    scores = rng.normal(size=above + below)
    scores[:above] += ndtri(area) * np.sqrt(2)
    return auc(scores, np.arange(above + below) < above, 0.95)


@pytest.mark.parametrize("area", [0.6, 0.9, 0.97])
def test_the_area_is_covered_with_few_positives(area: float) -> None:
    rng = np.random.default_rng(7)
    found = [normal_area(rng, 20, 180, area) for _ in range(400)]
    share, repeats = coverage(found, area)
    assert share >= allowed(0.95, repeats)


@pytest.mark.slow
@pytest.mark.parametrize("area", [0.5, 0.7, 0.9, 0.97, 0.99])
@pytest.mark.parametrize("kinds", [(20, 20), (15, 435), (100, 400)])
def test_the_area_is_covered_in_many_samples(area: float, kinds: tuple[int, int]) -> None:
    rng = np.random.default_rng(8)
    found = (normal_area(rng, *kinds, area) for _ in range(4000))
    assert coverage(found, area)[0] >= 0.94


@pytest.mark.slow
@pytest.mark.parametrize(("classes", "apart"), [(3, 1.0), (10, 3.0)])
def test_the_mean_area_is_covered_in_many_samples(classes: int, apart: float) -> None:
    rng = np.random.default_rng(9)
    truth = macro_auc(*clusters(rng, 300_000, classes, apart), 0.95).value
    found = (macro_auc(*clusters(rng, 150, classes, apart), 0.95) for _ in range(2000))
    assert coverage(found, truth)[0] >= 0.94


def kernel_variance(one: Floats, other: Floats, positive: Flags) -> float:
    """DeLong's variance of the difference of two areas, from all pairs of rows."""
    kernels = [
        (scores[positive][:, None] > scores[~positive])
        + 0.5 * (scores[positive][:, None] == scores[~positive])
        for scores in (one, other)
    ]
    apart = kernels[0] - kernels[1]
    above, below = apart.shape
    return float(apart.mean(1).var(ddof=1) / above + apart.mean(0).var(ddof=1) / below)


def test_the_covariance_of_two_areas_is_that_of_all_pairs() -> None:
    rng = np.random.default_rng(10)
    positive = np.arange(60) < 25
    one = rng.integers(0, 6, 60) + 2.0 * positive
    other = one + rng.integers(-2, 3, 60)
    found = auc_covariance(one, other, positive)
    pairs = kernel_variance(one, other, positive)
    assert found[0, 0] + found[1, 1] - 2 * found[0, 1] == pytest.approx(pairs)
    assert found[0, 0] == pytest.approx(kernel_variance(one, np.zeros(60), positive))


def test_four_placements_are_found_by_hand() -> None:
    # Positives 3, 2 and negatives 1, 2: areas 7/8; placements 1, 3/4 and 1, 3/4.
    scores, positive = np.array([3.0, 2, 1, 2]), np.array([True, True, False, False])
    area, influence = auc_and_influence(scores, positive)
    assert area == 7 / 8
    assert float(np.sum(influence**2)) == pytest.approx(2 * (1 / 32) / 2)


def test_a_model_differs_from_itself_by_nothing_and_from_its_opposite_by_twice_the_gain() -> None:
    rng = np.random.default_rng(11)
    positive = np.arange(200) < 80
    scores = rng.normal(size=200) + positive
    itself = paired_auc_difference(scores, scores, positive, 0.95)
    assert itself.value == 0
    assert itself.low <= 0 <= itself.high
    opposite = paired_auc_difference(scores, -scores, positive, 0.95)
    assert opposite.value == pytest.approx(2 * auc(scores, positive, 0.95).value - 1)


def test_two_perfect_orders_are_not_proven_equal() -> None:
    positive = np.arange(40) >= 20
    found = paired_auc_difference(np.arange(40.0), np.arange(40.0) ** 2, positive, 0.95)
    assert found.value == 0
    assert found.low < -0.05
    assert found.high > 0.05


def test_pairing_shortens_the_interval_and_enough_rows_make_it_delongs() -> None:
    rng = np.random.default_rng(12)
    positive = np.arange(4000) < 1500
    one = rng.normal(size=4000) + positive
    other = one + 0.5 * rng.normal(size=4000)
    paired = paired_auc_difference(one, other, positive, 0.95)
    alone = auc_difference(auc(one, positive, 0.95), auc(other, positive, 0.95))
    assert paired.high - paired.low < 0.5 * (alone.high - alone.low)
    half = ndtri(0.975) * np.sqrt(kernel_variance(one, other, positive))
    assert (paired.high - paired.low) / 2 == pytest.approx(half, rel=0.1)


def test_areas_at_two_confidences_are_not_compared() -> None:
    positive = np.arange(20) < 8
    areas = [auc(np.arange(20.0), positive, level) for level in (0.9, 0.95)]
    with pytest.raises(ValueError, match=r"0\.9 and 0\.95"):
        auc_difference(*areas)


@pytest.mark.parametrize("areas", [(0.8, 0.8), (0.95, 0.85), (0.97, 0.97)])
@pytest.mark.parametrize("kinds", [(10, 10), (12, 90)])
def test_a_difference_of_areas_is_covered_with_few_positives(
    areas: tuple[float, float], kinds: tuple[int, int]
) -> None:
    rng = np.random.default_rng(13)
    positive = np.arange(sum(kinds)) < kinds[0]
    found = []
    for _ in range(400):
        noise = rng.normal(size=(2, positive.size))
        noise[1] = 0.6 * noise[0] + 0.8 * noise[1]
        scores = noise + np.sqrt(2) * ndtri(areas)[:, None] * positive
        found.append(paired_auc_difference(*scores, positive, 0.95))
    assert coverage(found, areas[0] - areas[1])[0] >= allowed(0.94, len(found))


def test_rows_of_one_cluster_each_give_nearly_the_interval_of_rows_alone() -> None:
    rng = np.random.default_rng(3)
    positive = rng.random(400) < 0.4
    scores = rng.normal(size=400) + positive
    alone, apart = auc(scores, positive, 0.95), auc(scores, positive, 0.95, np.arange(400))
    assert apart.value == alone.value
    assert apart.low == pytest.approx(alone.low, abs=0.002)
    assert apart.high == pytest.approx(alone.high, abs=0.002)


def test_rows_repeated_in_clusters_make_no_area_surer() -> None:
    rng = np.random.default_rng(4)
    positive = rng.random(60) < 0.4
    scores = rng.normal(size=60) + positive
    once = auc(scores, positive, 0.95)
    often = auc(np.repeat(scores, 9), np.repeat(positive, 9), 0.95, np.repeat(np.arange(60), 9))
    assert often.value == pytest.approx(once.value)
    assert often.high - often.low == pytest.approx(once.high - once.low, rel=0.1)


def test_an_area_of_one_cluster_has_no_interval() -> None:
    with pytest.raises(ValueError, match="two clusters"):
        auc(np.array([0.1, 0.9]), np.array([False, True]), 0.95, np.array([1, 1]))
