"""The weights of an ONNX file, and the file again with some of their bits turned over."""

import importlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, TypeAlias

import numpy as np

from auditor.scanning.paths import inside, linked
from auditor.targets.child.serving import RefusalError

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


class Stored:
    """The weights of one file: initialisers of its graph, and the values of its constants."""

    def __init__(self, path: Path) -> None:
        """Parse the file; numbers outside it stay there. Raises ``RefusalError``."""
        onnx = library()
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
        users = self._users()
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
                _turn(tensor, element, bit)
            return bytes(self._model.SerializeToString())
        finally:
            for name, kept in before.items():
                self._tensors[name].CopyFrom(kept)

    def _embed(self, tensor: Tensor) -> None:
        raw = self._raw(tensor)
        for field in ("float_data", "double_data", "int32_data", "int64_data", "uint64_data"):
            tensor.ClearField(field)
        tensor.ClearField("external_data")
        tensor.ClearField("data_location")
        tensor.raw_data = raw

    def _raw(self, tensor: Tensor) -> bytes:
        if tensor.data_location == EXTERNAL:
            return self._outside(tensor)
        if tensor.HasField("raw_data"):
            return bytes(tensor.raw_data)
        name, dtype = TYPED.get(tensor.data_type, ("int32_data", ""))
        numbers = np.array(getattr(tensor, name))
        return numbers.astype(dtype or CUT[KINDS[tensor.data_type][1]]).tobytes()

    def _outside(self, tensor: Tensor) -> bytes:
        facts = {entry.key: entry.value for entry in tensor.external_data}
        plain = inside(facts.get("location", ""))
        if plain is None or linked(self._folder, plain):
            raise _no_such(f"file of {tensor.name!r} inside the model's folder")
        with (self._folder / plain).open("rb") as stream:
            stream.seek(int(facts.get("offset", 0)))
            length = facts.get("length")
            return stream.read() if length is None else stream.read(int(length))

    def _users(self) -> dict[str, int]:
        """Return the place of each value's first user, looking through ``THROUGH``."""
        first: dict[str, int] = {}
        nodes = self._model.graph.node
        for place in reversed(range(len(nodes))):
            node = nodes[place]
            onwards = [first[name] for name in node.output if name in first]
            user = min(onwards) if onwards and node.op_type in THROUGH else place
            first.update((name, user) for name in node.input if name)
        return first

    def _node(self, place: int) -> str:
        node = self._model.graph.node[place]
        return str(node.name or next(iter(node.output), "") or f"node {place}")


def library() -> ModuleType:
    """Return the package onnx, which only this part of a child needs."""
    try:
        return importlib.import_module("onnx")
    except ImportError as error:
        raise RefusalError(
            "runtime",
            f"the environment of this target lacks the package onnx: {error}",
            "Install onnx there, or turn bits over on a target of this machine's own processor.",
        ) from error


def _turn(tensor: Tensor, element: int, bit: int) -> None:
    width = KINDS.get(tensor.data_type, ("", 0))[1]
    place = element * width + bit
    raw = bytearray(tensor.raw_data)
    if not (0 <= bit < width and element >= 0 and place < 8 * len(raw)):
        raise _no_such(f"bit {bit} of element {element} of {tensor.name!r}")
    raw[place // 8] ^= 1 << (place % 8)
    tensor.raw_data = bytes(raw)


def _no_such(what: str) -> RefusalError:
    return RefusalError("model", f"there is no {what}", "Name what the model's weights list.")
