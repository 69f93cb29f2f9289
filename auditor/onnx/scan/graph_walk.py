"""Walks over a parsed ONNX model: every graph, node and tensor, wherever it is nested."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain

import onnx

from auditor.scanning.unsafe import shown

STANDARD = "ai.onnx"
MOST = 2**53 - 1
"""Numbers beyond this have no place in canonical JSON."""


@dataclass(frozen=True, slots=True)
class PlacedTensor:
    """A tensor and where it stands; ``name`` is empty for one that no other part can refer to."""

    tensor: onnx.TensorProto
    name: str
    where: str


def text(value: object) -> str:
    """Return a protobuf string; one that is not UTF-8 comes as bytes and is shown escaped."""
    return value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else str(value)


def nodes(model: onnx.ModelProto) -> Iterator[onnx.NodeProto]:
    """Yield every node of the graph, its subgraphs, the functions, and the training part."""
    waiting = list(_top_nodes(model))
    while waiting:
        node = waiting.pop()
        yield node
        for attribute in node.attribute:
            for graph in chain([attribute.g], attribute.graphs):
                waiting.extend(graph.node)


def graphs(model: onnx.ModelProto) -> Iterator[onnx.GraphProto]:
    """Yield every graph: the main one, those of training, and all subgraphs."""
    yield model.graph
    for training in model.training_info:
        yield training.initialization
        yield training.algorithm
    for node in nodes(model):
        for attribute in node.attribute:
            if attribute.HasField("g"):
                yield attribute.g
            yield from attribute.graphs


def tensors(model: onnx.ModelProto) -> Iterator[PlacedTensor]:
    """Yield every tensor: initializers, sparse ones, and those in attributes."""
    for graph in graphs(model):
        for tensor in graph.initializer:
            name = text(tensor.name)
            yield PlacedTensor(tensor, name, f"initializer {shown(name)}")
        for sparse in graph.sparse_initializer:
            name = text(sparse.values.name)
            yield PlacedTensor(sparse.values, name, f"sparse initializer {shown(name)}")
            yield PlacedTensor(sparse.indices, "", f"sparse initializer {shown(name)}")
    for node in nodes(model):
        where = f"node {shown(text(node.name) or text(node.op_type))}"
        for attribute in node.attribute:
            sparse_ones = chain([attribute.sparse_tensor], attribute.sparse_tensors)
            for tensor in chain([attribute.t], attribute.tensors):
                yield PlacedTensor(tensor, "", where)
            for sparse in sparse_ones:
                yield PlacedTensor(sparse.values, "", where)
                yield PlacedTensor(sparse.indices, "", where)


def operators(model: onnx.ModelProto) -> Counter[tuple[str, str]]:
    """Count operators by domain and name; the standard domain is spelled out."""
    named = (node for node in nodes(model) if node.op_type)
    return Counter((text(node.domain) or STANDARD, text(node.op_type)) for node in named)


def functions(model: onnx.ModelProto) -> frozenset[tuple[str, str]]:
    """Return the model's own functions by domain and name: their bodies are in the file."""
    return frozenset((text(item.domain) or STANDARD, text(item.name)) for item in model.functions)


def opsets(model: onnx.ModelProto) -> dict[str, int]:
    """Return the version that the model asks of each domain."""
    return {
        text(item.domain) or STANDARD: max(-MOST, min(item.version, MOST))
        for item in model.opset_import
    }


def used_names(model: onnx.ModelProto) -> frozenset[str]:
    """Return every value name that a node takes in or a graph gives out."""
    taken = {text(name) for node in nodes(model) for name in node.input}
    given = {text(item.name) for graph in graphs(model) for item in graph.output}
    return frozenset(taken | given)


def elements(tensor: onnx.TensorProto) -> int:
    """Return how many numbers a tensor's shape says it has; a negative size says none."""
    count = 1
    for size in tensor.dims:
        count = min(count * max(size, 0), MOST)
    return count


def _top_nodes(model: onnx.ModelProto) -> Iterator[onnx.NodeProto]:
    yield from model.graph.node
    for training in model.training_info:
        yield from training.initialization.node
        yield from training.algorithm.node
    for function in model.functions:
        yield from function.node
        # A function's default attributes may hold graphs and tensors too: a node without operator.
        yield onnx.NodeProto(attribute=function.attribute_proto)
