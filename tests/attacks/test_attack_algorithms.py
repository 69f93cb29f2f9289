from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np
import pytest
from evasion_toys import LinearTwin, arena, box, linear
from hypothesis import given
from hypothesis import strategies as st

from auditor.attacks.evasion.apgd import PgdAscent, checkpoint_iterations, random_start
from auditor.attacks.evasion.budget_sweep import run_sweep
from auditor.attacks.evasion.norms import Norm
from auditor.attacks.evasion.perturbation_ball import PerturbationBall
from auditor.attacks.evasion.square import initial_stripes, propose_square, square_share
from auditor.attacks.evasion.suite_parser import build_suite
from auditor.attacks.evasion.threat_model import linf_threat
from auditor.domain.check_subject import report_nothing
from auditor.domain.evidence import find_image_axes
from auditor.domain.tasks import Array, Floats


def ball(shape: tuple[int, ...], eps: float = 0.1, rows: int = 8) -> PerturbationBall:
    threat = linf_threat(box(shape), eps, shape)
    clean = np.random.default_rng(0).uniform(0.3, 0.7, (rows, *shape))
    return threat.around(clean)


def test_checkpoints_of_a_hundred_steps_are_those_of_the_paper() -> None:
    # Croce & Hein 2020, section 3.2: 0.22, 0.41, 0.57, 0.70, 0.80, 0.87, 0.93, 0.99 of the steps.
    assert sorted(checkpoint_iterations(100)) == [22, 41, 57, 70, 80, 87, 93, 99]


@given(st.integers(1, 500))
def test_checkpoints_lie_within_the_steps_and_never_stop(steps: int) -> None:
    places = sorted(checkpoint_iterations(steps))
    assert 1 <= places[0] <= places[-1] <= steps
    gaps = np.diff([0, *places])
    assert (np.diff(gaps) <= 0).all()


def test_the_first_step_goes_to_the_corner_that_the_gradient_points_at() -> None:
    around = ball((3,))
    state = PgdAscent.start(around.clean)
    gradient = np.tile([1.0, -2.0, 0.0], (8, 1))
    ahead = state.advance(np.zeros(8), gradient, around, frozenset())
    np.testing.assert_allclose(ahead.point - around.clean, np.tile([0.1, -0.1, 0.0], (8, 1)))


def test_a_climb_that_only_falls_halves_its_steps_and_returns_to_its_best_point() -> None:
    around = ball((3,))
    state = PgdAscent.start(around.clean)
    for iteration in range(3):
        loss = np.full(8, -float(iteration))
        state = state.advance(loss, np.ones((8, 3)), around, frozenset({2}))
    np.testing.assert_array_equal(state.size, 1.0)
    np.testing.assert_array_equal(state.best, around.clean)
    np.testing.assert_array_equal(state.previous, state.best)


def test_a_climb_that_always_rises_keeps_its_steps() -> None:
    around = ball((3,))
    state = PgdAscent.start(around.clean)
    for iteration in range(5):
        loss = np.full(8, float(iteration))
        state = state.advance(loss, np.ones((8, 3)), around, frozenset({2, 4}))
    np.testing.assert_array_equal(state.size, 2.0)


def test_the_climb_finds_the_maximum_of_a_concave_function() -> None:
    around = ball((4,), eps=0.2)
    peak = around.clean + np.array([0.05, -0.1, 0.15, 0.0])
    state = PgdAscent.start(around.clean)
    for _ in range(200):
        loss = -((state.point - peak) ** 2).sum(axis=1)
        gradient = -2 * (state.point - peak)
        state = state.advance(loss, gradient, around, checkpoint_iterations(200))
    assert np.abs(state.best - peak).max() < 1e-3


def test_dropping_rows_changes_nothing_for_the_others() -> None:
    around = ball((3,))
    keep = np.arange(8) % 2 == 0
    rng = np.random.default_rng(1)
    whole, part = PgdAscent.start(around.clean), PgdAscent.start(around.clean[keep])
    for _ in range(6):
        loss, gradient = rng.normal(size=8), rng.normal(size=(8, 3))
        whole = whole.advance(loss, gradient, around, frozenset({2, 4}))
        part = part.advance(loss[keep], gradient[keep], around.take(keep), frozenset({2, 4}))
    np.testing.assert_array_equal(whole.take(keep).point, part.point)


@dataclass(slots=True)
class Counting:
    """A twin that counts the rows that went forward through it."""

    twin: LinearTwin
    source = MappingProxyType({"kind": "toy"})
    distance = MappingProxyType({"max_difference": 0.0})
    forwards: int = 0

    @property
    def passes(self) -> int:
        return self.twin.passes

    def forward(self, inputs: Array) -> Floats:
        self.forwards += len(inputs)
        return self.twin.forward(inputs)

    def backward(self, cotangent: Floats) -> Floats:
        return self.twin.backward(cotangent)


@pytest.mark.parametrize("norm", [Norm.LINF, Norm.L2, Norm.L1])
def test_a_climb_that_takes_fewer_steps_asks_no_more_than_them_and_a_last_look(norm: Norm) -> None:
    model, linear_twin, _, _ = linear(1, 6)
    rows = np.random.default_rng(1).random((9, 6))
    labels = model.logits(rows).argmax(axis=1)
    twin = Counting(linear_twin)
    case = replace(arena(model, rows, labels, box((6,)), twin), norm=norm)
    found = run_sweep(
        build_suite(("cross_entropy:20", "targeted:50"), norm), case, (1e-6,), 0, report_nothing
    )
    # Of two classes the second climb takes a third of the 30 steps by which it is longer.
    assert [bill.passes for bill in found.log] == [9 * 20, 9 * 10]
    assert twin.forwards == 9 * (20 + 1) + 9 * (10 + 1)


def test_random_starts_lie_on_the_surface_and_differ() -> None:
    around = ball((5,))
    start = random_start(around, np.random.default_rng(0))
    np.testing.assert_allclose(np.abs(start - around.clean).max(axis=1), 0.1)
    assert len({tuple(row) for row in start - around.clean}) == 8


def test_the_share_of_changed_coordinates_halves_as_the_paper_says() -> None:
    # Andriushchenko et al. 2020, section 5: at 10, 50, 200, 500, 1000, ... of 10,000 iterations.
    places = [0, 10, 11, 51, 201, 501, 1001, 2001, 4001, 6001, 8001]
    halvings = [0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9]
    assert [square_share(place, 10_000) for place in places] == [0.8 / 2**n for n in halvings]


@pytest.mark.parametrize(
    ("row", "axes"),
    [
        ((8, 8), (0, 1, None)),
        ((1, 8, 8), (1, 2, 0)),
        ((3, 32, 32), (1, 2, 0)),
        ((32, 32, 3), (0, 1, 2)),
        ((28, 28, 1), (0, 1, 2)),
        ((64,), None),
        ((2, 3, 4, 5), None),
    ],
)
def test_pictures_are_told_by_their_shape(
    row: tuple[int, ...], axes: tuple[int, int, int | None] | None
) -> None:
    assert find_image_axes(row) == axes


@pytest.mark.parametrize("shape", [(8, 8), (3, 8, 8), (8, 8, 3)])
def test_a_proposal_changes_one_square_to_corners(shape: tuple[int, ...]) -> None:
    around = ball(shape, rows=5)
    moved = propose_square(around.clean, 0.25, around, np.random.default_rng(2)) - around.clean
    axes = find_image_axes(shape)
    assert axes is not None
    for change in moved:
        picture = np.abs(change if axes[2] is None else change.max(axis=axes[2]))
        changed = np.argwhere(np.abs(picture) > 0)
        assert (changed.max(axis=0) - changed.min(axis=0) == 3).all()
        assert len(changed) == 16
        np.testing.assert_allclose(np.abs(change[change != 0]), 0.1)


def test_squares_lie_elsewhere_in_each_row_and_reach_every_pixel() -> None:
    around = ball((6, 6), rows=400)
    rng = np.random.default_rng(3)
    moved = propose_square(around.clean, 0.1, around, rng) != around.clean
    assert moved.any(axis=0).all()
    assert len({row.tobytes() for row in moved}) == 25  # a side of 2 has 5 x 5 places


def test_a_proposal_of_columns_changes_the_wanted_share_of_the_movable_ones() -> None:
    mutable = np.arange(10) < 8
    threat = linf_threat(box((10,), mutable=mutable), 0.1, (10,))
    clean = np.full((6, 10), 0.5)
    around = threat.around(clean)
    moved = propose_square(clean, 0.5, around, np.random.default_rng(4)) != clean
    np.testing.assert_array_equal(moved.sum(axis=1), 4)
    assert not moved[:, 8:].any()


def test_the_search_starts_with_stripes() -> None:
    around = ball((3, 8, 8))
    change = initial_stripes(around, np.random.default_rng(5)) - around.clean
    np.testing.assert_allclose(np.abs(change), 0.1)
    np.testing.assert_allclose(change, np.broadcast_to(change[:, :, :1, :], change.shape))
