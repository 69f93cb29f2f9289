"""A digest of the network that an ONNX file computes, independent of names and encoding.

A network is what its outputs follow from: operators with their attributes, and weights. It is read
from the outputs backwards, so that nothing else has a part in it: no name, doc string, metadata,
producer or order of what is listed; no dead node or unused weight; not how a tensor is stored, nor
whether it is an initializer or a ``Constant``; no ``Identity``, no default that is written out, no
order of what is added or multiplied; not whether a part is a function of the model. Graphs that are
equal but for more than that have other digests: whoever moves a weight by the last bit has another
network. Nothing is run.
"""

import hashlib
import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy as np
import onnx
from google.protobuf.message import DecodeError
from onnx import AttributeProto, TensorProto

from auditor.domain.digests import Digest
from auditor.onnx.scan.external_data import is_readable, read_external_tensor
from auditor.onnx.scan.graph_walk import STANDARD, decode_text, walk_nodes
from auditor.onnx.scan.hidden_content import declared_size

FORM = "auditor/network/v1"
SOME_STEPS, MOST_STEPS, STEPS_A_NODE = 2 * 10**4, 5 * 10**5, 16
"""How many nodes are looked at beyond so many for each of the file's, and at most."""
SOME_KIB = 2**16
"""How much is read of weights that are read again, beyond what there is."""
MOST_DEPTH = 64
"""Graphs within graphs, and functions that call functions."""
COMMUTATIVE = frozenset(
    {"Add", "Mul", "And", "Or", "Xor", "Equal", "Max", "Min", "Sum", "Mean",
     "BitwiseAnd", "BitwiseOr", "BitwiseXor"}
)  # fmt: skip
MICROSOFT = "com.microsoft"
"""The domain of operators that ONNX Runtime brings, of which ONNX has no list."""
NEWEST = 2**31 - 1
"""A version that no opset will have."""
BY_OUTPUTS = frozenset({"Split", "SplitToSequence"})
"""Operators whose outputs depend on how many there are."""
_INTEGERS: Mapping[int, str] = {
    TensorProto.INT32: "<i4", TensorProto.INT16: "<i2", TensorProto.UINT16: "<u2",
    TensorProto.FLOAT16: "<u2", TensorProto.BFLOAT16: "<u2",
}  # fmt: skip
"""How wide an entry of ``int32_data`` is; every other type keeps a byte in one."""
_FREE, _CYCLE = b"free", b"cycle"
Function = tuple[str, str, str]


class _NetworkTooLargeError(Exception):
    """More nodes, weights or depth than a network needs that runs."""


def network_digest(path: Path, folder: Path) -> str | None:
    """Return the digest of the network in an ONNX file, whose external data lie in ``folder``.

    ``None`` for what is no ONNX file, has no outputs, or is too much to look at. Raises ``OSError``
    where it cannot be read.
    """
    raw = path.read_bytes()
    model = onnx.ModelProto()
    try:
        model.ParseFromString(raw)
    except (DecodeError, ValueError):
        return None
    outputs = [decode_text(item.name) for item in model.graph.output]
    if not outputs:
        return None
    inside = sum(item.stat().st_size for item in folder.rglob("*") if item.is_file())
    reading = _DigestWalk(model, folder, SOME_KIB + max(len(raw), inside) // 1024)
    try:
        found = reading.values(reading.main(), outputs)
    except _NetworkTooLargeError:
        return None
    return Digest.of_hex(_mixed(FORM, *sorted(set(found))).hex())


@dataclass(slots=True)
class _GraphScope:
    """One graph or function's body: who makes each name, and the digests of what is known."""

    makers: Mapping[str, onnx.NodeProto]
    held: Mapping[str, TensorProto | onnx.SparseTensorProto]
    known: dict[str, bytes]
    opsets: Mapping[str, int]
    outer: "_GraphScope | None" = None
    given: Mapping[str, bytes] = field(default_factory=dict)
    depth: int = 0

    def value(self, name: str) -> bytes:
        """Return the digest of a name that was looked at, here or in a graph around this one."""
        scope: _GraphScope | None = self
        while scope is not None:
            if name in scope.known:
                return scope.known[name]
            if name in scope.makers:
                return _CYCLE
            scope = scope.outer
        return _FREE if name else b""


class _DigestWalk:
    """A walk over one model that keeps count of what it looks at."""

    def __init__(self, model: onnx.ModelProto, folder: Path, kib: int) -> None:
        self._model, self._folder, self._kib = model, folder, kib
        listed = sum(1 for _ in walk_nodes(model))
        self._steps = min(SOME_STEPS + STEPS_A_NODE * listed, MOST_STEPS)
        self._functions: Mapping[Function, onnx.FunctionProto] = {
            (_domain(item), decode_text(item.name), decode_text(item.overload)): item
            for item in model.functions
        }

    def main(self) -> _GraphScope:
        """Return the model's graph; of its inputs none is told from another of the same type."""
        graph = self._model.graph
        held = _held(graph)
        known = {
            decode_text(item.name): _mixed("input", _number(item.type.tensor_type.elem_type))
            for item in graph.input
            if decode_text(item.name) not in held
        }
        return _GraphScope(_makers(graph.node), held, known, _opsets(self._model.opset_import))

    def values(self, scope: _GraphScope, names: Sequence[str]) -> list[bytes]:
        """Return what some names stand for; what they follow from is looked at first."""
        waiting, begun = list(reversed(names)), set[str]()
        while waiting:
            name = waiting[-1]
            node = scope.makers.get(name)
            if name in scope.known:
                waiting.pop()
            elif node is None:
                waiting.pop()
                if name in scope.held:
                    scope.known[name] = self._held(scope.held[name])
            elif name in begun:
                waiting.pop()
                self._settle(scope, node)
            else:
                begun.add(name)
                waiting.extend(it for it in self._needs(node) if it not in scope.known)
        return [scope.value(name) for name in names]

    def _needs(self, node: onnx.NodeProto) -> Iterator[str]:
        """Yield the names that a node takes, and those that the graphs in it use."""
        inside = [node]
        while inside:
            one = inside.pop()
            self._step(1 + len(one.input) // 16)
            yield from map(decode_text, one.input)
            for attribute in one.attribute:
                for graph in _graphs(attribute):
                    yield from (decode_text(item.name) for item in graph.output)
                    inside.extend(graph.node)

    def _settle(self, scope: _GraphScope, node: onnx.NodeProto) -> None:
        """Say what the outputs of a node stand for."""
        self._step(1 + len(node.output) // 16)
        domain, name, overload = (
            _domain(node),
            decode_text(node.op_type),
            decode_text(node.overload),
        )
        taken = [scope.value(decode_text(it)) for it in node.input]
        while taken and not taken[-1]:
            taken.pop()
        # What a node is told, but for what it would do anyway
        usual = _defaults(name, domain, scope.opsets.get(domain, 1))
        given = {}
        for item in node.attribute:
            key = decode_text(item.name)
            if item.ref_attr_name:
                value = scope.given.get(decode_text(item.ref_attr_name))
            else:
                value = self._encoded(scope, item)
            if value is not None and usual.get(key) != value:
                given[key] = value
        function = self._functions.get((domain, name, overload))
        if domain == STANDARD and name == "Identity" and taken:
            made = [taken[0]]
        elif domain == STANDARD and name == "Constant" and len(given) == 1:
            made = list(given.values())
        # A function of the name of an operator that runtimes have would change nothing that runs
        elif function is not None and not (
            domain == MICROSOFT or _schema(name, domain, NEWEST) is not None
        ):
            made = self._called(scope, function, taken, given)
        else:
            made = self._computed(node, domain, taken, given)
        outputs = map(decode_text, node.output)
        scope.known |= {name: it for name, it in zip(outputs, made, strict=False) if name}
        for name in map(decode_text, node.output):
            scope.known.setdefault(name, _FREE)

    def _computed(
        self, node: onnx.NodeProto, domain: str, taken: list[bytes], given: Mapping[str, bytes]
    ) -> list[bytes]:
        name = decode_text(node.op_type)
        plain = domain == STANDARD
        inputs = sorted(taken) if plain and name in COMMUTATIVE else taken
        many = len(node.output) if plain and name in BY_OUTPUTS else 0
        said = [part for key in sorted(given) for part in (key.encode(), given[key])]
        whole = _mixed(
            "node", domain.encode(), name.encode(), decode_text(node.overload).encode(),
            _number(many), _number(len(inputs)), *inputs, *said,
        )  # fmt: skip
        return [_mixed("output", _number(index), whole) for index in range(len(node.output))]

    def _called(
        self,
        scope: _GraphScope,
        function: onnx.FunctionProto,
        taken: Sequence[bytes],
        given: Mapping[str, bytes],
    ) -> list[bytes]:
        """Return what a function of the model makes: what its body would make in its place."""
        body = self._within(
            scope,
            _GraphScope(
                _makers(function.node), {}, {}, _opsets(function.opset_import), depth=scope.depth
            ),
        )
        usual = {decode_text(it.name): self._encoded(body, it) for it in function.attribute_proto}
        body.given = usual | dict(given)
        names = [decode_text(it) for it in function.input]
        body.known |= dict.fromkeys(names, b"") | dict(zip(names, taken, strict=False))
        return self.values(body, [decode_text(it) for it in function.output])

    def _encoded(self, scope: _GraphScope, item: AttributeProto) -> bytes:
        graphs = [self._graph(scope, graph) for graph in _graphs(item)]
        if graphs:
            return _mixed("graphs", *graphs)
        tensors: list[TensorProto | onnx.SparseTensorProto] = [*item.tensors, *item.sparse_tensors]
        if item.type == AttributeProto.TENSOR:
            return self._held(item.t)
        if item.type == AttributeProto.SPARSE_TENSOR:
            return self._held(item.sparse_tensor)
        if tensors:
            return _mixed("tensors", *map(self._held, tensors))
        self._read(item.ByteSize())
        return _plain(item)

    def _graph(self, scope: _GraphScope, graph: onnx.GraphProto) -> bytes:
        """Return the digest of a graph within a node: its inputs are told by their places."""
        here = _GraphScope(_makers(graph.node), _held(graph), {}, scope.opsets, scope, scope.given)
        here = self._within(scope, here)
        inputs = [decode_text(item.name) for item in graph.input]
        here.known |= {
            name: _mixed("bound", _number(here.depth), _number(index))
            for index, name in enumerate(inputs)
            if name not in here.held
        }
        made = self.values(here, [decode_text(item.name) for item in graph.output])
        return _mixed("graph", _number(len(inputs)), *made)

    def _within(self, scope: _GraphScope, inner: _GraphScope) -> _GraphScope:
        inner.depth = scope.depth + 1
        if inner.depth > MOST_DEPTH:
            raise _NetworkTooLargeError
        return inner

    def _held(self, tensor: TensorProto | onnx.SparseTensorProto) -> bytes:
        """Return the digest of a tensor's type, shape and numbers, wherever they are kept."""
        if isinstance(tensor, onnx.SparseTensorProto):
            sizes = map(_number, tensor.dims)
            return _mixed("sparse", self._held(tensor.values), self._held(tensor.indices), *sizes)
        raw = self._numbers(tensor)
        self._read(len(raw))
        return _tensor(tensor.data_type, tensor.dims, raw)

    def _numbers(self, tensor: TensorProto) -> bytes:
        if tensor.data_location == TensorProto.EXTERNAL:
            if not is_readable(tensor, self._folder):
                return b""
            raw = read_external_tensor(tensor, self._folder) or b""
        elif tensor.HasField("raw_data"):
            raw = tensor.raw_data
        else:
            # The numbers of a tensor that keeps them in fields of their own, as raw data has them.
            # Source: the fields of `TensorProto` in onnx.proto.
            kind = tensor.data_type
            if kind == TensorProto.STRING:
                return _mixed("text", *tensor.string_data)
            for values, form in (
                (tensor.float_data, "<f4"),
                (tensor.double_data, "<f8"),
                (tensor.int64_data, "<i8"),
                (tensor.uint64_data, "<u4" if kind == TensorProto.UINT32 else "<u8"),
            ):
                if len(values):
                    return np.array(values).astype(form).tobytes()
            wide = np.array(tensor.int32_data, np.int64)
            return wide.astype(_INTEGERS.get(kind, "u1")).tobytes()
        return raw[: declared_size(tensor)]

    def _step(self, by: int) -> None:
        self._steps -= by
        if self._steps < 0:
            raise _NetworkTooLargeError

    def _read(self, size: int) -> None:
        self._kib -= size // 1024
        if self._kib < 0:
            raise _NetworkTooLargeError


def _held(graph: onnx.GraphProto) -> dict[str, TensorProto | onnx.SparseTensorProto]:
    sparse = {decode_text(item.values.name): item for item in graph.sparse_initializer}
    return {**sparse, **{decode_text(item.name): item for item in graph.initializer}}


def _makers(listed: Sequence[onnx.NodeProto]) -> dict[str, onnx.NodeProto]:
    return {decode_text(name): node for node in listed for name in node.output if name}


def _graphs(attribute: AttributeProto) -> Iterator[onnx.GraphProto]:
    if attribute.HasField("g"):
        yield attribute.g
    yield from attribute.graphs


def _domain(item: onnx.NodeProto | onnx.FunctionProto) -> str:
    return decode_text(item.domain) or STANDARD


def _opsets(listed: Sequence[onnx.OperatorSetIdProto]) -> dict[str, int]:
    return {decode_text(item.domain) or STANDARD: item.version for item in listed}


@lru_cache(maxsize=4096)
def _schema(name: str, domain: str, version: int) -> onnx.defs.OpSchema | None:
    plain = "" if domain == STANDARD else domain
    try:
        return onnx.defs.get_schema(name, max(1, min(version, NEWEST)), plain)
    except onnx.defs.SchemaError:
        return None


@lru_cache(maxsize=4096)
def _defaults(name: str, domain: str, version: int) -> Mapping[str, bytes]:
    """Return what an operator takes for each attribute that nobody writes."""
    schema = _schema(name, domain, version)
    if schema is None:
        return {}
    usual = ((key, item.default_value) for key, item in schema.attributes.items())
    return {key: _plain(item) for key, item in usual if item.type != AttributeProto.UNDEFINED}


_PLAIN: Mapping[int, Callable[[AttributeProto], bytes]] = {
    AttributeProto.FLOAT: lambda it: _tensor(TensorProto.FLOAT, (), struct.pack("<f", it.f)),
    AttributeProto.INT: lambda it: _tensor(TensorProto.INT64, (), struct.pack("<q", it.i)),
    AttributeProto.STRING: lambda it: _tensor(TensorProto.STRING, (), _mixed("text", it.s)),
    AttributeProto.FLOATS: lambda it: _tensor(
        TensorProto.FLOAT, (len(it.floats),), np.array(it.floats, "<f4").tobytes()
    ),
    AttributeProto.INTS: lambda it: _tensor(
        TensorProto.INT64, (len(it.ints),), np.array(it.ints, "<i8").tobytes()
    ),
    AttributeProto.STRINGS: lambda it: _tensor(
        TensorProto.STRING, (len(it.strings),), _mixed("text", *it.strings)
    ),
}
"""Numbers and texts of attributes, as the tensors that they stand for."""


def _plain(item: AttributeProto) -> bytes:
    known = _PLAIN.get(item.type)
    if known is not None:
        return known(item)
    types = [it.SerializeToString(deterministic=True) for it in (item.tp, *item.type_protos)]
    return _mixed("types", _number(item.type), *types)


def _tensor(kind: int, sizes: Sequence[int], raw: bytes) -> bytes:
    return _mixed("tensor", _number(kind), _number(len(sizes)), *map(_number, sizes), raw)


def _number(value: int) -> bytes:
    return struct.pack("<q", value)


def _mixed(what: str, *parts: bytes) -> bytes:
    """Return the SHA-256 over parts, each behind its length, so that no two lists look alike."""
    whole = (what.encode(), *parts)
    hasher = hashlib.sha256(struct.pack(f"<{1 + len(whole)}q", len(whole), *map(len, whole)))
    for part in whole:
        hasher.update(part)
    return hasher.digest()
