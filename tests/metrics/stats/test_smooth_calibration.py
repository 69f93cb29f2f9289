from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.special import expit, logit
from scipy.stats import norm
from simulated_coverage import allowed, coverage

from auditor.domain.tasks import Floats
from auditor.metrics.stats.smooth_calibration import smooth_calibration_error

Flags = np.ndarray[tuple[int], np.dtype[np.bool_]]


def sure(rng: np.random.Generator, rows: int, temperature: float) -> tuple[Floats, Floats]:
    """Top labels of an accurate model, most of them stated with near certainty."""
    odds = np.abs(rng.normal(8, 3, rows))
    return expit(odds), expit(odds / temperature)


def tempered(rng: np.random.Generator, rows: int, temperature: float) -> tuple[Floats, Floats]:
    """Stated probabilities from Beta(2, 3), and true ones that are cooler by a temperature."""
    stated = rng.beta(2, 3, rows)
    return stated, expit(logit(stated) / temperature)


def happens(rng: np.random.Generator, chances: Floats) -> Flags:
    return np.asarray(rng.random(len(chances)) < chances)


def test_one_stated_value_errs_by_its_plain_difference() -> None:
    # A kernel spreads one error of 0.2 and keeps its sign: the mean absolute error stays 0.2.
    found = smooth_calibration_error(np.full(1000, 0.6), np.arange(1000) < 400, 0.95, 1)
    assert found.interval.value == pytest.approx(0.2, abs=1e-4)


def test_two_opposite_errors_cancel_as_far_as_the_kernel_reaches() -> None:
    # 0.3 comes true never, 0.7 always: after a reflected Gaussian of width s the error is
    # 0.3 * E|K(t - 0.3) - K(t - 0.7)| / 2, and s is that very error.
    stated = np.repeat([0.3, 0.7], 500)
    value = smooth_calibration_error(stated, stated > 0.5, 0.95, 1).interval.value

    def kernel(at: float, centre: float) -> float:
        images = [2 * whole + sign * centre for whole in range(-3, 4) for sign in (-1, 1)]
        return float(norm.pdf(at, images, value).sum())

    total = quad(lambda at: abs(kernel(at, 0.7) - kernel(at, 0.3)), 0, 1, points=[0.3, 0.5, 0.7])
    assert value == pytest.approx(0.3 * total[0] / 2, abs=2e-4)


@pytest.mark.parametrize(("temperature", "published"), [(1.6, 0.05726)])
def test_a_bold_model_has_the_error_that_relplot_finds(
    temperature: float, published: float
) -> None:
    # relplot 1.0.3 gives 0.057263 for these very rows (benchmarks/calibration_against_peers.py).
    rng = np.random.default_rng(0)
    stated, chances = tempered(rng, 1_000_000, temperature)
    found = smooth_calibration_error(stated, happens(rng, chances), 0.95, 1)
    assert found.interval.value == pytest.approx(published, abs=3e-5)
    assert found.interval.high - found.interval.low < 0.004
    assert found.null.p_value < 0.01


def test_a_calibrated_model_lies_within_what_calibrated_models_show() -> None:
    # A calibrated model of 200 rows shows an error of about 0.055: noise, not miscalibration.
    rng = np.random.default_rng(1)
    stated, _ = tempered(rng, 200, 1.0)
    found = smooth_calibration_error(stated, happens(rng, stated), 0.95, 1)
    assert found.null.mean == pytest.approx(0.055, abs=0.01)
    assert found.null.low <= found.interval.value <= found.null.high
    assert found.interval.low == 0


def test_certain_and_right_is_no_error_and_certain_and_wrong_is_all() -> None:
    sure = np.repeat([0.0, 1.0], 300)
    right = smooth_calibration_error(sure, sure == 1, 0.95, 1)
    assert right.interval.value == pytest.approx(0, abs=1e-4)
    assert right.null.p_value == 1
    assert right.interval.low == 0
    assert right.interval.high == pytest.approx(-np.log(0.05) / 600, rel=0.05)  # the rule of three
    wrong = smooth_calibration_error(np.ones(300), np.zeros(300, dtype=bool), 0.95, 1)
    assert wrong.interval.value == pytest.approx(1, abs=1e-4)


def test_the_curve_goes_through_what_came_true() -> None:
    rng = np.random.default_rng(2)
    stated, chances = tempered(rng, 20_000, 1.6)
    points = smooth_calibration_error(stated, happens(rng, chances), 0.95, 1).curve
    assert len(points) > 20
    inner = [point for point in points if 0.2 < point.stated < 0.6]
    held = [at.low <= expit(logit(at.stated) / 1.6) <= at.high for at in inner]
    assert np.mean(held) > 0.7
    assert all(at.low <= at.happened <= at.high for at in points)


@settings(max_examples=20)
@given(
    st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=60),
    st.sampled_from([0.8, 0.999]),
)
def test_whatever_is_stated_the_error_lies_within_its_interval(
    rows: list[tuple[float, bool]], level: float
) -> None:
    stated, happened = (np.array(column) for column in zip(*rows, strict=True))
    found = smooth_calibration_error(stated.astype(np.float64), happened, level, 3)
    assert 0 <= found.interval.low <= found.interval.value <= found.interval.high <= 1
    assert 0 <= found.null.low <= found.null.high <= 1
    assert 0 < found.null.p_value <= 1


def test_the_same_seed_gives_the_same_figures() -> None:
    rng = np.random.default_rng(3)
    stated = rng.random(500)
    happened = happens(rng, stated)
    assert smooth_calibration_error(stated, happened, 0.95, 5) == smooth_calibration_error(
        stated, happened, 0.95, 5
    )


def test_no_rows_have_no_error() -> None:
    with pytest.raises(ValueError, match="needs rows"):
        smooth_calibration_error(np.array([]), np.array([], dtype=bool), 0.95, 1)


def sm_coverage(
    temperature: float,
    rows: int,
    repeats: int,
    law: Callable[..., tuple[Floats, Floats]] = tempered,
) -> float:
    rng = np.random.default_rng(rows)
    stated, chances = law(rng, 4_000_000, temperature)
    truth = smooth_calibration_error(stated, happens(rng, chances), 0.95, 0).interval.value

    def sample(seed: int) -> tuple[Floats, Flags, float, int]:
        ours, true = law(rng, rows, temperature)
        return ours, happens(rng, true), 0.95, seed

    found = (smooth_calibration_error(*sample(seed)).interval for seed in range(repeats))
    return coverage(found, truth if temperature > 1 else 0.0)[0]


def test_the_smooth_error_is_covered() -> None:
    assert sm_coverage(1.6, 500, 30) >= allowed(0.95, 30)


@pytest.mark.slow
@pytest.mark.parametrize("temperature", [1.0, 1.2, 1.6, 2.5])
@pytest.mark.parametrize("rows", [150, 2000])
def test_the_smooth_error_is_covered_in_many_samples(temperature: float, rows: int) -> None:
    assert sm_coverage(temperature, rows, 600) >= allowed(0.95, 600)


@pytest.mark.slow
@pytest.mark.parametrize("rows", [150, 1000, 4000])
def test_the_smooth_error_of_a_sure_and_bold_model_is_covered(rows: int) -> None:
    assert sm_coverage(2.0, rows, 600, sure) >= allowed(0.95, 600)


def test_a_calibrated_model_is_seldom_outside_its_null() -> None:
    rng = np.random.default_rng(4)
    found = []
    for seed in range(50):
        stated, _ = tempered(rng, 300, 1.0)
        found.append(
            smooth_calibration_error(stated, happens(rng, stated), 0.95, seed).null.p_value
        )
    assert np.mean(np.array(found) <= 0.05) <= 1 - allowed(0.95, 50)
