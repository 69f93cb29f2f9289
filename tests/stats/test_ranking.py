import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit, logit, ndtri
from simulated_coverage import allowed, coverage
from sklearn.metrics import roc_auc_score

from auditor.domain.intervals import Interval
from auditor.domain.tasks import Floats
from auditor.stats.ranking import auc, macro_auc

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


def normal_area(rng: np.random.Generator, above: int, below: int, area: float) -> Interval:
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
