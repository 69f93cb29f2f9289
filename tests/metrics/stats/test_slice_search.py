import math
import warnings
from collections.abc import Callable
from itertools import combinations, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import hypergeom
from simulated_coverage import FOUR_ERRORS

from auditor.metrics.stats import slice_lattices
from auditor.metrics.stats.ks_distance import first_half
from auditor.metrics.stats.p_values import benjamini_hochberg, holm
from auditor.metrics.stats.slice_discovery import (
    ExplainedParts,
    SliceBitsets,
    SliceCandidates,
    SliceSearch,
    SliceTest,
    confirm_slices,
    detectable_slices,
    discover_slices,
    mid_p_values,
    slice_excesses,
)
from auditor.metrics.stats.slice_lattices import (
    CodedSample,
    Conditions,
    ErrorCount,
    affordable_depth,
    enumerate_slices,
    slice_counts,
)

LEVEL = 0.05
Rng = np.random.Generator


def uniform(rng: Rng, rows: int, columns: int, levels: int) -> NDArray[np.uint8]:
    return rng.integers(0, levels, (columns, rows)).astype(np.uint8)


def correlated(rng: Rng, rows: int, columns: int, levels: int) -> NDArray[np.uint8]:
    """Columns that follow one hidden column in four rows of five, the second of which is a copy."""
    hidden, noise = rng.integers(0, levels, rows), uniform(rng, rows, columns, levels)
    codes = np.where(rng.random((columns, rows)) < 0.8, hidden, noise).astype(np.uint8)
    codes[1] = codes[0]
    return codes


def sample(codes: NDArray[np.uint8], wrong: NDArray[np.bool_], levels: int) -> CodedSample:
    return CodedSample(codes, (levels,) * len(codes), wrong)


def test_one_column_makes_no_pairs_and_warns_of_none() -> None:
    codes = np.repeat([[0, 1]], 200, axis=1).astype(np.uint8)
    data = sample(codes, codes[0] == 1, 2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = discover_slices(data, SliceSearch(3, 50, 50))
    assert [it for it, _ in found.slices] == [((0, 1),)]


def members(data: CodedSample, conditions: Conditions) -> NDArray[np.bool_]:
    inside = np.ones(len(data.wrong), np.bool_)
    for column, level in conditions:
        inside &= data.codes[column] == level
    return inside


def tried(whole: CodedSample, rng: Rng, search: SliceSearch) -> tuple[SliceTest, ...]:
    half = first_half(rng.permutation(len(whole.wrong)), None)
    return confirm_slices(
        whole.part(~half), discover_slices(whole.part(half), search), "holm", LEVEL
    )


def confirmed(whole: CodedSample, rng: Rng, search: SliceSearch) -> list[SliceTest]:
    return [item for item in tried(whole, rng, search) if item.confirmed]


@given(st.integers(0, 99), st.integers(1, 3), st.integers(1, 12))
@settings(max_examples=40)
def test_every_slice_with_enough_rows_is_counted_once(seed: int, depth: int, least: int) -> None:
    rng = np.random.default_rng(seed)
    sizes = (2, 3, 4, 2)
    codes = np.stack([rng.integers(0, size + 1, 60) for size in sizes]).astype(np.uint8)
    data = CodedSample(codes, sizes, rng.random(60) < 0.3)
    slow = {}
    for size in range(1, depth + 1):
        for columns in combinations(range(4), size):
            for levels in product(*(range(sizes[column]) for column in columns)):
                conditions = tuple(zip(columns, levels, strict=True))
                inside = members(data, conditions)
                if inside.sum() >= least:
                    slow[conditions] = (int(inside.sum()), int(data.wrong[inside].sum()))
    found = enumerate_slices(data, depth, least)
    fast = {
        found.conditions(at): (int(found.rows[at]), int(found.errors[at]))
        for at in range(len(found.rows))
    }
    assert fast == slow
    assert len(fast) == len(found.rows)


def test_twenty_columns_of_five_levels_make_147_350_slices() -> None:
    assert slice_counts((5,) * 20, 3) == (100, 4750, 142_500)
    data = sample(uniform(np.random.default_rng(0), 5000, 20, 5), np.zeros(5000, np.bool_), 5)
    assert len(enumerate_slices(data, 3, 1).rows) == 147_350


def test_a_search_that_looks_for_nothing_is_refused() -> None:
    data = sample(np.zeros((1, 4), np.uint8), np.zeros(4, np.bool_), 1)
    for depth, least in ((0, 1), (1, 0)):
        with pytest.raises(ValueError, match="finds nothing"):
            enumerate_slices(data, depth, least)


def test_depth_gives_way_where_there_are_too_many_sets_of_columns(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert affordable_depth(50_000, 20, 3) == 3
    assert affordable_depth(50_000, 200, 3) == 2
    assert affordable_depth(1000, 1000, 3) == 1
    monkeypatch.setattr(slice_lattices, "MOST_VISITS", 100)
    assert affordable_depth(50_000, 20, 3) == 1
    data = sample(uniform(np.random.default_rng(1), 400, 5, 3), np.zeros(400, np.bool_), 3)
    assert discover_slices(data, SliceSearch(3, 10, 50)).depth == 1


def test_expected_errors_are_those_of_each_row_by_the_worst_slice_it_lies_in() -> None:
    rng = np.random.default_rng(2)
    data = sample(uniform(rng, 300, 3, 3), rng.random(300) < 0.2, 3)
    kept = [(((0, 1),), 0.5), (((1, 2), (2, 0)), 0.4), (((2, 0),), 0.7)]
    bits, rates = SliceBitsets.of(data), np.full(300, 0.2)
    explained = ExplainedParts.by_overall_rate(bits, 0.2)
    for conditions, rate in kept:
        explained = explained.joined(bits.members(conditions), rate)
        inside = members(data, conditions)
        rates[inside] = np.maximum(rates[inside], rate)
    for conditions in (((0, 0),), ((1, 2),), ((0, 1), (1, 1), (2, 0)), ()):
        expected = rates[members(data, conditions)].sum()
        assert explained.expected(bits.members(conditions)) == pytest.approx(expected)


def test_excess_is_about_the_score_statistic_against_the_rest() -> None:
    # Pooled two-sample: (0.104 - 0.096) / sqrt(0.1 * 0.9 * (1 / 5000 + 1 / 5000)).
    (found,) = slice_excesses([520], [5000], [500], 10_000)
    assert found == pytest.approx(0.008 / math.sqrt(0.09 * 2 / 5000), rel=0.02)
    assert slice_excesses([400], [5000], [500], 10_000)[0] < 0
    assert slice_excesses([1000], [10_000], [1000], 10_000)[0] == 0
    assert slice_excesses([0], [50], [0], 100)[0] == 0


def test_the_p_value_of_a_slice_is_that_of_an_exact_table() -> None:
    # Two rows of four, both wrong, of two wrong in all: one of six ways, half of it counted.
    (found,) = mid_p_values([ErrorCount(2, 2)], ErrorCount(2, 4))
    assert found == pytest.approx(1 / 12)
    law = hypergeom(100, 20, 30)
    (other,) = mid_p_values([ErrorCount(9, 30)], ErrorCount(20, 100))
    assert other == pytest.approx(sum(law.pmf(k) for k in range(10, 21)) + law.pmf(9) / 2)


def test_a_slice_that_has_no_rows_or_no_rest_has_the_p_value_one() -> None:
    assert mid_p_values([ErrorCount(0, 0), ErrorCount(7, 40)], ErrorCount(7, 40)).tolist() == [1, 1]


def test_a_planted_slice_is_put_forward_first_confirmed_and_its_parts_are_not() -> None:
    rng = np.random.default_rng(3)
    codes = uniform(rng, 20_000, 10, 4)
    planted = (codes[2] == 1) & (codes[5] == 3)
    data = sample(codes, rng.random(20_000) < np.where(planted, 0.2, 0.1), 4)
    sure = confirmed(data, rng, SliceSearch(3, 50, 50))
    assert [item.conditions for item in sure] == [((2, 1), (5, 3))]
    assert sure[0].held.rate == pytest.approx(0.2, abs=0.05)
    assert sure[0].rest.rate == pytest.approx(0.1, abs=0.02)


@pytest.mark.slow
def test_three_in_five_slices_of_half_as_many_errors_again_are_confirmed_as_they_are() -> None:
    # One row in sixteen, of 20,000, among 8,440 slices: the power that was planned for.
    rng, repeats = np.random.default_rng(10), 100
    whole = 0
    for _ in range(repeats):
        codes = uniform(rng, 20_000, 10, 4)
        planted = (codes[0] == 1) & (codes[1] == 2)
        data = sample(codes, rng.random(20_000) < np.where(planted, 0.15, 0.1), 4)
        whole += ((0, 1), (1, 2)) in [
            x.conditions for x in confirmed(data, rng, SliceSearch(3, 50, 50))
        ]
    assert whole / repeats >= 0.6 - FOUR_ERRORS * math.sqrt(0.24 / repeats)


def test_a_worse_part_of_a_bad_slice_is_put_forward_too() -> None:
    rng = np.random.default_rng(4)
    codes = uniform(rng, 40_000, 6, 4)
    rate = np.where(codes[0] == 0, 0.2, 0.1)
    rate[(codes[0] == 0) & (codes[1] == 0)] = 0.4
    data = sample(codes, rng.random(40_000) < rate, 4)
    sure = {item.conditions for item in confirmed(data, rng, SliceSearch(3, 50, 50))}
    assert sure == {((0, 0), (1, 0)), ((0, 0),)}


def test_of_two_columns_that_say_the_same_one_is_put_forward() -> None:
    rng = np.random.default_rng(5)
    codes = correlated(rng, 10_000, 4, 4)
    data = sample(codes, rng.random(10_000) < np.where(codes[0] == 2, 0.3, 0.1), 4)
    found = tried(data, rng, SliceSearch(2, 50, 50))
    assert [item.conditions for item in found if item.confirmed] == [((0, 2),)]
    assert sum(item.adjusted <= LEVEL for item in found) > 1  # its parts are worse than the rest


@pytest.mark.parametrize("columns", [uniform, correlated])
@pytest.mark.parametrize("rate", [0.02, 0.2])
def test_without_a_bad_slice_a_confirmation_is_as_rare_as_its_level(
    columns: Callable[[Rng, int, int, int], NDArray[np.uint8]], rate: float
) -> None:
    rng, repeats = np.random.default_rng(6), 200
    alarms = put_forward = 0
    for _ in range(repeats):
        data = sample(columns(rng, 2000, 8, 4), rng.random(2000) < rate, 4)
        found = tried(data, rng, SliceSearch(2, 50, 50))
        put_forward += len(found)
        alarms += any(item.confirmed for item in found)
    assert put_forward > repeats / 2  # the search finds many that look bad
    assert alarms / repeats <= LEVEL + FOUR_ERRORS * math.sqrt(LEVEL * (1 - LEVEL) / repeats)


@pytest.mark.slow
def test_a_slice_of_the_rate_in_the_power_table_is_confirmed_four_times_in_five() -> None:
    rng, repeats, rows = np.random.default_rng(7), 400, 5000
    for row in detectable_slices(ErrorCount(500, rows), 20, LEVEL):
        assert row.rate is not None
        inside = rng.binomial(row.rows, row.rate, repeats)
        rest = rng.binomial(rows - row.rows, 0.1, repeats)
        sure = [
            mid_p_values([ErrorCount(int(k), row.rows)], ErrorCount(int(k + other), rows))[0]
            <= LEVEL / 20
            for k, other in zip(inside, rest, strict=True)
        ]
        # The rest's errors vary as well, which the table leaves out.
        assert abs(np.mean(sure) - 0.8) < FOUR_ERRORS * math.sqrt(0.16 / repeats)


def test_a_power_table_says_where_no_error_rate_would_be_enough() -> None:
    smallest = detectable_slices(ErrorCount(90, 100), 50, LEVEL)[0]
    assert (smallest.rows, smallest.rate, smallest.lift) == (1, None, None)


def test_errors_in_no_row_or_in_all_put_nothing_forward() -> None:
    codes = uniform(np.random.default_rng(8), 500, 4, 3)
    for wrong in (np.zeros(500, np.bool_), np.ones(500, np.bool_)):
        found = discover_slices(sample(codes, wrong, 3), SliceSearch(3, 5, 50))
        assert found.slices == ()
        assert confirm_slices(sample(codes, wrong, 3), found, "holm", LEVEL) == ()


def test_the_correction_is_the_one_that_was_asked_for() -> None:
    levels = 6
    codes = np.repeat(np.arange(levels), 100)[None].astype(np.uint8)
    wrong = np.arange(600) % 100 < np.repeat([22, 21, 20, 8, 7, 6], 100)
    slices = tuple((((0, level),), ErrorCount(1, 1)) for level in range(levels))
    data, found = sample(codes, wrong, levels), SliceCandidates(slices, levels, 1, levels, levels)
    for name, correct in (("holm", holm), ("bh", benjamini_hochberg)):
        told = confirm_slices(data, found, name, LEVEL)
        assert [item.adjusted for item in told] == list(correct([item.p_value for item in told]))
    with pytest.raises(KeyError):
        confirm_slices(data, found, "none", LEVEL)


def test_halves_are_of_like_size_and_clusters_stay_whole() -> None:
    rng = np.random.default_rng(9)
    assert first_half(rng.permutation(101), None).sum() in {50, 51}
    clusters = [f"person {number}" for number in rng.integers(0, 40, 500)]
    half = first_half(rng.permutation(len(set(clusters))), clusters)
    sides = {(name, bool(side)) for name, side in zip(clusters, half, strict=True)}
    assert len(sides) == len(set(clusters))
    assert 200 < half.sum() < 300
