"""Which quantised operator stands for a float operator between dequantised and quantised values."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from auditor.twins.graphs import Node
from auditor.twins.normalising import STANDARD

MICROSOFT = "com.microsoft"
TO_BYTES = frozenset({"uint8", "int8"})
FIRST_OPSET_OF_SOFTMAX_ALONG_AN_AXIS = 13
PAIR = 2


@dataclass(frozen=True, slots=True)
class Quantised:
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
class Group:
    """A node, what its inputs are dequantised from, and what its output is quantised to."""

    node: Node
    inputs: tuple[Quantised | None, ...]
    after: Quantised | None
    output: str

    def dequantised(self) -> tuple[Quantised, ...]:
        """Return the inputs where all of them are dequantised bytes, else nothing."""
        found = [one for one in self.inputs if one is not None]
        complete = len(found) == len(self.inputs)
        return tuple(found) if complete and all(one.kind in TO_BYTES for one in found) else ()


def replacement(group: Group) -> Node | None:
    """Return the quantised operator that computes the group; ``None`` where none does."""
    rule = RULES.get(group.node.operator)
    return None if rule is None else rule(group)


def _conv(group: Group) -> Node | None:
    factors = _factors(group)
    if factors is None or group.after is None:
        return None
    (x, weight), bias = factors
    names = (*x.names, *weight.names, group.after.scale, group.after.zero, *bias)
    return _as(group, "QLinearConv", STANDARD, names)


def _gemm(group: Group) -> Node | None:
    factors = _factors(group)
    if factors is None or (group.node.attributes.number("beta", 1.0) != 1 and factors[1]):
        return None
    (a, b), c = factors
    ends = () if group.after is None else (group.after.scale, group.after.zero)
    names = (*a.names, *b.names, *(c or ("",)), *ends)
    return _as(group, "QGemm", MICROSOFT, names)


def _matmul(group: Group) -> Node | None:
    factors = _factors(group)
    if factors is None:
        return None
    a, b = factors[0]
    if group.after is not None:
        ends = (group.after.scale, group.after.zero)
        return _as(group, "QLinearMatMul", STANDARD, (*a.names, *b.names, *ends))
    names = (a.value, b.value, a.scale, b.scale, a.zero, b.zero)
    return _as(group, "MatMulIntegerToFloat", MICROSOFT, names)


def _factors(group: Group) -> tuple[tuple[Quantised, Quantised], tuple[str, ...]] | None:
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


def _elementwise(group: Group) -> Node | None:
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


def _concat(group: Group) -> Node | None:
    inputs = group.dequantised()
    if group.after is None or not inputs or {one.kind for one in inputs} != {group.after.kind}:
        return None
    names = [name for one in inputs for name in one.names]
    return _as(group, "QLinearConcat", MICROSOFT, (group.after.scale, group.after.zero, *names))


def _as(group: Group, operator: str, domain: str, names: tuple[str, ...]) -> Node:
    opset = group.node.opset if domain == STANDARD else 1
    return replace(
        group.node,
        operator=operator,
        domain=domain,
        opset=opset,
        inputs=names,
        outputs=(group.output,),
    )


RULES: dict[str, Callable[[Group], Node | None]] = {
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
