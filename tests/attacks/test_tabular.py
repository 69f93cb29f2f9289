"""Attacks on tables: exactly the rows that can break do, by rows that could exist alone."""

from dataclasses import replace

import numpy as np
import pytest
import tabular_toys as toys
from evasion_toys import LinearTwin, ToyModel, arena
from hypothesis import given, settings
from hypothesis import strategies as st

from auditor.attacks.evasion.judge import BestSoFar
from auditor.attacks.tabular.attack import (
    TabularJudge,
    TabularSearch,
    TabularSetup,
    apply_move,
    build_tabular_setup,
    combine_best_moves,
    list_single_moves,
    propose_combinations,
    scatter_units,
)
from auditor.attacks.tabular.campaign import TabularAttackResult, attack_table, parse_stages
from auditor.attacks.tabular.capgd import ConstrainedPgd, chain_definitions
from auditor.attacks.tabular.constraints.minimal_changes import restore_unit
from auditor.attacks.tabular.constraints.reachable_box import find_reachable_box
from auditor.attacks.tabular.constraints.repair import find_feasible_rows
from auditor.domain.check_subject import report_nothing
from auditor.domain.tasks import Array, InputFeature
from auditor.errors import CancelledError, PolicyError

CLIMB = ("capgd:20",)
BOTH = ("capgd:20", "search:200")
SEARCH = ("search:200x2",)
QUICK = ("capgd:6", "search:30")
MODELS = (0, pytest.param(1, marks=pytest.mark.slow))


def attacked(
    entered: TabularSetup,
    names: tuple[str, ...] = BOTH,
    eps: tuple[float, ...] = (toys.EPS,),
    seed: int = 5,
    most: int = 500,
) -> TabularAttackResult:
    return attack_table(entered, parse_stages(names), eps, seed, report_nothing, minimising=most)


def judge(entered: TabularSetup, eps: float = toys.EPS) -> TabularJudge:
    a = entered.arena
    standing = BestSoFar.clean(a.rows, a.probabilities, a.labels, a.goal)
    return TabularJudge(table=entered, region=entered.region(eps), standing=standing, eps=eps)


def asked(model: ToyModel) -> Array:
    return np.concatenate(model.seen)


@pytest.mark.parametrize("names", [BOTH, SEARCH], ids=["both", "search"])
@pytest.mark.parametrize("seed", MODELS)
def test_exactly_the_rows_that_can_be_broken_are(seed: int, names: tuple[str, ...]) -> None:
    entered, model, _, rows = toys.linear_table(seed)
    if names == SEARCH:  # the search alone
        entered = replace(entered, arena=replace(entered.arena, twin=None))
    wanted = toys.breakable(model, rows, entered.arena.labels) <= len(rows[0])
    assert 0.2 < wanted.mean() < 1
    np.testing.assert_array_equal(attacked(entered, names).standing.broken, wanted)


@pytest.mark.parametrize("seed", MODELS)
def test_most_of_them_are_by_twenty_gradients_and_a_query_or_two(seed: int) -> None:
    entered, model, _, rows = toys.linear_table(seed, count=60)
    can = toys.breakable(model, rows, entered.arena.labels) <= len(rows[0])
    found = attacked(entered, CLIMB)
    assert not (found.standing.broken & ~can).any()
    assert found.standing.broken.sum() >= 0.9 * can.sum()
    assert found.log[0].queries <= 2 * len(rows)


@pytest.mark.parametrize("most", [2, *(pytest.param(n, marks=pytest.mark.slow) for n in (1, 3))])
def test_no_more_features_move_than_may_and_few_rows_are_missed(most: int) -> None:
    entered, model, _, rows = toys.linear_table(1, most_features=most)
    found = attacked(entered, ("capgd:20", "search:100"))
    can = toys.breakable(model, rows, entered.arena.labels) <= most
    assert toys.units_moved(rows, found.standing.crafted).max() <= most
    assert not (found.standing.broken & ~can).any()
    assert (found.standing.broken & can).sum() >= 0.95 * can.sum()


@pytest.mark.parametrize("seed", MODELS)
def test_a_counterexample_is_possible_wrong_and_minimal(seed: int) -> None:
    entered, model, _, rows = toys.linear_table(seed)
    found = attacked(entered)
    closed, labels = found.closed, entered.arena.labels
    wrong = toys.decisions(model, rows) != labels
    np.testing.assert_array_equal(closed.rows, np.flatnonzero(found.standing.broken & ~wrong))
    assert closed.minimal.valid.all()
    assert closed.certain.all()
    points, own = closed.minimal.points, closed.rows
    region = entered.region(toys.EPS).take(own)
    assert find_feasible_rows(entered.constraints, region, points).all()
    assert (toys.decisions(model, points) != labels[own]).all()
    for unit in range(len(entered.constraints.units)):
        due = np.flatnonzero(closed.minimal.moved[:, unit])
        places = np.full(len(due), unit)
        back = restore_unit(entered.constraints, region.take(due), points[due], places)
        still = find_feasible_rows(entered.constraints, region.take(due), back)
        assert not (still & (toys.decisions(model, back) != labels[own[due]])).any()
    fewest = toys.breakable(model, rows, labels)[own]
    counts = toys.units_moved(rows[own], points)
    assert (counts >= fewest).all()
    assert (counts == fewest).mean() > 0.75


@pytest.mark.slow
@settings(deadline=None, max_examples=8)
@given(st.integers(0, 2**32 - 1))
def test_the_target_never_sees_a_row_that_cannot_exist(seed: int) -> None:
    entered, model, _, rows = toys.linear_table(seed, count=12)
    model.seen.clear()
    attacked(entered, QUICK, seed=seed)
    seen = {tuple(row) for row in asked(model)}
    possible = [toys.everything_within_reach(row) for row in rows]
    assert seen <= {tuple(row) for listed in possible for row in listed}


def test_the_same_seed_finds_the_same_rows_and_another_seed_others() -> None:
    first, again, other = (
        attacked(toys.linear_table(0)[0], ("search:20",), seed=seed).standing.crafted
        for seed in (1, 1, 2)
    )
    assert first.tobytes() == again.tobytes()
    assert first.tobytes() != other.tobytes()


def test_a_row_broken_at_one_budget_counts_at_every_larger_one() -> None:
    entered, *_ = toys.linear_table(0)
    wide = attacked(entered, QUICK, eps=(0.1, 0.2, 0.4))
    narrow = attacked(entered, QUICK, eps=(0.1,))
    assert (wide.standing.breaking[narrow.standing.broken] <= 0.1 + 1e-6).all()
    region = entered.region(0.4)
    assert find_feasible_rows(entered.constraints, region, wide.standing.crafted).all()
    distance = entered.distance(region.clean, wide.standing.crafted)
    broken = wide.standing.broken
    np.testing.assert_allclose(wide.standing.breaking[broken], distance[broken])


def test_a_code_costs_no_budget_and_a_quantity_its_share_of_the_range() -> None:
    entered, _, _, rows = toys.linear_table(0)
    points = rows[:3].copy()
    points[0, 3] = 1 - points[0, 3]
    points[1, 0] += 2
    points[2, 4:7] = np.roll(points[2, 4:7], 1)
    np.testing.assert_allclose(entered.distance(rows[:3], points), [0, 0.2, 0], atol=1e-7)
    np.testing.assert_array_equal(entered.units(rows[:3], points), [1, 1, 1])


def test_what_cannot_exist_is_refused_counted_and_not_asked() -> None:
    entered, model, _, _ = toys.linear_table(0)
    rows = np.array(
        [[6, 6, 0, 0, 1, 0, 0, 5], [4, 4, 4, 0, 1, 0, 0, 5], [4, 4, 4, 0, 1, 0, 0, 5],
         [4, 4, 4, 0, 1, 0, 0, 5], [4, 4, 4, 0, 1, 0, 0, 5]],
        dtype=np.float32,
    )  # fmt: skip
    entered = build_tabular_setup(arena(model, rows, toys.decisions(model, rows), toys.space()), 2)
    points = rows.copy()
    points[0, :2] = 7  # breaks a + b <= 12
    points[1, 7] = 4  # immutable
    points[2, 2] = 3  # against its direction
    points[3, 4:7] = 1  # all of one choice
    points[4, :4] += [1, 1, 1, 1]  # more than two features
    seen = judge(entered)
    before = model.queries
    reached, margin = seen.submit(np.arange(5), points)
    assert (seen.refused, model.queries - before, seen.queries) == (5, 0, 0)
    assert not reached.any()
    assert np.isneginf(margin).all()
    seen.submit(np.arange(5), rows)
    assert (seen.refused, seen.queries) == (5, 0)


def test_half_a_relation_bounds_how_far_a_linear_model_falls() -> None:
    # From (0.4, 0.4), x + y <= 1 and |change| <= eps leave x + 2y <= 1.4 + eps from eps 0.1 on.
    features = (InputFeature("x", low=0, high=1), InputFeature("y", low=0, high=1))
    rows, labels = np.full((1, 2), 0.4), np.zeros(1, dtype=np.int64)
    for line, eps, breaks in ((1.68, 0.3, True), (1.72, 0.3, False), (1.72, 0.4, True)):
        weights = np.array([[0.0, 1.0], [0.0, 2.0]])
        bias = np.array([0.0, -line])
        model, twin = _model(weights, bias), LinearTwin(weights, bias)
        for names in (("capgd:60",), ("search:200",)):
            for texts in (("x + y <= 1",), ()):
                spot = build_tabular_setup(
                    arena(model, rows, labels, toys.space(features, texts), twin)
                )
                found = attacked(spot, names, (eps,))
                assert found.standing.broken[0] == (breaks or not texts), (line, names, texts)
                if breaks and texts and names == ("search:200",):
                    assert line - 1.4 <= found.standing.breaking[0] <= eps + 1e-6


def _model(weights: toys.Numbers, bias: toys.Numbers) -> ToyModel:
    return ToyModel(lambda x: x @ weights + bias)


def test_a_slope_goes_through_what_a_relation_defines() -> None:
    features = tuple(InputFeature(name, low=0, high=10) for name in ("loan", "income", "burden"))
    entered = build_tabular_setup(
        arena(
            ToyModel(lambda x: np.stack([x[:, 0] * 0, x[:, 2]], axis=1)),
            np.array([[2.0, 4.0, 0.5]]),
            np.zeros(1, dtype=np.int64),
            toys.space(features, ("burden == loan / income",)),
        )
    )
    points = np.array([[2.0, 4.0, 0.5]])
    slope = chain_definitions(entered.constraints, points, np.array([[0.0, 1.0, 8.0]]))
    np.testing.assert_allclose(slope, [[2.0, 0.0, 0.0]])


def test_each_unit_moves_alone_to_its_limits_or_codes() -> None:
    entered, _, _, rows = toys.linear_table(0)
    region = find_reachable_box(entered.constraints, rows, toys.EPS)
    moves = list_single_moves(entered.constraints, region)
    assert len(moves) == 3 * 2 + 2 + 3
    for move in moves:
        found = apply_move(move, entered.constraints, region, region.exact)
        assert (toys.units_moved(rows, found.astype(np.float32)) <= 1).all()


def test_moves_that_helped_go_together_and_the_others_do_not() -> None:
    entered, _, _, rows = toys.linear_table(0, count=1)
    region = find_reachable_box(entered.constraints, rows, toys.EPS)
    moves = list_single_moves(entered.constraints, region)
    gains = np.full((1, len(moves)), -1.0)
    gains[0, [0, 3]] = [0.5, 0.2]  # a to its lower limit, b to its upper one
    both = combine_best_moves(moves, entered.constraints, region, gains)
    wanted = region.exact
    wanted[0, 0], wanted[0, 1] = region.lower[0, 0], region.upper[0, 1]
    np.testing.assert_array_equal(both, wanted)


def test_the_first_guess_is_the_possible_combination_that_promises_most() -> None:
    entered, *_ = toys.linear_table(0, count=1)
    row = np.array([[6, 4, 4, 0, 1, 0, 0, 5]], dtype=np.float32)  # a + b <= 12 allows a 8 or b 6
    region = find_reachable_box(entered.constraints, row, toys.EPS)
    moves = list_single_moves(entered.constraints, region)
    gains = np.full((1, len(moves)), -1.0)
    gains[0, [1, 3]] = [0.5, 0.2]  # a to its upper limit, b to its upper one
    rng = np.random.default_rng(0)
    both = propose_combinations(moves, entered.constraints, region, gains, 3, rng)
    assert both.shape == (3, 1, 8)
    np.testing.assert_array_equal(both[0, 0, :2], [8, 4])
    gains[0, 3] = 0.9
    np.testing.assert_array_equal(
        propose_combinations(moves, entered.constraints, region, gains, 1, rng)[0, 0, :2], [6, 6]
    )
    assert toys.keep(both.reshape(-1, 8)).all()


@given(st.integers(0, 2**32 - 1), st.floats(0, 1))
def test_a_scattered_point_moves_as_many_units_as_were_asked(seed: int, part: float) -> None:
    entered, _, _, rows = toys.linear_table(0, count=10)
    region = find_reachable_box(entered.constraints, rows, toys.EPS)
    rng = np.random.default_rng(seed)
    points = region.exact
    found = scatter_units(entered.constraints, region, points, part, (0.0, 0.0, 1.0, 0.0), rng)
    moved = toys.units_moved(points.astype(np.float32), found.astype(np.float32))
    assert (moved <= max(1, np.rint(5 * part))).all()
    assert (found[:, 7] == rows[:, 7]).all()


def test_a_stage_says_what_it_is_or_is_refused() -> None:
    assert parse_stages(("capgd:20x3", "search:60x2")) == (
        ConstrainedPgd(20, 3),
        TabularSearch(60),
        TabularSearch(60),
    )
    for text in ("capgd", "capgd:0", "square:10", "search:-1", "search:5x0"):
        with pytest.raises(PolicyError, match="names no attack"):
            parse_stages((text,))
    with pytest.raises(PolicyError, match="no stages"):
        parse_stages(())


def test_a_stage_that_wants_a_twin_is_skipped_without_one_and_named() -> None:
    entered, *_ = toys.linear_table(0)
    found = attacked(replace(entered, arena=replace(entered.arena, twin=None)), QUICK)
    assert found.skipped == ("capgd, 6 steps x 1",)
    assert all(bill.passes == 0 for bill in found.log)
    with pytest.raises(TypeError, match="needs a twin"):
        ConstrainedPgd(3).run(judge(entered), None, np.random.default_rng(0), lambda: None)


def test_a_success_on_the_twin_alone_is_a_phantom() -> None:
    entered, _, twin, rows = toys.linear_table(0)
    constant = ToyModel(lambda x: np.tile([1.0, 0.0], (len(x), 1)))
    labels = np.zeros(len(rows), dtype=np.int64)
    found = attacked(
        build_tabular_setup(arena(constant, rows, labels, toys.space(), twin)), ("capgd:20",)
    )
    assert not found.standing.broken.any()
    assert found.log[0].phantoms > 0
    assert entered.arena.twin is not None


def test_an_attack_can_be_cancelled() -> None:
    def stop(done: int, _total: int, _note: str = "") -> None:
        if done > 3:
            raise CancelledError("stopped by the test", cure="none")

    entered, *_ = toys.linear_table(0)
    with pytest.raises(CancelledError):
        attack_table(entered, parse_stages(BOTH), (toys.EPS,), 0, stop, minimising=10)


def test_progress_never_goes_back_and_ends_at_its_total() -> None:
    told: list[tuple[int, int]] = []

    def note(done: int, total: int, _note: str = "") -> None:
        told.append((done, total))

    entered, *_ = toys.linear_table(0)
    attack_table(entered, parse_stages(QUICK), (0.1, 0.2), 0, note, minimising=100)
    done = [item for item, _ in told]
    assert done == sorted(done)
    assert told[-1][0] == told[-1][1]
    assert len({total for _, total in told}) == 1


def test_queries_for_minimising_stay_within_what_was_allowed() -> None:
    entered, model, _, _ = toys.linear_table(0)
    found = attacked(entered, QUICK, most=3)
    bill = found.log[-1]
    assert bill.attack == "minimal change"
    assert bill.queries <= 3 * bill.live
    assert not found.closed.certain.all()
    assert found.closed.minimal.valid.all()
    assert model.queries == len(entered.arena.rows) + sum(item.queries for item in found.log)
