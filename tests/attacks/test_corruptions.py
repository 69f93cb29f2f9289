"""Corruptions of pictures: known answers, and laws over sizes, ranges, layouts and types."""

import io
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import gaussian_filter
from sklearn.datasets import load_sample_images

from auditor.attacks.corruptions import images
from auditor.attacks.corruptions.catalogue import (
    KINDS,
    corruption_generator,
    detect_medium,
    select_kinds,
    select_severities,
)
from auditor.attacks.corruptions.images import KINDS as PICTURE_KINDS
from auditor.attacks.corruptions.images import (
    ImageMedium,
    find_image_layout,
    interpolate_strength,
    scale_length,
)
from auditor.attacks.corruptions.input_medium import snap_inputs
from auditor.attacks.image_resampling import convolve, sample_bilinear, zoom_in
from auditor.domain.tasks import InputFeature, InputSpace
from auditor.errors import PolicyError

Rows = NDArray[Any]


def space(
    shape: tuple[int, ...], low: float = 0.0, high: float = 1.0, quantum: float = 0.0
) -> InputSpace:
    return InputSpace(
        np.full(shape, low), np.full(shape, high), np.full(shape, quantum), np.ones(shape, bool)
    )


def corrupt(rows: Rows, where: InputSpace, kind: str, severity: int, seed: int = 3) -> Rows:
    return detect_medium(rows, where).corrupt(
        rows, kind, severity, corruption_generator(seed, kind)
    )


def flat_grey(level: float, side: int, count: int = 4, channels: int = 1) -> NDArray[np.float64]:
    return np.full((count, side, side, channels), level)


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def photographs() -> list[NDArray[np.uint8]]:
    return list(load_sample_images().images)  # type: ignore[no-untyped-call]  # scikit-learn has no types


# Both ends of the last box round outwards in float32.
BOXES = st.sampled_from([(0.0, 1.0), (0.0, 255.0), (-1.0, 1.0), (-2.1, 2.6), (-0.3, 0.1)])
SHAPES = st.sampled_from([(8, 8), (1, 9, 12), (3, 10, 8), (16, 11, 3), (8, 8, 1), (32, 32), (5, 4)])


@given(
    st.sampled_from(sorted(PICTURE_KINDS)),
    st.integers(1, 5),
    SHAPES,
    BOXES,
    st.sampled_from(["float32", "float64", "uint8"]),
    st.sampled_from([0, 255]),
    st.integers(0, 2**32),
)
@settings(max_examples=150)
def test_what_comes_out_is_an_input_too(
    kind: str,
    severity: int,
    shape: tuple[int, ...],
    box: tuple[float, float],
    dtype: str,
    steps: int,
    seed: int,
) -> None:
    low, high = (0.0, 255.0) if dtype == "uint8" else box
    quantum = (high - low) / 255 if steps or dtype == "uint8" else 0.0
    where = space(shape, low, high, quantum)
    clean = np.random.default_rng(seed).random((3, *shape))
    rows = np.rint(clean * 255) / 255 if quantum else clean
    rows = (low + rows * (high - low)).astype(dtype)
    found = detect_medium(rows, where)
    if found.objection(kind):
        assert kind == "saturate"
        return
    out = found.corrupt(rows, kind, severity, corruption_generator(seed, kind))
    assert out.shape == rows.shape
    assert out.dtype == rows.dtype
    wide, given_wide = out.astype(np.float64), rows.astype(np.float64)
    assert np.isfinite(wide).all()
    assert (wide >= np.minimum(low, given_wide)).all()
    assert (wide <= np.maximum(high, given_wide)).all()
    if quantum:
        places = (wide - low) / quantum
        np.testing.assert_allclose(places, np.rint(places), atol=2e-4)
    again = found.corrupt(rows, kind, severity, corruption_generator(seed, kind))
    assert again.tobytes() == out.tobytes()


@pytest.mark.parametrize("kind", sorted(PICTURE_KINDS))
def test_severity_nought_changes_nothing(kind: str) -> None:
    rows = rng().random((2, 3, 8, 8))
    np.testing.assert_array_equal(corrupt(rows, space((3, 8, 8)), kind, 0), rows)


@pytest.mark.parametrize("kind", sorted(PICTURE_KINDS))
def test_the_layout_of_the_channels_makes_no_difference(kind: str) -> None:
    last = rng().random((2, 12, 10, 3))
    first = np.moveaxis(last, 3, 1)
    out_last = corrupt(last, space((12, 10, 3)), kind, 4)
    out_first = corrupt(np.ascontiguousarray(first), space((3, 12, 10)), kind, 4)
    np.testing.assert_array_equal(np.moveaxis(out_last, 3, 1), out_first)


@pytest.mark.parametrize("kind", sorted(PICTURE_KINDS))
def test_the_range_of_the_values_makes_no_difference(kind: str) -> None:
    ones = rng().integers(0, 256, (2, 12, 12, 3)) / 255
    bytes_ = ones * 255
    out_ones = corrupt(ones, space((12, 12, 3)), kind, 3)
    out_bytes = corrupt(bytes_, space((12, 12, 3), 0, 255), kind, 3)
    np.testing.assert_allclose(out_bytes / 255, out_ones, atol=1e-9)


@pytest.mark.parametrize("side", [8, 28, 32, 96, 224])
@pytest.mark.parametrize("severity", [1, 5])
def test_gaussian_noise_has_the_published_standard_deviation(side: int, severity: int) -> None:
    grey = flat_grey(0.5, side, count=60 if side < 100 else 4)
    out = images.gaussian_noise(grey, severity, rng())
    small, large = (0.04, 0.08) if severity == 1 else (0.10, 0.38)
    share = np.clip(np.log(side / 32) / np.log(7), 0, 1)
    assert float((out - grey).std()) == pytest.approx((1 - share) * small + share * large, rel=0.03)


def test_shot_noise_keeps_the_mean_and_has_the_variance_of_photons() -> None:
    out = images.shot_noise(flat_grey(0.5, 32, count=100), 5, rng())
    assert float(out.mean()) == pytest.approx(0.5, abs=0.002)
    assert float(out.var()) == pytest.approx(0.5 / 50, rel=0.03)


def test_impulse_noise_hits_the_published_share_both_ways_alike() -> None:
    out = images.impulse_noise(flat_grey(0.5, 32, count=100), 5, rng())
    assert float((out == 0).mean()) == pytest.approx(0.035, abs=0.003)
    assert float((out == 1).mean()) == pytest.approx(0.035, abs=0.003)


def test_speckle_noise_leaves_black_alone() -> None:
    assert not images.speckle_noise(flat_grey(0.0, 8), 5, rng()).any()


def test_brightness_moves_the_mean_by_the_published_amount() -> None:
    for severity, more in enumerate((0.05, 0.1, 0.15, 0.2, 0.3), start=1):
        out = images.brightness(flat_grey(0.4, 32), severity)
        assert float(out.mean()) == pytest.approx(0.4 + more)
    for severity, more in enumerate((0.1, 0.2, 0.3, 0.4, 0.5), start=1):
        out = images.brightness(flat_grey(0.4, 224, count=1, channels=3), severity)
        assert float(out.mean()) == pytest.approx(0.4 + more)


def test_brightness_and_saturation_keep_the_hue() -> None:
    orange = np.broadcast_to(np.array([0.6, 0.4, 0.2]), (1, 32, 32, 3)).copy()
    bright = images.brightness(orange, 1)[0, 0, 0]
    np.testing.assert_allclose(bright, 0.65 * np.array([1, 2 / 3, 1 / 3]))
    pale = images.saturate(orange, 1)[0, 0, 0]  # saturation 2/3 becomes 0.3 of that
    np.testing.assert_allclose(pale, 0.6 * (1 - 0.2 * np.array([0, 0.5, 1])))


def test_saturation_has_no_meaning_for_grey() -> None:
    grey = np.broadcast_to(np.array([0.5, 0.5, 0.5]), (1, 32, 32, 3)).copy()
    for severity in range(1, 6):
        np.testing.assert_allclose(images.saturate(grey, severity), grey)
    assert detect_medium(rng().random((2, 8, 8)), space((8, 8))).objection("saturate")


def test_contrast_shrinks_the_spread_and_keeps_the_mean() -> None:
    pictures = rng().random((5, 32, 32, 1))
    out = images.contrast(pictures, 5)
    np.testing.assert_allclose(out.mean(axis=(1, 2)), pictures.mean(axis=(1, 2)))
    np.testing.assert_allclose(out.std(axis=(1, 2)), 0.15 * pictures.std(axis=(1, 2)))


FLAT = ("defocus_blur", "gaussian_blur", "motion_blur", "zoom_blur", "glass_blur")


@pytest.mark.parametrize("kind", [*FLAT, "contrast", "elastic", "pixelate"])
def test_a_picture_without_any_detail_has_none_to_lose(kind: str) -> None:
    grey = np.full((2, 20, 16), 0.3)
    np.testing.assert_allclose(corrupt(grey, space((20, 16)), kind, 5), grey, atol=1e-12)


def test_blurs_are_those_of_scipy() -> None:
    pictures = rng().random((2, 32, 40, 3))
    kernel = np.zeros((1, 9, 9))
    kernel[0, 4, 4] = 1.0
    kernel[0] = gaussian_filter(kernel[0], 0.8, truncate=5.0, mode="constant")
    kernel /= kernel.sum()
    ours = convolve(pictures, kernel)
    theirs = images.gaussian_blur(pictures, 4)
    np.testing.assert_allclose(ours, theirs, atol=2e-5)


def test_a_trail_moves_the_light_to_one_side_and_keeps_it() -> None:
    point = np.zeros((1, 33, 33, 1))
    point[0, 16, 16] = 1.0
    trail = images.trail_pixels(point, np.array([0.0]), 3.0, 8.0)[0, :, :, 0]
    assert float(trail.sum()) == pytest.approx(1.0)
    weights = np.exp(-(np.arange(9) ** 2) / 18)
    np.testing.assert_allclose(trail[16, 16:25], weights / weights.sum(), atol=1e-12)
    assert np.abs(trail[:, :16]).max() < 1e-12


def test_zooming_by_one_changes_nothing_and_keeps_the_middle() -> None:
    pictures = rng().random((2, 9, 9, 1))
    np.testing.assert_allclose(zoom_in(pictures, 1.0), pictures)
    np.testing.assert_allclose(zoom_in(pictures, 1.7)[:, 4, 4], pictures[:, 4, 4])


def test_sampling_between_pixels_is_bilinear() -> None:
    pictures = np.arange(12.0).reshape(1, 3, 4, 1)
    assert float(sample_bilinear(pictures, np.array([[0.5]]), np.array([[1.5]])).item()) == 3.5
    beyond = np.array([[-1.0]]), np.array([[0.0]])
    assert float(sample_bilinear(pictures + 1, *beyond).item()) == 1.0
    assert float(sample_bilinear(pictures + 1, *beyond, "low").item()) == 0.0


def test_pixelating_averages_over_boxes() -> None:
    pictures = rng().random((1, 224, 224, 1))
    out = images.pixelate(pictures, 5)  # a quarter of the pixels a side: boxes of 4
    boxes = pictures.reshape(1, 56, 4, 56, 4, 1).mean(axis=(2, 4))
    np.testing.assert_allclose(out, boxes.repeat(4, axis=1).repeat(4, axis=2), atol=1e-12)


def test_jpeg_is_pillows() -> None:
    photo = photographs()[0][100:132, 100:132]
    out = corrupt(photo[None], space((32, 32, 3), 0, 255, 1.0), "jpeg", 5)[0]
    buffer = io.BytesIO()
    Image.fromarray(photo).save(buffer, format="JPEG", quality=40)
    np.testing.assert_array_equal(out, np.asarray(Image.open(buffer)))


def test_occlusion_hides_the_documented_area_and_nothing_else() -> None:
    pictures = 0.6 + 0.4 * rng().random((20, 40, 40, 1))
    out = images.occlusion(pictures, 5, rng())
    hidden = out == 0.5
    np.testing.assert_array_equal(hidden.sum(axis=(1, 2, 3)), 400)
    np.testing.assert_array_equal(out[~hidden], pictures[~hidden])
    assert len({tuple(np.argwhere(picture)[0]) for picture in hidden}) > 10


def test_clouds_fill_their_range_and_lose_detail_as_they_decay() -> None:
    shape = np.zeros((4, 64, 64, 1))
    rough, smooth = (images.draw_clouds(shape, decay, rng()) for decay in (1.4, 3.0))
    assert float(rough.min()) == 0.0
    assert float(rough.max()) == 1.0
    assert np.abs(np.diff(smooth, axis=1)).mean() < np.abs(np.diff(rough, axis=1)).mean() / 2


def test_fog_is_that_of_the_published_formula() -> None:
    pictures = rng().random((2, 32, 32, 1))
    cloud = images.draw_clouds(pictures, 1.75, np.random.default_rng(5))
    most = pictures.max(axis=(1, 2, 3), keepdims=True)
    expected = (pictures + 1.5 * cloud) * most / (most + 1.5)
    np.testing.assert_allclose(images.fog(pictures, 5, np.random.default_rng(5)), expected)


@pytest.mark.parametrize("severity", [1, 2, 3, 4, 5])
def test_spatter_covers_the_documented_share(severity: int) -> None:
    out = images.spatter(flat_grey(0.3, 32, count=200), severity, rng())
    share = (0.02, 0.08, 0.2, 0.16, 0.25)[severity - 1]
    assert float((np.abs(out - 0.3) > 1e-12).mean()) == pytest.approx(share, abs=0.02)


# Of the others the published tables trade one parameter for another between severities.
TRADING = {"saturate", "elastic", "frost", "glass_blur", "pixelate", "snow", "spatter"}
MONOTONE = sorted(set(PICTURE_KINDS) - TRADING)


@pytest.mark.parametrize("kind", MONOTONE)
def test_more_severe_moves_a_photograph_further(kind: str) -> None:
    photos = np.stack([image[100:324, 100:324] for image in photographs()])
    small = photos[:, ::7, ::7].astype(np.float64)
    moved = [
        np.abs(corrupt(small, space((32, 32, 3), 0, 255), kind, severity) - small).mean()
        for severity in range(1, 6)
    ]
    assert all(b >= a * 0.999 for a, b in pairwise(moved)), moved


def test_strengths_meet_both_tables_and_lengths_go_on_outside() -> None:
    small, large = (1, 2, 3, 4, 5), (10, 20, 30, 40, 50)
    assert (
        interpolate_strength(small, large, 2, 32) == interpolate_strength(small, large, 2, 8) == 2
    )
    assert (
        interpolate_strength(small, large, 2, 224)
        == interpolate_strength(small, large, 2, 448)
        == 20
    )
    assert interpolate_strength(small, large, 2, round((32 * 224) ** 0.5)) == pytest.approx(
        11, abs=0.1
    )
    assert scale_length(small, large, 3, 448) == 60
    assert scale_length(small, large, 3, 8) == 1.5


def test_a_kind_draws_the_same_whatever_else_is_asked() -> None:
    rows = rng().random((2, 8, 8))
    first = corrupt(rows, space((8, 8)), "fog", 3)
    corrupt(rows, space((8, 8)), "snow", 3)
    np.testing.assert_array_equal(corrupt(rows, space((8, 8)), "fog", 3), first)
    assert not np.array_equal(corrupt(rows, space((8, 8)), "fog", 3, seed=4), first)


@pytest.mark.parametrize(
    ("row", "takes", "size", "channels"),
    [
        ((8, 8), None, (8, 8), 1),
        ((1, 28, 20), None, (28, 20), 1),
        ((28, 20, 3), None, (28, 20), 3),
        ((3, 224, 224), None, (224, 224), 3),
        ((64,), (1, 8, 8), (8, 8), 1),
    ],
)
def test_pictures_are_told_by_their_shape(
    row: tuple[int, ...], takes: tuple[int, ...] | None, size: tuple[int, int], channels: int
) -> None:
    found = find_image_layout(row, space(row), takes)
    assert found is not None
    assert (found.size, found.channels) == (size, channels)


@pytest.mark.parametrize(
    ("row", "takes"), [((64,), None), ((64,), (64,)), ((1, 10), None), ((2, 3, 4, 5), None)]
)
def test_what_does_not_look_like_a_picture_is_none(
    row: tuple[int, ...], takes: tuple[int, ...] | None
) -> None:
    assert find_image_layout(row, space(row), takes) is None


def test_declared_features_are_a_table_even_where_the_model_takes_a_picture() -> None:
    where = space((64,))
    features = tuple(InputFeature(f"pixel {index}") for index in range(64))
    declared = InputSpace(where.low, where.high, where.quantum, where.mutable, features)
    assert find_image_layout((64,), declared, (1, 8, 8)) is None


def test_flat_rows_are_corrupted_as_the_pictures_that_they_are() -> None:
    square = rng().random((3, 8, 8))
    flat = square.reshape(3, 64)
    asked = detect_medium(flat, space((64,)), (1, 8, 8))
    assert isinstance(asked, ImageMedium)
    out = asked.corrupt(flat, "motion_blur", 5, corruption_generator(3, "motion_blur"))
    expected = corrupt(square, space((8, 8)), "motion_blur", 5)
    np.testing.assert_array_equal(out, expected.reshape(3, 64))


def test_pixels_that_do_not_change_keep_their_bits() -> None:
    rows = rng().random((4, 20, 20))
    out = corrupt(rows, space((20, 20), -0.3, 1.7), "occlusion", 1)
    assert (out == rows).mean() > 0.9


def test_a_model_of_whole_numbers_gets_whole_numbers() -> None:
    rows = np.rint(rng().random((2, 8, 8)) * 16)
    asked = detect_medium(rows, space((8, 8), 0, 16), whole=True)
    out = asked.corrupt(rows, "gaussian_noise", 5, rng())
    np.testing.assert_array_equal(out, np.rint(out))
    assert (out != rows).any()


def test_settling_keeps_clean_values_where_there_is_nothing_better() -> None:
    clean = np.array([[0.1, 0.26, 1.4, 0.5]], dtype=np.float32)
    quantum = np.array([0.0, 0.25, 0.0, 0.25])
    points = np.array([[np.nan, 0.3, 9.0, 0.9]])
    # Missing: as it was. Nearest step is its own: as spelt. Beyond: the box, widened to the value.
    out = snap_inputs(points, clean, space((4,)), quantum)
    np.testing.assert_array_equal(out, np.array([[0.1, 0.26, 1.4, 1.0]], dtype=np.float32))


def test_kinds_and_severities_are_put_in_order_and_strangers_refused() -> None:
    assert select_kinds(("jpeg", "fog", "jpeg")) == ("fog", "jpeg")
    assert select_severities((5, 1, 5)) == (1, 5)
    assert len(KINDS) == len(set(KINDS)) == 29
    for kinds in ((), ("rain",)):
        with pytest.raises(PolicyError):
            select_kinds(kinds)
    for severities in ((), (0,), (6,)):
        with pytest.raises(PolicyError):
            select_severities(severities)
