"""A generator in a child of its own: what it makes, its slopes, and what does not fit."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from handed_models import decoder, dense, drawn
from onnx import TensorProto, helper, numpy_helper

from auditor.domain.artifacts import Artifact
from auditor.domain.readings import Gap, GapReason
from auditor.domain.row_generators import DifferentiableGenerator
from auditor.domain.targets import TargetSpec
from auditor.domain.tasks import Array, InputSpace
from auditor.errors import ArtifactError, ModelFailedError
from auditor.targets.row_generator import OpenedGenerator, open_generator
from auditor.targets.twin import NO_SPACE
from auditor.trust.artifacts.files import digest_artifact

CPU = TargetSpec("cpu")
ROWS = drawn(8, 300)[0]
SIZE = 4


def opened(folder: Path, sample: Array = ROWS, space: InputSpace | Gap = NO_SPACE):  # noqa: ANN201 -- a context
    path = folder / "generator.onnx"
    artifact = Artifact("m (generator)", "0", digest_artifact(path))
    return open_generator(CPU, folder, artifact, space, sample)


def box(low: float, high: float, shape: tuple[int, ...] = (6,)) -> InputSpace:
    whole = np.ones(shape)
    return InputSpace(low * whole, high * whole, 0 * whole, whole.astype(bool), ())


def refused(folder: Path, sample: Array = ROWS, space: InputSpace | Gap = NO_SPACE) -> str:
    with pytest.raises(ArtifactError) as raised, opened(folder, sample, space):
        pass
    assert raised.value.cure
    return raised.value.problem


def bent(path: Path, bend: str = "Tanh", **fields: object) -> None:
    """A decoder with a bend in it."""
    rng = np.random.default_rng(1)
    weights = [rng.normal(size=(SIZE, 12)), rng.normal(size=(12, 6)) / 2]
    dense(path, weights, [rng.normal(size=12), np.zeros(6)], bend=bend, **fields)


@pytest.mark.slow
def test_rows_are_the_files_and_slopes_are_its_derivatives(tmp_path: Path) -> None:
    bent(tmp_path / "generator.onnx")
    session = onnxruntime.InferenceSession(str(tmp_path / "generator.onnx"))
    latents = np.random.default_rng(0).normal(size=(5, SIZE))
    with opened(tmp_path) as given:
        assert isinstance(given, DifferentiableGenerator)
        assert given.slopeless is None
        assert given.size == SIZE
        (expected,) = session.run(None, {"x": latents.astype(np.float32)})
        assert np.array_equal(given.make(latents), expected.astype(np.float64))
        slopes, step = np.random.default_rng(2).normal(size=(5, 6)), 1e-2
        pulled = given.pull(latents, slopes)
        for at in range(SIZE):
            way = step * np.eye(SIZE)[at]
            moved = given.make(latents + way) - given.make(latents - way)
            assert np.allclose((moved * slopes).sum(axis=1) / (2 * step), pulled[:, at], atol=5e-3)
        assert np.array_equal(given.make(latents), expected.astype(np.float64)), "pulls leave it"


@pytest.mark.slow
def test_rows_of_pictures_come_flat_in_the_order_of_the_data(tmp_path: Path) -> None:
    rows = np.random.default_rng(3).random((60, 1, 4, 4))
    decoder(tmp_path / "generator.onnx", rows.reshape(60, -1), SIZE, shape=(4, 4))
    with opened(tmp_path, rows, box(0, 1, (1, 4, 4))) as given:
        made = given.make(np.zeros((2, SIZE)))
    assert np.allclose(made, rows.reshape(60, -1).mean(axis=0), atol=1e-5)


def code_book(path: Path) -> None:
    """Rows out of a list, by the largest latent coordinate: no slope comes back through that."""
    nodes = [
        helper.make_node("ArgMax", ["x"], ["at"], axis=1, keepdims=0),
        helper.make_node("Gather", ["book", "at"], ["z"]),
    ]
    book = numpy_helper.from_array(ROWS[:SIZE].astype(np.float32), "book")
    graph(path, nodes, [value("x", ["n", SIZE])], [value("z", ["n", 6])], [book])


@pytest.mark.slow
def test_what_no_slope_comes_through_makes_rows_all_the_same(tmp_path: Path) -> None:
    code_book(tmp_path / "generator.onnx")
    with opened(tmp_path) as given:
        assert isinstance(given, OpenedGenerator)
        assert not isinstance(given, DifferentiableGenerator)
        assert given.slopeless is not None
        assert given.slopeless.reason is GapReason.TWIN_UNSUPPORTED
        assert "through the generator" in given.slopeless.detail
        made = given.make(np.eye(SIZE))
    assert np.allclose(made, ROWS[:SIZE], atol=1e-6)


def test_rows_of_another_shape_are_named(tmp_path: Path) -> None:
    bent(tmp_path / "generator.onnx")
    said = refused(tmp_path, np.zeros((20, 2, 4)))
    assert "makes rows of shape [6], and a row of the data has the shape [2, 4]" in said
    decoder(tmp_path / "generator.onnx", np.random.default_rng(0).random((30, 24)), 3,
            shape=(2, 3, 4))  # fmt: skip
    assert "[2, 3, 4]" in refused(tmp_path, np.random.default_rng(0).random((20, 3, 4, 2)))


@pytest.mark.slow
def test_rows_of_another_range_are_named(tmp_path: Path) -> None:
    rows = np.random.default_rng(3).random((60, 6))
    decoder(tmp_path / "generator.onnx", rows * 255, SIZE)
    said = refused(tmp_path, rows, box(0, 1))
    assert "lie out of the input's range from 0 to 1" in said
    decoder(tmp_path / "generator.onnx", rows, SIZE)
    said = refused(tmp_path, rows * 255, box(0, 255))
    assert "hardly vary from row to row, where the data go from" in said
    with opened(tmp_path, rows, box(0, 1)) as given:
        assert given.size == SIZE


def graph(path: Path, nodes: list[object], *ends: list[object]) -> None:
    """Write a graph of these nodes, inputs, outputs and stored arrays."""
    made = helper.make_graph(nodes, "odd", *ends)
    sets = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(made, opset_imports=sets, ir_version=9), path)


def value(name: str, shape: list[object], kind: int = TensorProto.FLOAT) -> object:
    return helper.make_tensor_value_info(name, kind, shape)


def two_inputs(path: Path) -> None:
    nodes = [helper.make_node("Add", ["x", "y"], ["z"])]
    graph(path, nodes, [value("x", ["n", 6]), value("y", ["n", 6])], [value("z", ["n", 6])])


def open_size(path: Path) -> None:
    nodes = [helper.make_node("Neg", ["x"], ["z"])]
    graph(path, nodes, [value("x", ["n", "size"])], [value("z", ["n", "size"])])


def whole_numbers(path: Path) -> None:
    kind = TensorProto.INT64
    nodes = [helper.make_node("Neg", ["x"], ["z"])]
    graph(path, nodes, [value("x", ["n", 6], kind)], [value("z", ["n", 6], kind)])


def by_chance(path: Path) -> None:
    nodes = [
        helper.make_node("RandomNormalLike", ["x"], ["noise"]),
        helper.make_node("Add", ["x", "noise"], ["z"]),
    ]
    graph(path, nodes, [value("x", ["n", 6])], [value("z", ["n", 6])])


def not_a_number(path: Path) -> None:
    nodes = [helper.make_node("Log", ["x"], ["z"])]
    graph(path, nodes, [value("x", ["n", 6])], [value("z", ["n", 6])])


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (two_inputs, "has the inputs x, y and the outputs z"),
        (open_size, "does not say how many coordinates a latent point has"),
        (whole_numbers, "takes tensor(int64) of shape [n, 6]"),
        (by_chance, "makes other rows of the same latent points"),
        (not_a_number, "NaN or infinities"),
    ],
)
def test_what_is_no_generator_is_refused(
    tmp_path: Path, make: Callable[[Path], None], said: str
) -> None:
    make(tmp_path / "generator.onnx")
    assert said in refused(tmp_path)


def test_a_file_that_is_no_model_is_refused_by_the_runtime(tmp_path: Path) -> None:
    (tmp_path / "generator.onnx").write_bytes(b"\x08\x09")
    with pytest.raises((ArtifactError, ModelFailedError)), opened(tmp_path):
        pass
