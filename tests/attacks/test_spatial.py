"""Changes of view: exact where pixels move by whole steps, and never out of reach."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from auditor.attacks.evasion.spatial_transformations import (
    BUDGETS,
    STILL,
    ImageTransformation,
    TransformationGrid,
    transform_images,
)


def pictures(channels: int = 1, side: int = 9) -> NDArray[np.float64]:
    return np.random.default_rng(0).random((2, side, side, channels))


def test_changing_nothing_changes_nothing() -> None:
    np.testing.assert_array_equal(transform_images(pictures(3), STILL, "edge"), pictures(3))
    assert STILL.changed == {}


@pytest.mark.parametrize("fill", ["edge", "low"])
def test_a_shift_moves_whole_pixels_exactly(fill: str) -> None:
    clean = pictures()
    out = transform_images(clean, ImageTransformation(down=2, right=-1), fill)
    np.testing.assert_array_equal(out[:, 2:, :-1], clean[:, :-2, 1:])
    border = np.broadcast_to(clean[:, :1, 1:], (2, 2, 8, 1)) if fill == "edge" else 0.0
    np.testing.assert_array_equal(out[:, :2, :-1], np.broadcast_to(border, (2, 2, 8, 1)))


@pytest.mark.parametrize(("angle", "turns"), [(90.0, 1), (180.0, 2), (-90.0, -1)])
def test_a_right_angle_turns_counter_clockwise_as_numpy_does(angle: float, turns: int) -> None:
    clean = pictures()
    out = transform_images(clean, ImageTransformation(angle=angle), "edge")
    np.testing.assert_allclose(out, np.rot90(clean, turns, axes=(1, 2)), atol=1e-12)


def test_turning_there_and_back_keeps_the_middle_of_a_smooth_picture() -> None:
    rows, columns = np.mgrid[0:33, 0:33] / 32
    smooth = (0.2 + 0.3 * rows + 0.4 * columns)[None, :, :, None]
    there = transform_images(smooth, ImageTransformation(angle=20.0), "edge")
    back = transform_images(there, ImageTransformation(angle=-20.0), "edge")
    np.testing.assert_allclose(back[:, 12:21, 12:21], smooth[:, 12:21, 12:21], atol=1e-9)


def test_scaling_by_two_spreads_the_middle() -> None:
    clean = pictures()
    out = transform_images(clean, ImageTransformation(scale=2.0), "edge")
    np.testing.assert_allclose(out[:, ::2, ::2], clean[:, 2:7, 2:7], atol=1e-12)


def test_shear_moves_each_row_by_its_distance_from_the_middle() -> None:
    clean = pictures()
    out = transform_images(clean, ImageTransformation(shear=1.0), "edge")
    np.testing.assert_allclose(out[:, 4], clean[:, 4])
    np.testing.assert_allclose(out[:, 5, 1:], clean[:, 5, :-1])
    np.testing.assert_allclose(out[:, 3, :-1], clean[:, 3, 1:])


def test_light_is_added_and_spread_about_the_mean() -> None:
    clean = pictures(3)
    np.testing.assert_allclose(
        transform_images(clean, ImageTransformation(brightness=0.1), "edge"), clean + 0.1
    )
    out = transform_images(clean, ImageTransformation(contrast=0.5), "edge")
    np.testing.assert_allclose(out.mean(axis=(1, 2, 3)), clean.mean(axis=(1, 2, 3)))
    np.testing.assert_allclose(out.std(axis=(1, 2, 3)), clean.std(axis=(1, 2, 3)) / 2)


def test_a_third_of_a_turn_of_hue_makes_red_green_and_leaves_grey() -> None:
    colours = np.array([[1.0, 0.0, 0.0], [0.4, 0.4, 0.4]]).reshape(2, 1, 1, 3)
    out = transform_images(colours, ImageTransformation(hue=1 / 3), "edge").reshape(2, 3)
    np.testing.assert_allclose(out, np.array([[0, 1, 0], [0.4, 0.4, 0.4]]), atol=1e-12)


def test_mirroring_twice_is_changing_nothing() -> None:
    mirrored = ImageTransformation(mirrored=True)
    clean = pictures()
    once = transform_images(clean, mirrored, "edge")
    np.testing.assert_array_equal(once, clean[:, :, ::-1])
    np.testing.assert_array_equal(transform_images(once, mirrored, "edge"), clean)


@given(
    st.sampled_from(sorted(BUDGETS)),
    st.tuples(st.integers(4, 64), st.integers(4, 64)),
    st.sampled_from([1, 3]),
    st.integers(1, 7),
    st.integers(1, 5),
    st.sampled_from([0, 1]),
    st.integers(0, 1000),
)
@settings(max_examples=60)
def test_every_view_is_within_its_reach_and_within_all_larger_ones(
    name: str,
    size: tuple[int, int],
    channels: int,
    rotations: int,
    shifts: int,
    mirrors: int,
    seed: int,
) -> None:
    flips = bool(mirrors)
    finder = TransformationGrid(size, channels, rotations, shifts, flips)
    reach = BUDGETS[name]
    views = (*finder.draws(reach, 5, np.random.default_rng(seed)), *finder.grid(reach))
    larger = list(BUDGETS)[list(BUDGETS).index(name) :]
    for view in views:
        assert all(BUDGETS[other].holds(view, size, flips=flips) for other in larger)
        assert ImageTransformation(**view.changed) == view  # type: ignore[arg-type]  # JSON of its fields
        assert channels == 3 or view.hue == 0
        assert flips or not view.mirrored
    assert len(set(finder.grid(reach))) == len(finder.grid(reach))
    assert STILL not in finder.grid(reach)


def test_the_largest_grid_is_that_of_engstrom_et_al() -> None:
    # Section 4: 31 rotations of up to 30 degrees, 5 shifts each way of up to 3 pixels of 32.
    grid = TransformationGrid((32, 32), 3, 31, 5, flips=False).grid(BUDGETS["large"])
    turned = [view for view in grid if set(view.changed) <= {"angle", "down", "right"}]
    assert len(turned) == 775 - 1
    assert {view.down for view in turned} == {-3, -2, 0, 2, 3}
    assert max(view.angle for view in turned) == 30.0
    assert (abs(turned[0].angle), abs(turned[0].down), abs(turned[0].right)) == (30.0, 3, 3)


def test_what_is_too_small_to_move_stays() -> None:
    assert BUDGETS["small"].pixels((8, 8)) == (0, 0)
    assert BUDGETS["large"].pixels((28, 224)) == (3, 22)


def test_a_view_beyond_reach_is_told() -> None:
    small = BUDGETS["small"]
    assert small.holds(ImageTransformation(angle=-10.0, down=1), (32, 32), flips=False)
    for beyond in (
        ImageTransformation(angle=10.1),
        ImageTransformation(down=-2),
        ImageTransformation(contrast=0.8),
        ImageTransformation(mirrored=True),
    ):
        assert not small.holds(beyond, (32, 32), flips=False)


def test_views_are_named_by_what_changes() -> None:
    assert ImageTransformation(angle=3.0, down=1, right=2).family == "rotation and shift"
    assert ImageTransformation(hue=0.1).family == "hue"
    assert ImageTransformation(1.0, 1, 1, 1.1, 0.1, 0.1).family == "mixed"
