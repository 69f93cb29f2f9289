"""What is found and what is not where columns repeat each other: short runs of the simulations."""

import math
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from simulated_coverage import FOUR_ERRORS

from auditor.metrics.stats.ks_distance import first_half
from auditor.metrics.stats.slice_discovery import (
    SliceSearch,
    SliceTest,
    confirm_slices,
    discover_slices,
)
from auditor.metrics.stats.slice_lattices import CodedSample

ROWS, COLUMNS, LEVELS, BASE, LEVEL = 20_000, 10, 4, 0.1, 0.05
REPEATS = 16
Rng = np.random.Generator
Codes = NDArray[np.uint8]


def apart(rng: Rng) -> Codes:
    return rng.integers(0, LEVELS, (COLUMNS, ROWS)).astype(np.uint8)


def following(rng: Rng) -> Codes:
    """Two columns, and eight that repeat one of the two in four rows of five."""
    codes = apart(rng)
    follows = rng.random((COLUMNS - 2, ROWS)) < 0.8
    codes[2:] = np.where(follows, codes[np.arange(COLUMNS - 2) % 2], codes[2:])
    return codes


def confirmed(rng: Rng, codes: Codes, rates: NDArray[np.float64] | float) -> list[SliceTest]:
    sample = CodedSample(codes, (LEVELS,) * COLUMNS, rng.random(ROWS) < rates)
    half = first_half(rng.permutation(ROWS), None)
    found = discover_slices(sample.part(half), SliceSearch(3, 100, 50))
    return [
        item for item in confirm_slices(sample.part(~half), found, "holm", LEVEL) if item.confirmed
    ]


def overlap(codes: Codes, item: SliceTest, planted: NDArray[np.bool_]) -> float:
    """The share of the rows of either slice that both have."""
    inside = np.all([codes[column] == level for column, level in item.conditions], axis=0)
    return float((inside & planted).sum() / (inside | planted).sum())


@pytest.mark.parametrize(
    ("columns", "alike"), [(apart, 1.0), (following, 0.5)], ids=["apart", "following"]
)
def test_one_row_in_sixteen_that_is_twice_as_bad_is_found(
    columns: Callable[[Rng], Codes], alike: float
) -> None:
    # Where columns repeat each other, the slice that is named may be another of the same rows.
    rng, found = np.random.default_rng(1), 0
    for _ in range(REPEATS):
        codes = columns(rng)
        planted = (codes[0] == 1) & (codes[1] == 2)
        sure = confirmed(rng, codes, np.where(planted, 2 * BASE, BASE))
        found += any(overlap(codes, item, planted) >= alike for item in sure)
    assert found / REPEATS >= 0.95 - FOUR_ERRORS * math.sqrt(0.95 * 0.05 / REPEATS)


def test_columns_that_repeat_each_other_accuse_no_more_slices() -> None:
    rng = np.random.default_rng(2)
    alarms = sum(bool(confirmed(rng, following(rng), BASE)) for _ in range(REPEATS))
    assert alarms / REPEATS <= LEVEL + FOUR_ERRORS * math.sqrt(LEVEL * (1 - LEVEL) / REPEATS)


def test_most_confirmed_slices_share_rows_with_the_bad_one() -> None:
    rng, false = np.random.default_rng(3), list[float]()
    for _ in range(REPEATS):
        codes = following(rng)
        planted = (codes[0] == 1) & (codes[1] == 2)
        sure = confirmed(rng, codes, np.where(planted, 3 * BASE, BASE))
        false += [float(overlap(codes, item, planted) < 0.2) for item in sure]
    assert np.mean(false) <= 0.05 + FOUR_ERRORS * math.sqrt(0.05 * 0.95 / len(false))
