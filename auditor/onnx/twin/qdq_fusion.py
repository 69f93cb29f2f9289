"""Fuses QDQ groups of an ONNX graph into the quantised operators that ONNX Runtime runs.

A model in QDQ form has float operators between ``DequantizeLinear`` and ``QuantizeLinear``. By
default ONNX Runtime computes such a group in integers, which now and then rounds to a neighbouring
step. The rules are those of its transformers for x86 (onnxruntime/core/optimizer/qdq_transformer).
"""

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from onnx import helper

from auditor.onnx.graph import STANDARD_DOMAIN, GraphNode, OnnxGraph

MICROSOFT = "com.microsoft"
TO_BYTES = frozenset({"uint8", "int8"})
FIRST_OPSET_OF_SOFTMAX_ALONG_AN_AXIS = 13
PAIR = 2


@dataclass(frozen=True, slots=True)
class QuantisedValue:
    """Names of a quantised value, its scale and its zero point, and the value's type."""

    value: str
    scale: str
    zero: str
    kind: str

    @property
    def names(self) -> tuple[str, str, str]:
        """The three as inputs of a quantised operator."""
        return self.value, self.scale, self.zero


@dataclass(frozen=True, slots=True)
class QdqGroup:
    """A node, what its inputs are dequantised from, and what its output is quantised to."""

    node: GraphNode
    inputs: tuple[QuantisedValue | None, ...]
    after: QuantisedValue | None
    output: str

    def dequantised(self) -> tuple[QuantisedValue, ...]:
        """Return the inputs where all of them are dequantised bytes, else nothing."""
        found = [one for one in self.inputs if one is not None]
        complete = len(found) == len(self.inputs)
        return tuple(found) if complete and all(one.kind in TO_BYTES for one in found) else ()


def find_replacement(group: QdqGroup) -> GraphNode | None:
    """Return the quantised operator that computes the group; ``None`` where none does."""
    rule = RULES.get(group.node.operator)
    return None if rule is None else rule(group)


def _conv(group: QdqGroup) -> GraphNode | None:
    factors = _factors(group)
    if factors is None or group.after is None:
        return None
    (x, weight), bias = factors
    names = (*x.names, *weight.names, group.after.scale, group.after.zero, *bias)
    return _as(group, "QLinearConv", STANDARD_DOMAIN, names)


def _gemm(group: QdqGroup) -> GraphNode | None:
    factors = _factors(group)
    if factors is None or (group.node.attributes.number("beta", 1.0) != 1 and factors[1]):
        return None
    (a, b), c = factors
    ends = () if group.after is None else (group.after.scale, group.after.zero)
    names = (*a.names, *b.names, *(c or ("",)), *ends)
    return _as(group, "QGemm", MICROSOFT, names)


def _matmul(group: QdqGroup) -> GraphNode | None:
    factors = _factors(group)
    if factors is None:
        return None
    a, b = factors[0]
    if group.after is not None:
        ends = (group.after.scale, group.after.zero)
        return _as(group, "QLinearMatMul", STANDARD_DOMAIN, (*a.names, *b.names, *ends))
    names = (a.value, b.value, a.scale, b.scale, a.zero, b.zero)
    return _as(group, "MatMulIntegerToFloat", MICROSOFT, names)


def _factors(
    group: QdqGroup,
) -> tuple[tuple[QuantisedValue, QuantisedValue], tuple[str, ...]] | None:
    """Return both factors and the int32 bias of a product, where its kernel takes their types."""
    names = group.node.inputs
    pair, rest = group.inputs[:PAIR], group.inputs[PAIR : len(names)]
    if any(one is None or one.kind not in TO_BYTES for one in pair):
        return None
    left, right = (one for one in pair if one is not None)
    signed = left.kind == "int8"
    if signed or (group.after is not None and group.after.kind != left.kind):
        return None
    if not rest or not names[PAIR]:
        return (left, right), ()
    bias = rest[0]
    return None if bias is None or bias.kind != "int32" else ((left, right), (bias.value,))


def _elementwise(group: QdqGroup) -> GraphNode | None:
    """One or two dequantised inputs and a quantised output, all of one type."""
    inputs = group.dequantised()
    if group.after is None or not inputs or {one.kind for one in inputs} != {group.after.kind}:
        return None
    names = [name for one in inputs for name in one.names]
    name = f"QLinear{group.node.operator}"
    made = _as(group, name, MICROSOFT, (*names, group.after.scale, group.after.zero))
    if group.node.operator != "Softmax":
        return made
    opset = group.node.opset
    axis = -1 if opset >= FIRST_OPSET_OF_SOFTMAX_ALONG_AN_AXIS else 1
    values = {"axis": axis, **group.node.attributes.values, "opset": opset}
    return replace(made, attributes=replace(made.attributes, values=values))


def _concat(group: QdqGroup) -> GraphNode | None:
    inputs = group.dequantised()
    if group.after is None or not inputs or {one.kind for one in inputs} != {group.after.kind}:
        return None
    names = [name for one in inputs for name in one.names]
    return _as(group, "QLinearConcat", MICROSOFT, (group.after.scale, group.after.zero, *names))


def _as(group: QdqGroup, operator: str, domain: str, names: tuple[str, ...]) -> GraphNode:
    opset = group.node.opset if domain == STANDARD_DOMAIN else 1
    return replace(
        group.node,
        operator=operator,
        domain=domain,
        opset=opset,
        inputs=names,
        outputs=(group.output,),
    )


RULES: dict[str, Callable[[QdqGroup], GraphNode | None]] = {
    "Conv": _conv,
    "Gemm": _gemm,
    "MatMul": _matmul,
    "Concat": _concat,
    "Add": _elementwise,
    "Mul": _elementwise,
    "AveragePool": _elementwise,
    "GlobalAveragePool": _elementwise,
    "LeakyRelu": _elementwise,
    "Sigmoid": _elementwise,
    "Softmax": _elementwise,
}


HOLDS_NO_TYPE = frozenset({"uint16", "uint4", "int4", "uint2", "int2"})
"""Types of zero points that a twin keeps in a wider tensor, so that a node must name them."""


@dataclass(frozen=True, slots=True)
class GraphWiring:
    """Who makes each value of a graph, and who takes it."""

    graph: OnnxGraph
    makers: Mapping[str, GraphNode]
    takers: Mapping[str, tuple[GraphNode, ...]]

    def quantised(self, value: str) -> QuantisedValue | None:
        """Return what ``value`` is dequantised from; ``None`` where it is made otherwise."""
        node = self.makers.get(value)
        if node is None or node.operator != "DequantizeLinear":
            return None
        return self.parts(node)

    def parts(self, node: GraphNode) -> QuantisedValue:
        """Return the value, scale and zero point of a quantising or dequantising node."""
        value, scale, zero = (*node.inputs, "")[:3]
        return QuantisedValue(value, scale, zero, self.kind(value, zero))

    def kind(self, value: str, zero: str) -> str:
        """Return the type of a quantised value as far as constants tell it."""
        for name in (zero, value):
            if name in self.graph.constants:
                return self.graph.constants[name].dtype.name
        return "" if zero else "uint8"

    def quantiser(self, value: str) -> GraphNode | None:
        """Return the one node that takes ``value``, where it quantises it and nothing else does."""
        takers = self.takers.get(value, ())
        if len(takers) != 1 or takers[0].operator != "QuantizeLinear":
            return None
        return None if value in self.graph.outputs else takers[0]


def fuse_operators(graph: OnnxGraph) -> OnnxGraph:
    """Return an equal graph with QDQ groups replaced by quantised operators; the same twice."""
    # Name the type that a node quantises to, where only its zero point knows it
    nodes = []
    for node in graph.nodes:
        zero = graph.constants.get((*node.inputs, "", "", "")[2])
        lost = zero is not None and zero.dtype.name in HOLDS_NO_TYPE
        if node.operator != "QuantizeLinear" or zero is None or not lost:
            nodes.append(node)
            continue
        kind = helper.np_dtype_to_tensor_dtype(zero.dtype)
        nodes.append(_with(node, output_dtype=int(kind)))
    return _grouped(_unsigned(_bare(replace(graph, nodes=tuple(nodes)))))


def _wiring(graph: OnnxGraph) -> GraphWiring:
    takers: dict[str, list[GraphNode]] = defaultdict(list)
    for node in graph.nodes:
        for name in node.needs:
            takers[name].append(node)
    makers = {name: node for node in graph.nodes for name in node.outputs}
    return GraphWiring(graph, makers, {name: tuple(nodes) for name, nodes in takers.items()})


def _bare(graph: OnnxGraph) -> OnnxGraph:
    """Leave out a Relu or Clip whose effect the saturation behind it has anyway."""
    wiring = _wiring(graph)
    renamed = {}
    for node in graph.nodes:
        if node.operator not in {"Relu", "Clip"} or node.domain != STANDARD_DOMAIN:
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


def _redundant(wiring: GraphWiring, node: GraphNode, after: GraphNode) -> bool:
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


def _bounds(graph: OnnxGraph, node: GraphNode) -> tuple[float | None, float | None]:
    if node.attributes.has("min") or node.attributes.has("max"):
        return node.attributes.number("min", -np.inf), node.attributes.number("max", np.inf)
    _, least, most = (*node.inputs, "", "")[:3]
    return (
        _number(graph, least) if least else -np.inf,
        _number(graph, most) if most else np.inf,
    )


def _number(graph: OnnxGraph, name: str) -> float | None:
    constant = graph.constants.get(name)
    return None if constant is None or constant.size != 1 else float(constant.reshape(-1)[0])


def _unsigned(graph: OnnxGraph) -> OnnxGraph:
    """Let signed activations be uint8 where one pair quantises them, as the runtime does on x86."""
    wiring = _wiring(graph)
    constants = dict(graph.constants)
    changed: dict[str, GraphNode] = {}
    for node in graph.nodes:
        after = _only_pair(wiring, node)
        if after is None:
            continue
        name = f"{node.outputs[0]}/unsigned_zero"
        zero = graph.constants[node.inputs[2]]
        constants[name] = (zero.astype(np.int64) + 128).astype(np.uint8)
        for one in (node, after):
            changed[one.outputs[0]] = replace(one, inputs=(*one.inputs[:2], name))
    nodes = tuple(changed.get(node.outputs[0], node) for node in graph.nodes)
    return replace(graph, nodes=nodes, constants=constants)


def _only_pair(wiring: GraphWiring, node: GraphNode) -> GraphNode | None:
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


def _grouped(graph: OnnxGraph) -> OnnxGraph:
    wiring = _wiring(graph)
    made: dict[str, GraphNode] = {}
    for node in graph.nodes:
        # A node with what its inputs are dequantised from and its output is quantised to
        if node.domain != STANDARD_DOMAIN or len(node.outputs) != 1:
            group = None
        else:
            inputs = tuple(wiring.quantised(name) for name in node.inputs)
            after = wiring.quantiser(node.outputs[0])
            if after is not None:
                group = QdqGroup(node, inputs, wiring.parts(after), after.outputs[0])
            else:
                takers = wiring.takers.get(node.outputs[0], ())
                if any(_quantises(wiring, taker) for taker in takers):
                    group = None
                else:
                    group = QdqGroup(node, inputs, None, node.outputs[0])
        found = None if group is None else find_replacement(group)
        if found is not None:
            made[found.outputs[0]] = found
    nodes = tuple(made.get(node.outputs[0], node) for node in graph.nodes)
    wanted, kept = set(graph.outputs), list[GraphNode]()
    for needed_node in reversed(tuple(nodes)):
        if wanted.intersection(needed_node.outputs):
            kept.append(needed_node)
            wanted.update(needed_node.needs)
    return replace(graph, nodes=tuple(reversed(kept)))


def _quantises(wiring: GraphWiring, taker: GraphNode) -> bool:
    """Whether a taker quantises, or is a Relu or Clip before what does and has to stay."""
    if taker.operator in {"Relu", "Clip"}:
        return wiring.quantiser(taker.outputs[0]) is not None
    return taker.operator == "QuantizeLinear"


def _with(node: GraphNode, **values: int) -> GraphNode:
    own = node.attributes
    return replace(node, attributes=replace(own, values={**own.values, **values}))
