"""Gradients through whole numbers: a straight way beside each cast to integers and back.

Rounding has a gradient of zero almost everywhere, and integers have none. An attack that follows
it stands still, and the model seems robust without being so. So the gradient passes a rounding as
if it were not there, the straight-through estimator (Bengio, Leonard and Courville 2013,
arXiv:1308.3432, section 4). Values are not touched: only what the gradient follows changes.
Comparisons and ``ArgMax`` have no such way: there the identity is no approximation of the step.
"""

from collections.abc import Mapping
from dataclasses import replace

import torch
from onnx import TensorProto

from auditor.twins.graphs import STANDARD, Attributes, Graph, Node

INTERNAL = "auditor"
"""The domain of nodes that we add to a model's own."""
FLOATS = frozenset(
    {TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.FLOAT16, TensorProto.BFLOAT16}
)
INTEGERS = frozenset(
    {
        TensorProto.INT8, TensorProto.INT16, TensorProto.INT32, TensorProto.INT64,
        TensorProto.UINT8, TensorProto.UINT16, TensorProto.UINT32, TensorProto.UINT64,
    }
)  # fmt: skip
BY_ELEMENT = frozenset({"Add", "Sub", "Mul", "Div", "Min", "Max", "Clip", "Neg", "Concat", "Sum"})
"""Arithmetic that real numbers follow as integers do, with all inputs."""
MOVING = frozenset(
    {"Identity", "Reshape", "Transpose", "Squeeze", "Unsqueeze", "Flatten", "Slice", "Gather"}
    | {"Expand", "Tile", "Pad", "Split"}
)
"""Operators that move the elements of their first input."""


def straight_through(exact: torch.Tensor, smooth: torch.Tensor) -> torch.Tensor:
    """Return the values of ``exact`` with the gradient of ``smooth``."""
    if not smooth.requires_grad:
        return exact
    return exact.detach() + (smooth - smooth.detach())


def with_straight_ways(graph: Graph) -> Graph:
    """Return the graph with each cast back from integers given the gradient of what was cast."""
    smooth: dict[str, str] = {}
    nodes: list[Node] = []
    for node in graph.nodes:
        if node.domain == INTERNAL:
            return graph  # it has its straight ways already
        nodes.extend(_beside(node, smooth))
    used = _used(nodes)
    return replace(graph, nodes=tuple(node for node in nodes if used.intersection(node.outputs)))


def _beside(node: Node, smooth: dict[str, str]) -> list[Node]:
    """Return the node, and what computes the same in real numbers where integers do it here."""
    given = [name for name in node.inputs if name in smooth]
    if node.domain != STANDARD:
        return [node]
    if node.operator == "Cast":
        return _cast(node, smooth)
    shadowed = node.operator in BY_ELEMENT or (node.operator in MOVING and node.inputs[0] in smooth)
    if not given or not shadowed:
        return [node]
    first = node.inputs[:1] if node.operator in MOVING else node.inputs
    rest = node.inputs[len(first) :]
    outputs = tuple(_name(name) for name in node.outputs)
    inputs = (*(smooth.get(name, name) for name in first), *rest)
    smooth.update(zip(node.outputs, outputs, strict=True))
    return [node, replace(node, inputs=inputs, outputs=outputs)]


def _cast(node: Node, smooth: dict[str, str]) -> list[Node]:
    source, made = node.inputs[0], node.outputs[0]
    kind = node.attributes.integer("to")
    if kind in INTEGERS:
        smooth[made] = _name(made)
        return [node, _inner(node, "Smooth", (smooth.get(source, source),), _name(made))]
    if kind in FLOATS and source in smooth:
        return [_inner(node, "Attach", (source, smooth[source]), made)]
    return [node]


def _inner(node: Node, operator: str, inputs: tuple[str, ...], output: str) -> Node:
    return replace(
        node, domain=INTERNAL, operator=operator, inputs=inputs, outputs=(output,),
        attributes=Attributes({}),
    )  # fmt: skip


def _name(value: str) -> str:
    return f"{value}/smooth" if value else ""


def _used(nodes: list[Node]) -> set[str]:
    """Return all values but those of straight ways that lead nowhere."""
    ways: Mapping[str, Node] = {
        name: node for node in nodes for name in node.outputs if name.endswith("/smooth")
    }
    wanted = {name for node in nodes if node.operator == "Attach" for name in node.inputs}
    open_ways = [name for name in wanted if name in ways]
    while open_ways:
        for name in ways[open_ways.pop()].inputs:
            if name in ways and name not in wanted:
                wanted.add(name)
                open_ways.append(name)
    return {name for node in nodes for name in node.outputs if name not in ways or name in wanted}
