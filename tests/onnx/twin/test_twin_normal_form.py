from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from small_models import interface, make_model, run, save, twin_of

from auditor.errors import TwinError
from auditor.onnx.graph import read_graph
from auditor.onnx.twin.build import build_twin

RNG = np.random.default_rng(2)
ROWS = RNG.normal(size=(5, 4)).astype(np.float32)
WEIGHTS = RNG.normal(size=(4, 3)).astype(np.float32)
BIAS = RNG.normal(size=3).astype(np.float32)
node = helper.make_node


def old_network(opset: int) -> onnx.ModelProto:
    """Return a network in the manner of its time: broadcasting told, weights listed as inputs."""
    relu = node("Relu", ["h"], ["r"], **({"consumed_inputs": [0]} if opset < 6 else {}))
    nodes = [
        node("Gemm", ["x", "w", "b"], ["h"], broadcast=1),
        relu,
        node("Add", ["r", "b"], ["scores"], broadcast=1, axis=1),
    ]
    model = make_model(nodes, {"w": WEIGHTS, "b": BIAS}, [2, 4], opset=opset)
    model.ir_version = 3
    for item in model.graph.initializer:
        model.graph.input.append(
            helper.make_tensor_value_info(item.name, TensorProto.FLOAT, list(item.dims))
        )
    model.graph.output[0].CopyFrom(
        helper.make_tensor_value_info("scores", TensorProto.FLOAT, [2, 3])
    )
    return model


@pytest.mark.parametrize("opset", [1, 2, 3, 4, 5, 6])
def test_a_file_older_than_opset_7_is_converted(tmp_path: Path, opset: int) -> None:
    twin = twin_of(old_network(opset), tmp_path, interface((4,)))
    wanted = np.maximum(ROWS @ WEIGHTS + BIAS, 0) + BIAS
    np.testing.assert_allclose(twin.forward(ROWS), wanted, rtol=1e-5, atol=1e-6)


def test_a_file_older_than_opset_7_that_does_not_convert_is_refused(tmp_path: Path) -> None:
    model = old_network(6)
    model.graph.node[0].op_type = "Upsample"
    model.graph.node[0].ClearField("attribute")
    with pytest.raises(TwinError, match=r"opset 6 of ai\.onnx, older than 7, and does not convert"):
        twin_of(model, tmp_path, interface((4,)))


def test_a_newer_file_keeps_its_opset() -> None:
    model = make_model([node("MatMul", ["x", "w"], ["scores"])], {"w": WEIGHTS}, ["n", 4], opset=9)
    assert [item.opset for item in read_graph(model).nodes] == [9]


def test_constants_are_read_wherever_they_stand(tmp_path: Path) -> None:
    values = numpy_helper.from_array(WEIGHTS)
    nodes = [
        node("Constant", [], ["held"], value=values),
        node("Identity", ["held"], ["again"]),
        node("Constant", [], ["two"], value_float=2.0),
        node("Constant", [], ["many"], value_floats=BIAS.tolist()),
        node("MatMul", ["x", "again"], ["z"]),
        node("Mul", ["z", "two"], ["d"]),
        node("Add", ["d", "many"], ["scores"]),
    ]
    model = make_model(nodes, {}, ["n", 4])
    assert {"held", "again", "two", "many"} <= read_graph(model).constants.keys()
    twin = twin_of(model, tmp_path, interface((4,)))
    np.testing.assert_allclose(twin.forward(ROWS), 2 * (ROWS @ WEIGHTS) + BIAS, rtol=1e-4)


@pytest.mark.parametrize("flat", [True, False])
def test_sparse_weights_get_their_zeros(tmp_path: Path, *, flat: bool) -> None:
    places = np.array([1, 5, 6]) if flat else np.array([[0, 1], [1, 2], [2, 0]])
    sparse = helper.make_sparse_tensor(
        helper.make_tensor("w", TensorProto.FLOAT, [3], [1.0, 2.0, 3.0]),
        numpy_helper.from_array(places, "places"),
        [4, 3],
    )
    model = make_model([node("MatMul", ["x", "w"], ["scores"])], {}, ["n", 4])
    model.graph.sparse_initializer.append(sparse)
    weights = np.zeros((4, 3), dtype=np.float32)
    weights[[0, 1, 2], [1, 2, 0]] = [1, 2, 3]
    twin = twin_of(model, tmp_path, interface((4,)))
    np.testing.assert_allclose(twin.forward(ROWS), ROWS @ weights, rtol=1e-5)


def test_the_standard_domain_also_goes_by_its_long_name(tmp_path: Path) -> None:
    model = make_model(
        [node("MatMul", ["x", "w"], ["scores"], domain="ai.onnx")], {"w": WEIGHTS}, ["n", 4]
    )
    model.opset_import[0].domain = "ai.onnx"
    twin = twin_of(model, tmp_path, interface((4,)))
    np.testing.assert_allclose(twin.forward(ROWS), ROWS @ WEIGHTS, rtol=1e-5)


def test_a_function_of_the_standard_is_written_out_with_its_defaults(tmp_path: Path) -> None:
    nodes = [
        node("MeanVarianceNormalization", ["x"], ["n"]),
        node("Flatten", ["n"], ["scores"]),
    ]
    path = save(make_model(nodes, {}, ["n", 2, 3, 3], opset=13), tmp_path)
    rows = RNG.normal(size=(4, 2, 3, 3)).astype(np.float32)
    twin = build_twin(path, interface((2, 3, 3)))
    np.testing.assert_allclose(twin.forward(rows), run(path, rows, "scores"), rtol=1e-4, atol=1e-5)


def test_group_normalisation_before_opset_21_scales_by_group(tmp_path: Path) -> None:
    # Only from opset 21 on is there a scale for each channel: before it is another function.
    nodes = [
        node("GroupNormalization", ["x", "s", "b"], ["n"], num_groups=2),
        node("Flatten", ["n"], ["scores"]),
    ]
    constants = {"s": BIAS[:2], "b": BIAS[1:]}
    path = save(make_model(nodes, constants, ["n", 4, 2, 2], opset=18), tmp_path)
    rows = RNG.normal(size=(3, 4, 2, 2)).astype(np.float32)
    twin = build_twin(path, interface((4, 2, 2)))
    grouped = rows.reshape(3, 2, -1)
    normal = (grouped - grouped.mean(2, keepdims=True)) / np.sqrt(
        grouped.var(2, keepdims=True) + 1e-5
    )
    wanted = normal * BIAS[:2].reshape(1, 2, 1) + BIAS[1:].reshape(1, 2, 1)
    np.testing.assert_allclose(twin.forward(rows), wanted.reshape(3, -1), rtol=1e-4, atol=1e-5)


def test_functions_of_another_opset_than_the_models_are_converted(tmp_path: Path) -> None:
    mean = helper.make_function(
        "local", "Mean1", ["a"], ["b"], [node("ReduceMean", ["a"], ["b"], axes=[1])],
        [helper.make_opsetid("", 13)],
    )  # fmt: skip
    nodes = [
        node("MatMul", ["x", "w"], ["m"]),
        node("Mean1", ["m"], ["scores"], domain="local"),
    ]
    model = make_model(nodes, {"w": WEIGHTS}, ["n", 4], opset=18)
    # The converter needs the types of what a function makes.
    model.graph.output[0].CopyFrom(
        helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["n", 1])
    )
    model.functions.append(mean)
    model.opset_import.append(helper.make_opsetid("local", 1))
    twin = twin_of(model, tmp_path, interface((4,)))
    wanted = (ROWS @ WEIGHTS).mean(axis=1, keepdims=True)
    np.testing.assert_allclose(twin.forward(ROWS), wanted, rtol=1e-4, atol=1e-6)
