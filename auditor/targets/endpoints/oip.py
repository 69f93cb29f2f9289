"""Open Inference Protocol tensors and metadata: JSON and binary encoding, with validation.

Types and layouts: the protocol's "Tensor Data" and "Tensor Data Types", and its binary tensor data
extension (little-endian, row-major, texts prefixed by their length in four bytes).
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from auditor.errors import ModelFailedError
from auditor.targets.endpoints.client import TensorMetadata
from auditor.targets.endpoints.http import CURE
from auditor.targets.protocol import MOST_AXES, MOST_TEXT, Anything

TYPES: Mapping[str, tuple[str, str]] = {
    "BOOL": ("tensor(bool)", "|b1"),
    "INT8": ("tensor(int8)", "|i1"), "UINT8": ("tensor(uint8)", "|u1"),
    "INT16": ("tensor(int16)", "<i2"), "UINT16": ("tensor(uint16)", "<u2"),
    "INT32": ("tensor(int32)", "<i4"), "UINT32": ("tensor(uint32)", "<u4"),
    "INT64": ("tensor(int64)", "<i8"), "UINT64": ("tensor(uint64)", "<u8"),
    "FP16": ("tensor(float16)", "<f2"), "FP32": ("tensor(float)", "<f4"),
    "FP64": ("tensor(double)", "<f8"), "BYTES": ("tensor(string)", "|S"),
}  # fmt: skip
"""The protocol's types, with ONNX Runtime's names and numpy's."""
NAMES: Mapping[str, str] = {dtype: name for name, (_, dtype) in TYPES.items()}
TEXT = "BYTES"
LENGTH = 4
MOST_SIZE = 2**48
FAULT = "Look at the server's runtime for that model; its answer is not one of the protocol."
LIKE: Mapping[str, frozenset[type]] = {
    "b": frozenset({bool}),
    "i": frozenset({int}),
    "u": frozenset({int}),
    "f": frozenset({int, float}),
    "S": frozenset({str}),
}
"""What JSON values stand for a kind of numpy types."""


def to_ort_type(datatype: str) -> str:
    """Return ONNX Runtime's name of a type; of one that the protocol lacks, its own."""
    return TYPES[datatype][0] if datatype in TYPES else datatype


def tensor_type_name(rows: Anything) -> str:
    """Return the protocol's name of the type of ``rows``."""
    return TEXT if rows.dtype.kind == "S" else NAMES[rows.dtype.newbyteorder("<").str]


def encode_tensor_values(name: str, rows: Anything) -> list[Any]:
    """Return the numbers or texts of ``rows`` in order. Raises ``ModelFailedError``."""
    if rows.dtype.kind == "S":
        return [text.decode("utf-8") for text in rows.reshape(-1).tolist()]
    require_finite_rows(name, rows)
    listed: list[Any] = rows.reshape(-1).tolist()
    return listed


def require_finite_rows(name: str, rows: Anything) -> None:
    """Raise ``ModelFailedError`` for what JSON cannot carry."""
    if rows.dtype.kind == "f" and not np.isfinite(rows).all():
        row = int(np.argmax(~np.isfinite(rows.reshape(len(rows), -1)).all(axis=1)))
        raise ModelFailedError(
            f"row {row} of the input {name!r} holds a missing value or an infinity, which JSON "
            "cannot carry",
            cure="Use `protocol: oip-grpc`, or a server that takes binary tensors.",
        )


def encode_tensor_bytes(rows: Anything) -> bytes:
    """Return the bytes of ``rows``."""
    if rows.dtype.kind == "S":
        texts = rows.reshape(-1).tolist()
        return b"".join(len(text).to_bytes(LENGTH, "little") + text for text in texts)
    return rows.astype(rows.dtype.newbyteorder("<"), order="C", copy=False).tobytes()


def read_tensor_shape(name: str, said: object) -> tuple[int, ...]:
    """Return the shape of an output. Raises ``ModelFailedError`` for what is none."""
    listed = list(said) if isinstance(said, Sequence) and not isinstance(said, str) else None
    if listed is None or len(listed) > MOST_AXES:
        raise _broken(name, "has no shape")
    if not all(type(size) is int and 0 <= size < MOST_SIZE for size in listed):
        raise _broken(name, f"has the impossible shape {listed[:8]}")
    return tuple(listed)


def decode_tensor_values(
    name: str, datatype: object, shape: tuple[int, ...], data: object
) -> Anything:
    """Read one output from JSON, flat or nested. Raises ``ModelFailedError``."""
    dtype = _dtype(name, datatype)
    nested, flat = flatten_nested_lists(name, data)
    if len(flat) != math.prod(shape) or (len(nested) > 1 and nested != shape):
        raise _broken(name, f"has the shape {list(shape)} and values of shape {list(nested)}")
    return array_from_values(name, dtype, flat).reshape(shape)


def flatten_nested_lists(name: str, data: object) -> tuple[tuple[int, ...], list[Any]]:
    """Return the shape of nested lists, and their values in order.

    Raises ``ModelFailedError`` for lists of different lengths: which row a value belongs to would
    be a guess.
    """
    if not isinstance(data, list):
        raise _broken(name, "has no list of values")
    shape: list[int] = [len(data)]
    while any(isinstance(item, list) for item in data):
        lengths = {len(item) if isinstance(item, list) else None for item in data}
        if len(lengths) > 1 or len(shape) == MOST_AXES:
            raise _broken(name, "holds lists of different lengths")
        shape.append(len(data[0]))
        data = [value for item in data for value in item]
    return tuple(shape), data


def array_from_values(name: str, dtype: str, flat: Sequence[Any]) -> Anything:
    """Return JSON values as an array of ``dtype``, losing nothing but precision."""
    kind = dtype[1]
    strange = set(map(type, flat)) - LIKE[kind]
    if strange:
        place = next(index for index, value in enumerate(flat) if type(value) in strange)
        told = "null" if flat[place] is None else f"a {type(flat[place]).__name__}"
        raise _broken(name, f"holds {told} at place {place}, where {dtype} belongs")
    if kind == "S":
        return array_from_texts(name, [text.encode("utf-8", "replace") for text in flat])
    try:
        with np.errstate(over="ignore"):  # becomes an infinity, which is refused with its row
            return np.array(flat, dtype=dtype)
    except OverflowError:
        raise _broken(name, f"holds a number that {dtype} cannot") from None


def decode_tensor_bytes(
    name: str, datatype: object, shape: tuple[int, ...], raw: "bytes | memoryview"
) -> Anything:
    """Read one output from its bytes. Raises ``ModelFailedError``."""
    dtype, count = _dtype(name, datatype), math.prod(shape)
    if datatype == TEXT:
        split_raw = bytes(raw)
        texts, start = [], 0
        for _ in range(count):
            behind = start + LENGTH
            length = int.from_bytes(split_raw[start:behind], "little")
            start = behind + length
            if start > len(split_raw):
                raise _broken(name, "ends in the middle of a text")
            texts.append(split_raw[behind:start])
        if start != len(split_raw):
            raise _broken(name, f"holds more than {count} texts")
        return array_from_texts(name, texts).reshape(shape)
    if len(raw) != count * np.dtype(dtype).itemsize:
        raise _broken(name, f"has the shape {list(shape)} and {len(raw)} bytes of {datatype}")
    if dtype == "|b1" and (np.frombuffer(raw, np.uint8) > 1).any():
        raise _broken(name, "holds truths that are neither true nor false")
    return np.frombuffer(raw, dtype).reshape(shape)


def array_from_texts(name: str, texts: list[bytes]) -> Anything:
    """Return texts as an array. Raises ``ModelFailedError`` for one that is too long."""
    if any(len(text) > MOST_TEXT for text in texts):
        raise _broken(name, f"holds a text of more than {MOST_TEXT:,} bytes")
    return np.array(texts, dtype=np.bytes_)


def _dtype(name: str, datatype: object) -> str:
    if not isinstance(datatype, str) or datatype not in TYPES:
        raise _broken(name, f"is of the type {str(datatype)[:32]!r}, which cannot be read")
    return TYPES[datatype][1]


def _broken(name: str, what: str) -> ModelFailedError:
    return ModelFailedError(f"the server's output {name[:64]!r} {what}", cure=FAULT)


MOST_SLOTS = 1024
Texts = tuple[str, ...]


def read_tensor_metadata(title: str, said: object) -> tuple[TensorMetadata, ...]:
    """Read the inputs or outputs of a model's metadata. Raises ``ModelFailedError``."""
    if said is None:
        return ()
    if not isinstance(said, list) or len(said) > MOST_SLOTS:
        raise ModelFailedError(f"{title} lists tensors in a form that is not a list", cure=CURE)
    found = []
    for entry in said:
        if not isinstance(entry, Mapping) or not isinstance(entry.get("name"), str):
            raise ModelFailedError(f"{title} declares a tensor without a name", cure=CURE)
        shape = entry.get("shape")
        sizes = shape if isinstance(shape, list) else []
        axes = tuple(size if type(size) is int and size > 0 else None for size in sizes)
        found.append(TensorMetadata(entry["name"], to_ort_type(str(entry.get("datatype"))), axes))
    return tuple(found)


def require_declared(
    title: str, model: str, inputs: Iterable[TensorMetadata], outputs: Iterable[TensorMetadata]
) -> None:
    """Refuse a model that does not say what it takes and gives: a guess may be wrong unseen."""
    for kind, slots in (("inputs", inputs), ("outputs", outputs)):
        if not any(True for _ in slots):
            raise ModelFailedError(
                f"{title} does not say what {kind} the model {model!r} has",
                cure=f"Declare its {kind} on the server (MLServer: `{kind}` in "
                f"model-settings.json; KServe: get_{kind[:-1]}_types).",
            )


def read_metadata_text(said: object) -> str:
    """Return a text of metadata; empty where there is none."""
    return said if isinstance(said, str) else ""


def read_metadata_texts(said: object) -> Texts:
    """Return the texts of a list in metadata; empty where there is none."""
    return tuple(map(str, said)) if isinstance(said, list) else ()
