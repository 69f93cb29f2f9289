"""Repair gives rows that the world could produce and the attacker could reach."""

from collections.abc import Sequence
from dataclasses import replace

import constraint_toys as toys
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auditor.attacks.tabular.constraints.reachable_box import (
    find_permitted_rows,
    find_reachable_box,
    price_moves,
)
from auditor.attacks.tabular.constraints.repair import (
    RepairEffort,
    SolverLimits,
    find_feasible_rows,
    repair_rows,
    snap_rows,
)
from auditor.attacks.tabular.constraints.row_constraints import prepare_constraints
from auditor.attacks.tabular.constraints.violations import satisfies_constraints
from auditor.domain.feature_relations import ColumnRelation
from auditor.domain.tasks import Array, FeatureKind, InputFeature
from auditor.inputs.datasets.feature_relations import parse_relation

efforts = st.sampled_from(RepairEffort)
types = st.sampled_from([np.float64, np.float32])
A, B, C, D = (InputFeature(name, low=0, high=10) for name in "abcd")


def proposals(clean: Array, rng: np.random.Generator) -> toys.Rows:
    width = toys.space(toys.EVERYTHING).width
    return np.asarray(clean + rng.uniform(-0.8, 0.8, clean.shape) * width)


def one(
    features: Sequence[InputFeature],
    relations: Sequence[str],
    clean: Sequence[float],
    wanted: Sequence[float],
    *,
    eps: float = 1.0,
    effort: RepairEffort = RepairEffort.NEAREST,
) -> list[float]:
    asked = toys.constraints(features, *relations)
    region = find_reachable_box(asked, np.array([clean], dtype=np.float64), eps)
    found = repair_rows(asked, region, np.array([wanted], dtype=np.float64), effort=effort)
    assert found.feasible.all()
    return [round(float(value), 6) for value in found.points[0]]


@settings(deadline=None, max_examples=50)
@given(toys.seeds, toys.some_relations, toys.budgets, efforts, types)
def test_what_is_repaired_is_feasible_and_stays_so(
    seed: int, texts: Sequence[str], eps: float, effort: RepairEffort, dtype: type
) -> None:
    rng = np.random.default_rng(seed)
    asked = toys.constraints(toys.EVERYTHING, *texts)
    clean = toys.clean_rows(4, rng).astype(dtype)
    region = find_reachable_box(asked, clean, eps)
    points = proposals(clean, rng)
    found = repair_rows(asked, region, points, effort=effort)
    assert found.points.dtype == dtype
    assert found.feasible.all()
    assert find_feasible_rows(asked, region, found.points).all()
    again = repair_rows(asked, region, found.points, effort=effort)
    np.testing.assert_array_equal(again.points, found.points)


@settings(deadline=None, max_examples=30)
@given(toys.seeds, toys.budgets)
def test_immutable_values_stay_and_directions_hold(seed: int, eps: float) -> None:
    rng = np.random.default_rng(seed)
    asked = toys.constraints(toys.EVERYTHING, *toys.KEPT)
    clean = toys.clean_rows(8, rng)
    found = repair_rows(
        asked,
        find_reachable_box(asked, clean, eps),
        proposals(clean, rng),
        effort=RepairEffort.FAST,
    )
    np.testing.assert_array_equal(found.points[:, 2], clean[:, 2])
    assert (found.points[:, 4] >= clean[:, 4]).all()
    share = np.abs(found.points - clean)[:, [0, 1, 3, 4, 10, 11, 12]]
    assert (share <= (eps + 1e-6) * asked.width[[0, 1, 3, 4, 10, 11, 12]]).all()


@given(toys.seeds, toys.some_relations, toys.budgets)
def test_settling_twice_changes_nothing(seed: int, texts: Sequence[str], eps: float) -> None:
    rng = np.random.default_rng(seed)
    asked = toys.constraints(toys.EVERYTHING, *texts)
    clean = toys.clean_rows(8, rng)
    region = find_reachable_box(asked, clean, eps)
    found = snap_rows(asked, region, proposals(clean, rng))
    assert find_permitted_rows(asked, region, found).all()
    np.testing.assert_array_equal(snap_rows(asked, region, found), found)


@settings(deadline=None, max_examples=25)
@given(toys.seeds, st.lists(st.sampled_from(toys.STRAIGHT), unique=True))
def test_no_repair_is_nearer_than_the_nearest(seed: int, texts: Sequence[str]) -> None:
    rng = np.random.default_rng(seed)
    asked = toys.constraints(toys.EVERYTHING, *texts)
    clean = toys.clean_rows(3, rng)
    region = find_reachable_box(asked, clean, 1.0)
    wanted = snap_rows(asked, region, proposals(clean, rng))
    exact = repair_rows(asked, region, wanted, effort=RepairEffort.NEAREST).points
    quick = repair_rows(asked, region, wanted, effort=RepairEffort.FAST).points
    apart = [price_moves(asked, wanted, found).sum(axis=1) for found in (exact, quick)]
    assert (apart[0] <= apart[1] + 1e-4).all()


def test_a_sum_is_computed_again_from_its_parts() -> None:
    relations = ["d == c + 1", "c == a + b"]
    assert one((A, B, C, D), relations, [1, 1, 2, 3], [2, 3, 0, 9], effort=RepairEffort.FAST) == [
        *(2, 3, 5, 6),
    ]


def test_the_cheaper_column_gives_way() -> None:
    dear = InputFeature("a", low=0, high=10, cost=2.0)
    assert one((dear, B), ["a + b <= 10"], [0, 0], [8, 8]) == [8, 2]


def test_an_implication_is_kept_by_its_cheaper_side() -> None:
    years = InputFeature("years", FeatureKind.INTEGER, 0, 50)
    rule = ["if self == 1 then years >= 2"]
    assert one((toys.SELF, years), rule, [0, 0], [1, 0]) == [1, 2]
    # A budget of no year at all leaves only the other side.
    assert one((toys.SELF, years), rule, [0, 0], [1, 0], eps=0.01) == [0, 0]


def test_projections_find_what_an_implication_needs() -> None:
    years = InputFeature("years", FeatureKind.INTEGER, 0, 50)
    rule = ["if self == 1 then years >= 2"]
    assert one((toys.SELF, years), rule, [0, 0], [1, 0], effort=RepairEffort.FAST) == [1, 2]


def test_a_choice_moves_as_a_whole() -> None:
    group = (toys.HOME, toys.CAR, toys.BOAT)
    assert one(group, [], [1, 0, 0], [0.2, 0.3, 0.9]) == [0, 0, 1]
    # A relation that forbids the favourite leaves the next one.
    assert one(group, ["boat == 0"], [1, 0, 0], [0.2, 0.3, 0.9]) == [0, 1, 0]


def test_a_category_that_a_relation_asks_for_is_found() -> None:
    rule = ["if car == 1 then region in [1, 2]"]
    features = (toys.HOME, toys.CAR, toys.BOAT, toys.REGION)
    found = one(features, rule, [1, 0, 0, 5], [0, 1, 0, 5])
    # One code must change, the purpose back or the region on: both cost a whole range.
    assert found in ([1, 0, 0, 5], [0, 0, 1, 5], [0, 1, 0, 1], [0, 1, 0, 2])
    assert one(features, [*rule, "car == 1"], [0, 1, 0, 1], [0, 1, 0, 5])[3] in {1, 2}


def test_a_ratio_over_an_immutable_column_is_linear() -> None:
    features = (toys.LOAN, toys.INCOME, toys.BURDEN)
    rule = ["burden == 100 * loan / income", "burden <= 10"]
    assert one(features, rule, [50, 1000, 5], [400, 1000, 40]) == [100, 1000, 10]
    assert one(features, rule, [50, 1000, 5], [400, 1000, 40], effort=RepairEffort.FAST) == [
        100,
        1000,
        10,
    ]


@pytest.mark.parametrize("effort", RepairEffort)
def test_a_product_of_two_free_columns_is_repaired_too(effort: RepairEffort) -> None:
    a, b, c = one((A, B, C), ["c == a * b", "c <= 6"], [1, 1, 1], [3, 4, 9], effort=effort)
    assert c == pytest.approx(a * b, abs=1e-4)
    assert c <= 6 + 1e-4
    assert (a, b) != (1, 1)


def test_kinks_are_solved_exactly() -> None:
    assert one((A, B), ["abs(a - b) <= 2"], [1, 1], [9, 3]) in ([5, 3], [9, 7])
    assert one((A, B, C), ["max(a, b) == c"], [1, 1, 1], [4, 6, 6]) == [4, 6, 6]
    assert one((A, B), ["min(a, b) >= 3"], [5, 5], [1, 8]) == [3, 8]
    assert one((A, B), ["max(a, b) >= 3"], [5, 5], [1, 2]) == [1, 3]


def test_different_numbers_are_pushed_apart() -> None:
    n, m = (InputFeature(name, FeatureKind.INTEGER, 0, 9) for name in "nm")
    found = one((n, m), ["n != m"], [1, 2], [5, 5])
    assert abs(found[0] - found[1]) == 1
    assert 5 in found


def test_a_row_that_defies_repair_is_clean_again() -> None:
    asked = toys.constraints((A, B), "a + b == 2", "a - b == 0")
    clean = np.array([[1.0, 1.0]])
    found = repair_rows(
        asked,
        find_reachable_box(asked, clean, 1.0),
        np.array([[9.0, 3.0]]),
        effort=RepairEffort.NEAREST,
    )
    np.testing.assert_allclose(found.points, clean, atol=1e-6)
    assert found.feasible.all()


def test_a_clean_row_that_breaks_a_relation_is_said_to_be_infeasible() -> None:
    asked = toys.constraints((A,), "a >= 9")
    clean = np.array([[1.0], [9.5]])
    found = repair_rows(asked, find_reachable_box(asked, clean, 0.1), np.array([[2.0], [9.0]]))
    np.testing.assert_array_equal(found.points, [[1.0], [9.0]])
    np.testing.assert_array_equal(found.feasible, [False, True])


def test_without_nodes_a_program_gives_the_row_up_but_never_breaks_it() -> None:
    rng = np.random.default_rng(7)
    asked = toys.constraints(toys.EVERYTHING, *toys.KEPT)
    clean = toys.clean_rows(5, rng)
    region = find_reachable_box(asked, clean, 0.3)
    found = repair_rows(asked, region, proposals(clean, rng), limits=SolverLimits(nodes=0))
    assert find_feasible_rows(asked, region, found.points).all()


def test_whole_rows_are_repaired_in_whole_numbers() -> None:
    asked = toys.constraints((A, B, C), "c == a + b", "c <= 9")
    clean = np.array([[1, 1, 2]], dtype=np.int64)
    found = repair_rows(asked, find_reachable_box(asked, clean, 1.0), np.array([[6.4, 5.3, 0.0]]))
    assert found.points.dtype == np.int64
    assert satisfies_constraints(asked, found.points).all()
    assert found.points[0, 2] <= 9


def test_what_stands_within_its_tolerance_is_left_alone() -> None:
    features = (A, B)
    relation = ColumnRelation("b == a", parse_relation("b == a", ["a", "b"], tolerance=0.5))
    asked = prepare_constraints(replace(toys.space(features), relations=(relation,)))
    region = find_reachable_box(asked, np.array([[1.0, 1.0], [1.0, 1.0]]), 1.0)
    found = repair_rows(asked, region, np.array([[3.0, 3.4], [3.0, 3.6]]), effort=RepairEffort.FAST)
    np.testing.assert_array_equal(found.points, [[3.0, 3.4], [3.0, 3.0]])


def test_a_value_at_its_limit_leaves_the_way_to_the_others() -> None:
    cheap = InputFeature("a", low=0, high=10, cost=0.001)
    assert one((cheap, B), ["a + b >= 12"], [10, 5], [10, 1], effort=RepairEffort.FAST) == [10, 2]
