"""Attacks that only query the target: known answers, what they cost, and what they may see."""

import itertools
from dataclasses import dataclass, replace

import numpy as np
import pytest
from evasion_toys import ToyModel, arena, box, linear
from hypothesis import given, settings
from hypothesis import strategies as st
from query_toys import (
    ATTACKS,
    BUDGET,
    WALKS,
    WHOLE,
    corner_distance,
    flat_case,
    hunt,
    pictures,
    round_distance,
    stage,
    stubborn,
)

from auditor.attacks.evasion.attack_protocol import (
    AttackContext,
    AttackFeedback,
    Mask,
    Query,
    QueryResult,
    query_each_row,
)
from auditor.attacks.evasion.attack_setup import AttackSetup
from auditor.attacks.evasion.budget_sweep import run_sweep
from auditor.attacks.evasion.goals import RegressionErrorGoal
from auditor.attacks.evasion.norms import Norm
from auditor.attacks.evasion.suite_parser import KINDS, AttackSuite, build_suite
from auditor.attacks.evasion.threat_model import is_within_budget
from auditor.domain.check_subject import report_nothing
from auditor.domain.tasks import Floats, RegressionTask
from auditor.errors import PolicyError

SHAPES = [(6, 6), (3, 6, 6), (6, 6, 3)]


@settings(max_examples=5, deadline=None)
@given(st.integers(0, 1000))
def test_rays_finds_the_exact_distance_of_a_linear_model(seed: int) -> None:
    case, slope, margin = flat_case(seed, Norm.LINF)
    exact = corner_distance(case, slope, margin)
    found = hunt("rays", case, 400).breaking
    np.testing.assert_array_equal(np.isinf(found), np.isinf(exact))
    near = np.isfinite(exact)
    assert (found[near] >= exact[near] * (1 - 1e-9)).all()
    assert (found[near] <= exact[near] * 1.02).all()


@settings(max_examples=4, deadline=None)
@given(st.integers(0, 1000))
def test_surfree_comes_within_15_percent_of_the_exact_distance_at_500_decisions(seed: int) -> None:
    case, slope, margin = flat_case(seed, Norm.L2)
    exact = round_distance(case, slope, margin)
    found = hunt("surfree", case, 500, seed).breaking
    near = np.isfinite(exact)
    assert (found[near] >= exact[near] * (1 - 1e-9)).all()
    assert np.mean(found[near] <= exact[near] * 1.15) >= 0.95
    assert np.median(found[near] / exact[near]) < 1.05


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 1000), st.sampled_from(["square", "nes", "square_l2", "nes_l2"]))
def test_a_search_breaks_what_can_be_broken_and_nothing_else(seed: int, name: str) -> None:
    norm = ATTACKS[name]
    case, slope, margin = flat_case(seed, norm)
    exact = (corner_distance if norm is Norm.LINF else round_distance)(case, slope, margin)
    eps = float(np.median(exact))
    broken = is_within_budget(hunt(name, case, 150, seed, eps=eps).breaking, eps)
    assert not broken[exact > eps * (1 + 1e-5)].any()
    # Square Attack in L2 is made for pictures: its windows say little of columns.
    assert broken[exact < 0.85 * eps].mean() >= (0.5 if name == "square_l2" else 0.95)


@pytest.mark.parametrize("name", ["sparse_rs", "sparse_rs alone"])
def test_sparse_rs_finds_the_places_of_a_linear_model(name: str) -> None:
    case, slope, margin = flat_case(3, Norm.L0)
    room = np.where(slope > 0, 1 - case.rows, case.rows)
    gains = -np.sort(-np.abs(slope) * room, axis=1)
    places = 1 if name.endswith("alone") else 3
    exact = gains[:, :places].sum(axis=1) >= margin
    found = hunt("sparse_rs", case, 400, eps=float(places)).breaking <= places
    assert not (found & ~exact).any()
    assert (found & exact).sum() >= 0.95 * exact.sum()


@pytest.mark.parametrize("name", ATTACKS)
@pytest.mark.parametrize("kind", ["float32", "uint8"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_every_candidate_that_reaches_the_target_is_in_ball_box_and_on_a_step(
    name: str, kind: str, shape: tuple[int, ...]
) -> None:
    model, case, mutable = pictures(kind, shape, ATTACKS[name])
    model.seen.clear()
    found = hunt(name, case, 25, 1)
    threat = case.threat((WHOLE if name in WALKS else BUDGET)[ATTACKS[name]])
    (bill,) = found.log
    assert bill.refused == 0
    assert sum(len(batch) for batch in model.seen) == bill.queries > 0
    rows = case.rows
    for batch in model.seen:
        assert batch.dtype == rows.dtype
        for candidate in batch:
            assert threat.permits(rows, np.broadcast_to(candidate, rows.shape)).any()
    np.testing.assert_array_equal(found.crafted[:, ~mutable], rows[:, ~mutable])


@pytest.mark.parametrize("name", ATTACKS)
def test_each_iteration_costs_one_query_a_live_row(name: str) -> None:
    model, case = stubborn(7, (6, 6), ATTACKS[name])
    (bill,) = hunt(name, case, 9).log
    each = 7 if name.startswith("nes") else 1  # three pairs and the point itself
    assert bill.queries == 7 * 9 * each
    assert model.queries == 7 + bill.queries
    (attack,) = (*(made := build_suite((stage(name, 9),), ATTACKS[name])).bounded, *made.minimal)
    assert attack.queries == 9 * each
    assert attack.rounds == 9
    assert attack.passes == 0


@pytest.mark.parametrize("name", ATTACKS)
def test_the_same_seed_gives_the_same_bytes(name: str) -> None:
    def once(seed: int) -> tuple[bytes, object]:
        _, case, _ = pictures("float32", (6, 6), ATTACKS[name])
        found = hunt(name, case, 20, seed)
        return found.crafted.tobytes(), found.log

    assert once(5) == once(5)
    if name != "rays":  # turns its blocks in one order
        assert once(5)[0] != once(6)[0]


def test_a_second_rays_begins_elsewhere() -> None:
    first, second = build_suite(("rays:50x2",), Norm.LINF).minimal
    _, case, mutable = pictures("float32", (6, 6), Norm.LINF)
    around = case.threat(1.0).around(case.rows)
    ground = AttackContext(around, case.labels, case.goal, case.probabilities)
    states = [attack.begin(ground, np.random.default_rng(0)) for attack in (first, second)]
    starts = [around.settle(state.best)[:, mutable] for state in states if state is not None]
    assert (starts[0] == 1.0).all()
    assert 0.3 < (starts[1] == 1.0).mean() < 0.7


@pytest.mark.parametrize("name", WALKS)
@pytest.mark.parametrize("power", [0.01, 100.0])
def test_a_walk_sees_decisions_and_no_scores(name: str, power: float) -> None:
    def walked(scale: float) -> bytes:
        case, _, _ = flat_case(5, WALKS[name])
        assert isinstance(case.model, ToyModel)
        logits = case.model.logits
        model = ToyModel(lambda x: scale * logits(x) - 3.0)
        again = arena(model, case.rows, case.labels, case.space, norm=WALKS[name])
        return hunt(name, again, 80).crafted.tobytes()

    assert walked(1.0) == walked(power)


@dataclass(frozen=True)
class Listener:
    """Asks for the clean rows, and writes down what it hears."""

    heard: list[QueryResult]
    points: Floats
    source: AttackFeedback
    name: str = "listener"
    rounds: int = 1
    queries: int = 1
    passes: int = 0
    minimises: bool = True

    @property
    def best(self) -> Floats:
        return self.points

    def begin(self, ground: AttackContext, rng: np.random.Generator) -> "Listener":
        return replace(self, points=ground.ball.clean.astype(np.float64))

    def ask(self) -> Query:
        return query_each_row(self.points)

    def tell(self, answer: QueryResult) -> "Listener":
        self.heard.append(answer)
        return self

    def take(self, keep: Mask) -> "Listener":
        return self


@pytest.mark.parametrize("source", [AttackFeedback.SCORES, AttackFeedback.DECISIONS])
def test_an_attack_on_decisions_hears_no_margin(source: AttackFeedback) -> None:
    case, _, _ = flat_case(5, Norm.LINF)
    heard: list[QueryResult] = []
    listener = Listener(heard, np.zeros(0), source)
    run_sweep(AttackSuite((), (listener,)), case, (1.0,), 0, report_nothing)
    (answer,) = heard
    assert answer.margin.size == (0 if source is AttackFeedback.DECISIONS else len(case.rows))
    assert answer.logits.size == 0
    with pytest.raises(TypeError, match="it has none"):
        answer.pull(np.ones((1, 2)))


@pytest.mark.parametrize("name", KINDS)
def test_only_walks_hear_decisions_alone(name: str) -> None:
    norm = min(KINDS[name].norms)
    for attack in KINDS[name].make(4, 2, norm):
        assert (attack.source is AttackFeedback.DECISIONS) == (name in WALKS)
        assert attack.minimises == (name in {*WALKS, "exchange", "fab", "fmn", "sigma_zero"})


@pytest.mark.parametrize("name", WALKS)
def test_a_walk_needs_no_other_row_to_begin_at(name: str) -> None:
    model, _, _, _ = linear(1, 8)
    rows = np.random.default_rng(0).uniform(0.3, 0.7, (20, 8))
    labels = model.logits(rows).argmax(axis=1)
    alone = rows[labels == labels[0]]
    case = arena(model, alone, labels[labels == labels[0]], box((8,)), norm=WALKS[name])
    assert np.isfinite(hunt(name, case, 150).breaking).all()


@pytest.mark.parametrize("name", WALKS)
def test_what_a_longer_walk_finds_is_never_further(name: str) -> None:
    case, _, _ = flat_case(7, WALKS[name])
    lengths = [hunt(name, case, decisions).breaking for decisions in (20, 60, 200)]
    for shorter, longer in itertools.pairwise(lengths):
        assert (longer <= shorter + 1e-12).all()


class Sum(ToyModel):
    """A regression: the sum of a row."""

    def __init__(self) -> None:
        super().__init__(lambda x: x.sum(axis=1, keepdims=True))

    def probabilities(self, scores: Floats) -> Floats:
        return scores


@pytest.mark.parametrize("name", [*WALKS, "square", "nes", "square_l2"])
def test_a_regression_is_taken_out_of_its_tolerance(name: str) -> None:
    norm = ATTACKS[name]
    rows = np.random.default_rng(0).uniform(0.4, 0.6, (5, 4))
    case = AttackSetup(
        model=Sum(),
        goal=RegressionErrorGoal(RegressionTask(0.4)),
        space=box((4,)),
        rows=rows,
        labels=rows.sum(axis=1),  # type: ignore[arg-type]  # numbers, for a goal on numbers
        probabilities=rows.sum(axis=1, keepdims=True),
        norm=norm,
    )
    found = hunt(name, case, 300, eps=0.4)
    exact = 0.1 if norm is Norm.LINF else 0.2
    assert (found.breaking >= exact * (1 - 1e-6)).all()
    assert np.isfinite(found.breaking).all()
    if name in WALKS:
        assert (found.breaking <= exact * 1.1).all()


@pytest.mark.parametrize(
    ("name", "norm"), [("rays", Norm.L2), ("surfree", Norm.LINF), ("sparse_rs", Norm.L1)]
)
def test_a_stage_in_a_norm_that_it_does_not_know_is_refused(name: str, norm: Norm) -> None:
    with pytest.raises(PolicyError, match="names no attack in the norm"):
        build_suite((f"{name}:10",), norm)


@pytest.mark.parametrize("name", ["square_l2", "nes_l2", "nes", "sparse_rs"])
def test_at_a_larger_budget_a_search_goes_on_from_what_it_has(name: str) -> None:
    model, case = stubborn(6, (8,), ATTACKS[name])
    model.logits = lambda x: np.column_stack([np.full(len(x), 9.0), x @ np.arange(8.0) / 8])
    small = BUDGET[ATTACKS[name]] / 2
    model.seen.clear()
    run_sweep(
        build_suite((stage(name, 30),), ATTACKS[name]), case, (small, 2 * small), 0, report_nothing
    )
    heights = [(batch @ np.arange(8.0)).mean() for batch in model.seen]
    assert heights[30] > np.mean(heights[:5]) + 0.8 * (max(heights[:30]) - np.mean(heights[:5]))
