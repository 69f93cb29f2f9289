"""What stands between a model's input and its trees: columns, each growing with one input."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto

from auditor.domain.tasks import Floats
from auditor.errors import TwinError
from auditor.twins.graphs import Graph, Node
from auditor.twins.leads import CURE

Number: TypeAlias = "np.floating[Any]"
FLOATS: Mapping[int, type[Number]] = {TensorProto.FLOAT: np.float32, TensorProto.DOUBLE: np.float64}
SUMS = {"Add": np.add, "Sub": np.subtract, "Mul": np.multiply, "Div": np.divide}
BITS: Mapping[str, tuple[type[np.integer[Any]], int]] = {
    "float32": (np.int32, 0x7F7FFFFF),
    "float64": (np.int64, 0x7FEFFFFFFFFFFFFF),
}
"""For each floating-point type the integers of its width, and the largest finite number's bits."""
WIDEST = 2**53


@dataclass(frozen=True, slots=True)
class Column:
    """One number that the trees see: input ``source`` after ``steps``, each in its own type.

    A step is an operator's name and its constant; a cast's constant is a zero of its type.
    """

    source: int
    steps: tuple[tuple[str, Number], ...] = ()

    def of(self, values: NDArray[Any]) -> NDArray[Any]:
        """Return what the trees see of values of the input, in the arithmetic of the runtime."""
        for name, constant in self.steps:
            values = values.astype(constant.dtype)
            if name != "Cast":
                values = SUMS[name](values, constant)
        return values

    def then(self, name: str, constant: Number) -> "Column":
        """Return the column after one more step. Raises ``TwinError`` where it would fall."""
        if (name in {"Mul", "Div"} and constant <= 0) or not np.isfinite(constant):
            raise TwinError(f"a feature is multiplied by {constant} before the trees", cure=CURE)
        return replace(self, steps=(*self.steps, (name, constant)))


def columns_of(graph: Graph, value: str, width: int, dtype: str) -> tuple[Column, ...]:
    """Return the columns of a value that follows from the input, ``[n, width]`` in ``dtype``.

    Raises ``TwinError`` that names the operator of which trees cannot be searched through.
    """
    if value in graph.inputs:
        kind = np.dtype(dtype)
        seen = kind.type(0) if kind.kind == "f" else np.float32(0)  # trees compare in float32
        return tuple(Column(index).then("Cast", seen) for index in range(width))
    node = graph.producer(value)
    if node is None:
        raise TwinError(f"the value {value!r} of the model comes from nowhere", cure=CURE)
    if node.operator == "Concat" and node.attributes.integer("axis") in {1, -1}:
        parts = [columns_of(graph, name, width, dtype) for name in node.inputs]
        return tuple(column for part in parts for column in part)
    return _after(graph, node, columns_of(graph, node.inputs[0], width, dtype))


def _after(graph: Graph, node: Node, before: tuple[Column, ...]) -> tuple[Column, ...]:
    said = node.attributes
    match node.operator:
        case "Identity" | "Flatten":
            return before
        case "Cast" if said.integer("to") in FLOATS:
            return tuple(item.then("Cast", FLOATS[said.integer("to")](0)) for item in before)
        case "Scaler":
            moved = _each(before, "Sub", np.array(said.numbers("offset"), dtype=np.float32))
            return _each(moved, "Mul", np.array(said.numbers("scale"), dtype=np.float32))
        case "Gather" | "ArrayFeatureExtractor" if node.inputs[1] in graph.constants:
            if node.operator == "Gather" and said.integer("axis") not in {1, -1}:
                raise _unknown(node)
            return tuple(before[int(at)] for at in graph.constants[node.inputs[1]].reshape(-1))
        case "Add" | "Sub" | "Mul" | "Div" if node.inputs[1] in graph.constants:
            return _each(before, node.operator, graph.constants[node.inputs[1]])
    raise _unknown(node)


def _unknown(node: Node) -> TwinError:
    return TwinError(f"trees cannot be searched through the operator {node.label}", cure=CURE)


def _each(before: tuple[Column, ...], name: str, constants: NDArray[Any]) -> tuple[Column, ...]:
    spread = np.broadcast_to(constants.reshape(-1), (len(before),))
    return tuple(item.then(name, value) for item, value in zip(before, spread, strict=True))


def last_below(column: Column, thresholds: NDArray[Any], dtype: str) -> Floats:
    """Return the largest values of the input at which a column does not exceed ``thresholds``.

    Found by bisection over all numbers of the input's type, so that no rounding on the way is
    left out; minus infinity where every value exceeds one, infinity where none does.
    """
    least, most = _reach(dtype)
    below = np.full(len(thresholds), least - 1)
    above = np.full(len(thresholds), most + 1)
    while (above - below > 1).any():
        middle = np.where(above - below > 1, below + (above - below) // 2, below)
        seen = np.clip(middle, least, most)
        with np.errstate(over="ignore"):
            kept = (column.of(_values(seen, dtype)) <= thresholds) | (middle < least)
        below, above = np.where(kept, middle, below), np.where(kept, above, middle)
    found = _values(np.clip(below, least, most), dtype).astype(np.float64)
    found = np.where(below < least, -math.inf, found)
    limits: Floats = np.where(below >= most, math.inf, found)
    return limits


def next_above(limits: Floats, dtype: str) -> Floats:
    """Return the smallest values of the input's type above ``limits`` (which are of that type)."""
    kind = np.dtype(dtype)
    after: Floats = limits + 1
    if kind.kind == "f":
        after = np.nextafter(limits.astype(kind), kind.type(np.inf)).astype(np.float64)
    return after


def _reach(dtype: str) -> tuple[int, int]:
    if dtype in BITS:
        return -BITS[dtype][1], BITS[dtype][1]
    if dtype == "bool":
        return 0, 1
    if np.dtype(dtype).kind not in "iu":
        raise TwinError(f"trees of {dtype} inputs are not searched", cure=CURE)
    limits = np.iinfo(dtype)
    return max(int(limits.min), -WIDEST), min(int(limits.max), WIDEST)


def _values(places: NDArray[np.int64], dtype: str) -> NDArray[Any]:
    """Return the numbers at places in the order of all numbers of a type, zero at 0."""
    if dtype not in BITS:
        return places.astype(dtype)
    sizes = np.abs(places).astype(BITS[dtype][0]).view(dtype)
    return np.where(places < 0, -sizes, sizes)
