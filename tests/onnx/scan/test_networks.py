"""A network has one digest however its file is written, and another once anything in it changes."""

import random
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper
from written_networks import FLOAT, SAME, made, save_outside, weight_of

from auditor.onnx.network_digest import network_digest


def digest_of(model: onnx.ModelProto, folder: Path) -> str | None:
    path = folder / "model.onnx"
    path.write_bytes(model.SerializeToString())
    return network_digest(path, folder)


def answers(path: Path) -> np.ndarray:
    rows = np.array([[1, 2, 3], [-1, 0.5, 2]], np.float32)
    session = onnxruntime.InferenceSession(path)
    return np.asarray(session.run(None, {session.get_inputs()[0].name: rows})[0])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("networks")


@settings(max_examples=80, deadline=None)
@given(
    changes=st.lists(st.sampled_from(sorted(SAME)), min_size=1, max_size=6), seed=st.integers(0, 99)
)
def test_no_way_of_writing_a_network_changes_its_digest(
    folder: Path, changes: list[str], seed: int
) -> None:
    model, draw = made(seed % 3), random.Random(seed)  # noqa: S311 -- which way of writing
    digest = digest_of(model, folder)
    assert digest is not None
    for name in changes:
        SAME[name](model, draw)
    assert digest_of(model, folder) == digest


@pytest.mark.parametrize("name", [*SAME, "outside"])
def test_other_ways_of_writing_answer_as_the_network_does(tmp_path: Path, name: str) -> None:
    model = made()
    digest, before = digest_of(model, tmp_path), answers(tmp_path / "model.onnx")
    bytes_before = (tmp_path / "model.onnx").read_bytes()
    if name == "outside":
        (tmp_path / "apart").mkdir()
        path = save_outside(model, tmp_path / "apart")
    else:
        SAME[name](model, random.Random(1))  # noqa: S311 -- which way of writing
        path = tmp_path / "model.onnx"
        path.write_bytes(model.SerializeToString())
    assert path.read_bytes() != bytes_before
    assert np.array_equal(answers(path), before)
    assert network_digest(path, path.parent) == digest


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_any_weight_that_changes_by_a_bit_makes_another_network(
    folder: Path, data: st.DataObject
) -> None:
    model = made()
    digest = digest_of(model, folder)
    inner = [it.g for node in model.graph.node for it in node.attribute if it.HasField("g")]
    tensors = [it for graph in (model.graph, *inner) for it in graph.initializer]
    tensor = data.draw(st.sampled_from(tensors))
    raw = bytearray(tensor.raw_data)
    raw[data.draw(st.integers(0, len(raw) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    tensor.raw_data = bytes(raw)
    assert digest_of(model, folder) != digest


def node_of(model: onnx.ModelProto, kind: str) -> onnx.NodeProto:
    found: onnx.NodeProto = next(it for it in model.graph.node if it.op_type == kind)
    return found


def set_attribute(model: onnx.ModelProto, kind: str, name: str, value: object) -> None:
    node = node_of(model, kind)
    kept = [it for it in node.attribute if it.name != name]
    del node.attribute[:]
    node.attribute.extend([*kept, helper.make_attribute(name, value)])


def turn(model: onnx.ModelProto, kind: str) -> None:
    node = node_of(model, kind)
    node.input[:] = list(reversed(node.input))


def inside(model: onnx.ModelProto, kind: str) -> onnx.GraphProto:
    found: onnx.GraphProto = node_of(model, kind).attribute[0].g
    return found


CHANGES: dict[str, Callable[[onnx.ModelProto], object]] = {
    "another operator": lambda m: setattr(node_of(m, "LeakyRelu"), "op_type", "Elu"),
    "another domain": lambda m: setattr(node_of(m, "Softmax"), "domain", "other"),
    "a number of an attribute": lambda m: set_attribute(m, "LeakyRelu", "alpha", 0.3),
    "another default": lambda m: set_attribute(m, "Gemm", "alpha", 0.5),
    "an axis": lambda m: set_attribute(m, "Softmax", "axis", 0),
    "what is taken from what": lambda m: turn(m, "Sub"),
    "a layer less": lambda m: setattr(m.graph.output[0], "name", "h8"),
    "a branch": lambda m: setattr(inside(m, "If").node[0], "op_type", "Abs"),
    "a branch's value": lambda m: inside(m, "If").node[0].input.__setitem__(0, "h4"),
    "what a loop carries": lambda m: inside(m, "Loop").node[2].input.__setitem__(0, "carried"),
    "a call's attribute": lambda m: set_attribute(m, "Scaled", "by", 0.25),
    "a function's operator": lambda m: setattr(m.functions[0].node[1], "op_type", "Div"),
    "a shape": lambda m: weight_of(m, "shift").dims.__setitem__(slice(None), [1, 2]),
    "a type": lambda m: setattr(weight_of(m, "codes"), "data_type", TensorProto.UINT8),
    "an input's type": lambda m: setattr(
        m.graph.input[0].type.tensor_type, "elem_type", TensorProto.DOUBLE
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_whatever_else_changes_in_a_network_makes_another_one(tmp_path: Path, change: str) -> None:
    model = made()
    digest = digest_of(model, tmp_path)
    CHANGES[change](model)
    assert digest_of(model, tmp_path) != digest


@pytest.mark.parametrize("kind", [
    TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.FLOAT16, TensorProto.BFLOAT16,
    TensorProto.INT8, TensorProto.UINT8, TensorProto.INT16, TensorProto.UINT16, TensorProto.INT32,
    TensorProto.UINT32, TensorProto.INT64, TensorProto.UINT64, TensorProto.BOOL,
    TensorProto.FLOAT8E4M3FN, TensorProto.INT4, TensorProto.COMPLEX64,
])  # fmt: skip
def test_numbers_of_every_type_are_the_same_in_fields_of_their_own(
    tmp_path: Path, kind: int
) -> None:
    numbers = [1, 0, 1, 1] if kind == TensorProto.BOOL else [1, 2, 3, 4]
    typed = helper.make_tensor("w", kind, [4], numbers)
    raw = TensorProto(name="w", data_type=kind, dims=[4])
    raw.raw_data = numpy_helper.from_array(numpy_helper.to_array(typed)).raw_data
    assert not typed.HasField("raw_data")
    digests = {digest_of(passing(tensor), tmp_path) for tensor in (typed, raw)}
    assert len(digests) == 1


def passing(*weights: onnx.TensorProto, nodes: tuple[onnx.NodeProto, ...] = ()) -> onnx.ModelProto:
    """A network that gives out its weight."""
    answer = helper.make_tensor_value_info("w", FLOAT, None)
    return helper.make_model(helper.make_graph(list(nodes), "g", [], [answer], list(weights)))


def test_an_infinity_and_a_nan_are_numbers_like_others(tmp_path: Path) -> None:
    found = set()
    for number in (float("nan"), float("inf"), -0.0, 0.0):
        raw = helper.make_tensor("w", FLOAT, [1], struct.pack("<f", number), raw=True)
        found.add(digest_of(passing(raw), tmp_path))
    assert len(found) == 4


def chained(many: int) -> onnx.ModelProto:
    """Layers upon layers, so many that who calls itself for each would not return."""
    nodes = [helper.make_node("Relu", [f"v{at}"], [f"v{at + 1}"]) for at in range(many)]
    nodes.append(helper.make_node("Neg", [f"v{many}"], ["w"]))
    return passing(helper.make_tensor("v0", FLOAT, [1], [1.0]), nodes=tuple(nodes))


def test_a_network_may_be_thousands_of_layers_deep(tmp_path: Path) -> None:
    assert digest_of(chained(3_000), tmp_path) != digest_of(chained(3_001), tmp_path)


def calling(levels: int) -> onnx.ModelProto:
    """A function that calls a function twice, and so on: 2 ** ``levels`` nodes if written out."""
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("own", 1)]
    functions = [
        helper.make_function(
            "own", f"F{at}", ["a"], ["b"],
            [helper.make_node(f"F{at - 1}", ["a"], ["c"], domain="own"),
             helper.make_node(f"F{at - 1}", ["c"], ["b"], domain="own")]
            if at else [helper.make_node("Relu", ["a"], ["b"])],
            opsets,
        )
        for at in range(levels + 1)
    ]  # fmt: skip
    model = passing(
        helper.make_tensor("v", FLOAT, [1], [1.0]),
        nodes=(helper.make_node(f"F{levels}", ["v"], ["w"], domain="own"),),
    )
    model.functions.extend(functions)
    return model


@pytest.mark.slow
def test_functions_that_would_never_end_have_no_digest(tmp_path: Path) -> None:
    assert digest_of(calling(40), tmp_path) is None


def test_functions_are_what_their_bodies_are(tmp_path: Path) -> None:
    model = chained(7)
    node = model.graph.node[-1]
    node.op_type = "Relu"
    assert digest_of(calling(3), tmp_path) == digest_of(model, tmp_path)
    itself = calling(0)
    itself.functions[0].node[0].op_type, itself.functions[0].node[0].domain = "F0", "own"
    assert digest_of(itself, tmp_path) is None


def test_a_function_under_the_name_of_an_operator_that_runs_instead_changes_nothing(
    tmp_path: Path,
) -> None:
    model = chained(1)
    digest = digest_of(model, tmp_path)
    junk = [helper.make_node("Abs", ["a"], ["b"])]
    opsets = [helper.make_opsetid("", 17)]
    model.functions.append(helper.make_function("", "Relu", ["a"], ["b"], junk, opsets))
    assert digest_of(model, tmp_path) == digest


def test_a_graph_that_no_runtime_takes_ends_too(tmp_path: Path) -> None:
    weight = helper.make_tensor("v0", FLOAT, [1], [1.0])
    circle = (helper.make_node("Add", ["b", "v0"], ["a"]), helper.make_node("Relu", ["a"], ["b"]),
              helper.make_node("Neg", ["b"], ["w"]))  # fmt: skip
    assert digest_of(passing(weight, nodes=circle), tmp_path) is not None
    nowhere = (helper.make_node("Neg", ["nothing"], ["w"]),)
    assert digest_of(passing(weight, nodes=nowhere), tmp_path) is not None


@settings(max_examples=50, deadline=None)
@given(at=st.integers(0, 2000), byte=st.integers(0, 255))
def test_a_file_with_a_broken_byte_has_a_digest_or_none(folder: Path, at: int, byte: int) -> None:
    raw = bytearray(made().SerializeToString())
    raw[at % len(raw)] = byte
    path = folder / "broken.onnx"
    path.write_bytes(raw)
    found = network_digest(path, folder)
    assert found is None or found.startswith("sha256:")


def test_what_is_no_onnx_file_has_no_digest(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    for raw in (b"", b"no model", onnx.ModelProto(producer_name="p").SerializeToString()):
        path.write_bytes(raw)
        assert network_digest(path, tmp_path) is None


def test_weights_outside_that_are_read_too_often_are_too_much(tmp_path: Path) -> None:
    (tmp_path / "weights.bin").write_bytes(bytes(2**20))
    tensors = []
    for at in range(80):
        tensor = TensorProto(name=f"v{at}", data_type=FLOAT, dims=[2**18])
        tensor.data_location = TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value="weights.bin")
        tensors.append(tensor)
    for many, reads in ((60, True), (80, False)):
        taking = helper.make_node("Sum", [it.name for it in tensors[:many]], ["w"])
        found = digest_of(passing(*tensors[:many], nodes=(taking,)), tmp_path)
        assert (found is not None) is reads
