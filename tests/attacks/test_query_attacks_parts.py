"""The parts of query attacks against the papers: patterns, schedules, planes, orders."""

import numpy as np
import pytest
from evasion_toys import box
from hypothesis import given
from hypothesis import strategies as st
from query_toys import flat_case

from auditor.attacks.evasion.attack_protocol import AttackContext, QueryResult
from auditor.attacks.evasion.image_windows import as_planes, as_rows, square_weights, window_places
from auditor.attacks.evasion.norms import Norm
from auditor.attacks.evasion.perturbation_ball import PerturbationBall
from auditor.attacks.evasion.rays_attack import RayS, nested_order
from auditor.attacks.evasion.sparse_rs import exchange_count, random_extremes
from auditor.attacks.evasion.square import (
    initial_tiles,
    propose_square,
    redistribute_mass,
    window_pattern,
)
from auditor.attacks.evasion.starting_points import NOBODY, find_harmful_neighbours
from auditor.attacks.evasion.surfree import (
    SHARES,
    RandomDirections,
    cosine_waves,
    orthogonal_part,
    points_on_circle,
)
from auditor.attacks.evasion.threat_model import lp_threat
from auditor.domain.tasks import Floats

SHAPES = [(9, 9), (3, 9, 9), (9, 9, 3), (20,)]
seeds = st.integers(0, 2**32 - 1)


def ball(shape: tuple[int, ...], norm: Norm, eps: float, rows: int = 6) -> PerturbationBall:
    mutable = np.ones(shape, dtype=np.bool_)
    mutable[..., :1] = False
    clean = np.random.default_rng(0).uniform(0.3, 0.7, (rows, *shape))
    return lp_threat(box(shape, mutable=mutable), norm, eps, shape).around(clean)


def lengths(change: Floats) -> Floats:
    return np.asarray(np.linalg.norm(change.reshape(len(change), -1), axis=1))


@pytest.mark.parametrize("side", range(1, 12))
def test_the_window_of_square_l2_is_a_hill_beside_a_hollow(side: int) -> None:
    pattern = window_pattern(side)
    assert pattern.shape == (side, side)
    assert np.linalg.norm(pattern) == pytest.approx(1.0)
    assert (pattern[: side // 2] > 0).all()
    assert (pattern[side // 2 :] < 0).all()


def test_a_hill_of_square_l2_is_that_of_the_authors() -> None:
    # Andriushchenko et al. 2020, equation 2, as eta_rectangles(1, 3) of their code: 1/4, 5/4, 1/4.
    hill = window_pattern(3)[0]
    np.testing.assert_allclose(hill / hill[0], [1.0, 5.0, 1.0])


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@given(seed=seeds, part=st.floats(0.01, 1.0))
def test_square_l2_proposes_changes_of_the_balls_size(
    shape: tuple[int, ...], seed: int, part: float
) -> None:
    around, rng = ball(shape, Norm.L2, 0.4), np.random.default_rng(seed)
    change = initial_tiles(around, rng)
    for _ in range(3):
        assert lengths(change) == pytest.approx(0.4)
        assert not change[..., 0].any()
        change = redistribute_mass(change, part, around, rng)


def test_square_l2_moves_the_mass_of_one_window_into_another() -> None:
    around, rng = ball((9, 9), Norm.L2, 0.4), np.random.default_rng(0)
    before = initial_tiles(around, rng)
    after = redistribute_mass(before, 0.05, around, rng)
    ratio = after / np.where(before == 0, 1.0, before)
    for row, old, new in zip(ratio, before, after, strict=True):
        usual = np.median(row[old != 0])
        elsewhere = ~np.isclose(new, usual * old)
        assert 0 < elsewhere.sum() <= 18
        assert ((new == 0) & (old != 0)).any()


@pytest.mark.parametrize("shape", [(8, 8), (1, 8, 8), (8, 8, 1), (12,)])
def test_square_never_asks_about_the_same_point_again(shape: tuple[int, ...]) -> None:
    clean = np.random.default_rng(0).uniform(0.3, 0.7, (50, *shape))
    around = lp_threat(box(shape), Norm.LINF, 0.1, shape).around(clean)
    rng = np.random.default_rng(1)
    best = propose_square(clean, 1.0, around, rng)
    for _ in range(20):
        ahead = propose_square(best, 0.01, around, rng)
        assert (ahead != best).reshape(50, -1).any(axis=1).all()
        best = ahead


@given(seeds, st.floats(-np.pi / 2, np.pi / 2))
def test_a_point_of_the_circle_sees_both_ends_at_a_right_angle(seed: int, angle: float) -> None:
    rng = np.random.default_rng(seed)
    success = rng.normal(size=(4, 2, 5))
    side = orthogonal_part(success, rng.normal(size=success.shape))
    point = points_on_circle(success, side, np.full(4, angle))
    length = np.linalg.norm(success.reshape(4, -1), axis=1)
    assert (side * success).sum(axis=(1, 2)) == pytest.approx(0.0, abs=1e-9)
    assert (point * (point - success)).sum(axis=(1, 2)) == pytest.approx(0.0, abs=1e-9)
    assert lengths(point) == pytest.approx(length * np.cos(angle), abs=1e-9)


@given(seeds)
def test_on_the_circle_of_a_planes_slope_lies_the_planes_nearest_point(seed: int) -> None:
    rng = np.random.default_rng(seed)
    normal = rng.normal(size=6)
    normal /= np.linalg.norm(normal)
    success = rng.normal(size=(1, 6))
    success *= np.sign(success @ normal)[:, None]
    height = float(success[0] @ normal)
    angle = np.arccos(height / np.linalg.norm(success))
    found = points_on_circle(success, orthogonal_part(success, normal[None]), np.array([angle]))
    np.testing.assert_allclose(found[0], height * normal, atol=1e-7)


@pytest.mark.parametrize("share", [0.1, 0.5, 1.0])
def test_cosine_waves_are_orthonormal_and_slow(share: float) -> None:
    waves = cosine_waves(16, share)
    np.testing.assert_allclose(waves.T @ waves, np.eye(waves.shape[1]), atol=1e-12)
    turns = (np.diff(np.sign(waves), axis=0) != 0).sum(axis=0)
    np.testing.assert_array_equal(turns, np.arange(waves.shape[1]))


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_directions_are_smooth_on_pictures_and_leave_fixed_coordinates(
    shape: tuple[int, ...],
) -> None:
    around = ball(shape, Norm.L2, 1.0)
    drawn = RandomDirections(around).draw(200, np.random.default_rng(0))
    assert drawn.shape == (200, *shape)
    assert not drawn[..., 0].any()
    if len(shape) > 1:
        waves = cosine_waves(9, max(SHARES))
        free = ball(shape, Norm.L2, 1.0).scale > 0
        assert free.any()
        plane = as_planes(drawn)[:, 0].reshape(200, 9, 9)
        down = np.linalg.norm(plane - waves @ (waves.T @ plane), axis=(1, 2))
        assert (down <= 1e-9 * np.maximum(1.0, np.linalg.norm(plane, axis=(1, 2)))).all()


def test_blocks_of_a_picture_are_squares() -> None:
    shape = (8, 8)
    around = lp_threat(box(shape), Norm.LINF, 1.0, shape).around(np.full((1, *shape), 0.5))
    order = nested_order(around)
    assert sorted(order) == list(range(64))
    for size in (4, 16):
        for first in range(0, 64, size):
            down, over = np.unravel_index(order[first : first + size], shape)
            side = int(np.sqrt(size))
            assert np.ptp(down) == np.ptp(over) == side - 1


def test_channels_of_a_pixel_stay_side_by_side() -> None:
    for shape, channel in (((3, 6, 6), 0), ((6, 6, 3), 2)):
        around = lp_threat(box(shape), Norm.LINF, 1.0, shape).around(np.full((1, *shape), 0.5))
        places = np.array(np.unravel_index(nested_order(around), shape))
        pixels = np.delete(places, channel, axis=0).T
        for first in range(0, 108, 3):
            assert len(np.unique(pixels[first : first + 3], axis=0)) == 1


def test_columns_keep_their_order_and_fixed_ones_are_left_out() -> None:
    np.testing.assert_array_equal(nested_order(ball((20,), Norm.LINF, 1.0)), np.arange(1, 20))


def answered(points: Floats, reached: object) -> QueryResult:
    return QueryResult(points, np.asarray(reached), np.zeros(0), np.zeros((0, 0)), lambda x: x)


def test_rays_halves_its_blocks_stage_by_stage() -> None:
    # Algorithm 1 of Chen & Gu 2020: all, two halves, four quarters, ... of the signs turn round.
    case, _, _ = flat_case(0, Norm.LINF, coordinates=8, rows=1)
    around = case.threat(1.0).around(case.rows)
    state = RayS(20).begin(
        AttackContext(around, case.labels, case.goal, case.probabilities), np.random.default_rng(0)
    )
    asked = []
    for _ in range(1 + 1 + 2 + 4 + 8):
        point = state.ask().points
        asked.append(tuple(np.sign(point[0] - case.rows[0]).astype(int)))
        state = state.tell(answered(point, [False]))
    whole = [(1,) * 8, (-1,) * 8]
    halves = [(-1,) * 4 + (1,) * 4, (1,) * 4 + (-1,) * 4]
    assert asked[:4] == whole + halves
    singles = [tuple(1 - 2 * (np.arange(8) == place).astype(int)) for place in range(8)]
    assert asked[8:] == singles


def test_dropping_rows_of_rays_changes_nothing_for_the_others() -> None:
    case, slope, margin = flat_case(1, Norm.LINF)
    around = case.threat(1.0).around(case.rows)
    ground = AttackContext(around, case.labels, case.goal, case.probabilities)
    keep = np.arange(len(case.rows)) % 3 == 0
    whole = RayS(200).begin(ground, np.random.default_rng(0))
    part = whole.take(keep)
    for step in range(200):
        for kept in (False, True):
            state = part if kept else whole
            points = (
                around.take(keep).settle(state.ask().points)
                if kept
                else around.settle(state.ask().points)
            )
            own = keep if kept else np.ones(len(keep), dtype=np.bool_)
            gain = ((points - case.rows[own]) * slope[own]).sum(axis=1)
            state = state.tell(answered(points.astype(np.float64), gain > margin[own]))
            part, whole = (state, whole) if kept else (part, state)
        np.testing.assert_array_equal(whole.take(keep).best, part.best, err_msg=str(step))
    assert (whole.starts.walk > 0).all()  # each has stalled, and gone on


def test_sparse_rs_exchanges_fewer_places_as_the_authors_code_says() -> None:
    # rs_attacks.py of Sparse-RS, p_selection for L0 with p_init 0.3 and 10,000 queries.
    places = [0, 1, 51, 201, 501, 1001, 2001, 4001, 6001, 8001]
    parts = [1, 2, 4, 5, 6, 8, 10, 12, 15, 20]
    assert [exchange_count(at, 10_000, 1000) for at in places] == [
        max(int(300 / part), 1) for part in parts
    ]
    assert exchange_count(9_000, 10_000, 3) == 1


@pytest.mark.parametrize("shape", [(5, 5), (3, 5, 5), (7,)], ids=str)
def test_a_place_at_an_extreme_is_never_the_clean_one(shape: tuple[int, ...]) -> None:
    clean = np.random.default_rng(0).integers(0, 2, (30, *shape)).astype(np.float64)
    around = lp_threat(box(shape), Norm.L0, 4.0, shape).around(clean)
    ends = random_extremes(around, np.random.default_rng(1))
    moved = ends != clean
    assert (moved if len(shape) < 3 else moved.any(axis=1)).all()
    assert np.isin(ends, (0.0, 1.0)).all()


def test_strangers_are_the_nearest_rows_of_another_decision() -> None:
    case, _, _ = flat_case(4, Norm.L2)
    around = case.threat(2.0).around(case.rows)
    found = find_harmful_neighbours(
        AttackContext(around, case.labels, case.goal, case.probabilities), 3
    )
    for row, near in enumerate(found):
        others = np.flatnonzero(case.labels != case.labels[row])
        apart = np.linalg.norm(case.rows[others] - case.rows[row], axis=1)
        np.testing.assert_array_equal(near, others[np.argsort(apart)[:3]])


def test_where_everybody_is_alike_nobody_is_a_stranger() -> None:
    case, _, _ = flat_case(4, Norm.L2)
    own = case.labels == case.labels[0]
    around = case.threat(2.0).around(case.rows[own])
    ground = AttackContext(around, case.labels[own], case.goal, case.probabilities[own])
    assert (find_harmful_neighbours(ground, 2) == NOBODY).all()


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_planes_and_rows_are_each_others_inverse(shape: tuple[int, ...]) -> None:
    values = np.random.default_rng(0).random((4, *shape))
    np.testing.assert_array_equal(as_rows(as_planes(values), shape), values)


@given(seeds, st.integers(1, 5))
def test_the_weight_of_a_square_is_the_sum_over_its_window(seed: int, side: int) -> None:
    weight = np.random.default_rng(seed).normal(size=(2, 5, 7))
    total = square_weights(weight, side)
    assert total.shape == (2, 6 - side, 8 - side)
    for top in range(6 - side):
        for left in range(8 - side):
            places = window_places(np.array([top]), np.array([left]), side, 7)[0]
            expected = weight.reshape(2, 35)[:, places].sum(axis=1)
            np.testing.assert_allclose(total[:, top, left], expected, atol=1e-9)
