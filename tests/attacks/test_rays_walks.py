"""Walks of RayS that stall, as on models of steps, and the walks that follow them."""

import numpy as np
import pytest
from evasion_toys import ToyModel, arena, box
from query_toys import hunt

from auditor.attacks.evasion.attack_protocol import AttackContext, Mask, QueryResult
from auditor.attacks.evasion.attack_setup import AttackSetup
from auditor.attacks.evasion.perturbation_ball import PerturbationBall
from auditor.attacks.evasion.rays_attack import RayS, RaysState, RayStarts
from auditor.domain.tasks import Floats

FAR, NEAR = 0.4, 0.1


def steps(pattern: list[int], rows: Floats) -> tuple[ToyModel, AttackSetup]:
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


def begun(case: AttackSetup, decisions: int) -> tuple[RaysState, PerturbationBall]:
    around = case.threat(1.0).around(case.rows)
    ground = AttackContext(around, case.labels, case.goal, case.probabilities)
    state = RayS(decisions).begin(ground, np.random.default_rng(0))
    return state, around


def told(state: RaysState, *, reached: list[bool] | Mask) -> RaysState:
    points = state.ask().points.astype(np.float64)
    answer = QueryResult(points, np.array(reached), np.zeros(0), np.zeros((0, 0)), lambda x: x)
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
    def scores(inputs: Floats) -> Floats:
        change = inputs - 0.5 + 1e-6 * np.sign(inputs - 0.5)
        wrong = (change >= NEAR).all(axis=1) | (change <= -FAR).all(axis=1)
        return np.eye(2)[wrong.astype(int)]

    model, rows = ToyModel(scores), np.stack([np.full(4, 0.5), np.full(4, 0.05)])
    case = arena(model, rows, scores(rows).argmax(axis=1), box((4,)))
    first, later = hunt("rays", case, 1 + 8 + 1 + 2 + 4), hunt("rays", case, 1 + 8 + 1 + 2 + 4 + 9)
    asked = np.concatenate([batch.astype(np.float64) for batch in model.seen])
    assert (asked <= 0.5 - FAR + 1e-6).all(axis=1).any()  # the second walk, farther away
    assert first.breaking[0] == pytest.approx(NEAR, rel=0.01)
    np.testing.assert_array_equal(later.crafted[0], first.crafted[0])


def inside(coordinates: int, *, high: float = 1.0) -> AttackSetup:
    """Return a class that lies inside another, which decides each corner that a row leads to."""

    def scores(inputs: Floats) -> Floats:
        within = np.linalg.norm(inputs / high - 0.5, axis=1) < 0.15
        return np.eye(2)[within.astype(int)]

    around = np.random.default_rng(0).random((60, coordinates))
    outer = around[np.abs(around - 0.5).max(axis=1) > 0.25]
    inner = 0.5 + np.array([[-0.1], [0.0], [0.05]]) * np.eye(coordinates)[0]
    rows = high * np.concatenate([inner, outer])
    labels = scores(rows).argmax(axis=1)
    return arena(ToyModel(scores), rows, labels, box((coordinates,), high=high))


@pytest.mark.parametrize("eps", [0.75, 1.0])
@pytest.mark.parametrize(("coordinates", "high"), [(1, 1.0), (2, 1.0), (2, 255.0), (3, 1.0)])
def test_a_class_that_no_corner_shows_is_found_from_each_row(
    coordinates: int, high: float, eps: float
) -> None:
    case = inside(coordinates, high=high)
    found = hunt("rays", case, 60, eps=eps).breaking
    rows = case.rows.astype(np.float64) / high
    apart = np.abs(rows[:, None] - rows).max(axis=2)
    apart[case.labels[:, None] == case.labels] = np.inf
    nearest = apart.min(axis=1)
    assert (found <= nearest + 1e-6).all()
    assert (found < 0.9 * nearest).mean() > 0.5  # and the line to it was searched


def test_dropping_rows_on_straight_walks_changes_nothing_for_the_others() -> None:
    case = inside(2)
    state, around = begun(case, 60)
    keep = np.arange(len(case.rows)) % 3 == 0
    part, straight = state.take(keep), False
    for _decision in range(60):
        points = around.settle(state.ask().points)
        np.testing.assert_array_equal(around.take(keep).settle(part.ask().points), points[keep])
        reached = case.model.predict(points).argmax(axis=1) != case.labels
        state, part = told(state, reached=reached), told(part, reached=reached[keep])
        straight |= bool(part.straight.any())
    assert straight


def test_where_a_stranger_is_out_of_reach_its_signs_go_on_in_the_widest_ball() -> None:
    rows, labels = np.array([[0.5] * 4, [0.7, 0.4, 0.9, 0.1]]), np.array([0, 1])
    space = box((4,), mutable=np.array([True, True, False, False]))
    case = arena(ToyModel(lambda x: np.eye(2)[labels]), rows, labels, space)
    state, around = begun(case, 60)
    while not state.starts.walk[0]:
        state = told(state, reached=[False, False])

    def asked() -> list[float]:
        points = state.ask().points.astype(np.float64)
        return [float(place) for place in around.change(points)[0].round(6)]

    assert asked() == [0.2, -0.2, 0, 0]  # the signs of the way there, no farther
    state = told(state, reached=[False, False])
    assert asked() == [0.2, -0.1, 0, 0]  # the stranger, as far as places may move
    state = told(state, reached=[False, False])
    assert asked() == [-0.995, 0.995, 0, 0]  # the first block turned, both places


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
    starts: RayStarts = state.starts
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
