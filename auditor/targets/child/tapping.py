"""The inside of an ONNX file: what its last layer is given, and the file with that as an output."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

Model: TypeAlias = Any
Node: TypeAlias = Any
"""An ``onnx.ModelProto`` and an ``onnx.NodeProto``; onnx is imported by what needs it alone."""

PRODUCTS = frozenset(
    {
        "Gemm", "MatMul", "FusedMatMul", "FusedGemm", "MatMulNBits", "QGemm", "QLinearMatMul",
        "MatMulInteger", "MatMulIntegerToFloat", "DynamicQuantizeMatMul",
    }
)  # fmt: skip
"""A product with weights, whose rows lie along the last axis of its input."""
CONVOLUTIONS = frozenset({"Conv", "FusedConv", "QLinearConv", "ConvInteger"})
"""Channels lie along the second axis of its input."""
WHOLE = frozenset(
    {
        "LinearClassifier", "LinearRegressor", "SVMClassifier", "SVMRegressor",
        "TreeEnsembleClassifier", "TreeEnsembleRegressor", "TreeEnsemble",
    }
)  # fmt: skip
"""Models that are one operator: its input is all that there is before the scores."""
LAYERS = PRODUCTS | CONVOLUTIONS | WHOLE
SCALED = "DynamicQuantizeLinear"
"""It comes before a product; its scale is that of the batch, so that its input is what is taken."""


@dataclass(frozen=True, slots=True)
class Tap:
    """A value of the graph: the input of ``node``, on which alone the scores depend.

    ``channels`` is the axis along which its numbers mean different things; ``given`` says that it
    is the input of the whole graph.
    """

    value: str
    node: str
    operator: str
    channels: int
    given: bool


def find_tap(model: Model, output: str) -> Tap | None:
    """Return what the last layer before ``output`` is given, ``None`` where there is no such layer.

    From the output backwards, the value that was made last is replaced by what it was made from.
    Where one value is left, everything goes through it; the first such value that a layer with
    weights made names the layer. Inputs that do not depend on the graph's are weights.
    """
    graph = model.graph
    made = {name: at for at, node in enumerate(graph.node) for name in node.output if name}
    moving = _moving(graph)
    front = {output} & moving
    while front and all(name in made for name in front):
        last = made[max(front, key=lambda name: made[name])]
        node = graph.node[last]
        sources = {name: None for name in _taken(node) if name in moving}
        others = {name for name in front if made[name] != last}
        if not others and node.op_type == SCALED:
            layer = next(user for user in graph.node if node.output[0] in user.input)
            return _tap(layer, node.input[0], made)
        if len(front) == 1 and len(sources) == 1 and node.op_type in LAYERS:
            return _tap(node, next(iter(sources)), made)
        front = others | set(sources)
    return None


def tapped(model: Model, tap: str) -> bytes:
    """Return the file's bytes with the value ``tap`` as one more output, whatever its type."""
    graph = model.graph
    if any(slot.name == tap for slot in graph.output):
        return bytes(model.SerializeToString())
    slot = graph.output.add()
    slot.name = tap
    try:
        return bytes(model.SerializeToString())
    finally:
        graph.output.pop()


def _tap(layer: Node, value: str, made: Mapping[str, int]) -> Tap:
    channels = 1 if layer.op_type in CONVOLUTIONS else -1
    name = str(layer.name or next(iter(layer.output), ""))
    return Tap(value, name, str(layer.op_type), channels, value not in made)


def _moving(graph: Any) -> set[str]:  # noqa: ANN401 -- onnx is not imported here
    """Return the values that depend on the graph's inputs."""
    weights = {tensor.name for tensor in graph.initializer}
    moving = {slot.name for slot in graph.input} - weights
    for node in graph.node:
        if any(name in moving for name in _taken(node)):
            moving.update(name for name in node.output if name)
    return moving


def _taken(node: Node) -> Iterator[str]:
    """Yield the values that a node reads, those that its branches and bodies read too."""
    yield from (name for name in node.input if name)
    for attribute in node.attribute:
        for part in (*attribute.graphs, *([attribute.g] if attribute.HasField("g") else [])):
            for inner in part.node:
                yield from _taken(inner)
