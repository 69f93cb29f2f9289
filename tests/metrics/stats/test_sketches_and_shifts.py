"""Columns compared through sketches: against scipy's exact distances, and by law."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from scipy.spatial.distance import jensenshannon
from scipy.stats import chi2_contingency, ks_2samp, wasserstein_distance

from auditor.metrics.stats.column_sketches import CELLS, sketch_column, sketch_on_grid
from auditor.metrics.stats.drift import ColumnShift, category_shift, number_shift, pearson_p_value

Floats = NDArray[np.float64]
RNG = np.random.default_rng(5)


def between(reference: Floats, current: Floats, confidence: float = 0.95) -> ColumnShift:
    kept = sketch_column(reference)
    assert kept is not None
    return number_shift(kept, sketch_on_grid(current, kept.grid), confidence)


SAMPLES = {
    "even": (RNG.normal(size=8000), RNG.normal(0.1, 1.1, size=6000)),
    "far away": (RNG.normal(size=2000), RNG.normal(5, 1, size=1000)),
    "heavy tails": (np.exp(2 * RNG.normal(size=5000)), np.exp(2 * RNG.normal(0.1, 1, size=4000))),
    "whole": (
        RNG.integers(18, 90, 5000).astype(float),
        RNG.integers(20, 95, 4000).astype(float),
    ),
    "few": (
        RNG.choice([0.0, 0.5, 1e6], 5000),
        RNG.choice([0.0, 0.5, 1e6], 4000, p=[0.5, 0.2, 0.3]),
    ),
    "spike": (
        np.concatenate([np.zeros(900), RNG.random(2000)]),
        np.concatenate([np.zeros(500), RNG.random(2000)]),
    ),
}


@pytest.mark.parametrize("name", SAMPLES)
def test_distances_in_cells_are_scipys_up_to_a_cell(name: str) -> None:
    reference, current = SAMPLES[name]
    found = between(reference, current)
    exact = ks_2samp(reference, current, method="asymp")
    assert exact.statistic - 0.01 < found.distance.value <= exact.statistic + 1e-12
    assert found.p_value >= exact.pvalue * 0.99
    assert found.moved is not None
    moved = wasserstein_distance(reference, current) / reference.std()
    assert found.moved.value == pytest.approx(moved, rel=0.05, abs=0.002)


@pytest.mark.parametrize("name", ["whole", "few"])
def test_numbers_that_have_cells_of_their_own_lose_nothing(name: str) -> None:
    reference, current = SAMPLES[name]
    found = between(reference, current)
    assert found.distance.value == pytest.approx(ks_2samp(reference, current).statistic)
    assert found.moved is not None
    moved = wasserstein_distance(reference, current) / reference.std()
    assert found.moved.value == pytest.approx(moved)


@given(
    arrays(np.float64, st.integers(1, 60), elements=st.floats(-1e6, 1e6)),
    arrays(np.float64, st.integers(1, 60), elements=st.floats(-1e6, 1e6)),
)
def test_no_number_is_lost_and_the_exact_distance_is_within_the_limits(
    reference: Floats, current: Floats
) -> None:
    kept = sketch_column(reference)
    assert kept is not None
    other = sketch_on_grid(current, kept.grid)
    assert (kept.known, other.known) == (reference.size, current.size)
    found = number_shift(kept, other, 0.95)
    places = np.concatenate([reference, current])
    below = [
        np.searchsorted(np.sort(x), places, side="right") / x.size for x in (reference, current)
    ]
    exact = np.abs(below[0] - below[1]).max()
    assert found.distance.value <= exact + 1e-9
    assert found.distance.low <= exact <= found.distance.high + 1e-9


def test_unknown_numbers_are_counted_apart() -> None:
    values = np.array([1.0, math.nan, 3.0, math.nan])
    kept = sketch_column(values)
    assert kept is not None
    assert (kept.known, kept.unknown) == (2, 2)
    assert sketch_column(np.full(3, math.nan)) is None


def test_a_column_of_one_number_moves_by_no_deviation() -> None:
    found = between(np.ones(500), np.concatenate([np.ones(400), np.zeros(100)]))
    assert found.distance.value == pytest.approx(0.2)
    assert found.moved is None


def test_a_sketch_is_small_whatever_it_is_of() -> None:
    kept = sketch_column(RNG.normal(size=50_000))
    assert kept is not None
    assert kept.counts.size == CELLS + 2


def test_distances_of_categories_are_total_variation_and_scipys_jensen_shannon() -> None:
    before, now = np.array([50, 30, 20]), np.array([100, 40, 60])
    found = category_shift(before, now, 0.95)
    assert found.distance.value == pytest.approx(0.1)
    assert found.jensen_shannon == pytest.approx(jensenshannon(before, now, base=2))
    assert found.p_value == pytest.approx(chi2_contingency([before, now]).pvalue)


def test_levels_too_rare_for_the_test_are_joined() -> None:
    pair = np.array([[500.0, 1, 1, 1], [500, 2, 0, 1]])
    joined = np.array([[500.0, 3], [500, 3]])
    assert pearson_p_value(pair) == pytest.approx(pearson_p_value(joined))
    assert pearson_p_value(np.array([[4.0], [5]])) == 1.0


def test_an_empty_sample_lies_nowhere() -> None:
    kept = sketch_column(np.ones(3))
    assert kept is not None
    with pytest.raises(ValueError, match="lies nowhere"):
        number_shift(kept, sketch_on_grid(np.full(2, math.nan), kept.grid), 0.95)
    with pytest.raises(ValueError, match="no levels"):
        category_shift([1, 2], [0, 0], 0.95)


def test_limits_hold_the_truth_and_narrow_with_rows() -> None:
    rng = np.random.default_rng(1)
    truth = 0.07966  # of two normal laws 0.2 apart: 2 * Phi(0.1) - 1
    widths = []
    for rows in (500, 5000, 50_000):
        found = between(rng.normal(size=rows), rng.normal(0.2, 1, size=rows)).distance
        assert found.low <= truth <= found.high
        widths.append(found.high - found.low)
    assert widths == sorted(widths, reverse=True)
    assert widths[-1] < 0.05


def test_no_distance_is_above_one_and_no_p_value_is_zero() -> None:
    apart = category_shift([9, 0], [0, 9], 0.95)
    assert (apart.distance.value, apart.distance.high) == (1.0, 1.0)
    assert 0 < category_shift([10**6, 0], [0, 10**6], 0.95).p_value < 1e-300
    assert 0 < between(np.zeros(10**5), np.ones(10**5)).p_value < 1e-300


def test_levels_that_were_joined_still_widen_the_limits() -> None:
    named, joined = (category_shift([500, 500], [500, 500], 0.95, 1, k) for k in (None, 300))
    assert joined.distance.high > named.distance.high
    assert joined.p_value == 1


def test_numbers_closer_than_cells_can_part_are_still_counted() -> None:
    near = np.arange(4000) * 5e-324
    kept = sketch_column(near)
    assert kept is not None
    assert kept.known == 4000
    assert number_shift(kept, sketch_on_grid(near + 5e-324, kept.grid), 0.95).distance.value < 0.01
