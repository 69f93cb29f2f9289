"""Altered ONNX models: flipped weight bits, and inner layers exposed as outputs."""

import importlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, TypeAlias

import numpy as np

from auditor.onnx.scan.paths import has_symbolic_link, path_inside_folder
from auditor.targets.protocol import Anything, MessageFrame
from auditor.targets.sandbox.request_loop import Operation, RefusalError
from auditor.targets.sandbox.scoring import (
    OpenedSession,
    ScoringRuntime,
    build_score_reply,
    run_batches,
    to_session_rows,
)

Tensor: TypeAlias = Any
"""An ``onnx.TensorProto``; onnx is imported by what needs it alone."""
THROUGH = frozenset({"DequantizeLinear", "Cast", "Identity", "Transpose", "Reshape"})
"""Operators whose output is still the same weight: its user is the layer."""
KINDS: Mapping[int, tuple[str, int]] = {
    1: ("float32", 32), 2: ("uint8", 8), 3: ("int8", 8), 4: ("uint16", 16), 5: ("int16", 16),
    6: ("int32", 32), 7: ("int64", 64), 9: ("bool", 8), 10: ("float16", 16), 11: ("float64", 64),
    12: ("uint32", 32), 13: ("uint64", 64), 16: ("bfloat16", 16),
    17: ("float8e4m3fn", 8), 18: ("float8e4m3fnuz", 8), 19: ("float8e5m2", 8),
    20: ("float8e5m2fnuz", 8), 21: ("uint4", 4), 22: ("int4", 4),
}  # fmt: skip
"""``TensorProto.DataType``: our name of it, and its bits an element (onnx.proto)."""
TYPED: Mapping[int, tuple[str, str]] = {
    1: ("float_data", "<f4"), 11: ("double_data", "<f8"), 7: ("int64_data", "<i8"),
    12: ("uint64_data", "<u4"), 13: ("uint64_data", "<u8"), 6: ("int32_data", "<i4"),
}  # fmt: skip
"""Fields that hold numbers one by one; all other kinds lie in ``int32_data``, cut to their size."""
CUT = {4: "<u1", 8: "<u1", 16: "<u2"}
EXTERNAL = 1


class WeightFile:
    """The weights of one file: initialisers of its graph, and the values of its constants."""

    def __init__(self, path: Path) -> None:
        """Parse the file; numbers outside it stay there. Raises ``RefusalError``."""
        onnx = import_onnx()
        self._folder = path.parent
        try:
            self._model = onnx.load(str(path), load_external_data=False)
        except Exception as error:
            raise RefusalError(
                "artifact", f"{path.name} is not an ONNX file: {error}", "Export the model again."
            ) from error
        graph = self._model.graph
        self._tensors = {tensor.name: tensor for tensor in graph.initializer}
        for node in graph.node:
            if node.op_type == "Constant":
                values = (item.t for item in node.attribute if item.name == "value")
                self._tensors.update((node.output[0], value) for value in values)

    @property
    def model(self) -> Any:  # noqa: ANN401 -- onnx is imported by what needs it alone
        """Return the parsed file."""
        return self._model

    def listed(self) -> list[dict[str, Any]]:
        """Describe each weight that has bits and a user, in the order of users in the graph."""
        # The place of each value's first user, looking through `THROUGH`
        users: dict[str, int] = {}
        nodes = self._model.graph.node
        for place in reversed(range(len(nodes))):
            node = nodes[place]
            onwards = [users[name] for name in node.output if name in users]
            user = min(onwards) if onwards and node.op_type in THROUGH else place
            users.update((name, user) for name in node.input if name)
        found = [
            {
                "name": name,
                "dtype": KINDS[tensor.data_type][0],
                "shape": list(tensor.dims),
                "order": users[name],
                "node": self._node(users[name]),
                "operator": self._model.graph.node[users[name]].op_type,
            }
            for name, tensor in self._tensors.items()
            if tensor.data_type in KINDS and name in users and 0 not in tensor.dims
        ]
        return sorted(found, key=lambda weight: weight["order"])

    def damaged(self, flips: Iterable[tuple[str, int, int]]) -> bytes:
        """Return the file's bytes with bits turned over; the next call starts afresh."""
        before: dict[str, Any] = {}
        try:
            for name, element, bit in flips:
                tensor = self._tensors.get(name)
                if tensor is None:
                    raise _no_such(f"weight {name!r}")
                if name not in before:
                    before[name] = type(tensor)()
                    before[name].CopyFrom(tensor)
                    self._embed(tensor)
                width = KINDS.get(tensor.data_type, ("", 0))[1]
                place = element * width + bit
                raw = bytearray(tensor.raw_data)
                if not (0 <= bit < width and element >= 0 and place < 8 * len(raw)):
                    raise _no_such(f"bit {bit} of element {element} of {tensor.name!r}")
                raw[place // 8] ^= 1 << (place % 8)
                tensor.raw_data = bytes(raw)
            return bytes(self._model.SerializeToString())
        finally:
            for name, kept in before.items():
                self._tensors[name].CopyFrom(kept)

    def _embed(self, tensor: Tensor) -> None:
        if tensor.data_location == EXTERNAL:
            facts = {entry.key: entry.value for entry in tensor.external_data}
            plain = path_inside_folder(facts.get("location", ""))
            if plain is None or has_symbolic_link(self._folder, plain):
                raise _no_such(f"file of {tensor.name!r} inside the model's folder")
            with (self._folder / plain).open("rb") as stream:
                stream.seek(int(facts.get("offset", 0)))
                length = facts.get("length")
                raw = stream.read() if length is None else stream.read(int(length))
        elif tensor.HasField("raw_data"):
            raw = bytes(tensor.raw_data)
        else:
            name, dtype = TYPED.get(tensor.data_type, ("int32_data", ""))
            numbers = np.array(getattr(tensor, name))
            raw = numbers.astype(dtype or CUT[KINDS[tensor.data_type][1]]).tobytes()
        for field in ("float_data", "double_data", "int32_data", "int64_data", "uint64_data"):
            tensor.ClearField(field)
        tensor.ClearField("external_data")
        tensor.ClearField("data_location")
        tensor.raw_data = raw

    def _node(self, place: int) -> str:
        node = self._model.graph.node[place]
        return str(node.name or next(iter(node.output), "") or f"node {place}")


def import_onnx() -> ModuleType:
    """Return the package onnx, which only this part of a child needs."""
    try:
        return importlib.import_module("onnx")
    except ImportError as error:
        raise RefusalError(
            "runtime",
            f"the environment of this target lacks the package onnx: {error}",
            "Install onnx there, or turn bits over on a target of this machine's own processor.",
        ) from error


def _no_such(what: str) -> RefusalError:
    return RefusalError("model", f"there is no {what}", "Name what the model's weights list.")


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
class LayerTap:
    """A value of the graph: the input of ``node``, on which alone the scores depend.

    ``channels`` is the axis along which its numbers mean different things; ``given`` says that it
    is the input of the whole graph.
    """

    value: str
    node: str
    operator: str
    channels: int
    given: bool


def find_layer_tap(model: Model, output: str) -> LayerTap | None:
    """Return what the last layer before ``output`` is given, ``None`` where there is no such layer.

    From the output backwards, the value that was made last is replaced by what it was made from.
    Where one value is left, everything goes through it; the first such value that a layer with
    weights made names the layer. Inputs that do not depend on the graph's are weights.
    """
    graph = model.graph
    made = {name: at for at, node in enumerate(graph.node) for name in node.output if name}
    # The values that depend on the graph's inputs
    weights = {tensor.name for tensor in graph.initializer}
    moving = {slot.name for slot in graph.input} - weights
    for moving_node in graph.node:
        if any(name in moving for name in _taken(moving_node)):
            moving.update(name for name in moving_node.output if name)
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


def expose_layer(model: Model, tap: str) -> bytes:
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


def _tap(layer: Node, value: str, made: Mapping[str, int]) -> LayerTap:
    channels = 1 if layer.op_type in CONVOLUTIONS else -1
    name = str(layer.name or next(iter(layer.output), ""))
    return LayerTap(value, name, str(layer.op_type), channels, value not in made)


def _taken(node: Node) -> Iterator[str]:
    """Yield the values that a node reads, those that its branches and bodies read too."""
    yield from (name for name in node.input if name)
    for attribute in node.attribute:
        for part in (*attribute.graphs, *([attribute.g] if attribute.HasField("g") else [])):
            for inner in part.node:
                yield from _taken(inner)


BESIDE = "session.model_external_initializers_file_folder_path"
"""Where a model that is given by its bytes finds the numbers that it keeps outside."""


class VariantHost:
    """Opens the artifact anew as a request's ``opening`` says; holds the last session.

    ``flips`` turn over bits of its weights, and ``tap`` names a value inside it that is an output
    too.
    """

    def __init__(self, runtime: ScoringRuntime) -> None:
        self._runtime = runtime
        self._key = ""
        self._opened: OpenedSession | None = None
        self._stored: tuple[Path, WeightFile] | None = None

    def operations(self) -> Mapping[str, Operation]:
        """Return what is answered here."""
        return {"altered": self.score, "weights": self.weights, "tap": self.tap}

    def score(self, request: MessageFrame) -> MessageFrame:
        """Score the rows of the one input array in an altered session; as ``infer`` answers."""
        said = request.header
        opened, (name, rows) = self.session(said), read_input_rows(request)
        answers = self.call(said, opened, name, rows)
        names = said.get("outputs") or list(opened.outputs)
        return build_score_reply(names, answers, said.get("fixed_batch"), len(rows))

    def weights(self, request: MessageFrame) -> MessageFrame:
        """List the weights as JSON in the bytes of the array ``weights``: there may be many."""
        listed = self._weights(Path(request.header["opening"]["path"])).listed()
        return MessageFrame(
            {}, {"weights": np.frombuffer(json.dumps(listed).encode(), dtype=np.uint8)}
        )

    def tap(self, request: MessageFrame) -> MessageFrame:
        """Say what the last layer before the output ``before`` is given, if there is one."""
        stored = self._weights(Path(request.header["opening"]["path"]))
        found = find_layer_tap(stored.model, str(request.header["before"]))
        return MessageFrame({"tap": None if found is None else asdict(found)})

    def call(
        self, said: Mapping[str, Any], opened: OpenedSession, name: str, rows: Anything
    ) -> list[list[object]]:
        """Call a session with rows. Raises ``RefusalError`` in the runtime's words."""
        try:
            return run_batches(opened, said.get("outputs"), name, rows, said.get("fixed_batch"))
        except self._runtime.errors as error:
            file = Path(said["opening"]["path"]).name
            raise self._runtime.refuse(file, "score a batch", error) from error

    def session(self, said: Mapping[str, Any]) -> OpenedSession:
        """Return the session that a request's header asks for, the last one where it is that."""
        opening, flips, tap = said["opening"], said.get("flips") or [], said.get("tap")
        key = json.dumps([opening, flips, tap], sort_keys=True)
        if key != self._key or self._opened is None:
            self._opened, self._key = None, ""  # never two at a time
            self._opened, self._key = self._open(opening, flips, tap), key
        return self._opened

    def _open(
        self, opening: Mapping[str, Any], flips: list[tuple[str, int, int]], tap: str | None
    ) -> OpenedSession:
        path = Path(opening["path"])
        try:
            if not flips and tap is None:
                return self._runtime.open(path, opening)
            beside = {**(opening.get("session") or {}), BESIDE: str(path.parent)}
            stored = self._weights(path)
            raw = stored.damaged(flips) if tap is None else expose_layer(stored.model, tap)
            return self._runtime.open(path, {**opening, "session": beside, "bytes": raw})
        except self._runtime.errors as error:
            raise self._runtime.refuse(path.name, "open it", error) from error

    def _weights(self, path: Path) -> WeightFile:
        if self._stored is None or self._stored[0] != path:
            self._stored = (path, WeightFile(path))
        return self._stored[1]


def read_input_rows(request: MessageFrame) -> tuple[str, Anything]:
    """Return the input's name, as the header says it, and its rows as a session takes them."""
    name = str(request.header["input"])
    return name, to_session_rows(request.arrays[name])
