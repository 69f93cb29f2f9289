from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper
from small_models import centred, interface, make_model, run, save, slope, twin_of

from auditor.errors import TwinError
from auditor.onnx.twin.build import build_twin, rows_per_run
from auditor.onnx.twin.torch_twin import TorchTwin

RNG = np.random.default_rng(5)
ROWS = RNG.random((6, 4), dtype=np.float32)
WEIGHTS = RNG.normal(size=(4, 3)).astype(np.float32)
node = helper.make_node


def linear(*after: onnx.NodeProto, into: str = "scores") -> onnx.ModelProto:
    first = node("MatMul", ["x", "w"], [into if not after else "z"])
    return make_model([first, *after], {"w": WEIGHTS}, ["n", 4])


def picture_classifier(batch: int | str = "n") -> onnx.ModelProto:
    """A convolutional network in the manner of opset 8 exports: automatic padding, fixed shapes."""
    leading = batch if isinstance(batch, int) else -1
    nodes = [
        node("Conv", ["x", "k"], ["c"], auto_pad="SAME_UPPER", kernel_shape=[5, 5]),
        node("Add", ["c", "b"], ["a"]),
        node("Relu", ["a"], ["r"]),
        node("MaxPool", ["r"], ["p"], kernel_shape=[2, 2], strides=[2, 2]),
        node("Reshape", ["p", "flat"], ["f"]),
        node("Reshape", ["w", "square"], ["v"]),
        node("MatMul", ["f", "v"], ["scores"]),
    ]
    constants: dict[str, NDArray[np.generic]] = {
        "k": RNG.normal(size=(3, 1, 5, 5)).astype(np.float32),
        "b": RNG.normal(size=(3, 1, 1)).astype(np.float32),
        "w": RNG.normal(size=(3, 4, 4, 5)).astype(np.float32),
        "flat": np.array([leading, 48]),
        "square": np.array([48, 5]),
    }
    return make_model(nodes, constants, [batch, 1, 8, 8], opset=8)


def test_a_network_of_opset_8_has_the_logits_of_the_runtime(tmp_path: Path) -> None:
    path = save(picture_classifier(), tmp_path)
    rows = RNG.random((5, 1, 8, 8), dtype=np.float32)
    logits = build_twin(path, interface((1, 8, 8))).forward(rows)
    np.testing.assert_allclose(logits, run(path, rows, "scores"), rtol=1e-4, atol=1e-4)


def test_gradients_are_those_of_the_runtime_by_central_differences(tmp_path: Path) -> None:
    path = save(smooth_classifier(), tmp_path)
    twin = build_twin(path, interface((1, 6, 6)))
    rows = RNG.random((4, 1, 6, 6), dtype=np.float32)
    cotangent = RNG.normal(size=(4, 3))
    twin.forward(rows)
    gradient = twin.backward(cotangent)
    for _ in range(8):
        way = RNG.normal(size=rows.shape)
        along = (gradient * way).reshape(4, -1).sum(axis=1)
        np.testing.assert_allclose(along, slope(path, rows, way, cotangent), rtol=0.02, atol=0.02)


def smooth_classifier() -> onnx.ModelProto:
    nodes = [
        node("Conv", ["x", "k"], ["c"], pads=[1, 1, 1, 1]),
        node("Tanh", ["c"], ["t"]),
        node("AveragePool", ["t"], ["p"], kernel_shape=[2, 2], strides=[2, 2]),
        node("Flatten", ["p"], ["f"]),
        node("Gemm", ["f", "w", "b"], ["g"], transB=1),
        node("Softplus", ["g"], ["scores"]),
    ]
    constants: dict[str, NDArray[np.generic]] = {
        "k": RNG.normal(size=(2, 1, 3, 3)).astype(np.float32),
        "w": RNG.normal(size=(3, 18)).astype(np.float32),
        "b": np.zeros(3, dtype=np.float32),
    }
    return make_model(nodes, constants, ["n", 1, 6, 6])


def test_a_fixed_batch_of_one_runs_on_many_rows_at_once(tmp_path: Path) -> None:
    path = save(picture_classifier(batch=1), tmp_path)
    rows = RNG.random((5, 1, 8, 8), dtype=np.float32)
    twin = build_twin(path, interface((1, 8, 8), fixed_batch=1))
    np.testing.assert_allclose(twin.forward(rows), run(path, rows, "scores"), rtol=1e-4, atol=1e-4)
    assert twin.backward(np.ones((5, 5))).shape == rows.shape
    assert twin._batch is None  # type: ignore[attr-defined]  # noqa: SLF001 -- not row by row


def test_a_fixed_batch_that_cannot_be_freed_runs_row_by_row(tmp_path: Path) -> None:
    # The mean over the batch axis is the row itself for one row, and no longer so for several.
    mean = node("ReduceMean", ["z", "axis"], ["scores"], keepdims=1)
    first = node("MatMul", ["x", "w"], ["z"])
    model = make_model([first, mean], {"w": WEIGHTS, "axis": np.array([0])}, [1, 4])
    path = save(model, tmp_path)
    twin = build_twin(path, interface((4,), fixed_batch=1))
    np.testing.assert_allclose(twin.forward(ROWS), run(path, ROWS, "scores"), rtol=1e-5)
    np.testing.assert_allclose(
        twin.backward(np.eye(3)[[0] * 6]), np.tile(WEIGHTS[:, 0], (6, 1)), rtol=1e-5
    )


@pytest.mark.parametrize("batch", [4, 7])
def test_a_fixed_batch_of_several_is_filled_up(tmp_path: Path, batch: int) -> None:
    reshape = node("Reshape", ["x", "shape"], ["f"])
    centre = node("ReduceMean", ["z", "axis"], ["m"], keepdims=1)
    nodes = [
        reshape,
        node("MatMul", ["f", "w"], ["z"]),
        centre,
        node("Mul", ["m", "zero"], ["o"]),
        node("Add", ["z", "o"], ["scores"]),
    ]
    constants: dict[str, NDArray[np.generic]] = {
        "w": WEIGHTS,
        "shape": np.array([batch, 4]),
        "axis": np.array([0]),
        "zero": np.zeros(1, dtype=np.float32),
    }
    path = save(make_model(nodes, constants, [batch, 4]), tmp_path)
    twin = build_twin(path, interface((4,), fixed_batch=batch))
    np.testing.assert_allclose(twin.forward(ROWS), ROWS @ WEIGHTS, rtol=1e-5)


def test_the_softmax_is_left_out_so_that_saturated_scores_have_gradients(tmp_path: Path) -> None:
    model = linear(node("Mul", ["z", "large"], ["y"]), node("Softmax", ["y"], ["scores"], axis=-1))
    model.graph.initializer.append(
        onnx.numpy_helper.from_array(np.array(1e4, dtype=np.float32), "large")
    )
    twin = twin_of(model, tmp_path, interface((4,), scores="probabilities"))
    np.testing.assert_allclose(twin.forward(ROWS), 1e4 * (ROWS @ WEIGHTS), rtol=1e-4)
    assert np.abs(twin.backward(np.eye(3)[[0] * 6])).min() > 0


@pytest.mark.parametrize(
    ("after", "constants"),
    [
        ([node("Softmax", ["z"], ["scores"])], {}),
        ([node("Exp", ["z"], ["e"]), node("Identity", ["e"], ["scores"])], {}),
        ([node("Sigmoid", ["z"], ["scores"])], {}),
        (
            [node("Softmax", ["z"], ["s"]), node("Mul", ["s", "half"], ["scores"])],
            {"half": np.array(0.5, dtype=np.float32)},
        ),
    ],
)
def test_probabilities_become_their_logarithms_up_to_a_constant(
    tmp_path: Path,
    after: Sequence[onnx.NodeProto],
    constants: dict[str, NDArray[np.generic]],
) -> None:
    nodes = [node("MatMul", ["x", "w"], ["z"]), *after]
    path = save(make_model(nodes, {"w": WEIGHTS, **constants}, ["n", 4]), tmp_path)
    twin = build_twin(path, interface((4,), scores="probabilities"))
    logarithms = np.log(run(path, ROWS, "scores"))
    np.testing.assert_allclose(centred(twin.forward(ROWS)), centred(logarithms), atol=1e-5)


@pytest.mark.parametrize("shape", ["column", "flat"])
def test_one_column_of_probability_becomes_two_logits(tmp_path: Path, shape: str) -> None:
    tail = [node("Sigmoid", ["z"], ["scores" if shape == "column" else "p"])]
    if shape == "flat":
        tail.append(node("Squeeze", ["p", "one"], ["scores"]))
    constants = {"w": WEIGHTS[:, :1], "one": np.array([1])}
    model = make_model([node("MatMul", ["x", "w"], ["z"]), *tail], constants, ["n", 4])
    twin = twin_of(model, tmp_path, interface((4,), scores="binary_probability"))
    margin = (ROWS @ WEIGHTS[:, :1])[:, 0]
    np.testing.assert_allclose(
        twin.forward(ROWS), np.column_stack([np.zeros(6), margin]), rtol=1e-5, atol=1e-6
    )


def test_one_column_without_a_sigmoid_becomes_log_odds(tmp_path: Path) -> None:
    clip = node("Clip", ["z", "low", "high"], ["scores"])
    constants = {
        "w": np.full((4, 1), 0.2, dtype=np.float32),
        "low": np.array(0.0, dtype=np.float32),
        "high": np.array(1.0, dtype=np.float32),
    }
    model = make_model([node("MatMul", ["x", "w"], ["z"]), clip], constants, ["n", 4])
    twin = twin_of(model, tmp_path, interface((4,), scores="binary_probability"))
    share = ROWS.sum(axis=1) * 0.2
    logits = twin.forward(ROWS)
    np.testing.assert_allclose(logits[:, 1] - logits[:, 0], np.log(share / (1 - share)), rtol=1e-4)


def test_one_column_of_logits_stands_beside_zero(tmp_path: Path) -> None:
    model = make_model([node("MatMul", ["x", "w"], ["scores"])], {"w": WEIGHTS[:, :1]}, ["n", 4])
    logits = twin_of(model, tmp_path, interface((4,), scores="binary_logit")).forward(ROWS)
    np.testing.assert_allclose(logits[:, 1], (ROWS @ WEIGHTS[:, :1])[:, 0], rtol=1e-5)
    assert not logits[:, 0].any()


def test_an_unknown_operator_is_named_with_domain_and_node(tmp_path: Path) -> None:
    odd = helper.make_node("Shuffle", ["z"], ["scores"], domain="com.example", name="odd")
    model = linear(odd)
    model.opset_import.append(helper.make_opsetid("com.example", 3))
    with pytest.raises(TwinError, match=r"com\.example::Shuffle \(opset 3, node 'odd'\)"):
        twin_of(model, tmp_path, interface((4,)))


def test_an_operator_that_the_scores_do_not_need_is_no_obstacle(tmp_path: Path) -> None:
    odd = helper.make_node("Shuffle", ["z"], ["label"], domain="com.example")
    model = linear(node("Identity", ["z"], ["scores"]), odd)
    model.opset_import.append(helper.make_opsetid("com.example", 3))
    np.testing.assert_allclose(
        twin_of(model, tmp_path, interface((4,))).forward(ROWS), ROWS @ WEIGHTS, rtol=1e-5
    )


def test_the_operator_that_cuts_the_gradient_is_named(tmp_path: Path) -> None:
    cut = node("Cast", ["z"], ["i"], to=TensorProto.INT64, name="to_whole")
    back = node("Cast", ["i"], ["scores"], to=TensorProto.FLOAT)
    with pytest.raises(TwinError, match=r"node 'to_whole'.* cuts it off"):
        twin_of(linear(cut, back), tmp_path, interface((4,))).forward(ROWS)


def test_a_second_input_is_refused(tmp_path: Path) -> None:
    model = linear(node("Add", ["z", "second"], ["scores"]))
    extra = helper.make_tensor_value_info("second", TensorProto.FLOAT, ["n", 3])
    model.graph.input.append(extra)
    with pytest.raises(TwinError, match="depend on x, second"):
        twin_of(model, tmp_path, interface((4,)))


def test_bytes_that_are_no_model_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(b"no model")
    with pytest.raises(TwinError, match=r"model\.onnx cannot be read"):
        build_twin(path, interface((4,)))


def test_weights_in_external_files_are_read_from_the_same_folder(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    onnx.save(
        linear(), str(path), save_as_external_data=True, location="weights.bin", size_threshold=0
    )
    assert (tmp_path / "weights.bin").exists()
    twin = build_twin(path, interface((4,)))
    np.testing.assert_allclose(twin.forward(ROWS), ROWS @ WEIGHTS, rtol=1e-5)


def test_functions_of_the_model_are_written_out(tmp_path: Path) -> None:
    double = helper.make_function(
        "local", "Double", ["a"], ["b"], [node("Add", ["a", "a"], ["b"])],
        [helper.make_opsetid("", 18)],
    )  # fmt: skip
    model = linear(helper.make_node("Double", ["z"], ["scores"], domain="local"))
    model.functions.append(double)
    model.opset_import.append(helper.make_opsetid("local", 1))
    twin = twin_of(model, tmp_path, interface((4,)))
    np.testing.assert_allclose(twin.forward(ROWS), 2 * (ROWS @ WEIGHTS), rtol=1e-5)


def test_a_gradient_needs_a_forward_pass_first(tmp_path: Path) -> None:
    with pytest.raises(TwinError, match="before a forward pass"):
        twin_of(linear(), tmp_path, interface((4,))).backward(np.ones((1, 3)))


def test_a_forward_pass_can_be_pulled_back_twice(tmp_path: Path) -> None:
    twin = twin_of(linear(), tmp_path, interface((4,)))
    twin.forward(ROWS)
    np.testing.assert_allclose(
        2 * twin.backward(np.ones((6, 3))), twin.backward(2 * np.ones((6, 3)))
    )


def test_runs_that_go_side_by_side_say_what_each_says_alone(tmp_path: Path) -> None:
    # Rows of so many numbers go two a run, on as many threads as there are processors
    side = 128
    weights = np.random.default_rng(3).normal(size=(3, 2 * side * side)).astype(np.float32)
    nodes = [
        helper.make_node("Flatten", ["x"], ["flat"]),
        helper.make_node("Tanh", ["flat"], ["bent"]),
        helper.make_node("Gemm", ["bent", "w"], ["scores"], transB=1),
    ]
    model = make_model(nodes, {"w": weights / side}, ["n", 2, side, side])
    found = interface((2, side, side))
    assert rows_per_run(found.input_shape) == 2
    twin = twin_of(model, tmp_path, found)
    rng = np.random.default_rng(4)
    rows = rng.normal(size=(7, 2, side, side)).astype(np.float32)
    pull = rng.normal(size=(7, 3))
    logits, gradient = twin.forward(rows), twin.backward(pull)
    again = twin.backward(pull)
    assert isinstance(twin, TorchTwin)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(twin, "_each", lambda run, *parts: list(map(run, *parts)))
        assert np.array_equal(twin.forward(rows), logits)
        assert np.array_equal(twin.backward(pull), gradient)
    assert np.array_equal(again, gradient)
    assert np.abs(gradient).max() > 0
