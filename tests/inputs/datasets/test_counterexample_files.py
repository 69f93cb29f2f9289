"""Files of counterexamples: one kind each, numbers and texts alone, and errors that say so."""

import io
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.attacks.evasion.spatial_transformations import ImageTransformation
from auditor.domain.challenges import CounterexampleKind
from auditor.errors import DatasetError
from auditor.inputs.datasets.counterexamples import CounterexampleSet, parse_counterexamples


def read(**arrays: Any) -> CounterexampleSet:  # noqa: ANN401 -- what numpy takes for an array
    raw = io.BytesIO()
    np.savez(raw, **arrays)
    return parse_counterexamples(raw.getvalue(), "x.npz")


def test_inputs_views_and_perturbations_are_told_apart_by_their_arrays() -> None:
    assert read(inputs=np.zeros((2, 3)), rows=[1, 2]).kind is CounterexampleKind.INPUTS
    assert read(inputs=np.array(["a text"]), rows=["r1"]).kind is CounterexampleKind.INPUTS
    assert read(perturbations=np.zeros((2, 3))).kind is CounterexampleKind.PERTURBATIONS
    assert read(rows=["r1"], angle=[3.0]).kind is CounterexampleKind.VIEWS


def test_parts_of_a_view_that_are_left_out_change_nothing() -> None:
    views = read(rows=["r1", "r2"], down=[1, -1], mirrored=[True, False]).views
    assert views == (ImageTransformation(down=1, mirrored=True), ImageTransformation(down=-1))


@given(st.floats(-1e6, 1e6), st.integers(-99, 99), st.booleans())
def test_a_view_reads_back_as_it_was_given(angle: float, right: int, mirrored: bool) -> None:  # noqa: FBT001 -- drawn
    (view,) = read(rows=["r1"], angle=[angle], right=[right], mirrored=[mirrored]).views
    assert view == ImageTransformation(angle=angle, right=right, mirrored=mirrored)


def test_texts_keep_their_length_and_perturbations_their_fractions() -> None:
    long = read(inputs=np.array(["much longer than any"]), rows=["r1"])
    assert long.fitted(np.array(["short"])).tolist() == ["much longer than any"]
    halves = read(perturbations=np.full((1, 3), 0.5))
    assert halves.fitted(np.zeros((4, 3), dtype=np.uint8)).tolist() == [[0.5] * 3]


@pytest.mark.parametrize(
    ("like", "words"),
    [(np.float32, "too large for float32"), (np.uint8, "not whole numbers of type uint8")],
)
def test_numbers_that_the_rows_cannot_hold_are_refused(like: type, words: str) -> None:
    huge = read(inputs=np.full((1, 3), 1e300), rows=["r1"])
    with pytest.raises(DatasetError, match=words):
        huge.fitted(np.zeros((4, 3), dtype=like))


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"inputs": np.zeros((1, 3)), "perturbations": np.zeros((1, 3))}, "different claims"),
        ({"inputs": np.zeros((1, 3)), "rows": [1], "angle": [1.0]}, "inputs and views"),
        ({"perturbations": np.zeros((1, 3)), "labels": ["no"]}, "labels for perturbations"),
        ({"perturbations": np.array([["a"]])}, "not numbers"),
        ({"angle": [1.0], "labels": ["no"]}, "no rows that are seen anew"),
        ({"angle": [1.0]}, "neither rows nor labels"),
        ({"rows": [1], "angle": [1.0, 2.0]}, "rows has shape (1,)"),
        ({"rows": [1, 2], "angle": [1.0, 2.0], "hue": [0.1]}, "one number for each of 2 views"),
        ({"rows": [1], "angle": 1.0}, "0 examples"),
        ({"rows": [1], "angle": [np.inf]}, "angle holds NaN or infinity"),
        ({"rows": [1], "down": [0.5]}, "is not whole pixels"),
        ({"rows": [1], "mirrored": [2]}, "is not true or false"),
        ({"rows": [1], "scale": ["1"]}, "one number for each of 1 views"),
        ({"rows": [1], "tilt": [1.0]}, "an array 'tilt'"),
        ({}, "no part of a view"),
    ],
)
def test_a_file_of_no_kind_or_of_several_says_what_is_wrong(
    arrays: dict[str, Any], words: str
) -> None:
    with pytest.raises(DatasetError) as refused:
        read(**arrays)
    assert words in refused.value.problem
    assert refused.value.cure


@pytest.mark.parametrize(
    ("arrays", "like", "words"),
    [
        ({"perturbations": np.zeros((1, 4))}, np.zeros((2, 3)), "a perturbation has shape (4,)"),
        ({"inputs": np.array(["a"]), "rows": [1]}, np.zeros((2, 3)), "inputs hold texts"),
        ({"inputs": np.zeros((1, 3)), "rows": [1]}, np.array(["a"]), "inputs hold numbers"),
        ({"inputs": np.full((1, 3), 0.5), "rows": [1]}, np.zeros((2, 3), np.uint8), "not whole"),
    ],
)
def test_examples_of_another_shape_or_type_than_the_rows_are_refused(
    arrays: dict[str, Any], like: np.ndarray, words: str
) -> None:
    with pytest.raises(DatasetError, match=r"x\.npz") as refused:
        read(**arrays).fitted(like)
    assert words in refused.value.problem
