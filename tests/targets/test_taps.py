"""What a model's last layer is given: found in the graph, and read from the target."""

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import ModelProto, helper, numpy_helper
from skl2onnx import to_onnx
from sklearn.datasets import load_digits
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from tiny_models import Classes, Workshop

from auditor.domain.artifacts import Artifact
from auditor.domain.model_instrumentation import NO_LAYER, RowEmbeddings
from auditor.domain.readings import Gap
from auditor.domain.targets import TargetSpec
from auditor.domain.tasks import Array
from auditor.targets.instrumented_model import open_bench
from auditor.targets.sandbox.altered_models import LayerTap, expose_layer, find_layer_tap
from auditor.targets.session import open_model

CPU = TargetSpec("cpu", time_limit=60.0)
RNG = np.random.default_rng(0)
node = helper.make_node


def graph(nodes: Sequence[onnx.NodeProto], **weights: Array) -> ModelProto:
    """A graph from ``x`` to ``y`` of any shapes."""
    kept = [numpy_helper.from_array(np.asarray(held), name) for name, held in weights.items()]
    ends = [[helper.make_empty_tensor_value_info(name)] for name in ("x", "y")]
    return helper.make_model(helper.make_graph(list(nodes), "g", *ends, kept))


W = np.ones((3, 3), dtype=np.float32)


def seen(nodes: Sequence[onnx.NodeProto], **weights: Array) -> tuple[str, str, bool] | None:
    found = find_layer_tap(graph(nodes, **weights), "y")
    return None if found is None else (found.value, found.operator, found.given)


def test_the_input_of_the_last_product_is_found_behind_what_turns_it_into_scores() -> None:
    layers = [node("MatMul", ["x", "w"], ["a"]), node("Relu", ["a"], ["b"])]
    head = [node("MatMul", ["b", "w"], ["c"]), node("Add", ["c", "v"], ["d"])]
    weights = {"w": W, "v": W[0]}
    assert seen([*layers, *head, node("Softmax", ["d"], ["y"])], **weights) == (
        "b", "MatMul", False,
    )  # fmt: skip


def test_both_columns_of_one_probability_lead_to_the_same_layer() -> None:
    nodes = [
        node("Gemm", ["x", "w"], ["z"]),
        node("Sigmoid", ["z"], ["p"]),
        node("Sub", ["one", "p"], ["q"]),
        node("Concat", ["q", "p"], ["y"], axis=1),
    ]
    assert seen(nodes, w=W, one=W[0, :1]) == ("x", "Gemm", True)


def test_weights_that_are_stored_in_few_bits_are_weights_all_the_same() -> None:
    nodes = [
        node("Relu", ["x"], ["r"]),
        node("DequantizeLinear", ["w", "s"], ["f"]),
        node("MatMul", ["r", "f"], ["y"]),
    ]
    assert seen(nodes, w=W.astype(np.int8), s=W[0, 0]) == ("r", "MatMul", False)


def test_numbers_scaled_by_their_batch_are_taken_before_they_were_scaled() -> None:
    nodes = [
        node("Relu", ["x"], ["r"]),
        node("DynamicQuantizeLinear", ["r"], ["q", "s", "z"]),
        node("MatMulInteger", ["q", "w", "z"], ["i"]),
        node("Cast", ["i"], ["f"], to=1),
        node("Mul", ["f", "s"], ["y"]),
    ]
    assert seen(nodes, w=W.astype(np.int8)) == ("r", "MatMulInteger", False)


def test_a_product_of_two_things_that_vary_is_no_layer() -> None:
    nodes = [
        node("MatMul", ["x", "w"], ["q"]),
        node("MatMul", ["q", "x"], ["a"]),
        node("Softmax", ["a"], ["y"]),
    ]
    assert seen(nodes, w=W) is None


def test_a_layer_beside_which_something_leads_past_is_not_the_last() -> None:
    nodes = [
        node("MatMul", ["x", "w"], ["h"]),
        node("Relu", ["h"], ["r"]),
        node("MatMul", ["r", "w"], ["b"]),
        node("Add", ["b", "h"], ["y"]),  # a short cut
    ]
    assert seen(nodes, w=W) == ("x", "MatMul", True)
    deeper = [*nodes[:3], node("Relu", ["b"], ["c"]), node("MatMul", ["c", "w"], ["d"])]
    assert seen([*deeper, node("Add", ["d", "h"], ["y"])], w=W) == ("x", "MatMul", True)


def test_what_a_branch_reads_from_outside_counts() -> None:
    def branch(name: str, source: str) -> onnx.GraphProto:
        out = helper.make_empty_tensor_value_info(name)
        return helper.make_graph([node("Identity", [source], [name])], name, [], [out])

    nodes = [
        node("MatMul", ["x", "w"], ["h"]),
        node("ReduceMax", ["h"], ["m"], keepdims=0),
        node("Greater", ["m", "nil"], ["c"]),
        node("If", ["c"], ["y"], then_branch=branch("t", "h"), else_branch=branch("e", "h")),
    ]
    assert seen(nodes, w=W, nil=np.float32(0)) == ("x", "MatMul", True)


def test_a_file_is_left_as_it_was_when_bytes_with_one_more_output_are_made() -> None:
    model = graph([node("MatMul", ["x", "w"], ["h"]), node("MatMul", ["h", "w"], ["y"])], w=W)
    before = model.SerializeToString()
    more = onnx.load_from_string(expose_layer(model, "h"))
    assert [slot.name for slot in more.graph.output] == ["y", "h"]
    assert model.SerializeToString() == before
    assert [slot.name for slot in onnx.load_from_string(expose_layer(model, "y")).graph.output] == [
        "y"
    ]


def embedded(workshop: Workshop, artifact: Artifact, classes: Classes, rows: Array, count: int = 3,
             **more: str) -> RowEmbeddings | Gap:  # fmt: skip
    with ExitStack() as stack:
        task = classes(count, **more)
        model = stack.enter_context(open_model(CPU, workshop.folder, artifact, task, rows))
        bench = stack.enter_context(open_bench(CPU, workshop.folder, artifact, model))
        assert not isinstance(bench, Gap)
        return bench.embedding(rows)


def test_the_target_answers_with_the_inner_numbers_and_the_file_stays_as_it_is(
    workshop: Workshop, classes: Classes
) -> None:
    hidden = RNG.normal(size=(3, 6)).astype(np.float32)
    nodes = [
        workshop.node("MatMul", ["x", "a"], ["h"]),
        workshop.node("Relu", ["h"], ["r"]),
        workshop.node("Gemm", ["r", "w"], ["y"], name="head"),
    ]
    artifact = workshop.save(
        nodes, [workshop.value("x", ["N", 3])], [workshop.value("y", ["N", 3])],
        workshop.weights(a=hidden, w=RNG.normal(size=(6, 3)).astype(np.float32)),
    )  # fmt: skip
    raw = (workshop.folder / "model.onnx").read_bytes()
    rows = RNG.normal(size=(2100, 3)).astype(np.float32)
    found = embedded(workshop, artifact, classes, rows)
    assert isinstance(found, RowEmbeddings)
    assert (found.node, found.operator, found.given) == ("head", "Gemm", False)
    np.testing.assert_allclose(found.values, np.maximum(rows @ hidden, 0), rtol=1e-5, atol=1e-6)
    assert (workshop.folder / "model.onnx").read_bytes() == raw


def test_maps_before_a_last_convolution_are_averaged_over_their_places(
    workshop: Workshop, classes: Classes
) -> None:
    nodes = [
        workshop.node("Conv", ["x", "k"], ["h"]),
        workshop.node("Relu", ["h"], ["r"]),
        workshop.node("Conv", ["r", "w"], ["c"]),
        workshop.node("GlobalAveragePool", ["c"], ["p"]),
        workshop.node("Flatten", ["p"], ["y"]),
    ]
    rng = np.random.default_rng(5)  # scores that all lie in 0..1 by chance would be refused
    k, w = rng.normal(size=(5, 1, 1, 1)), rng.normal(size=(3, 5, 1, 1))
    artifact = workshop.save(
        nodes, [workshop.value("x", ["N", 1, 4, 4])], [workshop.value("y", ["N", 3])],
        workshop.weights(k=k.astype(np.float32), w=w.astype(np.float32)),
    )  # fmt: skip
    rows = rng.normal(size=(7, 1, 4, 4)).astype(np.float32)
    found = embedded(workshop, artifact, classes, rows)
    assert isinstance(found, RowEmbeddings)
    wanted = np.maximum(rows * k.reshape(1, 5, 1, 1), 0).mean(axis=(2, 3))
    np.testing.assert_allclose(found.values, wanted, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("kind", [LogisticRegression, GradientBoostingClassifier])
def test_of_a_model_that_is_one_operator_the_inputs_are_the_view(
    workshop: Workshop, classes: Classes, kind: type
) -> None:
    digits = load_digits()
    rows = digits.data[:300].astype(np.float32)
    limits = {"max_iter": 500} if kind is LogisticRegression else {"n_estimators": 2}
    model = kind(**limits).fit(rows, digits.target[:300])
    program = to_onnx(model, rows[:1], target_opset=17, options={"zipmap": False})
    artifact = workshop.keep(program.SerializeToString())
    found = embedded(workshop, artifact, classes, rows, 10)
    assert isinstance(found, RowEmbeddings)
    assert found.given
    np.testing.assert_array_equal(found.values, rows)


def test_where_rows_are_not_the_first_axis_there_is_no_view(
    workshop: Workshop, classes: Classes
) -> None:
    nodes = [
        workshop.node("Transpose", ["x"], ["t"]),
        workshop.node("MatMul", ["w", "t"], ["z"]),
        workshop.node("Transpose", ["z"], ["y"]),
    ]
    artifact = workshop.save(
        nodes, [workshop.value("x", ["N", 3])], [workshop.value("y", ["N", 4])],
        workshop.weights(w=RNG.normal(size=(4, 3)).astype(np.float32)),
    )  # fmt: skip
    rows = RNG.normal(size=(8, 3)).astype(np.float32)
    assert embedded(workshop, artifact, classes, rows, 4) == NO_LAYER


def test_a_tap_names_the_axis_of_its_channels() -> None:
    conv = graph([node("Conv", ["x", "w"], ["y"], name="c")], w=W)
    assert find_layer_tap(conv, "y") == LayerTap("x", "c", "Conv", 1, given=True)
    assert find_layer_tap(conv, "nothing") is None


def test_numbers_stored_beside_the_file_are_found_again(
    workshop: Workshop, classes: Classes, tmp_path: Path
) -> None:
    model = graph([node("MatMul", ["x", "w"], ["h"]), node("MatMul", ["h", "v"], ["y"])],
                  w=RNG.normal(size=(3, 400)).astype(np.float32),
                  v=RNG.normal(size=(400, 3)).astype(np.float32))  # fmt: skip
    del model.graph.input[:], model.graph.output[:]
    model.graph.input.append(workshop.value("x", ["N", 3]))
    model.graph.output.append(workshop.value("y", ["N", 3]))
    model.opset_import[0].version, model.ir_version = 17, 8
    target = workshop.folder / "model.onnx"
    onnx.save(model, target, save_as_external_data=True, location="w.bin", size_threshold=100)
    artifact = Artifact("tiny", "1", (workshop.digest("model.onnx"), workshop.digest("w.bin")))
    found = embedded(workshop, artifact, classes, RNG.normal(size=(9, 3)).astype(np.float32))
    assert isinstance(found, RowEmbeddings)
    assert found.values.shape == (9, 400)
