from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from small_models import interface, make_model, run, save

from auditor.errors import TwinError
from auditor.onnx.graph import read_graph
from auditor.onnx.twin.build import build_twin
from auditor.onnx.twin.torch_twin import INTERNAL, add_straight_through, compile_graph

RNG = np.random.default_rng(4)
ROWS = (3 * RNG.normal(size=(6, 4))).astype(np.float32)
WEIGHTS = RNG.normal(size=(4, 3)).astype(np.float32)
node = helper.make_node
LAST = node("MatMul", ["r", "w"], ["scores"])


def model_of(*nodes: onnx.NodeProto, **constants: np.ndarray) -> onnx.ModelProto:
    return make_model([*nodes, LAST], {"w": WEIGHTS, **constants}, ["n", 4], opset=18)


def gradient_and_scores(model: onnx.ModelProto, folder: Path) -> tuple[np.ndarray, np.ndarray]:
    path = save(model, folder)
    twin = build_twin(path, interface((4,)))
    scores = twin.forward(ROWS)
    np.testing.assert_allclose(scores, run(path, ROWS, "scores"), rtol=1e-5, atol=1e-5)
    return twin.backward(np.eye(3)[[0] * 6]), scores


@pytest.mark.parametrize("operator", ["Round", "Floor", "Ceil"])
def test_a_gradient_passes_a_rounding_as_if_it_were_not_there(
    tmp_path: Path, operator: str
) -> None:
    gradient, _ = gradient_and_scores(model_of(node(operator, ["x"], ["r"])), tmp_path)
    np.testing.assert_allclose(gradient, np.tile(WEIGHTS[:, 0], (6, 1)), rtol=1e-6)


def test_a_gradient_passes_a_sign_near_zero_alone(tmp_path: Path) -> None:
    gradient, _ = gradient_and_scores(model_of(node("Sign", ["x"], ["r"])), tmp_path)
    near = np.abs(ROWS) <= 1
    np.testing.assert_allclose(gradient, near * WEIGHTS[:, 0], rtol=1e-6)


def test_a_gradient_passes_a_cast_to_integers_and_back(tmp_path: Path) -> None:
    model = model_of(
        node("Cast", ["x"], ["i"], to=TensorProto.INT64),
        node("Cast", ["i"], ["r"], to=TensorProto.FLOAT),
    )
    gradient, _ = gradient_and_scores(model, tmp_path)
    np.testing.assert_allclose(gradient, np.tile(WEIGHTS[:, 0], (6, 1)), rtol=1e-6)


def test_a_gradient_passes_arithmetic_on_integers(tmp_path: Path) -> None:
    model = model_of(
        node("Cast", ["x"], ["i"], to=TensorProto.INT32),
        node("Mul", ["i", "three"], ["m"]),
        node("Clip", ["m", "low", "high"], ["c"]),
        node("Transpose", ["c"], ["t"]),
        node("Transpose", ["t"], ["u"]),
        node("Cast", ["u"], ["r"], to=TensorProto.FLOAT),
        three=np.array(3, dtype=np.int32),
        low=np.array(-6, dtype=np.int32),
        high=np.array(6, dtype=np.int32),
    )
    gradient, _ = gradient_and_scores(model, tmp_path)
    inside = np.abs(3 * ROWS) < 6
    np.testing.assert_allclose(gradient, 3 * inside * WEIGHTS[:, 0], rtol=1e-5)


def test_integers_keep_their_exact_values(tmp_path: Path) -> None:
    # 2 ** 24 + 1 is no float32: real numbers beside the integers must not replace them.
    model = model_of(
        node("Cast", ["x"], ["i"], to=TensorProto.INT64),
        node("Add", ["i", "large"], ["l"]),
        node("Sub", ["l", "large"], ["s"]),
        node("Cast", ["s"], ["r"], to=TensorProto.FLOAT),
        large=np.array(2**24 + 1),
    )
    gradient, scores = gradient_and_scores(model, tmp_path)
    np.testing.assert_allclose(scores, np.trunc(ROWS) @ WEIGHTS, rtol=1e-5, atol=1e-5)
    assert gradient.any()


def test_an_arg_max_cuts_the_gradient_and_is_named(tmp_path: Path) -> None:
    model = model_of(
        node("ArgMax", ["x"], ["best"], axis=1, keepdims=1, name="winner"),
        node("Cast", ["best"], ["f"], to=TensorProto.FLOAT),
        node("Mul", ["f", "ones"], ["r"]),
        ones=np.ones(4, dtype=np.float32),
    )
    with pytest.raises(TwinError, match=r"node 'winner'.* cuts it off"):
        build_twin(save(model, tmp_path), interface((4,))).forward(ROWS)


def test_a_comparison_cuts_the_gradient_and_is_named(tmp_path: Path) -> None:
    model = model_of(
        node("Greater", ["x", "zero"], ["above"], name="step"),
        node("Cast", ["above"], ["r"], to=TensorProto.FLOAT),
        zero=np.array(0, dtype=np.float32),
    )
    with pytest.raises(TwinError, match=r"node 'step'.* cuts it off"):
        build_twin(save(model, tmp_path), interface((4,))).forward(ROWS)


def test_ways_that_lead_nowhere_are_not_built() -> None:
    model = model_of(
        node("Cast", ["x"], ["i"], to=TensorProto.INT64),
        node("Add", ["i", "i"], ["j"]),
        node("Floor", ["x"], ["r"]),
    )
    graph = add_straight_through(read_graph(model))
    assert [item for item in graph.nodes if item.domain == INTERNAL] == []


def test_a_graph_gets_its_straight_ways_once() -> None:
    model = model_of(
        node("Cast", ["x"], ["i"], to=TensorProto.INT64),
        node("Cast", ["i"], ["r"], to=TensorProto.FLOAT),
    )
    once = add_straight_through(read_graph(model))
    assert add_straight_through(once) is once
    assert len(compile_graph(compile_graph(once).graph).steps) == len(once.nodes)
