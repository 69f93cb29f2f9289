import numpy as np
import pytest
from simulated_coverage import allowed
from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error

from auditor.metrics.stats.means import mean_error, r_squared, root_mean_square


def sample(rng: np.random.Generator, rows: int = 100) -> tuple[np.ndarray, np.ndarray]:
    """Truth of variance 4, and errors of mean 0.5 and variance 1 with a long tail above."""
    return rng.normal(0, 2, rows), rng.exponential(1.0, rows) - 0.5


def test_figures_are_scikit_learns() -> None:
    truth, errors = sample(np.random.default_rng(1))
    said = truth + errors
    assert mean_error(np.abs(errors), 0.95).value == pytest.approx(mean_absolute_error(truth, said))
    assert root_mean_square(errors, 0.95).value == pytest.approx(
        root_mean_squared_error(truth, said)
    )
    assert r_squared(truth, errors, 0.95).value == pytest.approx(r2_score(truth, said))


def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    squares = 1 + 0.25
    for interval, truth in (
        (lambda truth, errors: mean_error(errors, 0.95), 0.5),
        (lambda truth, errors: root_mean_square(errors, 0.95), squares**0.5),
        (lambda truth, errors: r_squared(truth, errors, 0.95), 1 - squares / 4),
    ):
        rng, hits, tries = np.random.default_rng(2), 0, 1000
        for _try in range(tries):
            found = interval(*sample(rng, 200))
            hits += found.low <= truth <= found.high
        assert hits / tries >= allowed(0.93, tries)


def test_rows_repeated_in_clusters_are_no_surer() -> None:
    truth, errors = sample(np.random.default_rng(3), 60)
    persons = np.repeat(np.arange(60), 5)
    for once, often in (
        (mean_error(errors, 0.95), mean_error(np.repeat(errors, 5), 0.95, persons)),
        (
            r_squared(truth, errors, 0.95),
            r_squared(np.repeat(truth, 5), np.repeat(errors, 5), 0.95, persons),
        ),
    ):
        assert (often.low, often.high) == pytest.approx((once.low, once.high))


def test_what_is_exact_or_constant_explains_nothing() -> None:
    truth, errors = sample(np.random.default_rng(4), 40)
    with pytest.raises(ValueError, match="nothing to explain"):
        r_squared(truth, np.zeros(40), 0.95)
    with pytest.raises(ValueError, match="nothing to explain"):
        r_squared(np.ones(40), errors, 0.95)
    with pytest.raises(ValueError, match="30 are needed"):
        mean_error(errors[:29], 0.95)
