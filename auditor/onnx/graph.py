"""ONNX graphs in a normal form: nodes in order, constants as arrays, attributes with types.

A model keeps its own opset, because ``onnx.version_converter`` lacks adapters and makes errors for
operators that the twin supports in every opset anyway. Only files older than opset 7 are converted,
one opset at a time (several at once fail where shapes of old operators cannot be inferred), and no
further than to opset 7, where operators broadcast as NumPy does.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
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
from onnx import inliner, numpy_helper, version_converter

from auditor.errors import TwinError

STANDARD_DOMAIN = ""
OLDEST_OPSET = 7
EXPANSIONS = 16
"""How often functions may call functions that have to be written out."""
TYPES: Mapping[str, type[np.generic]] = {
    "value_float": np.float32,
    "value_floats": np.float32,
    "value_int": np.int64,
    "value_ints": np.int64,
}


def domain_of(item: onnx.NodeProto | onnx.OperatorSetIdProto) -> str:
    """Return the domain of a node or of an import; the standard one also goes by ``ai.onnx``."""
    return STANDARD_DOMAIN if item.domain == "ai.onnx" else str(item.domain)


def normalise_model(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return the model in opset 7 or newer, with the functions written out that need it.

    Those are the model's own functions, and functions of the standard that no operator of the
    twin computes. Raises ``TwinError`` for a file older than opset 7 that does not convert.
    """
    model = _modern(model)
    if model.functions:
        model = inliner.inline_local_functions(model, convert_version=True)
    names = _functions(model)
    for _ in range(EXPANSIONS):
        if not names:
            break
        try:
            # The model with functions' defaults spelt out: the inliner leaves them unbound
            copy = onnx.ModelProto()
            copy.CopyFrom(model)
            opsets = {domain_of(item): item.version for item in copy.opset_import}
            for node in _nodes(copy.graph.node):
                name = (domain_of(node), node.op_type)
                if name not in names:
                    continue
                schema = onnx.defs.get_schema(node.op_type, opsets.get(name[0], 1), name[0])
                told = {item.name for item in node.attribute}
                node.attribute.extend(
                    item.default_value
                    for item in schema.attributes.values()
                    if item.name not in told and item.default_value.name
                )
            model = inliner.inline_selected_functions(copy, names, inline_schema_functions=True)
        except RuntimeError:
            break  # the inliner cannot bear an absent input: who needs the operator names it
        before, names = names, _functions(model)
        if names == before:
            break  # the functions need types that the model does not say
    return model


def constant_value(
    node: onnx.NodeProto, constants: Mapping[str, NDArray[Any]]
) -> NDArray[Any] | None:
    """Return the value of a node that is or repeats a constant; ``None`` for any other."""
    if domain_of(node) != STANDARD_DOMAIN:
        return None
    if node.op_type == "Identity":
        return constants.get(node.input[0])
    if node.op_type != "Constant":
        return None
    for item in node.attribute:
        if item.name == "value":
            return np.asarray(numpy_helper.to_array(item.t))
        if item.name == "sparse_value":
            return to_dense(item.sparse_tensor)
        if item.name in TYPES:
            return np.asarray(onnx.helper.get_attribute_value(item), dtype=TYPES[item.name])
    return None


def to_dense(sparse: onnx.SparseTensorProto) -> NDArray[Any]:
    """Return a sparse tensor with its zeros."""
    values = np.asarray(numpy_helper.to_array(sparse.values))
    places = np.asarray(numpy_helper.to_array(sparse.indices))
    full = np.zeros(tuple(sparse.dims), dtype=values.dtype)
    if places.ndim == 1:
        full.reshape(-1)[places] = values
    else:
        full[tuple(places.T)] = values
    return full


def _modern(model: onnx.ModelProto) -> onnx.ModelProto:
    found = [item.version for item in model.opset_import if domain_of(item) == STANDARD_DOMAIN]
    if not found or found[0] >= OLDEST_OPSET:
        return model
    try:
        for opset in range(found[0] + 1, OLDEST_OPSET + 1):
            model = version_converter.convert_version(model, opset)
    except (RuntimeError, version_converter.ConvertError) as mistake:
        raise TwinError(
            f"the model uses opset {found[0]} of ai.onnx, older than {OLDEST_OPSET}, "
            f"and does not convert: {mistake}",
            cure="Export the model again.",
        ) from mistake
    return model


def _functions(model: onnx.ModelProto) -> list[tuple[str, str]]:
    """Return the standard's functions in a model that no operator of the twin computes."""
    opsets = {domain_of(item): item.version for item in model.opset_import}
    used = {(domain_of(node), node.op_type) for node in _nodes(model.graph.node)}
    return sorted(
        name for name in used if _is_function(*name, opsets) and not _known(*name, opsets)
    )


def _is_function(domain: str, operator: str, opsets: Mapping[str, int]) -> bool:
    try:
        schema = onnx.defs.get_schema(operator, opsets.get(domain, 1), domain)
    except onnx.defs.SchemaError:
        return False
    known = schema.has_function or schema.has_context_dependent_function  # type: ignore[attr-defined]  # missing in onnx's stubs
    return bool(known)


def _known(domain: str, operator: str, opsets: Mapping[str, int]) -> bool:
    try:
        from auditor.onnx.operator_registry import list_operators  # noqa: PLC0415 -- needs torch
    except ImportError:
        return True  # who builds a twin says that torch is missing
    opset = opsets.get(domain, 1)
    return any(
        (claim.domain, claim.name) == (domain, operator) and claim.since <= opset
        for claim in list_operators()
    )


def _nodes(nodes: Iterable[onnx.NodeProto]) -> Iterator[onnx.NodeProto]:
    """Walk nodes and those of their sub-graphs."""
    for node in nodes:
        yield node
        for item in node.attribute:
            yield from _nodes(item.g.node)


STANDARD = STANDARD_DOMAIN
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
class NodeAttributes:
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
class GraphNode:
    """One operator of one opset, applied to named values; an empty input name is an absent one.

    ``bodies`` are the sub-graphs of control flow, and ``captured`` the outer values they see.
    """

    name: str
    domain: str
    operator: str
    opset: int
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: NodeAttributes
    bodies: Mapping[str, "OnnxGraph"] = field(default_factory=dict)
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
class OnnxGraph:
    """Nodes in an order in which they can run, constants by name, and what goes in and out.

    ``inputs`` maps a name to its shape as declared, ``None`` for an axis of no fixed length.
    """

    nodes: tuple[GraphNode, ...]
    constants: Mapping[str, Tensor]
    inputs: Mapping[str, tuple[int | None, ...]]
    outputs: tuple[str, ...]

    def producer(self, value: str) -> GraphNode | None:
        """Return the node that makes ``value``; ``None`` for inputs and constants."""
        return next((node for node in self.nodes if value in node.outputs), None)

    def replacing(self, node: GraphNode) -> "OnnxGraph":
        """Return the graph with the node of the same outputs replaced by ``node``."""
        nodes = tuple(node if old.outputs == node.outputs else old for old in self.nodes)
        return replace(self, nodes=nodes)

    def needed_for(self, value: str) -> "OnnxGraph":
        """Return the part of the graph that ``value`` depends on."""
        wanted, kept = {value}, list[GraphNode]()
        for node in reversed(self.nodes):
            if wanted.intersection(node.outputs):
                kept.append(node)
                wanted.update(node.needs)
        return OnnxGraph(
            nodes=tuple(reversed(kept)),
            constants={name: item for name, item in self.constants.items() if name in wanted},
            inputs={name: shape for name, shape in self.inputs.items() if name in wanted},
            outputs=(value,),
        )


def load_graph(path: Path) -> OnnxGraph:
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


def read_graph(model: onnx.ModelProto) -> OnnxGraph:
    """Read a parsed model in its normal form. Raises ``TwinError`` where it has none."""
    model = normalise_model(model)
    return _read(model.graph, {domain_of(item): item.version for item in model.opset_import})


def _read(proto: onnx.GraphProto, opsets: Mapping[str, int]) -> OnnxGraph:
    constants = {item.name: np.asarray(numpy_helper.to_array(item)) for item in proto.initializer}
    constants.update({item.values.name: to_dense(item) for item in proto.sparse_initializer})
    nodes = []
    for index, item in enumerate(proto.node):
        value = constant_value(item, constants)
        if value is None:
            nodes.append(_read_node(item, index, opsets))
        else:
            constants[item.output[0]] = value
    # Nodes behind those whose values they need; files need not list them so. Nodes that need
    # one another stay where they stand: nothing can run them.
    maker = {value: place for place, node in enumerate(nodes) for value in node.outputs if value}
    needs = {
        place: {maker[value] for value in node.needs if maker.get(value, place) != place}
        for place, node in enumerate(nodes)
    }
    if all(before < place for place, found in needs.items() for before in found):
        in_order = nodes
    else:
        try:
            in_order = [nodes[place] for place in TopologicalSorter(needs).static_order()]
        except CycleError:
            in_order = nodes
    return OnnxGraph(
        nodes=tuple(in_order),
        constants=constants,
        inputs={item.name: _read_shape(item) for item in proto.input if item.name not in constants},
        outputs=tuple(item.name for item in proto.output),
    )


def _read_node(proto: onnx.NodeProto, index: int, opsets: Mapping[str, int]) -> GraphNode:
    domain = domain_of(proto)
    values = {item.name: onnx.helper.get_attribute_value(item) for item in proto.attribute}
    graphs = {name: item for name, item in values.items() if isinstance(item, onnx.GraphProto)}
    bodies = {name: _read(item, opsets) for name, item in graphs.items()}
    plain = {name: item for name, item in values.items() if name not in graphs}
    seen = dict.fromkeys(name for body in bodies.values() for name in _free(body))
    return GraphNode(
        name=proto.name or f"#{index}",
        domain=domain,
        operator=proto.op_type,
        opset=opsets.get(domain, 1),
        inputs=tuple(proto.input),
        outputs=tuple(proto.output),
        attributes=NodeAttributes(plain, len(proto.output)),
        bodies=bodies,
        captured=tuple(seen),
    )


def _free(graph: OnnxGraph) -> list[str]:
    """Return the names that a graph uses and does not define."""
    made = {name for node in graph.nodes for name in node.outputs}
    used = [name for node in graph.nodes for name in node.needs] + list(graph.outputs)
    known = {"", *made, *graph.inputs, *graph.constants}
    return [name for name in used if name not in known]


def _read_shape(value: onnx.ValueInfoProto) -> tuple[int | None, ...]:
    axes = value.type.tensor_type.shape.dim
    return tuple(axis.dim_value if axis.HasField("dim_value") else None for axis in axes)
