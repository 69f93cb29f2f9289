from collections import Counter

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from one_node_models import by_both
from onnx import TensorProto, helper, numpy_helper

from auditor.onnx.graph import read_graph
from auditor.onnx.twin.qdq_fusion import fuse_operators

RNG = np.random.default_rng(4)
SCALES = {"sx": 0.02, "sw": 0.01, "sy": 0.0513}
node = helper.make_node


def linear(
    kind: type[np.generic] = np.uint8,
    *,
    before: tuple[onnx.NodeProto, ...] = (),
    after: tuple[onnx.NodeProto, ...] = (),
    low: int | None = None,
) -> onnx.ModelProto:
    """Return a product of a quantised row and quantised weights, quantised again."""
    zero = np.array(np.iinfo(kind).min if low is None else low, kind)
    nodes = [
        node("QuantizeLinear", ["i0", "sx", "zero"], ["qx"]),
        node("DequantizeLinear", ["qx", "sx", "zero"], ["x"]),
        node("DequantizeLinear", ["w", "sw", "zw"], ["v"]),
        node("MatMul", ["x", "v"], ["m" if before else "y"]),
        *before,
        node("QuantizeLinear", ["y", "sy", "zero"], ["qy"]),
        node("DequantizeLinear", ["qy", "sy", "zero"], ["o0"]),
        *after,
    ]
    constants: dict[str, NDArray[np.generic]] = {
        **{name: np.array(value, np.float32) for name, value in SCALES.items()},
        "zero": zero,
        "zw": np.array(0, np.int8),
        "w": RNG.integers(-128, 128, (6, 5)).astype(np.int8),
    }
    graph = helper.make_graph(
        nodes,
        "group",
        [helper.make_tensor_value_info("i0", TensorProto.FLOAT, ["n", 6])],
        [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 5])
            for name in ("o0", *(item.output[0] for item in after))
        ],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)


def operators(model: onnx.ModelProto) -> Counter[str]:
    return Counter(item.operator for item in fuse_operators(read_graph(model)).nodes)


def assert_exact(model: onnx.ModelProto) -> None:
    for wanted, found in by_both(model, RNG.normal(size=(400, 6)).astype(np.float32)):
        np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("kind", [np.uint8, np.int8])
def test_a_product_between_bytes_is_computed_in_integers(kind: type[np.generic]) -> None:
    model = linear(kind)
    ends = {"QuantizeLinear": 1, "QLinearMatMul": 1, "DequantizeLinear": 1}
    assert operators(model) == ends
    assert_exact(model)


def test_a_product_of_sixteen_bits_stays_as_it_is() -> None:
    model = linear(np.uint16)
    assert operators(model)["MatMul"] == 1
    kinds = [
        item.attributes.integer("output_dtype")
        for item in fuse_operators(read_graph(model)).nodes
        if item.operator == "QuantizeLinear"
    ]
    assert kinds == [TensorProto.UINT16, TensorProto.UINT16]


def test_a_product_that_someone_else_reads_stays_as_it_is() -> None:
    model = linear(after=(node("Identity", ["y"], ["seen"]),))
    assert operators(model)["MatMul"] == 1


def test_a_relu_that_saturation_repeats_is_left_out_and_any_other_stays() -> None:
    relu = (node("Relu", ["m"], ["y"]),)
    assert operators(linear(before=relu)) == operators(linear())
    assert_exact(linear(before=relu))
    kept = linear(before=relu, low=7)
    assert operators(kept)["Relu"] == 1
    assert operators(kept)["MatMul"] == 1
    assert_exact(kept)


def test_a_product_without_a_quantised_result_becomes_float_at_once() -> None:
    model = linear()
    del model.graph.node[4:]
    model.graph.node[3].output[0] = "o0"
    assert operators(model) == {"QuantizeLinear": 1, "MatMulIntegerToFloat": 1}
    assert_exact(model)


def test_what_is_fused_is_not_fused_again() -> None:
    once = fuse_operators(read_graph(linear(np.int8)))
    assert fuse_operators(once).nodes == once.nodes
