from dataclasses import replace

import numpy as np
import pytest
from evasion_toys import LinearTwin, arena, box, classes, linear
from hypothesis import given, settings
from hypothesis import strategies as st

from auditor.attacks.evasion.apgd import AutoPgd
from auditor.attacks.evasion.budget_sweep import run_sweep
from auditor.attacks.evasion.goals import (
    HarmfulDecisionGoal,
    RegressionErrorGoal,
    untargeted_goal,
)
from auditor.attacks.evasion.norms import Norm, fast_sign, free_coordinates, row_norms, where_rows
from auditor.attacks.evasion.perturbation_ball import nearest_in_ball
from auditor.attacks.evasion.square import SquareAttack
from auditor.attacks.evasion.suite_parser import AttackSuite, build_suite
from auditor.attacks.evasion.threat_model import is_within_budget, lp_threat
from auditor.domain.check_subject import report_nothing
from auditor.domain.tasks import RegressionTask
from auditor.errors import PolicyError

NORMS = list(Norm)


def drawn(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    shape = (4, 6)
    low = -rng.random(shape) * rng.integers(0, 2, shape)
    high = rng.random(shape) * rng.integers(0, 2, shape)
    return rng.normal(scale=1.5, size=shape), low, high


@pytest.mark.parametrize("norm", NORMS)
@given(seed=st.integers(0, 10_000), eps=st.sampled_from([0.1, 0.5, 1.0, 2.0]))
def test_the_nearest_change_is_in_ball_and_box_and_stays_where_it_is(
    norm: Norm, seed: int, eps: float
) -> None:
    change, low, high = drawn(seed)
    found = nearest_in_ball(change, norm, eps, low, high)
    assert (row_norms(found, norm) <= eps * (1 + 1e-6)).all()
    assert (found >= low).all()
    assert (found <= high).all()
    np.testing.assert_allclose(nearest_in_ball(found, norm, eps, low, high), found, atol=1e-6)


@pytest.mark.parametrize("norm", [Norm.LINF, Norm.L2, Norm.L1])
@given(seed=st.integers(0, 10_000), eps=st.sampled_from([0.1, 0.5, 1.0]))
def test_no_other_change_of_a_convex_ball_is_nearer(norm: Norm, seed: int, eps: float) -> None:
    change, low, high = drawn(seed)
    found = nearest_in_ball(change, norm, eps, low, high)
    rng = np.random.default_rng(seed + 1)
    for _ in range(30):
        other = nearest_in_ball(rng.normal(size=change.shape), norm, eps, low, high)
        # The projection on a convex set: no other member lies on the far side of it.
        assert (((change - found) * (other - found)).sum(axis=1) <= 1e-5).all()


def test_a_pixel_counts_once_whatever_its_channels_do() -> None:
    change = np.zeros((1, 3, 2, 2))
    change[0, :, 0, 0] = [0.5, -0.2, 0.1]
    change[0, 1, 1, 1] = 0.4
    assert row_norms(change, Norm.L0, 0)[0] == 2
    kept = nearest_in_ball(change, Norm.L0, 1, -np.ones_like(change), np.ones_like(change), 0)
    np.testing.assert_array_equal(kept[0, :, 0, 0], [0.5, -0.2, 0.1])
    assert np.count_nonzero(kept) == 3


@pytest.mark.parametrize("norm", NORMS)
@given(seed=st.integers(0, 10_000))
def test_settled_candidates_are_permitted_in_every_norm(norm: Norm, seed: int) -> None:
    rng = np.random.default_rng(seed)
    quantum = float(rng.choice([0.0, 1 / 255, 0.125]))
    space = box((2, 3), quantum=quantum)
    clean = rng.random((5, 2, 3))
    clean = (np.rint(clean / quantum) * quantum if quantum else clean).astype(np.float32)
    eps = float(rng.choice([0.3, 1.0, 2.0]))
    threat = lp_threat(space, norm, eps, (2, 3))
    ball = threat.around(clean)
    settled = ball.settle(clean + rng.normal(size=clean.shape))
    assert threat.permits(clean, settled).all()
    np.testing.assert_array_equal(ball.settle(settled.astype(np.float64)), settled)


@settings(max_examples=10)
@given(seed=st.integers(0, 1000))
def test_the_ascent_reaches_the_plane_of_a_linear_model_in_l2(seed: int) -> None:
    model, twin, w, b = linear(seed, 8)
    rows = 0.5 + 0.1 * np.random.default_rng(seed).normal(size=(40, 8))
    labels = model.logits(rows).argmax(axis=1)
    way = w[:, 1] - w[:, 0]
    exact = np.abs(rows @ way + b[1] - b[0]) / np.linalg.norm(way)
    case = arena(model, rows, labels, box((8,)), twin, Norm.L2)
    budgets = (0.02, 0.05, 0.1)
    found = run_sweep(AttackSuite((AutoPgd(20),)), case, budgets, seed, report_nothing, refine=12)
    for eps in budgets:
        inside = (np.abs(rows - 0.5) < 0.5 - eps).all(axis=1)  # the box cuts nothing off
        np.testing.assert_array_equal(
            is_within_budget(found.breaking, eps)[inside], (exact < eps)[inside]
        )


def test_refining_brings_a_success_to_the_plane() -> None:
    model, twin, _, _ = linear(1, 8)
    rows = np.random.default_rng(1).random((30, 8))
    labels = model.logits(rows).argmax(axis=1)
    case = arena(model, rows, labels, box((8,)), twin)
    rough = run_sweep(AttackSuite((AutoPgd(10),)), case, (0.5,), 0, report_nothing)
    fine = run_sweep(AttackSuite((AutoPgd(10),)), case, (0.5,), 0, report_nothing, refine=10)
    assert (fine.breaking <= rough.breaking).all()
    assert fine.breaking.mean() < 0.8 * rough.breaking.mean()
    np.testing.assert_allclose(case.threat(0.5).distance(rows, fine.crafted), fine.distance)


def test_only_decisions_that_cost_enough_are_a_success() -> None:
    task = classes(2)
    model, twin, _, _ = linear(3, 6)
    rows = np.random.default_rng(0).random((60, 6))
    labels = model.logits(rows).argmax(axis=1)
    case = arena(model, rows, labels, box((6,)), twin)
    expensive = HarmfulDecisionGoal(task, np.array([[False, True], [False, False]]))
    both = run_sweep(AttackSuite((AutoPgd(20),)), case, (0.3,), 0, report_nothing)
    one = run_sweep(
        AttackSuite((AutoPgd(20),)), replace(case, goal=expensive), (0.3,), 0, report_nothing
    )
    assert np.isinf(one.breaking[labels == 1]).all()
    np.testing.assert_array_equal(
        np.isfinite(one.breaking[labels == 0]), np.isfinite(both.breaking[labels == 0])
    )


def test_an_error_within_the_tolerance_is_no_success() -> None:
    goal = RegressionErrorGoal(RegressionTask(0.5))
    scores = np.array([[1.0], [1.4], [1.6], [0.3]])
    labels = np.ones(4, dtype=np.int64)
    np.testing.assert_array_equal(goal.reached(scores, labels), [False, False, True, True])
    np.testing.assert_allclose(goal.margin(scores, labels), [-0.5, -0.1, 0.1, 0.2])


def test_a_rejection_is_never_a_success() -> None:
    task = classes(3)
    harmful = untargeted_goal(task).harmful.copy()
    harmful[:, 2] = False
    goal = type(untargeted_goal(task))(task, harmful)
    scores = np.array([[0.1, 0.2, 0.7], [0.1, 0.7, 0.2]])
    np.testing.assert_array_equal(goal.reached(scores, np.array([0, 0])), [False, True])


@pytest.mark.parametrize("stages", [(), ("nothing:5",), ("sparse_rs:5",), ("margin:5y2",)])
def test_a_stage_that_names_nothing_in_its_norm_is_refused(stages: tuple[str, ...]) -> None:
    with pytest.raises(PolicyError, match=r"cross_entropy|stages"):
        build_suite(stages, Norm.L2)


def test_queries_end_where_they_are_spent() -> None:
    model, _, _, _ = linear(0, 6)
    model.logits = lambda x: np.tile([1.0, 0.0], (len(x), 1))
    rows = np.random.default_rng(0).random((10, 6))
    case = arena(model, rows, np.zeros(10, dtype=np.int64), box((6,)), most_queries=4)
    found = run_sweep(AttackSuite((SquareAttack(25),)), case, (0.1, 0.2), 0, report_nothing)
    assert [bill.queries for bill in found.log] == [40, 40]


def test_a_model_that_answers_at_random_is_attacked_by_its_mean_answer() -> None:
    noise = np.random.default_rng(0)

    def logits(x: np.ndarray) -> np.ndarray:
        side = x[:, 0] - 0.5 + noise.normal(scale=0.2, size=len(x))
        return np.column_stack([side, -side]) * 5

    model, _, _, _ = linear(0, 2)
    model.logits = logits
    model.deterministic = False
    twin = LinearTwin(np.array([[5.0, -5.0], [0.0, 0.0]]), np.array([-2.5, 2.5]))
    rows = np.full((40, 2), 0.9)
    once = arena(model, rows, np.zeros(40, dtype=np.int64), box((2,)), twin)
    often = arena(model, rows, np.zeros(40, dtype=np.int64), box((2,)), twin, repeats=64)
    lucky = np.isfinite(
        run_sweep(AttackSuite((AutoPgd(10),)), once, (0.3,), 0, report_nothing).breaking
    ).mean()
    fair = np.isfinite(
        run_sweep(AttackSuite((AutoPgd(10),)), often, (0.3,), 0, report_nothing).breaking
    ).mean()
    assert lucky > 0.3
    assert fair < 0.05


@pytest.mark.parametrize("norm", [Norm.LINF, Norm.L2, Norm.L1])
def test_of_two_classes_a_second_climb_takes_a_third_of_the_steps_by_which_it_is_longer(
    norm: Norm,
) -> None:
    model, twin, _, _ = linear(3, 8)
    rows = np.random.default_rng(1).random((20, 8))
    labels = model.logits(rows).argmax(axis=1)
    case = arena(model, rows, labels, box((8,)), twin, norm)
    nothing = 1e-4  # no row breaks, so that every climb takes all its steps

    def steps(*stages: str) -> list[int]:
        log = run_sweep(build_suite(stages, norm), case, (nothing,), 0, report_nothing).log
        return [bill.passes // bill.live for bill in log]

    assert steps("targeted:12") == [12]
    assert steps("cross_entropy:5", "targeted:12") == [5, 2]
    assert steps("cross_entropy:5", "margin:9", "targeted:12x3") == [5, 9, 1, 0, 0]
    assert steps("margin:12", "targeted:12") == [12, 0]
    assert steps("targeted:4", "cross_entropy:6") == [4, 6]


def test_of_three_classes_a_targeted_climb_takes_all_its_steps() -> None:
    attacks = build_suite(("cross_entropy:5", "targeted:12x2"), Norm.LINF).bounded
    model, twin, _, _ = linear(3, 8, 3)
    rows = np.random.default_rng(1).random((20, 8))
    labels = model.logits(rows).argmax(axis=1)
    case = arena(model, rows, labels, box((8,)), twin)
    log = run_sweep(AttackSuite(attacks), case, (1e-4,), 0, report_nothing).log
    assert [bill.passes // bill.live for bill in log] == [5, 12, 12]


@pytest.mark.parametrize("shape", [(7,), (7, 5), (7, 1, 3, 4), (7, 0)])
@pytest.mark.parametrize("kinds", [("f4", "f4"), ("f8", "f4"), ("f8", "f8")])
def test_whole_rows_are_chosen_as_number_by_number(
    shape: tuple[int, ...], kinds: tuple[str, str]
) -> None:
    rng = np.random.default_rng(1)
    these, those = (rng.normal(size=shape).astype(kind) for kind in kinds)
    for mask in (rng.random(7) < 0.5, np.zeros(7, dtype=bool), np.ones(7, dtype=bool)):
        wished = np.where(mask.reshape(-1, *[1] * (len(shape) - 1)), these, those)
        before = those.copy()
        assert (where_rows(mask, these, those) == wished.astype(kinds[1])).all() or mask.all()
        assert (those == before).all()


def test_signs_are_those_of_numpy() -> None:
    values = np.array([[-2.5, -0.0, 0.0], [1e-45, -1e-45, 3.0]])
    for kind in (np.float32, np.float64):
        found = fast_sign(values.astype(kind))
        assert found.dtype == kind
        assert (found == np.sign(values.astype(kind))).all()


def test_a_coordinate_is_free_where_its_slope_leads_away_from_the_end_of_its_reach() -> None:
    slope, change = np.array([[1.0, 1.0, -1.0, -1.0]]), np.array([[0.5, 1.0, -1.0, 0.0]])
    low, high = np.full((1, 4), -1.0), np.full((1, 4), 1.0)
    assert free_coordinates(slope, change, low, high).tolist() == [[True, False, False, True]]
