from dataclasses import dataclass, replace

import numpy as np
import pytest
from evasion_toys import LinearTwin, ToyModel, arena, box, classes, linear
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from auditor.attacks.evasion.apgd import AutoPgd
from auditor.attacks.evasion.attack_protocol import (
    AttackContext,
    AttackFeedback,
    Query,
    QueryResult,
    query_each_row,
)
from auditor.attacks.evasion.attack_setup import AttackSetup
from auditor.attacks.evasion.budget_sweep import run_sweep
from auditor.attacks.evasion.goals import untargeted_goal
from auditor.attacks.evasion.query_costs import QueryCost, SweepResult
from auditor.attacks.evasion.square import SquareAttack
from auditor.attacks.evasion.suite_parser import AttackSuite
from auditor.attacks.evasion.threat_model import is_within_budget
from auditor.domain.check_subject import report_nothing
from auditor.domain.tasks import Floats
from auditor.errors import CancelledError

BUDGETS = (0.02, 0.05, 0.1, 0.2)


def exact_robustness(
    rows: Floats, labels: NDArray[np.int64], w: Floats, b: Floats, eps: float
) -> NDArray[np.bool_]:
    """Say which rows of a linear classifier of two classes no change within ``eps`` can break.

    The worst change takes each coordinate to the end of its reach that speaks for the other class.
    """
    side = np.where(labels == 1, 1.0, -1.0)[:, None]
    direction = side * (w[:, 1] - w[:, 0])
    worst = np.where(direction > 0, np.maximum(rows - eps, 0), np.minimum(rows + eps, 1))
    return (worst * direction).sum(axis=1) + side[:, 0] * (b[1] - b[0]) > 0


def linear_case(
    seed: int, coordinates: int = 12
) -> tuple[AttackSetup, LinearTwin, list[NDArray[np.bool_]]]:
    model, twin, w, b = linear(seed, coordinates)
    rows = np.random.default_rng(seed + 1).random((60, coordinates))
    labels = model.logits(rows).argmax(axis=1)
    labels[:6] = 1 - labels[:6]
    exact = [exact_robustness(rows, labels, w, b, eps) for eps in BUDGETS]
    return arena(model, rows, labels, box((coordinates,)), twin), twin, exact


def ascent(steps: int = 20, restarts: int = 1) -> AttackSuite:
    losses = ("cross_entropy", "margin")
    return AttackSuite(tuple(AutoPgd(steps, losses[turn % 2]) for turn in range(restarts)))


def search(iterations: int, restarts: int = 1) -> AttackSuite:
    return AttackSuite((SquareAttack(iterations),) * restarts)


def total(found: SweepResult, eps: float) -> QueryCost:
    """Add up what one budget cost."""
    bills = [bill for bill in found.log if bill.eps == eps]
    return QueryCost(
        attack="all",
        eps=eps,
        live=bills[0].live,
        broken=sum(bill.broken for bill in bills),
        phantoms=bills[-1].phantoms,
        queries=sum(bill.queries for bill in bills),
        passes=sum(bill.passes for bill in bills),
        refused=sum(bill.refused for bill in bills),
    )


@settings(max_examples=15)
@given(seed=st.integers(0, 1000))
def test_the_ascent_breaks_exactly_the_rows_of_a_linear_model_that_can_be_broken(seed: int) -> None:
    case, _, exact = linear_case(seed)
    found = run_sweep(ascent(), case, BUDGETS, seed, report_nothing)
    for eps, robust in zip(BUDGETS, exact, strict=True):
        np.testing.assert_array_equal(~is_within_budget(found.breaking, eps), robust)


@settings(max_examples=10)
@given(seed=st.integers(0, 1000))
def test_the_search_never_breaks_a_row_of_a_linear_model_that_cannot_be_broken(seed: int) -> None:
    case, _, exact = linear_case(seed)
    found = run_sweep(search(100), case, BUDGETS, seed, report_nothing)
    for eps, robust in zip(BUDGETS, exact, strict=True):
        assert not is_within_budget(found.breaking[robust], eps).any()
    assert np.mean(found.breaking > BUDGETS[-1]) <= exact[-1].mean() + 0.05


@pytest.mark.parametrize("attack", ["ascent", "search"])
def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(attack: str) -> None:
    def once(seed: int) -> SweepResult:
        case, _, _ = linear_case(3)
        chosen = ascent() if attack == "ascent" else search(40)
        return run_sweep(chosen, case, (0.05, 0.1, 0.15), seed, report_nothing)

    first, second, other = once(5), once(5), once(6)
    assert first.crafted.tobytes() == second.crafted.tobytes()
    assert first.probabilities.tobytes() == second.probabilities.tobytes()
    assert first.log == second.log
    assert first.crafted.tobytes() != other.crafted.tobytes()


@pytest.mark.parametrize("kind", ["float32", "uint8"])
@pytest.mark.parametrize("attack", ["ascent", "search"])
def test_every_candidate_that_reaches_the_target_is_in_ball_box_and_on_a_step(
    attack: str, kind: str
) -> None:
    model, twin, _, _ = linear(2, 16, 3)
    scale = 255.0 if kind == "uint8" else 1.0
    rows = (np.random.default_rng(0).random((20, 4, 4)) * scale).astype(kind)
    labels = model.logits(rows.reshape(20, -1).astype(np.float64)).argmax(axis=1)
    mutable = np.ones((4, 4), dtype=np.bool_)
    mutable[0] = False
    quantum = 1.0 if kind == "uint8" else 0.0
    case = arena(
        model, rows, labels, box((4, 4), high=scale, quantum=quantum, mutable=mutable), twin
    )
    model.seen.clear()
    chosen = ascent() if attack == "ascent" else search(30)
    found = run_sweep(chosen, case, (0.1,), 1, report_nothing)

    threat = case.threat(0.1)
    spent = total(found, 0.1)
    assert spent.refused == 0
    assert sum(len(batch) for batch in model.seen) == spent.queries > 0
    for batch in model.seen:
        assert batch.dtype == rows.dtype
        for candidate in batch:
            assert threat.permits(rows, np.broadcast_to(candidate, rows.shape)).any()
    assert threat.permits(rows, found.crafted).all()
    np.testing.assert_array_equal(found.crafted[:, 0], rows[:, 0])


def test_a_search_asks_once_an_iteration_for_each_row_that_still_stands() -> None:
    constant = ToyModel(lambda x: np.tile([1.0, 0.0], (len(x), 1)))
    rows = np.random.default_rng(0).random((10, 6))
    case = arena(constant, rows, np.array([0] * 7 + [1] * 3), box((6,)))
    found = run_sweep(search(25, 2), case, (0.1, 0.3), 0, report_nothing)
    assert [bill.queries for bill in found.log] == [7 * 25] * 4
    assert constant.queries == 10 + 7 * 25 * 4


def test_a_constant_model_cannot_be_broken_by_anything() -> None:
    constant = ToyModel(lambda x: np.tile([1.0, 0.0], (len(x), 1)))
    twin = LinearTwin(np.zeros((6, 2)), np.array([1.0, 0.0]))
    rows = np.random.default_rng(0).random((10, 6))
    case = arena(constant, rows, np.zeros(10, dtype=np.int64), box((6,)), twin)
    for attack in (ascent(), search(30)):
        assert np.isinf(run_sweep(attack, case, BUDGETS, 0, report_nothing).breaking).all()


def test_rows_that_are_wrong_from_the_start_are_not_attacked() -> None:
    case, twin, _ = linear_case(4)
    found = run_sweep(ascent(), case, BUDGETS, 0, report_nothing)
    assert (found.breaking[:6] == 0).all()
    np.testing.assert_array_equal(found.crafted[:6], case.rows[:6])
    assert case.model.queries == 60 + sum(bill.queries for bill in found.log)
    assert twin.passes == sum(bill.passes for bill in found.log)


def test_a_row_broken_at_one_budget_stays_broken_and_costs_nothing_more() -> None:
    model, twin, w, _ = linear(0, 4)
    rows = np.full((1, 4), 0.5)
    twin.bias = 0.02 * np.array([0.0, np.abs(w[:, 1] - w[:, 0]).sum()]) - 0.5 * w.sum(axis=0)
    model.logits = lambda x: x @ w + twin.bias
    case = arena(model, rows, np.array([1]), box((4,)), twin)
    found = run_sweep(ascent(), case, (0.01, 0.05, 0.1, 0.2), 0, report_nothing)
    assert 0.02 < found.breaking[0] <= 0.05 + 1e-9
    assert found.distance[0] == found.breaking[0]
    later = [bill for bill in found.log if bill.eps > 0.05]
    assert [(bill.live, bill.queries, bill.passes) for bill in later] == [(0, 0, 0)] * 2


def masked(levels: int) -> tuple[ToyModel, LinearTwin]:
    """A target that rounds its input: the true gradient, which its twin has, is zero."""
    rng = np.random.default_rng(1)
    weights = rng.choice([-1.0, 1.0], (36, 1)) * np.array([[1.0, -1.0]])

    def logits(x: Floats) -> Floats:
        return (np.rint(x * levels) / levels - 0.5) @ weights

    return ToyModel(logits), FlatTwin(np.zeros((36, 2)), np.zeros(2), function=logits)


@dataclass(slots=True)
class FlatTwin(LinearTwin):
    """Right in its scores, and of no help in its gradient."""

    function: object = None

    def forward(self, inputs: NDArray[np.generic]) -> Floats:
        self.shape = inputs.shape
        return self.function(inputs.reshape(len(inputs), -1).astype(np.float64))  # type: ignore[operator]


def test_a_masked_gradient_hides_from_the_ascent_and_not_from_the_search() -> None:
    model, twin = masked(10)
    rng = np.random.default_rng(2)
    rows = 0.5 + 0.05 * rng.choice([-1.0, 1.0], (40, 6, 6)) + 0.02
    labels = model.logits(rows.reshape(40, -1)).argmax(axis=1)
    margins = np.abs(np.diff(model.logits(rows.reshape(40, -1)), axis=1))[:, 0]
    kept = margins > 0.5
    case = arena(model, rows[kept], labels[kept], box((6, 6)), twin)
    by_gradient = run_sweep(ascent(steps=10), case, (0.15,), 0, report_nothing)
    by_scores = run_sweep(search(150), case, (0.15,), 0, report_nothing)
    assert np.isinf(by_gradient.breaking).mean() > 0.5
    assert np.isinf(by_scores.breaking).mean() < 0.1


@dataclass(frozen=True)
class Liar:
    """Asks for rows far outside of its budget."""

    name: str = "liar"
    source: AttackFeedback = AttackFeedback.SCORES
    rounds: int = 1
    queries: int = 1
    passes: int = 0
    minimises: bool = False
    best: Floats | None = None

    def begin(self, ground: AttackContext, rng: np.random.Generator) -> "Liar":
        return Liar(best=1.0 - ground.ball.clean.astype(np.float64))

    def ask(self) -> Query:
        assert self.best is not None
        return query_each_row(self.best)

    def tell(self, answer: QueryResult) -> "Liar":
        return self

    def take(self, keep: NDArray[np.bool_]) -> "Liar":
        assert self.best is not None
        return Liar(best=self.best[keep])


def test_a_claim_outside_of_the_budget_is_brought_inside_before_it_counts() -> None:
    case, _, exact = linear_case(5)
    found = run_sweep(AttackSuite((Liar(),)), case, BUDGETS, 0, report_nothing)
    assert case.threat(BUDGETS[-1]).permits(case.rows, found.crafted).all()
    for eps, robust in zip(BUDGETS, exact, strict=True):
        assert not is_within_budget(found.breaking[robust], eps).any()


def test_what_only_the_attacks_own_model_calls_broken_is_a_phantom() -> None:
    constant = ToyModel(lambda x: np.tile([1.0, 0.0], (len(x), 1)))
    twin = LinearTwin(np.array([[0.0, 1.0]] * 3), np.array([1.4, 0.0]))
    rows = np.full((5, 3), 0.4)
    case = arena(constant, rows, np.zeros(5, dtype=np.int64), box((3,)), twin)
    found = run_sweep(ascent(), case, (0.01, 0.2), 0, report_nothing)
    assert [bill.phantoms for bill in found.log] == [0, 5]
    assert np.isinf(found.breaking).all()


def test_a_candidate_that_only_the_target_gets_wrong_counts() -> None:
    model, _, _, _ = linear(6, 12)
    rows = np.random.default_rng(0).random((30, 12))
    labels = model.logits(rows).argmax(axis=1)
    sure = LinearTwin(1e-3 * np.asarray(linear(6, 12)[2]), np.zeros(2))
    case = arena(model, rows, labels, box((12,)), sure)
    found = run_sweep(ascent(), case, (0.3,), 0, report_nothing)
    assert (found.breaking < np.inf).any()


def test_the_threshold_of_the_task_decides_what_is_broken() -> None:
    model = ToyModel(lambda x: np.column_stack([np.zeros(len(x)), 4 * (x[:, 0] - 0.5)]))
    twin = LinearTwin(np.array([[0.0, 4.0]]), np.array([0.0, -2.0]))
    rows, labels = np.array([[0.8]]), np.array([1])
    usual = arena(model, rows, labels, box((1,)), twin)
    strict = replace(usual, goal=untargeted_goal(classes(2, threshold=0.75)))
    assert np.isinf(run_sweep(ascent(), usual, (0.1,), 0, report_nothing).breaking[0])
    assert run_sweep(ascent(), strict, (0.1,), 0, report_nothing).breaking[0] <= 0.1 + 1e-9


def test_many_rows_are_attacked_in_parts_with_the_same_result_in_each() -> None:
    model, twin, _, _ = linear(1, 3)
    rows = np.random.default_rng(0).random((1100, 3))
    labels = model.logits(rows).argmax(axis=1)
    case = arena(model, rows, labels, box((3,)), twin)
    found = run_sweep(ascent(steps=5), case, (0.1,), 0, report_nothing)
    assert found.probabilities.shape == (1100, 2)
    robust = exact_robustness(rows, labels, twin.weights, twin.bias, 0.1)
    np.testing.assert_array_equal(np.isinf(found.breaking), robust)


def test_progress_reaches_its_total_and_can_stop_the_attack() -> None:
    case, _, _ = linear_case(7)
    seen: list[tuple[int, int]] = []

    def note(done: int, total: int, note: str = "") -> None:
        assert note.startswith("eps ")
        seen.append((done, total))

    run_sweep(ascent(restarts=2), case, BUDGETS, 0, note)
    done = [place for place, _ in seen]
    assert done == sorted(done)
    assert seen[-1][0] == seen[-1][1] == 4 * 2 * 21

    def stop(done: int, total: int, note: str = "") -> None:
        raise CancelledError("stopped", cure="none")

    with pytest.raises(CancelledError):
        run_sweep(ascent(), case, BUDGETS, 0, stop)
