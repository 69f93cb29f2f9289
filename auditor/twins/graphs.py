"""ONNX graphs as plain values: nodes in order, constants as arrays, attributes with types."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from google.protobuf.message import (  # type: ignore[import-untyped]  # protobuf ships no types
    DecodeError,
)
from numpy.typing import NDArray
from onnx import inliner, numpy_helper

from auditor.errors import TwinError

STANDARD = ""
OLDEST_OPSET = 7
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
    """What a node says beside its inputs; a getter returns the default that the opset gives."""

    values: Mapping[str, Any]

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


@dataclass(frozen=True, slots=True)
class Node:
    """One operator of one opset, applied to named values; an empty input name is an absent one."""

    name: str
    domain: str
    operator: str
    opset: int
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Attributes

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
                wanted.update(node.inputs)
        return Graph(
            nodes=tuple(reversed(kept)),
            constants={name: item for name, item in self.constants.items() if name in wanted},
            inputs={name: shape for name, shape in self.inputs.items() if name in wanted},
            outputs=(value,),
        )


def load_graph(path: Path) -> Graph:
    """Read an ONNX file and its external data from the same folder.

    Raises ``TwinError`` where the file cannot be read, or is older than opset 7.
    """
    try:
        model = onnx.load(str(path))
        if model.functions:
            model = inliner.inline_local_functions(model)
        return read_graph(model)
    except UNREADABLE as mistake:
        raise TwinError(
            f"{path.name} cannot be read as an ONNX model: {mistake}",
            cure="Export the model again.",
        ) from mistake


def read_graph(model: onnx.ModelProto) -> Graph:
    """Read a parsed model. Raises ``TwinError`` for opsets older than 7."""
    opsets = {_domain(item.domain): item.version for item in model.opset_import}
    if opsets.get(STANDARD, OLDEST_OPSET) < OLDEST_OPSET:
        raise TwinError(
            f"the model uses opset {opsets[STANDARD]} of ai.onnx, older than {OLDEST_OPSET}",
            cure="Convert it with onnx.version_converter, or export it again.",
        )
    constants = {
        item.name: np.asarray(numpy_helper.to_array(item)) for item in model.graph.initializer
    }
    return Graph(
        nodes=tuple(_read_node(item, index, opsets) for index, item in enumerate(model.graph.node)),
        constants=constants,
        inputs={
            item.name: _read_shape(item) for item in model.graph.input if item.name not in constants
        },
        outputs=tuple(item.name for item in model.graph.output),
    )


def _read_node(proto: onnx.NodeProto, index: int, opsets: Mapping[str, int]) -> Node:
    domain = _domain(proto.domain)
    attributes = {item.name: onnx.helper.get_attribute_value(item) for item in proto.attribute}
    if proto.op_type == "Split":
        # Before opset 18 only the outputs say into how many equal parts.
        attributes.setdefault("num_outputs", len(proto.output))
    return Node(
        name=proto.name or f"#{index}",
        domain=domain,
        operator=proto.op_type,
        opset=opsets.get(domain, 1),
        inputs=tuple(proto.input),
        outputs=tuple(proto.output),
        attributes=Attributes(attributes),
    )


def _read_shape(value: onnx.ValueInfoProto) -> tuple[int | None, ...]:
    axes = value.type.tensor_type.shape.dim
    return tuple(axis.dim_value if axis.HasField("dim_value") else None for axis in axes)


def _domain(name: str) -> str:
    return STANDARD if name == "ai.onnx" else name
