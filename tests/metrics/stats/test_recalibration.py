import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit, logit
from scipy.stats import chi2, norm
from simulated_coverage import allowed, coverage
from sklearn.linear_model import LogisticRegression

from auditor.domain.tasks import Floats
from auditor.metrics.stats.recalibration import (
    RecalibrationLine,
    expected_half_widths,
    recalibrate,
    recalibrate_clustered,
    spiegelhalter,
)


def drawn(
    rng: np.random.Generator, rows: int, slope: float = 1.0, intercept: float = 0.0
) -> tuple[Floats, np.ndarray[tuple[int], np.dtype[np.bool_]]]:
    """Stated probabilities, and outcomes whose true log odds are a line of the stated ones."""
    stated = rng.uniform(0.02, 0.98, rows)
    return stated, rng.random(rows) < expit(intercept + slope * logit(stated))


def fitted(
    rng: np.random.Generator, rows: int, slope: float, intercept: float
) -> RecalibrationLine:
    found = recalibrate(*drawn(rng, rows, slope, intercept), 0.95)
    assert found is not None
    return found


def test_a_perfectly_calibrated_model_has_slope_one_and_intercept_zero() -> None:
    stated = np.repeat([0.1, 0.25, 0.5, 0.8], 40)
    happened = np.concatenate([np.arange(40) < 40 * share for share in (0.1, 0.25, 0.5, 0.8)])
    found = recalibrate(stated, happened, 0.95)
    assert found is not None
    assert found.slope.value == pytest.approx(1, abs=1e-6)
    assert found.intercept.value == pytest.approx(0, abs=1e-6)
    assert found.offset == pytest.approx(0, abs=1e-6)
    assert found.p_value == pytest.approx(1, abs=1e-6)


def test_two_stated_values_have_a_line_on_paper() -> None:
    # Through the points (logit .2, logit .4) and (logit .8, logit .6).
    stated = np.repeat([0.2, 0.8], 50)
    happened = np.concatenate([np.arange(50) < 20, np.arange(50) < 30])
    found = recalibrate(stated, happened, 0.95)
    assert found is not None
    assert found.slope.value == pytest.approx(logit(0.6) / logit(0.8), abs=1e-6)
    assert found.intercept.value == pytest.approx(0, abs=1e-6)


def test_the_line_is_scikit_learns() -> None:
    stated, happened = drawn(np.random.default_rng(1), 400, 0.6, -0.3)
    oracle = LogisticRegression(C=np.inf, tol=1e-10).fit(logit(stated)[:, None], happened)
    found = recalibrate(stated, happened, 0.95)
    assert found is not None
    assert found.slope.value == pytest.approx(oracle.coef_[0, 0], abs=1e-4)
    assert found.intercept.value == pytest.approx(oracle.intercept_[0], abs=1e-4)


def test_at_each_limit_the_best_likelihood_has_fallen_by_half_a_chi_squared_quantile() -> None:
    stated, happened = drawn(np.random.default_rng(2), 80, 0.8, 0.2)
    found = recalibrate(stated, happened, 0.9)
    assert found is not None

    def height(slope: float) -> float:
        lines = np.linspace(-2, 2, 40_001)[:, None] + slope * logit(stated)
        return float((happened * lines - np.logaddexp(0, lines)).sum(axis=1).max())

    fallen = [
        height(found.slope.value) - height(end) for end in (found.slope.low, found.slope.high)
    ]
    assert fallen == pytest.approx([chi2.ppf(0.9, 1) / 2] * 2, abs=1e-3)


@pytest.mark.parametrize(
    ("stated", "happened"),
    [
        ([0.1, 0.2, 0.8, 0.9], [0, 0, 1, 1]),
        ([0.1, 0.5, 0.5, 0.9], [0, 0, 1, 1]),
        ([0.9, 0.8, 0.2, 0.1], [0, 0, 1, 1]),
        ([0.1, 0.2, 0.8, 0.9], [1, 1, 1, 1]),
        ([0.7, 0.7, 0.7, 0.7], [1, 0, 1, 1]),
    ],
)
def test_outcomes_that_a_threshold_tells_apart_have_no_line(
    stated: list[float], happened: list[int]
) -> None:
    assert recalibrate(np.array(stated), np.array(happened) == 1, 0.95) is None


@given(
    st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=40),
    st.sampled_from([0.8, 0.999]),
)
def test_whatever_is_stated_a_line_lies_within_finite_limits(
    rows: list[tuple[float, bool]], level: float
) -> None:
    stated, happened = (np.array(column) for column in zip(*rows, strict=True))
    found = recalibrate(stated.astype(np.float64), happened, level)
    if found is not None:
        for interval in (found.slope, found.intercept):
            assert np.isfinite([interval.low, interval.high]).all()
            assert interval.low <= interval.value <= interval.high
        assert 0 <= found.p_value <= 1


def test_expected_half_widths_are_met_by_evenly_spread_scores() -> None:
    rng = np.random.default_rng(3)
    stated = rng.random(4000)
    found = recalibrate(stated, rng.random(4000) < stated, 0.95)
    assert found is not None
    widths = [(item.high - item.low) / 2 for item in (found.slope, found.intercept)]
    assert widths == pytest.approx(expected_half_widths(4000, 0.95), rel=0.08)


def test_the_joint_test_finds_a_bold_model_and_spares_a_calibrated_one() -> None:
    rng = np.random.default_rng(4)
    assert fitted(rng, 3000, 0.7, 0.0).p_value < 1e-6
    spared = [fitted(rng, 300, 1.0, 0.0).p_value >= 0.05 for _ in range(80)]
    assert np.mean(spared) >= allowed(0.95, len(spared))


@pytest.mark.slow
@pytest.mark.parametrize("rows", [200, 1000])
@pytest.mark.parametrize(("slope", "intercept"), [(1.0, 0.0), (0.7, 0.5), (1.5, -0.5)])
def test_slope_and_intercept_are_covered(rows: int, slope: float, intercept: float) -> None:
    rng = np.random.default_rng(rows)
    found = [fitted(rng, rows, slope, intercept) for _ in range(2000)]
    assert coverage((item.slope for item in found), slope)[0] >= 0.94
    assert coverage((item.intercept for item in found), intercept)[0] >= 0.94


def clustered(
    rng: np.random.Generator, groups: int, size: int, spread: float
) -> tuple[Floats, np.ndarray[tuple[int], np.dtype[np.bool_]], np.ndarray]:
    """Rows whose true log odds are moved by what their cluster has in common."""
    codes = np.repeat(np.arange(groups), size)
    stated = rng.uniform(0.02, 0.98, len(codes))
    moved = logit(stated) + np.repeat(rng.normal(0, spread, groups), size)
    return stated, rng.random(len(codes)) < expit(moved), codes


def test_clusters_of_one_row_have_about_the_usual_line() -> None:
    stated, happened = drawn(np.random.default_rng(5), 2000, 0.8, 0.2)
    usual = recalibrate(stated, happened, 0.95)
    found = recalibrate_clustered(stated, happened, np.arange(2000), 0.95)
    assert usual is not None
    assert found is not None
    for ours, theirs in ((found.slope, usual.slope), (found.intercept, usual.intercept)):
        assert ours.value == pytest.approx(theirs.value)
        assert ours.high - ours.low == pytest.approx(theirs.high - theirs.low, rel=0.05)
    assert found.statistic == pytest.approx(usual.statistic, rel=0.2)


def test_rows_that_are_repeated_say_no_more() -> None:
    stated, happened = drawn(np.random.default_rng(6), 150, 0.8, 0.2)
    once = recalibrate_clustered(stated, happened, np.arange(150), 0.95)
    again = np.repeat(np.arange(150), 8)
    often = recalibrate_clustered(stated[again], happened[again], again, 0.95)
    assert once is not None
    assert often is not None
    assert (often.slope.low, often.slope.high) == pytest.approx((once.slope.low, once.slope.high))
    assert often.p_value == pytest.approx(once.p_value)


def test_a_few_clusters_have_no_line() -> None:
    with pytest.raises(ValueError, match="9 clusters, where a line needs 10"):
        recalibrate_clustered(*clustered(np.random.default_rng(7), 9, 30, 0.5), 0.95)


def test_clustered_rows_of_a_calibrated_model_are_not_accused() -> None:
    rng = np.random.default_rng(8)
    found = [recalibrate_clustered(*clustered(rng, 20, 15, 0.0), 0.95) for _ in range(100)]
    spared = [item is not None and item.p_value >= 0.05 for item in found]
    assert np.mean(spared) >= allowed(0.95, 100)


@pytest.mark.slow
@pytest.mark.parametrize(("groups", "size"), [(10, 20), (20, 20), (60, 5)])
@pytest.mark.parametrize("spread", [0.0, 0.7])
def test_clustered_lines_are_covered(groups: int, size: int, spread: float) -> None:
    rng = np.random.default_rng(groups)
    whole = recalibrate(*clustered(rng, 40_000, 10, spread)[:2], 0.95)
    assert whole is not None
    found = [recalibrate_clustered(*clustered(rng, groups, size, spread), 0.95) for _ in range(600)]
    lines = [item for item in found if item is not None]
    truth = whole.slope.value if spread else 1.0
    assert coverage((item.slope for item in lines), truth)[0] >= allowed(0.94, 600)
    assert coverage((item.intercept for item in lines), 0.0)[0] >= allowed(0.94, 600)


def test_spiegelhalters_z_is_found_by_hand() -> None:
    # 0.1 came true in 3 of 10 rows: (3 - 1) * 0.8 over the root of 10 * 0.64 * 0.09.
    found = spiegelhalter(np.full(10, 0.1), np.arange(10) < 3)
    assert found is not None
    assert found[0] == pytest.approx(2 * 0.8 / np.sqrt(10 * 0.64 * 0.09))
    assert found[1] == pytest.approx(2 * norm.sf(found[0]))


def test_z_is_the_brier_scores_distance_from_what_is_expected() -> None:
    stated, happened = drawn(np.random.default_rng(9), 500)
    score, expected = np.mean((stated - happened) ** 2), np.mean(stated * (1 - stated))
    spread = np.sum((1 - 2 * stated) ** 2 * stated * (1 - stated)) / 500**2
    found = spiegelhalter(stated, happened)
    assert found is not None
    assert found[0] == pytest.approx((score - expected) / np.sqrt(spread))


def test_z_is_silent_where_nothing_could_move_it() -> None:
    assert spiegelhalter(np.array([0.0, 0.5, 1.0]), np.array([False, True, True])) is None


def test_both_tests_spare_a_calibrated_model() -> None:
    rng = np.random.default_rng(10)
    found = []
    for _ in range(80):
        stated, happened = drawn(rng, 300)
        z, line = spiegelhalter(stated, happened), recalibrate(stated, happened, 0.95)
        found.append([z is not None and z[1] <= 0.05, line is not None and line.p_value <= 0.05])
    assert (np.mean(found, axis=0) <= 1 - allowed(0.95, len(found))).all()
