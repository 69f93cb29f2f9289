"""ONNX graphs as plain values: nodes in order, constants as arrays, attributes with types."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from google.protobuf.message import (
    DecodeError,
)
from numpy.typing import NDArray
from onnx import numpy_helper

from auditor.errors import TwinError
from auditor.twins import normalising
from auditor.twins.normalising import dense, domain_of, held, normalise

STANDARD = normalising.STANDARD
Tensor = NDArray[Any]
UNREADABLE = (
    DecodeError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
    onnx.checker.ValidationError,
)
"""What onnx raises for bytes that are no model, and for parts of one that contradict themselves."""


@dataclass(frozen=True, slots=True)
class Attributes:
    """What a node says beside its inputs; a getter returns the default that the opset gives.

    ``outputs`` counts the results that are asked for: the last ones of an operator may be absent.
    """

    values: Mapping[str, Any]
    outputs: int = 1

    def has(self, name: str) -> bool:
        """Whether the node sets ``name``."""
        return name in self.values

    def integer(self, name: str, default: int = 0) -> int:
        """Return an integer attribute."""
        return int(self.values.get(name, default))

    def number(self, name: str, default: float = 0.0) -> float:
        """Return a floating-point attribute."""
        return float(self.values.get(name, default))

    def text(self, name: str, default: str = "") -> str:
        """Return a text attribute."""
        value = self.values.get(name, default)
        return value.decode() if isinstance(value, bytes) else str(value)

    def integers(self, name: str, default: Iterable[int] = ()) -> list[int]:
        """Return a list of integers."""
        return [int(value) for value in self.values.get(name, default)]

    def numbers(self, name: str, default: Iterable[float] = ()) -> list[float]:
        """Return a list of floating-point numbers."""
        return [float(value) for value in self.values.get(name, default)]

    def length(self, name: str) -> int:
        """Return how many items a list attribute has; 0 where it is not set."""
        return len(self.values.get(name, ()))

    def tensor(self, name: str) -> Tensor | None:
        """Return a tensor attribute."""
        value = self.values.get(name)
        return None if value is None else np.asarray(numpy_helper.to_array(value))

    def body(self, name: str) -> Callable[..., tuple[Any, ...]]:
        """Return a sub-graph as a function of its inputs, once it is bound to outer values."""
        found: Callable[..., tuple[Any, ...]] = self.values[name]
        return found


@dataclass(frozen=True, slots=True)
class Node:
    """One operator of one opset, applied to named values; an empty input name is an absent one.

    ``bodies`` are the sub-graphs of control flow, and ``captured`` the outer values they see.
    """

    name: str
    domain: str
    operator: str
    opset: int
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Attributes
    bodies: Mapping[str, "Graph"] = field(default_factory=dict)
    captured: tuple[str, ...] = ()

    @property
    def needs(self) -> tuple[str, ...]:
        """Every value that the node depends on."""
        return (*self.inputs, *self.captured)

    @property
    def label(self) -> str:
        """How messages call this node."""
        domain = self.domain or "ai.onnx"
        return f"{domain}::{self.operator} (opset {self.opset}, node {self.name!r})"


@dataclass(frozen=True, slots=True)
class Graph:
    """Nodes in an order in which they can run, constants by name, and what goes in and out.

    ``inputs`` maps a name to its shape as declared, ``None`` for an axis of no fixed length.
    """

    nodes: tuple[Node, ...]
    constants: Mapping[str, Tensor]
    inputs: Mapping[str, tuple[int | None, ...]]
    outputs: tuple[str, ...]

    def producer(self, value: str) -> Node | None:
        """Return the node that makes ``value``; ``None`` for inputs and constants."""
        return next((node for node in self.nodes if value in node.outputs), None)

    def replacing(self, node: Node) -> "Graph":
        """Return the graph with the node of the same outputs replaced by ``node``."""
        nodes = tuple(node if old.outputs == node.outputs else old for old in self.nodes)
        return replace(self, nodes=nodes)

    def needed_for(self, value: str) -> "Graph":
        """Return the part of the graph that ``value`` depends on."""
        wanted, kept = {value}, list[Node]()
        for node in reversed(self.nodes):
            if wanted.intersection(node.outputs):
                kept.append(node)
                wanted.update(node.needs)
        return Graph(
            nodes=tuple(reversed(kept)),
            constants={name: item for name, item in self.constants.items() if name in wanted},
            inputs={name: shape for name, shape in self.inputs.items() if name in wanted},
            outputs=(value,),
        )


def load_graph(path: Path) -> Graph:
    """Read an ONNX file and its external data from the same folder.

    Raises ``TwinError`` where the file cannot be read, or holds what cannot be normalised.
    """
    try:
        return read_graph(onnx.load(str(path)))
    except UNREADABLE as mistake:
        raise TwinError(
            f"{path.name} cannot be read as an ONNX model: {mistake}",
            cure="Export the model again.",
        ) from mistake


def read_graph(model: onnx.ModelProto) -> Graph:
    """Read a parsed model in its normal form. Raises ``TwinError`` where it has none."""
    model = normalise(model)
    return _read(model.graph, {domain_of(item): item.version for item in model.opset_import})


def _read(proto: onnx.GraphProto, opsets: Mapping[str, int]) -> Graph:
    constants = {item.name: np.asarray(numpy_helper.to_array(item)) for item in proto.initializer}
    constants.update({item.values.name: dense(item) for item in proto.sparse_initializer})
    nodes = []
    for index, item in enumerate(proto.node):
        value = held(item, constants)
        if value is None:
            nodes.append(_read_node(item, index, opsets))
        else:
            constants[item.output[0]] = value
    return Graph(
        nodes=tuple(_in_order(nodes)),
        constants=constants,
        inputs={item.name: _read_shape(item) for item in proto.input if item.name not in constants},
        outputs=tuple(item.name for item in proto.output),
    )


def _in_order(nodes: list[Node]) -> list[Node]:
    """Return nodes behind those whose values they need; files need not list them so.

    Nodes that need one another stay where they stand: nothing can run them.
    """
    maker = {value: place for place, node in enumerate(nodes) for value in node.outputs if value}
    needs = {
        place: {maker[value] for value in node.needs if maker.get(value, place) != place}
        for place, node in enumerate(nodes)
    }
    if all(before < place for place, found in needs.items() for before in found):
        return nodes
    try:
        return [nodes[place] for place in TopologicalSorter(needs).static_order()]
    except CycleError:
        return nodes


def _read_node(proto: onnx.NodeProto, index: int, opsets: Mapping[str, int]) -> Node:
    domain = domain_of(proto)
    values = {item.name: onnx.helper.get_attribute_value(item) for item in proto.attribute}
    graphs = {name: item for name, item in values.items() if isinstance(item, onnx.GraphProto)}
    bodies = {name: _read(item, opsets) for name, item in graphs.items()}
    plain = {name: item for name, item in values.items() if name not in graphs}
    seen = dict.fromkeys(name for body in bodies.values() for name in _free(body))
    return Node(
        name=proto.name or f"#{index}",
        domain=domain,
        operator=proto.op_type,
        opset=opsets.get(domain, 1),
        inputs=tuple(proto.input),
        outputs=tuple(proto.output),
        attributes=Attributes(plain, len(proto.output)),
        bodies=bodies,
        captured=tuple(seen),
    )


def _free(graph: Graph) -> list[str]:
    """Return the names that a graph uses and does not define."""
    made = {name for node in graph.nodes for name in node.outputs}
    used = [name for node in graph.nodes for name in node.needs] + list(graph.outputs)
    known = {"", *made, *graph.inputs, *graph.constants}
    return [name for name in used if name not in known]


def _read_shape(value: onnx.ValueInfoProto) -> tuple[int | None, ...]:
    axes = value.type.tensor_type.shape.dim
    return tuple(axis.dim_value if axis.HasField("dim_value") else None for axis in axes)
