"""The frames that a target's child process and its parent exchange.

A frame is a length (4 bytes, big-endian), a JSON header, and the raw bytes of the arrays that the
header lists under ``arrays`` as ``{"name", "dtype", "shape"}``, one after the other. There is no
pickle: whatever the other end says, reading a frame gives only JSON and numbers.
"""

import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

PROTOCOL = 1
MOST_HEADER = 2**20
MOST_ARRAYS = 64
MOST_AXES = 16
SMALL = 2**14
NUMBERS = frozenset(
    "|b1 |i1 |u1 <i2 <u2 <i4 <u4 <i8 <u8 <f2 <f4 <f8".split()  # noqa: SIM905 -- reads as a table
)
MOST_TEXT = 99_999
"""Bytes of one text, so that a dtype which promises more is refused."""
TEXT = re.compile(r"\|S[1-9][0-9]{0,4}")
HALF = re.compile(rb"\\u[dD][89a-fA-F]")

Anything: TypeAlias = NDArray[Any]
Fill: TypeAlias = Callable[[memoryview], None]
"""Fills the whole view with the next bytes of the stream, or raises."""


class FrameError(Exception):
    """What arrived is not a frame, or is larger than was agreed."""


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One message: a JSON header and named arrays."""

    header: Mapping[str, Any]
    arrays: Mapping[str, Anything] = field(default_factory=dict)


def encode(frame: Frame) -> list[bytes | memoryview]:
    """Return the frame's bytes in parts, without copying arrays that lie contiguous.

    Raises ``FrameError`` for what a frame cannot carry.
    """
    laid = {name: np.ascontiguousarray(array) for name, array in frame.arrays.items()}
    listed = [
        {"name": name, "dtype": array.dtype.str, "shape": frame.arrays[name].shape}
        for name, array in laid.items()
    ]
    for entry in listed:
        _check_dtype(str(entry["dtype"]))
    try:
        raw = json.dumps(
            {**frame.header, "arrays": listed}, separators=(",", ":"), allow_nan=False
        ).encode()
    except (TypeError, ValueError) as error:
        raise FrameError(f"the header is not JSON: {error}") from error
    if len(raw) > MOST_HEADER:
        raise FrameError(f"the header has {len(raw)} bytes")
    parts: list[bytes | memoryview] = [len(raw).to_bytes(4, "big") + raw]
    parts.extend(array.reshape(-1).view(np.uint8).data for array in laid.values() if array.nbytes)
    small = sum(map(len, parts)) <= SMALL
    return [b"".join(parts)] if small else parts  # one write wakes the other end once


def receive(fill: Fill, most_bytes: int) -> Frame:
    """Read one frame whose arrays have at most ``most_bytes`` bytes together.

    Raises ``FrameError`` before anything is allocated for a frame that breaks the rules.
    """
    size = bytearray(4)
    fill(memoryview(size))
    length = int.from_bytes(size, "big")
    if length > MOST_HEADER:
        raise FrameError(f"a header of {length} bytes was announced")
    raw = bytearray(length)
    fill(memoryview(raw))
    header = _parse(bytes(raw))
    slots = _slots(header.pop("arrays", None), most_bytes)
    arrays: dict[str, Anything] = {}
    for name, dtype, shape in slots:
        array = np.empty(shape, dtype)
        if array.nbytes:
            fill(array.reshape(-1).view(np.uint8).data)
        arrays[name] = array
    return Frame(header, arrays)


def _parse(raw: bytes) -> dict[str, Any]:
    try:
        header = json.loads(raw, parse_constant=_finite, parse_float=_finite)
    except (ValueError, RecursionError) as error:
        raise FrameError(f"the header is not JSON: {error}") from error
    if not isinstance(header, dict):
        raise FrameError("the header is not a JSON object")
    if not is_text(raw, header):
        raise FrameError("the header holds halves of characters")
    return header


def is_text(raw: bytes, parsed: object) -> bool:
    """Whether all texts in ``parsed``, which was read from the JSON ``raw``, can be written again.

    JSON may escape half of a surrogate pair, which is no character: nothing that holds one can be
    digested, or signed.
    """
    if HALF.search(raw) is None:
        return True
    try:
        json.dumps(parsed, ensure_ascii=False).encode()
    except (UnicodeEncodeError, RecursionError):
        return False
    return True


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise FrameError(f"the header holds {text[:32]}")
    return number


def _slots(listed: object, most_bytes: int) -> list[tuple[str, np.dtype[Any], tuple[int, ...]]]:
    if not isinstance(listed, list) or len(listed) > MOST_ARRAYS:
        raise FrameError(f"the list of arrays is missing or has more than {MOST_ARRAYS} entries")
    slots = [_slot(entry) for entry in listed]
    size = sum(dtype.itemsize * math.prod(shape) for _, dtype, shape in slots)
    if size > most_bytes:
        raise FrameError(f"arrays of {size} bytes were announced, {most_bytes} are allowed")
    if len({name for name, _, _ in slots}) != len(slots):
        raise FrameError("two arrays have the same name")
    return slots


def _slot(entry: object) -> tuple[str, np.dtype[Any], tuple[int, ...]]:
    if not isinstance(entry, dict):
        raise FrameError("an array is not described by an object")
    name, dtype, shape = entry.get("name"), entry.get("dtype"), entry.get("shape")
    if not isinstance(name, str) or not isinstance(dtype, str) or not isinstance(shape, list):
        raise FrameError("an array lacks a name, a dtype or a shape")
    if len(shape) > MOST_AXES or not all(type(n) is int and 0 <= n < 2**48 for n in shape):
        raise FrameError(f"array {name[:64]!r} has no possible shape")
    return name, _check_dtype(dtype), tuple(shape)


def _check_dtype(dtype: str) -> np.dtype[Any]:
    if dtype not in NUMBERS and not TEXT.fullmatch(dtype):
        raise FrameError(f"arrays of dtype {dtype[:32]!r} are not exchanged")
    return np.dtype(dtype)
