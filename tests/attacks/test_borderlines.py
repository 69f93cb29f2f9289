"""Neighbours at the border: one step apart in one coordinate, and decided differently."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from auditor.attacks.hardware.fingerprint_inputs import InputGrid, find_neighbour_pairs, input_grid
from auditor.domain.tasks import Array, FeatureKind, InputFeature, InputSpace

RNG = np.random.default_rng(5)


def line(weights: Array, offset: float = 0.0):  # noqa: ANN201 -- a decision
    def decide(points: Array) -> NDArray[np.int64]:
        flat = points.reshape(len(points), -1).astype(np.float64)
        return (flat @ weights.astype(np.float64) > offset).astype(np.int64)

    return decide


def floats(dtype: str, size: int) -> InputGrid:
    none = np.zeros(size)
    return InputGrid(np.dtype(dtype), none, none, np.ones(size, dtype=np.bool_))


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_a_threshold_on_a_line_is_found_to_the_last_bit(dtype: str) -> None:
    first, second = np.zeros((1, 1), dtype=dtype), np.ones((1, 1), dtype=dtype)
    found = find_neighbour_pairs(line(np.ones(1), 0.3), first, second, floats(dtype, 1))
    near, far = (side.astype(dtype)[0, 0] for side in (found.near, found.far))
    assert float(near) <= 0.3 < float(far)
    assert np.nextafter(near, far) == far


@given(st.integers(0, 2**32), st.integers(1, 12), st.sampled_from(["float32", "float16"]))
def test_neighbours_differ_in_one_coordinate_by_one_step(seed: int, size: int, dtype: str) -> None:
    rng = np.random.default_rng(seed)
    decide = line(rng.normal(size=size))
    first, second = rng.normal(size=(2, 30, size)).astype(dtype)
    found = find_neighbour_pairs(decide, first, second, floats(dtype, size))
    assert (found.near_class != found.far_class).all()
    for side, label in ((found.near, found.near_class), (found.far, found.far_class)):
        assert (decide(side.astype(dtype)) == label).all()
        assert (side.astype(dtype) == side).all()
    for near, far in zip(found.near.astype(dtype), found.far.astype(dtype), strict=True):
        (place,) = np.flatnonzero(near != far)
        assert np.nextafter(near[place], far[place]) == far[place]


def test_whole_numbers_stay_whole_and_differ_by_one() -> None:
    first = RNG.integers(0, 256, size=(40, 5, 4)).astype(np.uint8)
    second = RNG.integers(0, 256, size=(40, 5, 4)).astype(np.uint8)
    decide = line(np.where(np.arange(20) % 2, 1.0, -1.25), -320.0)
    found = find_neighbour_pairs(decide, first, second, input_grid(first, "float32", None))
    assert len(found.near) > 5
    assert (np.abs(found.near - found.far).reshape(len(found.near), -1).sum(axis=1) == 1).all()
    assert (decide(found.near) != decide(found.far)).all()


def test_steps_of_the_input_space_are_kept() -> None:
    step = np.full(6, 1 / 16)
    space = InputSpace(np.zeros(6), np.ones(6), step, np.ones(6, dtype=np.bool_))
    first, second = RNG.integers(0, 17, size=(2, 50, 6)).astype(np.float32) / 16
    decide = line(np.array([1.0, -1, 2, -2, 0.5, -0.5]), 0.01)
    found = find_neighbour_pairs(decide, first, second, input_grid(first, "float32", space))
    assert len(found.near) > 5
    for side in (found.near, found.far):
        assert (side * 16 == np.rint(side * 16)).all()
    assert (np.abs(found.near - found.far).sum(axis=1) == 1 / 16).all()


def test_codes_and_choices_are_left_as_they_are() -> None:
    features = (
        InputFeature("amount"),
        InputFeature("code", FeatureKind.CATEGORICAL, categories=(0, 1, 2)),
        InputFeature("a", FeatureKind.BINARY, one_hot="kind"),
        InputFeature("b", FeatureKind.BINARY, one_hot="kind"),
    )
    space = InputSpace(np.zeros(4), np.ones(4), np.zeros(4), np.ones(4, dtype=np.bool_), features)
    first = np.array([[0.1, 2, 1, 0], [0.2, 1, 0, 1]])
    second = np.array([[0.9, 0, 0, 1], [0.7, 0, 1, 0]])
    found = find_neighbour_pairs(
        line(np.array([1.0, 0, 0, 0]), 0.5), first, second, input_grid(first, "float32", space)
    )
    assert (found.near[:, 1:] == first[:, 1:]).all()
    assert (found.far[:, 1:] == first[:, 1:]).all()


def test_pairs_that_are_decided_alike_drop_out() -> None:
    rows = np.zeros((3, 2), dtype=np.float32)
    found = find_neighbour_pairs(line(np.ones(2), 1.0), rows, rows, floats("float32", 2))
    assert len(found.near) == 0


def test_the_coarser_type_of_data_and_model_is_the_grid() -> None:
    rows = np.zeros((1, 2), dtype=np.float64)
    assert input_grid(rows, "float32", None).dtype == np.float32
    assert input_grid(rows.astype(np.float32), "float64", None).dtype == np.float32
    assert input_grid(rows.astype(np.uint8), "float32", None).dtype == np.uint8
    assert input_grid(rows, "int64", None).dtype == np.int64
