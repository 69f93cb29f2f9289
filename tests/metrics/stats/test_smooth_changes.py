import numpy as np
import pytest
from scipy.special import expit
from simulated_coverage import allowed, coverage

from auditor.domain.tasks import Floats
from auditor.metrics.stats.smooth_calibration import (
    smooth_calibration_change,
    smooth_calibration_error,
)

Flags = np.ndarray[tuple[int], np.dtype[np.bool_]]


def runs(
    rng: np.random.Generator, rows: int, one: float, other: float
) -> tuple[tuple[Floats, Flags], tuple[Floats, Flags]]:
    """One truth, stated too boldly by the temperatures ``one`` and ``other``."""
    odds = rng.normal(size=rows)
    happened = rng.random(rows) < expit(odds)
    return (expit(odds * one), happened), (expit(odds * other), happened)


def test_the_same_run_twice_has_changed_by_nothing() -> None:
    one, _ = runs(np.random.default_rng(1), 2000, 2.0, 2.0)
    found = smooth_calibration_change(one, one, 0.95, 1)
    assert found.value == 0
    assert found.high == -found.low == pytest.approx(-np.log(0.025) / 2000)


def test_a_variant_that_grew_bold_is_found_and_the_way_back_is_its_mirror() -> None:
    one, other = runs(np.random.default_rng(2), 3000, 1.0, 2.5)
    worse, better = (
        smooth_calibration_change(one, other, 0.95, 1),
        smooth_calibration_change(other, one, 0.95, 1),
    )
    assert worse.low > 0.02
    assert better.value == pytest.approx(-worse.value)
    assert better.high < -0.02


def test_the_change_is_the_difference_of_both_errors() -> None:
    one, other = runs(np.random.default_rng(3), 3000, 1.3, 2.0)
    errors = [smooth_calibration_error(*run, 0.95, 1).interval.value for run in (one, other)]
    found = smooth_calibration_change(one, other, 0.95, 1)
    assert found.value == pytest.approx(errors[1] - errors[0], abs=5e-4)


def test_a_small_change_is_told_more_sharply_than_two_errors_are() -> None:
    one, other = runs(np.random.default_rng(4), 2000, 1.50, 1.51)
    found, alone = (
        smooth_calibration_change(one, other, 0.95, 1),
        smooth_calibration_error(*one, 0.95, 1).interval,
    )
    assert found.high - found.low < (alone.high - alone.low) / 2


def test_a_handful_of_rows_has_no_change() -> None:
    one, other = runs(np.random.default_rng(5), 29, 1.0, 2.0)
    with pytest.raises(ValueError, match="29 rows"):
        smooth_calibration_change(one, other, 0.95, 1)


def change_coverage(one: float, other: float, rows: int, repeats: int) -> float:
    rng = np.random.default_rng(rows)
    many = runs(rng, 4_000_000, one, other)
    was, now = (
        0.0 if bold == 1 else smooth_calibration_error(*run, 0.95, 0).interval.value
        for bold, run in zip((one, other), many, strict=True)
    )
    found = (
        smooth_calibration_change(*runs(rng, rows, one, other), 0.95, at) for at in range(repeats)
    )
    return coverage(found, now - was)[0]


@pytest.mark.slow
@pytest.mark.parametrize(("one", "other"), [(1.0, 1.1), (1.0, 2.0), (2.0, 1.0), (1.5, 1.6)])
@pytest.mark.parametrize("rows", [100, 1000])
def test_the_change_is_covered(one: float, other: float, rows: int) -> None:
    assert change_coverage(one, other, rows, 400) >= allowed(0.95, 400)
