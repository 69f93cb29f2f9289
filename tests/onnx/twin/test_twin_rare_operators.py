"""Operators of the standard that it publishes no case of."""

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, helper
from operator_runs import Array, assert_same, one_operator
from small_models import interface, make_model, twin_of

from auditor.errors import TwinError
from auditor.onnx.graph import read_graph
from auditor.onnx.twin.torch_tensors import to_tensor
from auditor.onnx.twin.torch_twin import compile_graph

RNG = np.random.default_rng(3)
ROWS = RNG.normal(size=(5, 6)).astype(np.float32)
PLANES = RNG.normal(size=(2, 3, 8, 9)).astype(np.float32)
BOXES = np.array([[0, 1, 1, 6, 5], [1, 0, 2, 8, 7], [1, 3, 3, 3, 3]], dtype=np.float32)
node = helper.make_node

ALONE: list[tuple[str, int, dict[str, Array], dict[str, Any]]] = [
    ("GlobalLpPool", 18, {"x": PLANES}, {"p": 3}),
    ("MaxRoiPool", 18, {"x": PLANES, "rois": BOXES}, {"pooled_shape": [2, 3]}),
    (
        "Upsample", 9,
        {"x": PLANES, "s": np.array([1, 1, 2, 3], dtype=np.float32)}, {"mode": "linear"},
    ),
    ("Resize", 10, {"x": PLANES, "s": np.array([1, 1, 0.5, 2], dtype=np.float32)}, {}),
    ("Hardmax", 11, {"x": PLANES}, {"axis": 2}),
    ("TopK", 10, {"x": ROWS, "k": np.array([3])}, {}),
]  # fmt: skip


@pytest.mark.parametrize(("operator", "opset", "inputs", "attributes"), ALONE)
def test_an_operator_agrees_with_the_runtime(
    operator: str, opset: int, inputs: dict[str, Array], attributes: dict[str, Any]
) -> None:
    outputs = 2 if operator == "TopK" else 1
    model = one_operator(operator, inputs, opset=opset, outputs=outputs, attributes=attributes)
    assert_same(model, inputs)


def test_sequences_are_made_changed_and_joined() -> None:
    nodes = [
        node("Split", ["x", "lengths"], ["a", "b", "c"], axis=1),
        node("SequenceConstruct", ["a", "b", "c"], ["all"]),
        node("SequenceErase", ["all", "one"], ["two_left"]),
        node("SequenceErase", ["two_left"], ["one_left"]),
        node("SequenceAt", ["all", "last"], ["end"]),
        node("SequenceInsert", ["one_left", "end", "first"], ["swapped"]),
        node("SequenceLength", ["swapped"], ["count"]),
        node("ConcatFromSequence", ["swapped"], ["joined"], axis=1),
        node("ConcatFromSequence", ["swapped"], ["stacked"], axis=0, new_axis=1),
        node("Optional", ["joined"], ["maybe"]),
        node("OptionalGetElement", ["maybe"], ["scores"]),
    ]
    constants = {
        "lengths": np.array([2, 2, 2]), "one": np.array(1),
        "last": np.array(-1), "first": np.array(0),
    }  # fmt: skip
    outputs = ("scores", "stacked", "count")
    model = make_model(nodes, constants, ["n", 6], outputs=outputs)
    values = compile_graph(read_graph(model)).run({"x": to_tensor(ROWS)})
    session = onnxruntime.InferenceSession(model.SerializeToString())
    for name, wanted in zip(outputs, session.run(None, {"x": ROWS}), strict=True):
        np.testing.assert_array_equal(values[name].numpy(), wanted)


RANDOM = {
    "RandomNormal": ([], {"shape": [1, 6]}),
    "RandomUniform": ([], {"shape": [1, 6]}),
    "RandomNormalLike": (["x"], {}),
    "RandomUniformLike": (["x"], {}),
    "Bernoulli": (["x"], {}),
    "Multinomial": (["x"], {"dtype": TensorProto.INT32}),
}


@pytest.mark.parametrize("operator", list(RANDOM))
def test_a_model_that_draws_at_random_has_no_twin(tmp_path: Path, operator: str) -> None:
    inputs, attributes = RANDOM[operator]
    nodes = [
        node(operator, inputs, ["noise"], **attributes),
        node("Add", ["x", "noise"], ["scores"]),
    ]
    with pytest.raises(TwinError, match=rf"ai\.onnx::{operator} .* draws at random"):
        twin_of(make_model(nodes, {}, ["n", 6]), tmp_path, interface((6,))).forward(ROWS)
