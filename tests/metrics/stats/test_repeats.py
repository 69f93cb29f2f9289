import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.metrics.stats.means import mean_loss
from auditor.metrics.stats.proportions import mean_over_repeats


def test_one_repeat_speaks_of_rows_alone() -> None:
    values = np.random.default_rng(0).integers(0, 2, (1, 200)).astype(float)
    one, other = mean_over_repeats(values, 0.95), mean_loss(values[0], 1.0, 0.95)
    assert (one.value, one.low, one.high) == pytest.approx((other.value, other.low, other.high))


def test_repeats_that_scatter_widen_the_interval_by_students_t() -> None:
    values = np.stack([np.full(5000, share) for share in (0.4, 0.5, 0.6)])
    found = mean_over_repeats(values, 0.95)
    half = 4.302653 * 0.1 / np.sqrt(3)
    assert found.value == pytest.approx(0.5)
    assert found.low == pytest.approx(0.5 - half, abs=0.01)
    assert found.high == pytest.approx(0.5 + half, abs=0.01)


def test_differences_may_be_negative() -> None:
    values = np.random.default_rng(1).choice([-1.0, 0.0, 1.0], (4, 300))
    found = mean_over_repeats(values, 0.95)
    assert found.low < 0 < found.high


@pytest.mark.parametrize("scatter", [0.0, 0.5])
def test_it_covers_the_truth_over_rows_and_repeats(scatter: float) -> None:
    rng, truth, kept = np.random.default_rng(2), 0.3, 0
    for _ in range(400):
        rows = rng.beta(2, 4.667, 100)
        each = np.clip(truth + scatter * rng.uniform(-0.4, 0.4, (4, 1)) + rows - truth, 0, 1)
        found = mean_over_repeats((rng.random((4, 100)) < each).astype(float), 0.95)
        kept += found.low <= truth <= found.high
    assert kept >= 0.93 * 400


@given(st.integers(1, 4), st.integers(2, 30), st.integers(0, 99))
def test_surer_intervals_are_wider_and_hold_the_value(repeats: int, rows: int, seed: int) -> None:
    values = np.random.default_rng(seed).integers(-1, 2, (repeats, rows)).astype(float)
    narrow, wide = (mean_over_repeats(values, level) for level in (0.8, 0.99))
    assert wide.low <= narrow.low <= narrow.value <= narrow.high <= wide.high
