from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray
from one_node_models import MICROSOFT, Array, Inputs, assert_close, by_both, one_node
from onnx import TensorProto, helper, numpy_helper

from auditor.errors import TwinError

RNG = np.random.default_rng(7)


def floats(*shape: int) -> NDArray[np.float32]:
    return RNG.normal(size=shape).astype(np.float32)


@pytest.mark.parametrize(
    ("operator", "inputs", "settings"),
    [
        ("Gelu", [floats(5, 20)], {}),
        ("BiasGelu", [floats(5, 20), floats(20)], {}),
        ("FastGelu", [floats(5, 20)], {}),
        ("FastGelu", [floats(5, 20), floats(20)], {}),
        ("QuickGelu", [floats(5, 20)], {}),
        ("QuickGelu", [floats(5, 20)], {"alpha": 1.3}),
    ],
)
def test_activations_are_those_of_the_runtime(
    operator: str, inputs: Inputs, settings: dict[str, Any]
) -> None:
    assert_close(operator, inputs, **settings)


CONVOLVED = [
    {}, {"activation": "Relu"}, {"activation": "Tanh"}, {"activation": "Sigmoid"},
    {"activation": "LeakyRelu", "activation_params": [0.2]},
    {"activation": "Clip", "activation_params": [-0.5, 0.5]},
    {"activation": "HardSigmoid", "activation_params": [0.3, 0.4]},
]  # fmt: skip


@pytest.mark.parametrize("settings", CONVOLVED)
@pytest.mark.parametrize("summed", [False, True])
def test_convolutions_are_activated_after_the_summand(
    settings: dict[str, Any], *, summed: bool
) -> None:
    inputs = [floats(2, 3, 8, 8), floats(4, 3, 3, 3), floats(4)]
    more = [floats(2, 4, 8, 8)] if summed else []
    assert_close("FusedConv", [*inputs, *more], pads=[1] * 4, **settings)


@pytest.mark.parametrize(
    "settings",
    [
        {"activation": "Relu"},
        {"activation": "Tanh"},
        {"activation": "LeakyRelu", "activation_alpha": 0.2},
        {"activation": "HardSigmoid", "activation_alpha": 0.3, "activation_beta": 0.4},
    ],
)
def test_general_products_are_activated(settings: dict[str, Any]) -> None:
    inputs = [floats(5, 8), floats(6, 8), floats(6)]
    assert_close("FusedGemm", inputs, transB=1, alpha=0.7, beta=0.3, **settings)


@pytest.mark.parametrize(
    ("left", "right", "settings"),
    [
        ((2, 8, 5), (2, 6, 8), {"transA": 1, "transB": 1, "alpha": 0.3}),
        ((5, 2, 3, 8), (5, 2, 3, 8), {"transBatchA": 1, "transBatchB": 1, "transB": 1}),
        ((8, 2, 3, 5), (2, 3, 8, 6), {"transBatchA": 1, "transA": 1}),
        ((8, 2, 5), (2, 8, 6), {"transBatchA": 1, "transA": 1}),
    ],
)
def test_factors_are_turned_as_the_runtime_turns_them(
    left: tuple[int, ...], right: tuple[int, ...], settings: dict[str, Any]
) -> None:
    assert_close("FusedMatMul", [floats(*left), floats(*right)], **settings)


def test_layers_are_normalised_with_and_without_what_skips_them() -> None:
    x, skip, weights = floats(5, 3, 20), floats(5, 3, 20), floats(20)
    plain = {"axis": -1, "epsilon": 1e-5}
    assert_close("SimplifiedLayerNormalization", [x, weights], domain="", stash_type=1, **plain)
    skipping = [x, skip, weights, floats(20), floats(20)]
    assert_close("SkipLayerNormalization", skipping, epsilon=1e-5)
    assert_close("SkipLayerNormalization", skipping[:3], epsilon=1e-12)
    assert_close("SkipSimplifiedLayerNormalization", [x, skip, weights, floats(20)], epsilon=1e-5)


def test_the_sum_of_what_is_skipped_comes_out_in_fourth_place() -> None:
    inputs = [floats(5, 3, 20), floats(5, 3, 20), floats(20), floats(20)]
    model = one_node("SkipLayerNormalization", inputs, outputs=4)
    model.graph.node[0].output[1] = model.graph.node[0].output[2] = ""
    del model.graph.output[1:3]
    for wanted, found in by_both(model, inputs[0]):
        np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)


def packed(rows: int, columns: int, *, bits: int, block: int) -> tuple[Array, Array, Array]:
    blocks = -(-columns // block)
    values = RNG.integers(0, 256, (rows, blocks, block * bits // 8)).astype(np.uint8)
    zeros = RNG.integers(0, 256, rows * -(-blocks * bits // 8)).astype(np.uint8)
    return values, RNG.uniform(0.01, 0.1, rows * blocks).astype(np.float32), zeros


@pytest.mark.parametrize("bits", [2, 4, 8])
@pytest.mark.parametrize(("columns", "block"), [(80, 32), (64, 16)])
@pytest.mark.parametrize("with_zeros", [False, True])
def test_weights_of_few_bits_are_unpacked(
    bits: int, columns: int, block: int, *, with_zeros: bool
) -> None:
    values, scales, zeros = packed(7, columns, bits=bits, block=block)
    inputs = [floats(4, columns), values, scales, *([zeros] if with_zeros else [])]
    model = one_node("MatMulNBits", inputs, bits=bits, block_size=block, K=columns, N=7)
    for wanted, found in by_both(model, inputs[0]):
        np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=5e-4)


MASKS: list[Array | None] = [
    None,
    np.array([[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]], np.int32),
    np.array([3, 5], np.int32),
    np.tril(np.ones((2, 5, 5), np.int32)),
]


@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("causal", [0, 1])
def test_tokens_attend_to_each_other(mask: Array | None, causal: int) -> None:
    inputs = [floats(2, 5, 12), floats(12, 36), floats(36), mask]
    assert_close("Attention", inputs, num_heads=3, unidirectional=causal)


def test_attention_takes_an_addition_to_its_scores() -> None:
    inputs = [floats(2, 5, 12), floats(12, 36), floats(36), None, None, floats(1, 3, 5, 5)]
    assert_close("Attention", inputs, num_heads=3)


def test_queries_attend_to_keys_of_their_own() -> None:
    query, key, value = floats(2, 5, 12), floats(2, 7, 12), floats(2, 7, 12)
    hidden = np.array([[1] * 5 + [0] * 2, [1] * 7], np.int32)
    assert_close("MultiHeadAttention", [query, key, value, floats(36)], num_heads=3)
    assert_close("MultiHeadAttention", [query, key, value], num_heads=3, scale=0.5)
    assert_close("MultiHeadAttention", [query, key, value, None, hidden], num_heads=3)
    split = [query, floats(2, 3, 7, 4), floats(2, 3, 7, 4)]
    assert_close("MultiHeadAttention", split, num_heads=3)


def test_attention_with_a_memory_is_refused() -> None:
    inputs = [floats(2, 5, 12), floats(12, 36), floats(36), None, floats(2, 2, 3, 2, 4)]
    with pytest.raises(TwinError, match="attention with a memory"):
        by_both(one_node("Attention", inputs, outputs=2, num_heads=3), inputs[0])


def test_what_the_runtime_fuses_and_writes_out_has_the_same_scores(tmp_path: Path) -> None:
    names = {"w": floats(12, 16), "b": floats(16), "v": floats(16, 4), "k": floats(4, 3, 3, 3)}
    node = helper.make_node
    nodes = [
        node("Conv", ["x", "k"], ["c"], pads=[1] * 4), node("Relu", ["c"], ["r"]),
        node("ReduceMean", ["r", "axes"], ["m"], keepdims=0), node("MatMul", ["m", "w"], ["h"]),
        node("Add", ["h", "b"], ["a"]), node("Gelu", ["a"], ["g"]),
        node("MatMul", ["g", "v"], ["y"]),
    ]  # fmt: skip
    constants = {**names, "axes": np.array([3]), "w": floats(6, 16)}
    graph = helper.make_graph(
        nodes, "fusible",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [2, 3, 6, 6])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [2, 4, 6, 4])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )  # fmt: skip
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.optimized_model_filepath = str(tmp_path / "fused.onnx")
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    fused = onnx.load(str(tmp_path / "fused.onnx"))
    assert MICROSOFT in {item.domain for item in fused.graph.node}
    fused.graph.input[0].name = "i0"
    for item in fused.graph.node:
        item.input[:] = ["i0" if name == "x" else name for name in item.input]
    for wanted, found in by_both(fused, floats(2, 3, 6, 6)):
        np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)
