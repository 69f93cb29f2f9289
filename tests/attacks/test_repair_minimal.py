"""A counterexample is minimal when nothing that was moved could have stayed where it was."""

import constraint_toys as toys
import numpy as np
from hypothesis import given, settings
from numpy.typing import NDArray

from auditor.attacks.tabular.constraints.minimal_changes import (
    Oracle,
    find_minimal_changes,
    restore_unit,
)
from auditor.attacks.tabular.constraints.reachable_box import Mask, find_reachable_box, price_moves
from auditor.attacks.tabular.constraints.repair import find_feasible_rows, repair_rows
from auditor.domain.tasks import Array, FeatureKind, InputFeature

A, B, C = (InputFeature(name, low=0, high=10) for name in "abc")


def above(clean: Array, direction: toys.Rows, threshold: float) -> Oracle:
    """Break every row whose score rose by more than ``threshold``."""

    def broken(points: Array, rows: NDArray[np.int64]) -> Mask:
        rise = (points.astype(np.float64) - clean[rows].astype(np.float64)) @ direction
        return np.asarray(rise > threshold)

    return broken


def crafted(seed: int) -> tuple[toys.Rows, toys.Rows]:
    """Return clean rows and a direction of scores, in shares of the ranges."""
    rng = np.random.default_rng(seed)
    direction = rng.normal(size=len(toys.EVERYTHING)) / toys.space(toys.EVERYTHING).width
    return toys.clean_rows(5, rng), direction


@settings(deadline=None, max_examples=5)
@given(toys.seeds)
def test_no_moved_unit_of_a_minimal_row_can_be_put_back(seed: int) -> None:
    clean, direction = crafted(seed)
    asked = toys.constraints(toys.EVERYTHING, *toys.KEPT)
    region = find_reachable_box(asked, clean, 0.3)
    start = repair_rows(asked, region, clean + 0.3 * np.sign(direction) * asked.width).points
    broken = above(clean, direction, 0.25)
    found = find_minimal_changes(asked, region, start, broken)
    rows = np.flatnonzero(found.valid)
    assert find_feasible_rows(asked, region.take(rows), found.points[rows]).all()
    assert broken(found.points[rows], rows).all()
    assert (found.prices.sum(axis=1) <= price_moves(asked, clean, start).sum(axis=1) + 1e-9).all()
    for unit in range(len(asked.units)):
        due = np.flatnonzero(found.valid & found.moved[:, unit])
        trial = restore_unit(asked, region.take(due), found.points[due], np.full(len(due), unit))
        still = find_feasible_rows(asked, region.take(due), trial) & broken(trial, due)
        assert not still.any()


def test_what_does_not_matter_is_put_back_and_the_rest_shrinks() -> None:
    asked = toys.constraints((A, B, C), "c == a + b")
    clean = np.zeros((1, 3))
    region = find_reachable_box(asked, clean, 1.0)
    start = np.array([[5.0, 5.0, 10.0]])
    found = find_minimal_changes(asked, region, start, above(clean, np.array([1.0, 0, 0]), 3.0))
    a, b, c = found.points[0]
    assert b == 0
    assert 3 < a < 3.03
    assert c == a
    np.testing.assert_array_equal(found.moved, [[True, False, True]])


def test_a_choice_that_does_not_matter_is_put_back_as_a_whole() -> None:
    asked = toys.constraints((A, toys.HOME, toys.CAR, toys.BOAT))
    clean = np.array([[0.0, 1, 0, 0]])
    start = np.array([[6.0, 0, 0, 1]])
    oracle = above(clean, np.array([1.0, 0, 0, 0]), 1.0)
    found = find_minimal_changes(asked, find_reachable_box(asked, clean, 1.0), start, oracle)
    np.testing.assert_array_equal(found.points[0, 1:], [1, 0, 0])
    np.testing.assert_array_equal(found.moved, [[True, False]])


def test_whole_numbers_shrink_to_the_last_one_that_breaks() -> None:
    count = InputFeature("n", FeatureKind.INTEGER, 0, 100)
    asked = toys.constraints((count,))
    clean = np.zeros((1, 1), dtype=np.float32)
    oracle = above(clean, np.array([1.0]), 16.0)
    found = find_minimal_changes(
        asked, find_reachable_box(asked, clean, 1.0), np.full((1, 1), 90.0), oracle
    )
    np.testing.assert_array_equal(found.points, [[17.0]])


def test_rows_that_are_no_counterexamples_are_returned_as_they_came() -> None:
    asked = toys.constraints((A, B), "a <= b")
    clean = np.zeros((3, 2))
    start = np.array([[1.0, 2.0], [5.0, 6.0], [6.0, 5.0]])
    oracle = above(clean, np.array([1.0, 0.0]), 3.0)
    found = find_minimal_changes(asked, find_reachable_box(asked, clean, 1.0), start, oracle)
    np.testing.assert_array_equal(found.valid, [False, True, False])
    np.testing.assert_array_equal(found.points[[0, 2]], start[[0, 2]])


def test_every_row_that_the_oracle_sees_is_counted() -> None:
    clean, direction = crafted(7)
    asked = toys.constraints(toys.EVERYTHING, *toys.KEPT)
    region = find_reachable_box(asked, clean, 0.3)
    start = repair_rows(asked, region, clean + 0.3 * np.sign(direction) * asked.width).points
    seen: list[Array] = []
    broken = above(clean, direction, 0.25)

    def counting(points: Array, rows: NDArray[np.int64]) -> Mask:
        seen.append(points)
        return broken(points, rows)

    found = find_minimal_changes(asked, region, start, counting)
    assert found.queries == sum(map(len, seen))
    known = np.vstack(seen)
    assert all((row == known).all(axis=1).any() for row in found.points[found.valid])


def test_a_unit_that_had_to_stay_at_first_is_tried_again() -> None:
    asked = toys.constraints((A, B, C))
    clean = np.zeros((1, 3))

    def broken(points: Array, rows: NDArray[np.int64]) -> Mask:
        a, b, c = (points != 0).T
        # With `b` moved `a` must be too, but `b` itself is of no use.
        return np.asarray(c & (a | ~b))

    start = np.array([[1.0, 2.0, 9.0]])
    found = find_minimal_changes(
        asked, find_reachable_box(asked, clean, 1.0), start, broken, rounds=0
    )
    np.testing.assert_array_equal(found.points, [[0.0, 0.0, 9.0]])
