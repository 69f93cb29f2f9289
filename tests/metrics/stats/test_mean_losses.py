import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit
from scipy.stats import skew, t
from simulated_coverage import allowed, coverage
from sklearn.metrics import brier_score_loss, log_loss

from auditor.domain.tasks import Floats
from auditor.metrics.stats.means import (
    FLOOR,
    brier_scores,
    clip_probabilities,
    clustered_loss,
    count_clipped,
    log_losses,
    mean_excess,
    mean_loss,
)

LOSSES = st.lists(st.floats(0, 1), min_size=2, max_size=60)


def scores(classes: int, rows: int = 200) -> tuple[Floats, Floats]:
    rng = np.random.default_rng(classes)
    return rng.dirichlet(np.ones(classes), rows), rng.integers(0, classes, rows)


@pytest.mark.parametrize("classes", [2, 4])
def test_the_log_loss_is_scikit_learns(classes: int) -> None:
    table, labels = scores(classes)
    ours = log_losses(table, labels)[0].mean()
    assert ours == pytest.approx(
        log_loss(labels, clip_probabilities(table), labels=range(classes)), rel=1e-6
    )


@pytest.mark.parametrize("classes", [2, 4])
def test_the_brier_score_is_scikit_learns(classes: int) -> None:
    table, labels = scores(classes)
    stated = table[:, 1] if classes == 2 else table
    ours = brier_scores(table, labels)[0].mean()
    assert ours == pytest.approx(brier_score_loss(labels, stated))


@pytest.mark.parametrize("classes", [2, 4])
def test_no_label_costs_more_than_the_worst(classes: int) -> None:
    table, _ = scores(classes)
    for method in (log_losses, brier_scores):
        every = [method(table, np.full(len(table), label)) for label in range(classes)]
        assert max(losses.max() for losses, _ in every) == pytest.approx(every[0][1])


def test_certain_scores_are_kept_from_infinity_and_counted() -> None:
    table, labels = np.array([[0.0, 1.0], [1.0, 0.0]]), np.array([0, 0])
    losses, worst = log_losses(table, labels)
    assert losses[0] == worst == pytest.approx(-np.log(FLOOR))
    assert count_clipped(table) == 4


@given(LOSSES, st.sampled_from([0.8, 0.95, 0.999]))
def test_the_mean_lies_within_its_interval(values: list[float], level: float) -> None:
    interval = mean_loss(np.array(values), 1.0, level)
    assert 0 <= interval.low <= interval.value <= interval.high <= 1


@given(LOSSES)
def test_a_higher_confidence_never_narrows(values: list[float]) -> None:
    losses = np.array(values)
    narrow, wide = mean_loss(losses, 1.0, 0.8), mean_loss(losses, 1.0, 0.99)
    assert wide.low <= narrow.low
    assert narrow.high <= wide.high


def test_without_skewness_the_lower_limit_is_that_of_student() -> None:
    losses = np.array([0.4, 0.6] * 50)
    oracle = t.interval(0.95, 99, losses.mean(), losses.std(ddof=1) / 10)
    assert mean_loss(losses, 0.6, 0.95).low == pytest.approx(oracle[0])


def test_at_the_lower_limit_halls_statistic_is_students_quantile() -> None:
    losses = np.random.default_rng(2).exponential(size=40)
    interval = mean_loss(losses, float(losses.max()), 0.95)
    away = (losses.mean() - interval.low) / (losses.std(ddof=1) / np.sqrt(40))
    bend = skew(losses) / np.sqrt(40)
    straight = away + bend * away**2 / 3 + bend**2 * away**3 / 27 + bend / 6
    assert straight == pytest.approx(t.ppf(0.975, 39))


def test_losses_that_are_all_small_still_leave_room_for_a_large_one() -> None:
    interval = mean_loss(np.full(450, 1e-4), 1.0, 0.95)
    assert interval.low == pytest.approx(1e-4)
    assert 3.0 / 450 < interval.high < 0.05


def test_one_loss_has_no_interval() -> None:
    with pytest.raises(ValueError, match="two losses"):
        mean_loss(np.array([0.5]), 1.0, 0.95)


def accurate_model(rng: np.random.Generator, rows: int) -> tuple[Floats, Floats]:
    """A calibrated model that errs in one row of thirty and is nearly sure of most."""
    stated = expit(rng.normal(5, 2, rows) * np.sign(rng.random(rows) - 0.5))
    return np.stack([1 - stated, stated], axis=1), (rng.random(rows) < stated).astype(np.int64)


@pytest.mark.parametrize("method", [log_losses, brier_scores])
def test_mean_losses_of_an_accurate_model_are_covered(method: type) -> None:
    rng = np.random.default_rng(1)
    truth = float(method(*accurate_model(rng, 1_000_000))[0].mean())
    found = [mean_loss(*method(*accurate_model(rng, 150)), 0.95) for _ in range(800)]
    share, repeats = coverage(found, truth)
    assert share >= allowed(0.95, repeats)


@pytest.mark.slow
@pytest.mark.parametrize("method", [log_losses, brier_scores])
@pytest.mark.parametrize("rows", [50, 450, 2000])
def test_mean_losses_are_covered_in_ten_thousand_samples(method: type, rows: int) -> None:
    rng = np.random.default_rng(rows)
    truth = float(method(*accurate_model(rng, 4_000_000))[0].mean())
    found = (mean_loss(*method(*accurate_model(rng, rows)), 0.95) for _ in range(10_000))
    assert coverage(found, truth)[0] >= 0.94


def test_clusters_of_one_row_are_rows_alone() -> None:
    losses = np.random.default_rng(2).exponential(0.3, 50)
    alone, apart = mean_loss(losses, 16.0, 0.95), clustered_loss(losses, 16.0, np.arange(50), 0.95)
    assert (apart.value, apart.low, apart.high) == pytest.approx(
        (alone.value, alone.low, alone.high)
    )


def test_losses_repeated_in_clusters_are_no_surer() -> None:
    losses = np.random.default_rng(2).exponential(0.3, 50)
    once = mean_loss(losses, 16.0, 0.95)
    often = clustered_loss(np.repeat(losses, 7), 16.0, np.repeat(np.arange(50), 7), 0.95)
    assert (often.low, often.high) == pytest.approx((once.low, once.high))


def test_what_came_true_less_what_was_stated_is_found_by_hand() -> None:
    found = mean_excess(np.full(400, 0.3), np.arange(400) < 200, 0.95)
    assert found.value == pytest.approx(0.2)
    half = 1.966 * 0.5 / np.sqrt(399)
    assert found.low == pytest.approx(0.2 - half, abs=0.005)
    assert found.high == pytest.approx(0.2 + half, abs=0.005)


def test_a_rare_event_that_was_not_seen_is_allowed_for() -> None:
    found = mean_excess(np.full(100, 0.01), np.zeros(100, dtype=bool), 0.95)
    assert found.low <= -0.01 <= found.value
    assert found.high > 0


@pytest.mark.parametrize("rate", [0.02, 0.3])
def test_the_mean_error_is_covered(rate: float) -> None:
    rng = np.random.default_rng(9)
    odds = np.log(rate / (1 - rate))

    def sample() -> tuple[Floats, np.ndarray]:
        stated = expit(odds + rng.normal(size=200))
        return stated, rng.random(200) < stated

    found = (mean_excess(*sample(), 0.95) for _ in range(400))
    assert coverage(found, 0.0)[0] >= allowed(0.95, 400)
