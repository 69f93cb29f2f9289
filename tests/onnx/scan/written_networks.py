"""A small network of every kind of part, and other ways of writing the same one."""

import random
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

FLOAT = TensorProto.FLOAT
Change = Callable[[onnx.ModelProto, random.Random], None]


def made(seed: int = 0) -> onnx.ModelProto:
    """A network with layers, a sum, a branch, a loop and a function of its own."""
    draw = np.random.default_rng(seed)
    numbers = {"w1": (3, 4), "b1": (4,), "w2": (4, 2), "b2": (2,), "shift": (2,)}
    weights = [
        numpy_helper.from_array(draw.normal(size=size).astype(np.float32), name)
        for name, size in numbers.items()
    ]
    weights.append(numpy_helper.from_array(np.array([3], np.int64), "turns"))
    weights.append(numpy_helper.from_array(np.array([5, -7], np.int8), "codes"))
    nodes = [
        helper.make_node("Gemm", ["x", "w1", "b1"], ["h1"]),
        helper.make_node("LeakyRelu", ["h1"], ["h2"], alpha=0.2),
        helper.make_node("Gemm", ["h2", "w2", "b2"], ["h3"]),
        helper.make_node("Add", ["h3", "shift"], ["h4"]),
        helper.make_node("Scaled", ["h4"], ["h5"], domain="own", by=0.5),
        helper.make_node("ReduceSum", ["h5"], ["total"], keepdims=0),
        helper.make_node("Greater", ["total", "zero"], ["positive"]),
        helper.make_node("If", ["positive"], ["h6"], then_branch=branch("Relu"),
                         else_branch=branch("Neg")),
        helper.make_node("Squeeze", ["turns"], ["count"]),
        helper.make_node("Loop", ["count", "", "h6"], ["h7"], body=body()),
        helper.make_node("Cast", ["codes"], ["coded"], to=FLOAT),
        helper.make_node("Sub", ["h7", "coded"], ["h8"]),
        helper.make_node("Softmax", ["h8"], ["y"], axis=1),
        helper.make_node("Constant", [], ["zero"], value_float=0.0),
    ]  # fmt: skip
    rows = helper.make_tensor_value_info("x", FLOAT, ["n", 3])
    answers = helper.make_tensor_value_info("y", FLOAT, ["n", 2])
    graph = helper.make_graph(ordered(nodes), "main", [rows], [answers], weights)
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("own", 1)]
    return helper.make_model(graph, opset_imports=opsets, functions=[scaled()], ir_version=10)


def ordered(nodes: Sequence[onnx.NodeProto]) -> list[onnx.NodeProto]:
    """Return nodes with the constants first."""
    return sorted(nodes, key=lambda node: node.op_type != "Constant")


def branch(kind: str) -> onnx.GraphProto:
    """A branch that takes a value from the graph around it."""
    inner = helper.make_tensor_value_info(f"out_{kind}", FLOAT, None)
    return helper.make_graph(
        [helper.make_node(kind, ["h5"], [f"out_{kind}"])], f"branch_{kind}", [], [inner]
    )


def body() -> onnx.GraphProto:
    """A loop's body, with a weight of its own."""
    inputs = [
        helper.make_tensor_value_info("i", TensorProto.INT64, []),
        helper.make_tensor_value_info("going", TensorProto.BOOL, []),
        helper.make_tensor_value_info("carried", FLOAT, None),
    ]
    outputs = [
        helper.make_tensor_value_info("goes_on", TensorProto.BOOL, []),
        helper.make_tensor_value_info("carries", FLOAT, None),
    ]
    step = numpy_helper.from_array(np.array([0.5, 0.25], np.float32), "step")
    nodes = [
        helper.make_node("Identity", ["going"], ["goes_on"]),
        helper.make_node("Mul", ["carried", "step"], ["scaled"]),
        helper.make_node("Add", ["scaled", "shift"], ["carries"]),
    ]
    return helper.make_graph(nodes, "body", inputs, outputs, [step])


def scaled() -> onnx.FunctionProto:
    """A function that multiplies by its attribute."""
    factor = helper.make_node("Constant", [], ["factor"])
    factor.attribute.add(name="value_float", ref_attr_name="by", type=onnx.AttributeProto.FLOAT)
    nodes = [factor, helper.make_node("Mul", ["a", "factor"], ["b"])]
    opsets = [helper.make_opsetid("", 17)]
    return helper.make_function("own", "Scaled", ["a"], ["b"], nodes, opsets, ["by"])


def weight_of(model: onnx.ModelProto, name: str) -> onnx.TensorProto:
    """Return an initializer by its name in the network as made."""
    return next(it for it in model.graph.initializer if it.name == name)


def _graphs(model: onnx.ModelProto) -> list[onnx.GraphProto]:
    inside = [item.g for node in model.graph.node for item in node.attribute if item.HasField("g")]
    return [model.graph, *inside]


def rename(model: onnx.ModelProto, draw: random.Random) -> None:
    """Give every value and node another name, those of inner graphs too."""
    names: dict[str, str] = {}

    def other(name: str) -> str:
        return names.setdefault(name, f"v{draw.randrange(10**9)}_{len(names)}") if name else ""

    for graph in _graphs(model):
        graph.name = other(graph.name)
        for item in (*graph.input, *graph.output, *graph.value_info, *graph.initializer):
            item.name = other(item.name)
        _rename_nodes(graph.node, other)
    for function in model.functions:
        _rename_nodes(function.node, other)
        for listed in (function.input, function.output):
            listed[:] = [other(name) for name in listed]


def _rename_nodes(nodes: Sequence[onnx.NodeProto], other: Callable[[str], str]) -> None:
    for index, node in enumerate(nodes):
        node.name = f"node {index}"
        node.input[:] = [other(name) for name in node.input]
        node.output[:] = [other(name) for name in node.output]


def tell(model: onnx.ModelProto, draw: random.Random) -> None:
    """Write other doc strings, metadata and producers."""
    said = str(draw.random())
    model.doc_string = model.graph.doc_string = model.graph.node[0].doc_string = said
    model.producer_name, model.model_version, model.domain = said, draw.randrange(99), said
    model.metadata_props.add(key="tried", value=said)
    model.graph.initializer[0].doc_string = said
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_param = said


def shuffle(model: onnx.ModelProto, draw: random.Random) -> None:
    """List nodes and weights in another order."""
    for listed in (model.graph.node, model.graph.initializer, model.graph.node[0].attribute):
        items = list(listed)
        draw.shuffle(items)
        del listed[:]
        listed.extend(items)


def add_dead(model: onnx.ModelProto, draw: random.Random) -> None:
    """Add a weight and nodes that nothing takes."""
    name = f"dead{draw.randrange(10**9)}"
    noise = np.array([draw.random()], np.float32)
    model.graph.initializer.append(numpy_helper.from_array(noise, name))
    x = model.graph.input[0].name
    model.graph.node.append(helper.make_node("Mul", [x, name], [f"{name}.out"]))


def add_identity(model: onnx.ModelProto, draw: random.Random) -> None:
    """Put an ``Identity`` before some input of some node."""
    node = draw.choice([it for it in model.graph.node if any(it.input)])
    place = draw.choice([at for at, name in enumerate(node.input) if name])
    name = f"same{draw.randrange(10**9)}"
    model.graph.node.append(helper.make_node("Identity", [node.input[place]], [name]))
    node.input[place] = name


def encode(model: onnx.ModelProto, draw: random.Random) -> None:
    """Keep some weights in typed fields in place of raw data."""
    for tensor in model.graph.initializer:
        if tensor.HasField("raw_data") and draw.random() < 0.7:
            values = numpy_helper.to_array(tensor)
            typed = helper.make_tensor(tensor.name, tensor.data_type, tensor.dims, values.ravel())
            tensor.CopyFrom(typed)


def to_constant(model: onnx.ModelProto, draw: random.Random) -> None:
    """Turn one weight into a node."""
    if model.graph.initializer:
        tensor = model.graph.initializer.pop(draw.randrange(len(model.graph.initializer)))
        model.graph.node.append(helper.make_node("Constant", [], [tensor.name], value=tensor))


def write_defaults(model: onnx.ModelProto, draw: random.Random) -> None:
    """Write out what an operator would do anyway."""
    usual = {"Gemm": [("alpha", 1.0), ("transB", 0)], "ReduceSum": [("noop_with_empty_axes", 0)]}
    for node in model.graph.node:
        for name, value in usual.get(node.op_type, ()):
            if draw.random() < 0.7 and name not in {it.name for it in node.attribute}:
                node.attribute.append(helper.make_attribute(name, value))


def swap(model: onnx.ModelProto, draw: random.Random) -> None:
    """Take the parts of a sum in the other order."""
    del draw
    for node in model.graph.node:
        if node.op_type == "Add":
            node.input[:] = list(reversed(node.input))


def wrap(model: onnx.ModelProto, draw: random.Random) -> None:
    """Put the activation into a function of the model."""
    node = next((it for it in model.graph.node if it.op_type == "LeakyRelu"), None)
    if node is not None:
        name = f"F{draw.randrange(10**9)}"
        inner = helper.make_node("LeakyRelu", ["a"], ["b"], alpha=0.2)
        opsets = [helper.make_opsetid("", 17)]
        model.functions.append(helper.make_function("mine", name, ["a"], ["b"], [inner], opsets))
        model.opset_import.append(helper.make_opsetid("mine", 1))
        node.op_type, node.domain = name, "mine"
        del node.attribute[:]


SAME: Mapping[str, Change] = {
    it.__name__: it
    for it in (rename, tell, shuffle, add_dead, add_identity, encode, to_constant, write_defaults,
               swap, wrap)
}  # fmt: skip
"""What makes other bytes of the same network."""


def save_outside(model: onnx.ModelProto, folder: Path) -> Path:
    """Save a model with every weight in a file beside it."""
    path = folder / "outside.onnx"
    for tensor in model.graph.initializer:
        if not tensor.HasField("raw_data"):
            tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor), tensor.name))
    onnx.save_model(model, path, save_as_external_data=True, location="weights.bin",
                    size_threshold=0, convert_attribute=False)  # fmt: skip
    return path
