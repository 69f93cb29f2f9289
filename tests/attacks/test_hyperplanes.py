"""Steps to a plane and into a ball, against linear and quadratic programs."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog, minimize

from auditor.attacks.evasion.norms import Norm, mark_largest, row_norms
from auditor.attacks.evasion.perturbation_ball import nearest_in_ball, reach_plane, shrink_to_radius
from auditor.domain.tasks import Floats

PLANES = (Norm.LINF, Norm.L2, Norm.L1)
numbers = st.floats(-2, 2).map(lambda value: round(value, 3))


@st.composite
def problems(draw: st.DrawFn) -> tuple[float, Floats, Floats, Floats]:
    """Return a gap, a slope and a box around 0."""
    count = draw(st.integers(1, 6))
    slope, low, high = (
        np.array(draw(st.lists(numbers, min_size=count, max_size=count))) for _ in range(3)
    )
    return draw(numbers), slope, -np.abs(low), np.abs(high)


def by_program(gap: float, slope: Floats, low: Floats, high: Floats, norm: Norm) -> float:
    """Return the least norm of a change in the box that reaches the plane, by a linear program.

    For ``l2`` by sequential quadratic programming.
    """
    count = len(slope)
    if norm is Norm.L2:
        solved = minimize(
            lambda change: change @ change,
            np.zeros(count),  # the solver squares the length: from elsewhere it stops short of 0
            jac=lambda change: 2 * change,
            bounds=list(zip(low, high, strict=True)),
            constraints={"type": "eq", "fun": lambda change: slope @ change - gap},
            method="SLSQP",
            options={"ftol": 1e-14, "maxiter": 500},
        )
        return float(np.sqrt(solved.fun))
    # One more number a coordinate (l1), or one for all (linf), bounds the size of the change.
    bounds = np.eye(count) if norm is Norm.L1 else np.ones((count, 1))
    above = np.block([[np.eye(count), -bounds], [-np.eye(count), -bounds]])
    cost = np.concatenate([np.zeros(count), np.ones(bounds.shape[1])])
    solved = linprog(
        cost,
        A_ub=above,
        b_ub=np.zeros(2 * count),
        A_eq=np.concatenate([slope, np.zeros(bounds.shape[1])])[None, :],
        b_eq=[gap],
        bounds=[*zip(low, high, strict=True), *[(0, None)] * bounds.shape[1]],
    )
    return float(solved.fun)


@pytest.mark.parametrize("norm", PLANES)
@given(problem=problems())
@settings(max_examples=60, deadline=None)
def test_the_step_to_a_plane_is_the_smallest_that_the_box_allows(
    norm: Norm, problem: tuple[float, Floats, Floats, Floats]
) -> None:
    gap, slope, low, high = problem
    change = reach_plane(np.array([gap]), slope[None], low[None], high[None], norm)[0]
    assert (change >= low - 1e-12).all()
    assert (change <= high + 1e-12).all()
    most = np.where(slope * np.sign(gap) > 0, high, low) @ slope
    if abs(gap) <= abs(most) * (1 - 1e-3):
        assert change @ slope == pytest.approx(gap, abs=1e-9)
        wanted = by_program(gap, slope, low, high, norm)
        assert row_norms(change[None], norm)[0] == pytest.approx(wanted, rel=1e-4, abs=1e-5)
    elif abs(gap) > abs(most):
        assert change @ slope == pytest.approx(most, abs=1e-9)


@pytest.mark.parametrize("norm", PLANES)
@pytest.mark.parametrize("scale", [1e-300, 1e-150, 1e150, 1e290])
def test_a_step_does_not_depend_on_how_steep_all_is_together(norm: Norm, scale: float) -> None:
    rng = np.random.default_rng(0)
    gap, slope = rng.normal(size=5), rng.normal(size=(5, 6))
    low, high = -rng.uniform(size=(5, 6)), rng.uniform(size=(5, 6))
    plain = reach_plane(gap, slope, low, high, norm)
    assert reach_plane(scale * gap, scale * slope, low, high, norm) == pytest.approx(plain)


@pytest.mark.parametrize("norm", Norm)
@given(problem=problems(), radius=st.floats(0.01, 5))
@settings(max_examples=60, deadline=None)
def test_shrinking_row_by_row_is_the_projection_into_each_ball(
    norm: Norm, problem: tuple[float, Floats, Floats, Floats], radius: float
) -> None:
    _, change, low, high = problem
    radii = np.array([radius, radius / 3, 2 * radius])
    three = (np.tile(values, (3, 1)) for values in (change, low, high))
    wanted, lower, upper = three
    found = shrink_to_radius(wanted, radii, lower, upper, norm)
    for index, own in enumerate(radii):
        one = nearest_in_ball(change[None].copy(), norm, own, low[None], high[None])
        assert found[index] == pytest.approx(one[0], rel=1e-6, abs=1e-9)
        assert row_norms(found[[index]], norm)[0] <= own * (1 + 1e-9)


def test_pixels_are_kept_and_dropped_with_all_their_channels() -> None:
    change = np.array([[[0.5, 0.1, 0.0], [0.0, 0.4, 0.3]]])  # 2 channels, 3 pixels
    low, high = np.full(change.shape, -1.0), np.ones(change.shape)
    two = shrink_to_radius(change, np.array([2.0]), low, high, Norm.L0, 0)
    assert two.tolist() == [[[0.5, 0.1, 0.0], [0.0, 0.4, 0.0]]]


@given(st.lists(st.integers(0, 3), min_size=1, max_size=8), st.integers(0, 9))
def test_of_equal_values_the_first_are_the_largest(values: list[int], count: int) -> None:
    marked = mark_largest(np.array([values], dtype=np.float64), np.array([float(count)]))[0]
    order = sorted(range(len(values)), key=lambda place: (-values[place], place))
    assert sorted(np.flatnonzero(marked)) == sorted(order[:count])


@pytest.mark.parametrize("filled", [0.02, 0.5, 1.0])
@pytest.mark.parametrize("most", [0, 3, 40, 300])
def test_the_largest_of_long_rows_are_those_of_a_stable_sort(filled: float, most: int) -> None:
    rng = np.random.default_rng(most)
    values = np.round(np.abs(rng.normal(size=(9, 301))), 2) * (rng.random((9, 301)) < filled)
    counts = rng.integers(0, most + 1, 9)
    marked = mark_largest(values, counts.astype(np.float64))
    order = np.argsort(-values, axis=1, kind="stable")
    for row, count in enumerate(counts):
        assert sorted(np.flatnonzero(marked[row])) == sorted(order[row, :count])


@pytest.mark.parametrize("norm", list(Norm))
@pytest.mark.parametrize("filled", [0.02, 1.0])
def test_many_rows_together_are_shrunk_as_each_is_alone(norm: Norm, filled: float) -> None:
    rng = np.random.default_rng(5)
    shape = (60, 3, 20, 20)  # more numbers than go at a time
    change = rng.normal(size=shape) * (rng.random(shape) < filled)
    low, high = -rng.random(shape), rng.random(shape) * (rng.random(shape) < 0.5)
    radius = rng.uniform(1.0, 5.0, len(change))
    together = shrink_to_radius(change, radius, low, high, norm, 0)
    for row in range(len(change)):
        one = slice(row, row + 1)
        alone = shrink_to_radius(change[one], radius[one], low[one], high[one], norm, 0)
        np.testing.assert_allclose(together[one], alone, rtol=1e-9)
    assert (row_norms(together, norm, 0) <= radius * (1 + 1e-9)).all()


@pytest.mark.parametrize("norm", [Norm.LINF, Norm.L2, Norm.L1])
def test_a_missing_number_adds_nothing_to_a_norm_and_an_infinite_one_is_no_number(
    norm: Norm,
) -> None:
    change = np.array([[3.0, np.nan, -4.0], [1.0, 0.0, np.nan], [np.inf, 0.0, 1.0]])
    found = row_norms(change[:2], norm)
    np.testing.assert_array_equal(found, row_norms(np.nan_to_num(change[:2]), norm))
    with np.errstate(over="ignore"):
        assert row_norms(change, norm)[2] >= np.finfo(np.float64).max


def test_a_radius_that_rounding_left_below_a_whole_number_counts_as_it() -> None:
    change, low, high = np.ones((1, 6)), -np.ones((1, 6)), np.ones((1, 6))
    for radius, places in ((4.999999999999999, 5), (4.9, 4)):
        assert shrink_to_radius(change, np.array([radius]), low, high, Norm.L0).sum() == places
