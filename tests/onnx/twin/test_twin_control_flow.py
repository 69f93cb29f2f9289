from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper
from small_models import interface, make_model, run, save, twin_of

from auditor.errors import TwinError
from auditor.onnx.graph import read_graph
from auditor.onnx.twin.build import build_twin
from auditor.onnx.twin.torch_tensors import to_tensor
from auditor.onnx.twin.torch_twin import compile_graph

RNG = np.random.default_rng(9)
ROWS = RNG.normal(size=(5, 4)).astype(np.float32)
WEIGHTS = RNG.normal(size=(4, 4)).astype(np.float32)
YES = np.array(1, dtype=np.bool_)
node = helper.make_node


def body(
    nodes: list[onnx.NodeProto], inputs: list[str], outputs: list[str], whole: int = 0
) -> onnx.GraphProto:
    """Return a sub-graph; its first ``whole`` inputs and outputs are an index and a condition."""
    kinds = [TensorProto.INT64, TensorProto.BOOL][:whole]
    into = [
        helper.make_tensor_value_info(name, *((kinds[place], []) if place < whole else (1, None)))
        for place, name in enumerate(inputs)
    ]
    out = [
        helper.make_tensor_value_info(
            name, *((TensorProto.BOOL, []) if whole and place == 0 else (1, None))
        )
        for place, name in enumerate(outputs)
    ]
    return helper.make_graph(nodes, "body", into, out)


def doubled_or_halved(condition: list[onnx.NodeProto], **constants: np.ndarray) -> onnx.ModelProto:
    then = body([node("Add", ["z", "z"], ["t"])], [], ["t"])
    other = body([node("Mul", ["z", "half"], ["e"])], [], ["e"])
    nodes = [
        node("MatMul", ["x", "w"], ["z"]),
        *condition,
        node("If", ["c"], ["scores"], then_branch=then, else_branch=other, name="fork"),
    ]
    half = np.array(0.5, dtype=np.float32)
    return make_model(nodes, {"w": WEIGHTS, "half": half, **constants}, ["n", 4], opset=18)


@pytest.mark.parametrize("taken", [True, False])
def test_a_branch_that_a_constant_chooses_is_taken(tmp_path: Path, *, taken: bool) -> None:
    model = doubled_or_halved([], c=np.array(taken, dtype=np.bool_))
    twin = twin_of(model, tmp_path, interface((4,)))
    factor = 2.0 if taken else 0.5
    np.testing.assert_allclose(twin.forward(ROWS), factor * (ROWS @ WEIGHTS), rtol=1e-5, atol=1e-5)
    gradient = twin.backward(np.eye(4)[[0] * 5])
    np.testing.assert_allclose(
        gradient, np.tile(factor * WEIGHTS[:, 0], (5, 1)), rtol=1e-5, atol=1e-5
    )


def test_an_unknown_operator_in_the_branch_that_is_not_taken_is_no_obstacle(tmp_path: Path) -> None:
    model = doubled_or_halved([], c=YES)
    odd = node("Shuffle", ["z"], ["e"], domain="com.example")
    other = next(item for item in model.graph.node[1].attribute if item.name == "else_branch")
    other.g.node[0].CopyFrom(odd)
    model.opset_import.append(helper.make_opsetid("com.example", 1))
    twin = twin_of(model, tmp_path, interface((4,)))
    np.testing.assert_allclose(twin.forward(ROWS), 2 * (ROWS @ WEIGHTS), rtol=1e-5, atol=1e-5)


def test_a_condition_on_shapes_is_asked_at_run_time(tmp_path: Path) -> None:
    condition = [
        node("Shape", ["z"], ["s"]),
        node("Gather", ["s", "one"], ["width"]),
        node("Greater", ["width", "three"], ["c"]),
    ]
    model = doubled_or_halved(condition, one=np.array(1), three=np.array(3))
    path = save(model, tmp_path)
    twin = build_twin(path, interface((4,)))
    np.testing.assert_allclose(twin.forward(ROWS), run(path, ROWS, "scores"), rtol=1e-5, atol=1e-5)


def by_values() -> onnx.ModelProto:
    condition = [
        node("ReduceSum", ["x"], ["sum"], keepdims=0),
        node("Greater", ["sum", "zero"], ["c"]),
    ]
    return doubled_or_halved(condition, zero=np.array(0, dtype=np.float32))


def test_a_condition_on_values_of_several_rows_is_refused(tmp_path: Path) -> None:
    twin = twin_of(by_values(), tmp_path, interface((4,)))
    with pytest.raises(TwinError, match=r"node 'fork'\) decides for a whole batch"):
        twin.forward(ROWS)


def test_a_condition_on_values_of_one_row_sends_each_row_its_own_way(tmp_path: Path) -> None:
    model = by_values()
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 1
    path = save(model, tmp_path)
    wanted = run(path, ROWS, "scores")
    assert len({bool(row.sum() > 0) for row in ROWS}) == 2
    twin = build_twin(path, interface((4,), fixed_batch=1))
    np.testing.assert_allclose(twin.forward(ROWS), wanted, rtol=1e-5, atol=1e-5)


def powers(times: np.ndarray) -> onnx.ModelProto:
    step = [
        node("MatMul", ["h", "w"], ["product"]),
        node("Tanh", ["product"], ["after"]),
        node("ReduceSum", ["after"], ["row"], keepdims=0),
        node("Identity", ["go"], ["on"]),
    ]
    inner = body(step, ["i", "go", "h"], ["on", "after", "row"], whole=2)
    nodes = [
        node("Loop", ["times", "", "x"], ["last", "sums"], body=inner, name="again"),
        node("ReduceSum", ["sums"], ["total"], keepdims=0),
        node("Add", ["last", "total"], ["scores"]),
    ]
    return make_model(nodes, {"times": times, "w": WEIGHTS}, ["n", 4], opset=18)


def test_a_loop_runs_as_often_as_it_says_and_gradients_come_back_through_it(tmp_path: Path) -> None:
    path = save(powers(np.array(3)), tmp_path)
    twin = build_twin(path, interface((4,)))
    np.testing.assert_allclose(twin.forward(ROWS), run(path, ROWS, "scores"), rtol=1e-5, atol=1e-6)
    cotangent, way = RNG.normal(size=(5, 4)), RNG.normal(size=(5, 4))
    along = float((twin.backward(cotangent) * way).sum())
    ahead, behind = (
        run(path, (ROWS + step * way).astype(np.float32), "scores") for step in (1e-2, -1e-2)
    )
    assert along == pytest.approx(float((cotangent * (ahead - behind)).sum()) / 2e-2, rel=0.02)


def test_a_loop_that_its_own_counter_ends_does_not_depend_on_the_rows(tmp_path: Path) -> None:
    step = [
        node("Less", ["i", "two"], ["on"]),
        node("Add", ["h", "h"], ["after"]),
    ]
    inner = body(step, ["i", "go", "h"], ["on", "after"], whole=2)
    nodes = [
        node("MatMul", ["x", "w"], ["z"]),
        node("Loop", ["", "yes", "z"], ["scores"], body=inner),
    ]
    constants = {"w": WEIGHTS, "two": np.array(2), "yes": YES}
    path = save(make_model(nodes, constants, ["n", 4], opset=18), tmp_path)
    twin = build_twin(path, interface((4,)))
    np.testing.assert_allclose(twin.forward(ROWS), run(path, ROWS, "scores"), rtol=1e-5, atol=1e-5)


def test_a_loop_that_the_rows_end_is_refused_for_several_of_them(tmp_path: Path) -> None:
    step = [
        node("Add", ["h", "h"], ["after"]),
        node("ReduceSum", ["after"], ["sum"], keepdims=0),
        node("Less", ["sum", "many"], ["on"]),
    ]
    inner = body(step, ["i", "go", "h"], ["on", "after"], whole=2)
    nodes = [
        node("MatMul", ["x", "w"], ["z"]),
        node("Loop", ["", "yes", "z"], ["scores"], body=inner, name="until"),
    ]
    many = np.array(9, dtype=np.float32)
    constants = {"w": WEIGHTS, "many": many, "yes": YES}
    twin = twin_of(make_model(nodes, constants, ["n", 4], opset=18), tmp_path, interface((4,)))
    with pytest.raises(TwinError, match=r"node 'until'\) decides for a whole batch"):
        twin.forward(ROWS)


@pytest.mark.parametrize("backwards", [0, 1])
def test_a_scan_agrees_with_the_runtime(tmp_path: Path, backwards: int) -> None:
    step = [node("Add", ["h", "column"], ["after"]), node("Tanh", ["after"], ["row"])]
    inner = body(step, ["h", "column"], ["after", "row"])
    scan = node(
        "Scan", ["start", "x"], ["last", "scores"], body=inner, num_scan_inputs=1,
        scan_input_axes=[1], scan_input_directions=[backwards],
        scan_output_axes=[1], scan_output_directions=[backwards],
    )  # fmt: skip
    model = make_model([scan], {"start": np.zeros(5, dtype=np.float32)}, ["n", 4], opset=18)
    path = save(model, tmp_path)
    twin = build_twin(path, interface((4,)))
    np.testing.assert_allclose(twin.forward(ROWS), run(path, ROWS, "scores"), rtol=1e-5, atol=1e-5)


def test_sub_graphs_inside_each_other_see_outer_values() -> None:
    deepest = body([node("Add", ["x", "w"], ["sum"])], [], ["sum"])
    other = body([node("Identity", ["x"], ["same"])], [], ["same"])
    fork = node("If", ["yes"], ["made"], then_branch=deepest, else_branch=other)
    step = [fork, node("Mul", ["h", "made"], ["after"]), node("Identity", ["go"], ["on"])]
    inner = body(step, ["i", "go", "h"], ["on", "after"], whole=2)
    nodes = [node("Loop", ["times", "", "x"], ["scores"], body=inner)]
    constants = {"times": np.array(2), "yes": YES, "w": WEIGHTS[0]}
    model = make_model(nodes, constants, ["n", 4], opset=18)
    wanted = onnxruntime.InferenceSession(model.SerializeToString()).run(None, {"x": ROWS})[0]
    found = compile_graph(read_graph(model)).run({"x": to_tensor(ROWS)})["scores"]
    np.testing.assert_allclose(found.numpy(), wanted, rtol=1e-5, atol=1e-5)
