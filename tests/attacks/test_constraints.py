"""Relations as masks, losses and slopes; what an attacker may reach, and what a move costs."""

from collections.abc import Sequence

import constraint_toys as toys
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from auditor.attacks.tabular.constraints.reachable_box import (
    find_moved_units,
    find_permitted_rows,
    find_reachable_box,
    price_moves,
)
from auditor.attacks.tabular.constraints.row_constraints import prepare_constraints
from auditor.attacks.tabular.constraints.violations import (
    measure_violations,
    satisfies_constraints,
    violation_penalty,
)
from auditor.domain.tasks import FeatureDirection, FeatureKind, InputFeature


def proposed(clean: toys.Rows, rng: np.random.Generator, far: float = 0.6) -> toys.Rows:
    width = toys.space(toys.EVERYTHING).width
    return np.asarray(clean + rng.uniform(-far, far, clean.shape) * width)


@given(toys.seeds, toys.some_relations)
def test_rows_cost_nothing_exactly_where_everything_holds(seed: int, texts: Sequence[str]) -> None:
    rng = np.random.default_rng(seed)
    asked = toys.constraints(toys.EVERYTHING, *texts)
    clean = toys.clean_rows(8, rng)
    rows = np.vstack([clean, proposed(clean, rng, 0.02), proposed(clean, rng)])
    value, _ = violation_penalty(asked, rows)
    assert satisfies_constraints(asked, clean).all()
    np.testing.assert_array_equal(value == 0, satisfies_constraints(asked, rows))
    np.testing.assert_allclose(measure_violations(asked, rows).sum(axis=1), value)


@given(toys.seeds, toys.some_relations)
def test_the_slope_of_the_penalty_is_what_a_small_step_does(
    seed: int, texts: Sequence[str]
) -> None:
    rng = np.random.default_rng(seed)
    asked = toys.constraints(toys.EVERYTHING, *texts)
    row = proposed(toys.clean_rows(1, rng), rng)
    _, slope = violation_penalty(asked, row)
    step = 1e-5 * asked.width * np.eye(row.shape[1])
    ahead, behind = violation_penalty(asked, row + step)[0], violation_penalty(asked, row - step)[0]
    here = violation_penalty(asked, row)[0]
    # At a kink, where one side differs from the other, no slope is right.
    smooth = np.abs((ahead - here) - (here - behind)) < 1e-7
    measured = (ahead - behind) / 2e-5
    np.testing.assert_allclose((slope[0] * asked.width)[smooth], measured[smooth], atol=1e-4)
    assert smooth.sum() > 5


def test_violations_of_a_sum_are_shares_of_its_span() -> None:
    asked = toys.constraints((toys.CASH, toys.BONDS, toys.TOTAL), "total == cash + bonds")
    rows = np.array([[1.0, 2.0, 3.0], [1.0, 2.0, 5.0], [1.0, 2.0, 1.0]])
    np.testing.assert_allclose(measure_violations(asked, rows)[:, 0], [0, 2 / 40, 2 / 40])
    _, slope = violation_penalty(asked, rows)
    np.testing.assert_allclose(slope, np.array([[0, 0, 0], [-1, -1, 1], [1, 1, -1]]) / 40)


def test_of_alternatives_the_least_broken_counts() -> None:
    asked = toys.constraints((toys.CASH, toys.BONDS), "cash >= 8 or bonds >= 5")
    rows = np.array([[7.0, 1.0], [2.0, 4.0], [9.0, 0.0]])
    np.testing.assert_allclose(violation_penalty(asked, rows)[0], [0.1, 0.1, 0.0])
    np.testing.assert_allclose(violation_penalty(asked, rows)[1], [[-0.1, 0], [0, -0.1], [0, 0]])


def test_a_division_by_zero_is_broken_with_a_finite_penalty() -> None:
    asked = toys.constraints((toys.CASH, toys.BONDS), "cash / bonds <= 3")
    rows = np.array([[1.0, 0.0], [0.0, 0.0], [3.0, 1.0]])
    value, slope = violation_penalty(asked, rows)
    np.testing.assert_array_equal(satisfies_constraints(asked, rows), [False, False, True])
    np.testing.assert_array_equal(value, [1, 1, 0])
    assert np.isfinite(slope).all()


def test_a_one_hot_group_is_a_relation_of_its_own() -> None:
    asked = toys.constraints((toys.HOME, toys.CAR, toys.BOAT))
    rows = np.array([[1.0, 0, 0], [1, 1, 0], [0, 0, 0]])
    np.testing.assert_array_equal(satisfies_constraints(asked, rows), [True, False, False])
    assert [relation.text for relation in asked.relations] == ["one of purpose"]
    assert [unit.name for unit in asked.units] == ["purpose"]


def test_float32_sums_still_hold() -> None:
    asked = toys.constraints((toys.CASH, toys.BONDS, toys.TOTAL), "total == cash + bonds")
    parts = np.random.default_rng(7).uniform(0, 10, (1000, 2))
    rows = np.column_stack([parts, parts.sum(axis=1)]).astype(np.float32)
    assert satisfies_constraints(asked, rows).all()
    assert not satisfies_constraints(asked, rows * np.float32([1, 1, 1.0001])).any()


def test_an_attacker_reaches_what_budget_direction_and_kind_leave() -> None:
    features = (
        InputFeature("n", low=0, high=10),
        InputFeature("up", FeatureKind.INTEGER, 0, 50, direction=FeatureDirection.INCREASE),
        InputFeature("down", low=0, high=10, direction=FeatureDirection.DECREASE),
        InputFeature("fixed", low=0, high=10, immutable=True),
        InputFeature("flag", FeatureKind.BINARY, 0, 1, (0.0, 1.0)),
        InputFeature(
            "once", FeatureKind.BINARY, 0, 1, (0.0, 1.0), direction=FeatureDirection.INCREASE
        ),
        InputFeature("code", FeatureKind.CATEGORICAL, 2, 7, (2.0, 3.0, 7.0)),
    )
    asked = toys.constraints(features)
    clean = np.array([[9.5, 10, 5, 5, 1, 1, 3]])
    region = find_reachable_box(asked, clean, 0.11)
    np.testing.assert_allclose(region.lower, [[8.4, 10, 3.9, 5, 0, 1, 2]])
    np.testing.assert_allclose(region.upper, [[10, 15, 5, 5, 1, 1, 7]])
    good = np.array([[8.4, 15, 3.9, 5, 0, 1, 7]])
    assert find_permitted_rows(asked, region, good).all()
    for column, value in enumerate([8.3, 9, 5.1, 5.1, 0.5, 0, 4]):
        bad = good.copy()
        bad[0, column] = value
        assert not find_permitted_rows(asked, region, bad).any(), features[column].name


def test_a_clean_value_outside_its_range_may_stay() -> None:
    asked = toys.constraints((toys.CASH, toys.YEARS))
    clean = np.array([[12.0, 3.5]])
    region = find_reachable_box(asked, clean, 0.1)
    assert find_permitted_rows(asked, region, clean).all()
    np.testing.assert_allclose(region.upper, [[12, 8]])


def test_whole_numbers_are_asked_of_rows_of_whole_numbers() -> None:
    asked = toys.constraints((toys.CASH, toys.TOTAL))
    clean = np.array([[3, 7]], dtype=np.int32)
    region = find_reachable_box(asked, clean, 0.19)
    np.testing.assert_array_equal(region.lower, [[2, 4]])
    np.testing.assert_array_equal(region.upper, [[4, 10]])


def test_moves_are_counted_and_priced_by_unit() -> None:
    features = (toys.CASH, toys.TOTAL, toys.HOME, toys.CAR, toys.BOAT, toys.REGION)
    asked = toys.constraints(features)
    clean = np.array([[1.0, 1, 1, 0, 0, 5]])
    found = np.array([[2.0, 1, 0, 0, 1, 0]])
    assert [unit.name for unit in asked.units] == ["cash", "total", "purpose", "region"]
    np.testing.assert_array_equal(
        find_moved_units(asked, clean, found), [[True, False, True, True]]
    )
    np.testing.assert_allclose(price_moves(asked, clean, found), [[2 * 0.1, 0, 1, 1]])


def test_definitions_stand_in_the_order_in_which_they_are_needed() -> None:
    features = [InputFeature(name, low=0, high=10) for name in "abcd"]
    asked = toys.constraints(features, "d == c + 1", "c == b * 2", "a == d", "b == a")
    assert [definition.name for definition in asked.definitions] == ["c", "d", "a"]


@given(st.permutations(["d == c + a", "c == b + a", "b == 2 * a"]))
def test_the_order_of_definitions_does_not_depend_on_how_they_are_written(
    texts: Sequence[str],
) -> None:
    features = [InputFeature(name, low=0, high=10) for name in "abcd"]
    asked = toys.constraints(features, *texts)
    assert [definition.name for definition in asked.definitions] == ["b", "c", "d"]


def test_an_immutable_column_is_not_defined_by_others() -> None:
    fixed = InputFeature("total", low=0, high=20, immutable=True)
    asked = toys.constraints((toys.CASH, toys.BONDS, fixed), "total == cash + bonds")
    assert asked.definitions == ()


def test_pixels_have_no_constraints() -> None:
    with pytest.raises(ValueError, match="without features"):
        prepare_constraints(toys.space(()))


@given(toys.seeds, toys.some_relations, toys.budgets)
def test_a_clean_row_is_within_reach_of_itself(seed: int, texts: Sequence[str], eps: float) -> None:
    asked = toys.constraints(toys.EVERYTHING, *texts)
    clean = toys.clean_rows(4, np.random.default_rng(seed))
    assume(satisfies_constraints(asked, clean).all())
    region = find_reachable_box(asked, clean, eps)
    assert find_permitted_rows(asked, region, clean).all()
    assert not find_moved_units(asked, clean, clean).any()
