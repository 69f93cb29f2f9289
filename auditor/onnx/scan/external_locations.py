"""The external files that an ONNX file names, read from its protobuf fields without a parser.

Only field headers are read, and only where a tensor can stand; weights are stepped over. So hostile
bytes meet a few lines of Python in place of a protobuf library, and a file of any size costs what
its structure costs. The numbers are those of onnx.proto (ONNX IR version 14).
"""

from collections.abc import Iterator, Mapping
from typing import TypeAlias

from auditor.errors import ArtifactError

Raw: TypeAlias = "bytes | memoryview"
Field: TypeAlias = tuple[int, int, int, int]
"""A field's number, its wire type, and where its content starts and ends."""

MOST_FIELDS = 10_000_000
MOST_DEPTH = 100
"""Protobuf's own readers stop at this depth."""
VARINT, FIXED64, LENGTH, FIXED32 = 0, 1, 2, 5
_MODEL, _TENSOR, _ENTRY = "model", "tensor", "entry"
_GRAPH_OF_MODEL = 7
_KEY, _VALUE = 1, 2
_INSIDE: Mapping[str, Mapping[int, str]] = {
    _MODEL: {_GRAPH_OF_MODEL: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "graph": {1: "node", 5: _TENSOR, 15: "sparse"},
    "function": {7: "node", 11: "attribute"},
    "node": {5: "attribute"},
    "attribute": {5: _TENSOR, 6: "graph", 10: _TENSOR, 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: _TENSOR, 2: _TENSOR},
    _TENSOR: {13: _ENTRY},
    _ENTRY: {},
}


def read_external_locations(raw: Raw, name: str) -> tuple[str, ...]:
    """Return every external-data path in an ONNX file, as spelled, once each, in order.

    A path counts wherever one stands, whether or not its tensor is marked external: protobuf lets a
    message be split so that the mark is found elsewhere. Raises ``ArtifactError`` where the bytes
    are not an ONNX model.
    """
    found: dict[str, None] = {}
    graphs = 0
    try:
        for kind, start, end in _messages(raw):
            graphs += kind == "graph"
            if kind == _ENTRY:
                key, value = _entry(raw, start, end)
                if key == "location":
                    found[value] = None
    except _MalformedProtobufError as mistake:
        raise ArtifactError(
            f"{name} is not a well-formed ONNX file: {mistake}",
            cure="Export the model again, and check it with onnx.checker.",
        ) from None
    if not graphs:
        raise ArtifactError(
            f"{name} holds no ONNX graph", cure="Name a model that was exported to ONNX."
        )
    return tuple(found)


class _MalformedProtobufError(Exception):
    pass


def _messages(raw: Raw) -> Iterator[tuple[str, int, int]]:
    """Walk all messages in which a tensor can stand: kind, start, end."""
    waiting = [(_MODEL, 0, len(raw), 0)]
    count = 0
    while waiting:
        kind, start, end, depth = waiting.pop()
        yield kind, start, end
        inside = _INSIDE[kind]
        if depth > MOST_DEPTH:
            message = f"it nests deeper than {MOST_DEPTH} messages"
            raise _MalformedProtobufError(message)
        for number, wire, first, last in _fields(raw, start, end):
            count += 1
            if count > MOST_FIELDS:
                message = f"it has more than {MOST_FIELDS} fields"
                raise _MalformedProtobufError(message)
            if wire == LENGTH and number in inside:
                waiting.append((inside[number], first, last, depth + 1))


def _fields(raw: Raw, start: int, end: int) -> Iterator[Field]:
    place = start
    while place < end:
        tag, first = _varint(raw, place, end)
        number, wire = tag >> 3, tag & 7
        if number == 0:
            message = f"field number 0 at byte {place}"
            raise _MalformedProtobufError(message)
        if wire == VARINT:
            last = _varint(raw, first, end)[1]
        elif wire == LENGTH:
            length, first = _varint(raw, first, end)
            last = first + length
        elif wire in {FIXED64, FIXED32}:
            last = first + (8 if wire == FIXED64 else 4)
        else:  # groups: no ONNX writer makes them, and skipping them is where readers differ
            message = f"wire type {wire} at byte {place}"
            raise _MalformedProtobufError(message)
        if last > end:
            message = f"the field at byte {place} runs beyond its end"
            raise _MalformedProtobufError(message)
        yield number, wire, first, last
        place = last


def _varint(raw: Raw, place: int, end: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if place >= end:
            message = f"a number is cut off at byte {place}"
            raise _MalformedProtobufError(message)
        byte = raw[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:  # noqa: PLR2004 -- the bit that says that more follow
            return value & (2**64 - 1), place
    message = f"a number of more than ten bytes ends at byte {place}"
    raise _MalformedProtobufError(message)


def _entry(raw: Raw, start: int, end: int) -> tuple[str, str]:
    """Return a key and its value; of repeated fields the last counts, as in protobuf."""
    texts = {_KEY: "", _VALUE: ""}
    for number, wire, first, last in _fields(raw, start, end):
        if wire == LENGTH and number in texts:
            texts[number] = bytes(raw[first:last]).decode("utf-8", "backslashreplace")
    return texts[_KEY], texts[_VALUE]
