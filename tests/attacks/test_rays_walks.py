"""Walks of RayS that stall, as on models of steps, and the walks that follow them."""

import numpy as np
import pytest
from evasion_toys import ToyModel, arena, box
from query_toys import hunt

from auditor.attacks.arenas import Arena
from auditor.attacks.asking import Answer, Ground
from auditor.attacks.balls import Ball
from auditor.attacks.rays import RayS, Rays
from auditor.attacks.rays_starts import Starts
from auditor.domain.tasks import Floats

FAR, NEAR = 0.4, 0.1


def steps(pattern: list[int], rows: Floats) -> tuple[ToyModel, Arena]:
    """Return a model of steps around 0.5 that is wrong in two places: where all is ``FAR`` up, and
    where each place is ``NEAR`` along the pattern, which no turn of one block leads to.
    """

    def scores(inputs: Floats) -> Floats:
        change = inputs - 0.5 + 1e-6 * np.sign(inputs - 0.5)
        wrong = (change >= FAR).all(axis=1) | (change * pattern >= NEAR).all(axis=1)
        return np.eye(2)[wrong.astype(int)]

    model = ToyModel(scores)
    labels = scores(rows).argmax(axis=1)
    return model, arena(model, rows, labels, box((len(pattern),)))


def begun(case: Arena, decisions: int) -> tuple[Rays, Ball]:
    around = case.threat(1.0).around(case.rows)
    ground = Ground(around, case.labels, case.goal, case.probabilities)
    state = RayS(decisions).begin(ground, np.random.default_rng(0))
    return state, around


def told(state: Rays, *, reached: list[bool]) -> Rays:
    points = state.ask().points.astype(np.float64)
    answer = Answer(points, np.array(reached), np.zeros(0), np.zeros((0, 0)), lambda x: x)
    return state.tell(answer)


def test_a_stalled_walk_goes_on_towards_a_row_of_another_decision() -> None:
    pattern = [1, -1, 1, 1, -1, 1, -1, -1]
    stranger = 0.5 + 0.3 * np.array(pattern)
    _, case = steps(pattern, np.stack([np.full(8, 0.5), stranger]))
    first = 1 + 8 + 1 + 2 + 4 + 8  # the corner, its radius, and one turn of each block
    assert hunt("rays", case, first).breaking[0] == pytest.approx(FAR, rel=0.01)
    assert hunt("rays", case, first + 15).breaking[0] == pytest.approx(NEAR, rel=0.01)


def test_a_stalled_walk_goes_on_at_random_where_all_rows_are_decided_alike() -> None:
    _, case = steps([1, -1, -1, 1], np.full((20, 4), 0.5))
    np.testing.assert_allclose(hunt("rays", case, 1 + 8 + 1 + 2 + 4).breaking, FAR, rtol=0.01)
    np.testing.assert_allclose(hunt("rays", case, 200).breaking, NEAR, rtol=0.01)


def test_walks_at_random_hang_on_the_seed_alone() -> None:
    def once(seed: int) -> bytes:
        _, case = steps([1, -1, -1, 1], np.full((20, 4), 0.5))
        return hunt("rays", case, 40, seed).crafted.tobytes()

    assert once(1) == once(1) != once(2)


def test_what_an_earlier_walk_found_nearer_is_kept() -> None:
    _, case = steps([1, -1, -1, 1], np.full((1, 4), 0.5))
    state, around = begun(case, 60)
    state = told(state, reached=[True])
    while state.searching[0]:
        state = told(state, reached=[True])
    found = around.change(state.best)
    while not state.starts.walk[0]:
        state = told(state, reached=[False])
    assert state.radius[0] == 1.0
    np.testing.assert_array_equal(around.change(state.best), found)


def test_a_walk_is_over_when_each_place_has_failed_since_the_last_success() -> None:
    _, case = steps([1, -1, -1, 1], np.full((2, 4), 0.5))
    state, _ = begun(case, 60)
    for _decision in range(1 + 1 + 2 + 3):
        state = told(state, reached=[False, False])
    state = told(state, reached=[False, True])  # at the last place of four
    while state.searching[1]:
        state = told(state, reached=[False, False])
    assert state.starts.walk.tolist() == [1, 0]
    for left in range(4, 0, -1):
        assert state.starts.walk[1] == 0, left
        state = told(state, reached=[False, False])
    assert state.starts.walk[1] == 1


def test_starts_are_the_nearest_strangers_and_then_random_signs() -> None:
    rows = np.array([[0.5] * 4, [0.9, 0.1, 0.9, 0.1], [0.1, 0.0, 0.2, 0.1], [0.5, 0.6, 0.5, 0.5]])
    labels = np.array([0, 1, 1, 0])
    case = arena(ToyModel(lambda x: np.eye(2)[labels]), rows, labels, box((4,)))
    state, around = begun(case, 60)
    first, ways = np.arange(4) == 0, []
    starts: Starts = state.starts
    for _walk in range(100):
        starts = starts.further(first)
        ways.append(tuple(starts.take(first).signs(around.take(first), state.order)[0].tolist()))
    assert ways[:2] == [(1, -1, 1, -1), (-1, -1, -1, -1)]  # the nearer one first
    assert len(set(ways[2:])) == 2**4


def test_a_trial_that_is_hardly_better_costs_fewer_decisions_than_halves_would() -> None:
    _, case = steps([1, -1, -1, 1], np.full((1, 4), 0.5))
    state, _ = begun(case, 60)
    state = told(told(state, reached=[False]), reached=[True])
    asked = 0
    while state.searching[0]:
        state, asked = told(state, reached=[False]), asked + 1
    assert asked == 3
    assert state.radius[0] == pytest.approx(0.995)
