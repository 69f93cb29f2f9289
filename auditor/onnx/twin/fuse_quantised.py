"""Rewrites a graph to the quantised operators that ONNX Runtime runs in its place.

A model in QDQ form says float operators between ``DequantizeLinear`` and ``QuantizeLinear``; by
default ONNX Runtime computes such a group in integers, which now and then rounds to a neighbouring
step. The rules are those of its transformers for x86 (onnxruntime/core/optimizer/qdq_transformer).
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from onnx import helper

from auditor.twins.graphs import Graph, Node
from auditor.twins.groups import TO_BYTES, Group, Quantised, replacement
from auditor.twins.normalising import STANDARD

HOLDS_NO_TYPE = frozenset({"uint16", "uint4", "int4", "uint2", "int2"})
"""Types of zero points that a twin keeps in a wider tensor, so that a node must name them."""


@dataclass(frozen=True, slots=True)
class Wiring:
    """Who makes each value of a graph, and who takes it."""

    graph: Graph
    makers: Mapping[str, Node]
    takers: Mapping[str, tuple[Node, ...]]

    def quantised(self, value: str) -> Quantised | None:
        """Return what ``value`` is dequantised from; ``None`` where it is made otherwise."""
        node = self.makers.get(value)
        if node is None or node.operator != "DequantizeLinear":
            return None
        return self.parts(node)

    def parts(self, node: Node) -> Quantised:
        """Return the value, scale and zero point of a quantising or dequantising node."""
        value, scale, zero = (*node.inputs, "")[:3]
        return Quantised(value, scale, zero, self.kind(value, zero))

    def kind(self, value: str, zero: str) -> str:
        """Return the type of a quantised value as far as constants tell it."""
        for name in (zero, value):
            if name in self.graph.constants:
                return self.graph.constants[name].dtype.name
        return "" if zero else "uint8"

    def quantiser(self, value: str) -> Node | None:
        """Return the one node that takes ``value``, where it quantises it and nothing else does."""
        takers = self.takers.get(value, ())
        if len(takers) != 1 or takers[0].operator != "QuantizeLinear":
            return None
        return None if value in self.graph.outputs else takers[0]


def fused(graph: Graph) -> Graph:
    """Return an equal graph with QDQ groups replaced by quantised operators; the same twice."""
    return _grouped(_unsigned(_bare(_declared(graph))))


def _wiring(graph: Graph) -> Wiring:
    takers: dict[str, list[Node]] = defaultdict(list)
    for node in graph.nodes:
        for name in node.needs:
            takers[name].append(node)
    makers = {name: node for node in graph.nodes for name in node.outputs}
    return Wiring(graph, makers, {name: tuple(nodes) for name, nodes in takers.items()})


def _declared(graph: Graph) -> Graph:
    """Name the type that a node quantises to, where only its zero point knows it."""
    nodes = []
    for node in graph.nodes:
        zero = graph.constants.get((*node.inputs, "", "", "")[2])
        lost = zero is not None and zero.dtype.name in HOLDS_NO_TYPE
        if node.operator != "QuantizeLinear" or zero is None or not lost:
            nodes.append(node)
            continue
        kind = helper.np_dtype_to_tensor_dtype(zero.dtype)
        nodes.append(_with(node, output_dtype=int(kind)))
    return replace(graph, nodes=tuple(nodes))


def _bare(graph: Graph) -> Graph:
    """Leave out a Relu or Clip whose effect the saturation behind it has anyway."""
    wiring = _wiring(graph)
    renamed = {}
    for node in graph.nodes:
        if node.operator not in {"Relu", "Clip"} or node.domain != STANDARD:
            continue
        after = wiring.quantiser(node.outputs[0])
        if after is not None and _redundant(wiring, node, after):
            renamed[node.outputs[0]] = node.inputs[0]
    kept = [node for node in graph.nodes if node.outputs[0] not in renamed]
    nodes = [
        replace(node, inputs=tuple(renamed.get(name, name) for name in node.inputs))
        for node in kept
    ]
    return replace(graph, nodes=tuple(nodes))


def _redundant(wiring: Wiring, node: Node, after: Node) -> bool:
    parts = wiring.parts(after)
    scale, zero = (_number(wiring.graph, name) for name in (parts.scale, parts.zero))
    if scale is None or zero is None or parts.kind not in TO_BYTES:
        return False
    kind = np.iinfo(parts.kind)
    low, high = scale * (kind.min - zero), scale * (kind.max - zero)
    if node.operator == "Relu":
        return low == 0
    least, most = _bounds(wiring.graph, node)
    return least is not None and most is not None and least <= low and most >= high


def _bounds(graph: Graph, node: Node) -> tuple[float | None, float | None]:
    if node.attributes.has("min") or node.attributes.has("max"):
        return node.attributes.number("min", -np.inf), node.attributes.number("max", np.inf)
    _, least, most = (*node.inputs, "", "")[:3]
    return (
        _number(graph, least) if least else -np.inf,
        _number(graph, most) if most else np.inf,
    )


def _number(graph: Graph, name: str) -> float | None:
    constant = graph.constants.get(name)
    return None if constant is None or constant.size != 1 else float(constant.reshape(-1)[0])


def _unsigned(graph: Graph) -> Graph:
    """Let signed activations be uint8 where one pair quantises them, as the runtime does on x86."""
    wiring = _wiring(graph)
    constants = dict(graph.constants)
    changed: dict[str, Node] = {}
    for node in graph.nodes:
        after = _only_pair(wiring, node)
        if after is None:
            continue
        name = f"{node.outputs[0]}/unsigned_zero"
        constants[name] = _raised(graph.constants[node.inputs[2]])
        for one in (node, after):
            changed[one.outputs[0]] = replace(one, inputs=(*one.inputs[:2], name))
    nodes = tuple(changed.get(node.outputs[0], node) for node in graph.nodes)
    return replace(graph, nodes=nodes, constants=constants)


def _raised(zero: NDArray[np.int8]) -> NDArray[np.uint8]:
    return (zero.astype(np.int64) + 128).astype(np.uint8)


def _only_pair(wiring: Wiring, node: Node) -> Node | None:
    """Return the only node that dequantises what ``node`` quantises, for one taker, from int8."""
    takers = wiring.takers.get(node.outputs[0], ())
    if node.operator != "QuantizeLinear" or len(takers) != 1:
        return None
    after = takers[0]
    if after.operator != "DequantizeLinear" or node.outputs[0] in wiring.graph.outputs:
        return None
    ends = len(wiring.takers.get(after.outputs[0], ())) + (after.outputs[0] in wiring.graph.outputs)
    if ends > 1:
        return None
    zeros = [wiring.graph.constants.get((*one.inputs, "", "")[2]) for one in (node, after)]
    first, second = zeros
    if first is None or second is None or first.size != 1 or not np.array_equal(first, second):
        return None
    return after if first.dtype == np.int8 and second.dtype == np.int8 else None


def _grouped(graph: Graph) -> Graph:
    wiring = _wiring(graph)
    made: dict[str, Node] = {}
    for node in graph.nodes:
        group = _group(wiring, node)
        found = None if group is None else replacement(group)
        if found is not None:
            made[found.outputs[0]] = found
    nodes = tuple(made.get(node.outputs[0], node) for node in graph.nodes)
    return replace(graph, nodes=_needed(nodes, graph.outputs))


def _group(wiring: Wiring, node: Node) -> Group | None:
    """Return a node with what its inputs are dequantised from and its output is quantised to."""
    if node.domain != STANDARD or len(node.outputs) != 1:
        return None
    inputs = tuple(wiring.quantised(name) for name in node.inputs)
    after = wiring.quantiser(node.outputs[0])
    if after is not None:
        return Group(node, inputs, wiring.parts(after), after.outputs[0])
    takers = wiring.takers.get(node.outputs[0], ())
    if any(_quantises(wiring, taker) for taker in takers):
        return None
    return Group(node, inputs, None, node.outputs[0])


def _quantises(wiring: Wiring, taker: Node) -> bool:
    """Whether a taker quantises, or is a Relu or Clip before what does and has to stay."""
    if taker.operator in {"Relu", "Clip"}:
        return wiring.quantiser(taker.outputs[0]) is not None
    return taker.operator == "QuantizeLinear"


def _needed(nodes: Iterable[Node], outputs: Iterable[str]) -> tuple[Node, ...]:
    wanted, kept = set(outputs), list[Node]()
    for node in reversed(tuple(nodes)):
        if wanted.intersection(node.outputs):
            kept.append(node)
            wanted.update(node.needs)
    return tuple(reversed(kept))


def _with(node: Node, **values: int) -> Node:
    own = node.attributes
    return replace(node, attributes=replace(own, values={**own.values, **values}))
