"""Message protocol between a target's child process and its parent.

A frame is a length (4 bytes, big-endian), a JSON header, and the raw bytes of the arrays that the
header lists under ``arrays`` as ``{"name", "dtype", "shape"}``, one after the other. There is no
pickle: regardless of the sender, reading a frame yields only JSON and numbers.

Output and exit reasons of a child are sanitized before they are shown. ``ModelConnection`` is the
interface that both child processes and endpoints implement.
"""

import json
import math
import re
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from auditor.errors import ModelCrashedError, ModelOutOfMemoryError, SubjectLostError

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
class MessageFrame:
    """One message: a JSON header and named arrays."""

    header: Mapping[str, Any]
    arrays: Mapping[str, Anything] = field(default_factory=dict)


def encode_frame(frame: MessageFrame) -> list[bytes | memoryview]:
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


def receive_frame(fill: Fill, most_bytes: int) -> MessageFrame:
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
    parse_raw = bytes(raw)
    try:
        header = json.loads(parse_raw, parse_constant=_finite, parse_float=_finite)
    except (ValueError, RecursionError) as error:
        raise FrameError(f"the header is not JSON: {error}") from error
    if not isinstance(header, dict):
        raise FrameError("the header is not a JSON object")
    if not is_encodable(parse_raw, header):
        raise FrameError("the header holds halves of characters")
    listed = header.pop("arrays", None)
    if not isinstance(listed, list) or len(listed) > MOST_ARRAYS:
        raise FrameError(f"the list of arrays is missing or has more than {MOST_ARRAYS} entries")
    slots = [_slot(entry) for entry in listed]
    slots_size = sum(dtype.itemsize * math.prod(shape) for _, dtype, shape in slots)
    if slots_size > most_bytes:
        raise FrameError(f"arrays of {slots_size} bytes were announced, {most_bytes} are allowed")
    if len({name for name, _, _ in slots}) != len(slots):
        raise FrameError("two arrays have the same name")
    arrays: dict[str, Anything] = {}
    for name, dtype, shape in slots:
        array = np.empty(shape, dtype)
        if array.nbytes:
            fill(array.reshape(-1).view(np.uint8).data)
        arrays[name] = array
    return MessageFrame(header, arrays)


def is_encodable(raw: bytes, parsed: object) -> bool:
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


MOST_WORDS = 1000
LAST_LINES = 3
FIRST_SIGNAL = 128  # a wrapper such as bubblewrap reports the signal n as the status 128 + n
OUT_OF_MEMORY = re.compile(
    rb"bad_alloc|MemoryError|[Ff]ailed to allocate|[Cc]annot allocate|[Oo]ut of memory|"
    rb"can't allocate memory"
)
_CONTROL = re.compile(r"\x1b\[[0-9;]*[A-Za-z]|[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def to_plain_text(text: str, most: int = MOST_WORDS) -> str:
    """Return ``text`` without control characters, cut to ``most`` characters."""
    return _CONTROL.sub("", text).strip()[:most]


def explain_exit(
    title: str, status: int | None, tail: bytes, memory_limit: int
) -> SubjectLostError:
    """Say why a process ended, from its exit status and the end of its standard error."""
    if status is None or 0 <= status <= FIRST_SIGNAL:
        number = None
    else:
        number = -status if status < 0 else status - FIRST_SIGNAL
    if number == signal.SIGKILL or OUT_OF_MEMORY.search(tail):
        return ModelOutOfMemoryError(
            f"{title} asked for more memory than it has "
            f"({memory_limit / 2**30:.3g} GiB){quote_last_output(tail)}",
            cure="Raise the target's `memory_limit`, or use a smaller model.",
        )
    return ModelCrashedError(
        f"{title} died ({_ending(status, number)}){quote_last_output(tail)}",
        cure="Run the model alone in onnxruntime to see the crash; an update of onnxruntime or a "
        "new export of the model may fix it.",
    )


def _ending(status: int | None, number: int | None) -> str:
    if number is not None:
        try:
            return signal.Signals(number).name
        except ValueError:
            return f"signal {number}"
    return "it closed its pipe" if status is None else f"exit status {status}"


def quote_last_output(tail: bytes) -> str:
    """Return the last lines of what a process said, after a colon; nothing where it was silent."""
    text = tail.decode("utf-8", errors="replace")
    lines = [to_plain_text(line, 300) for line in text.splitlines() if to_plain_text(line)]
    return f": {' | '.join(lines[-LAST_LINES:])}" if lines else ""


class ModelConnection(Protocol):
    """Something that holds a model open and answers requests about it.

    A child process is one (``keeping.Keeper``), a served endpoint another. Requests are those of
    ``child.sessions``: at least ``infer`` (one input array; the header's ``outputs`` names what
    is wanted, all where it is missing) and ``time``.
    """

    @property
    def opened(self) -> MessageFrame:
        """What the other end said when it was opened; opens it where it is not.

        Header: ``machine``, ``runtime``, ``conditions``, ``inputs`` and ``outputs`` (lists of
        ``{"name", "type", "shape"}`` with ONNX Runtime's type names), ``placement``, ``opsets``.
        """
        ...

    @property
    def level(self) -> str:
        """How far the model is cut off from this machine: an ``IsolationLevel``, or ``remote``."""
        ...

    @property
    def seconds(self) -> float:
        """The time limit of one request."""
        ...

    def ask(
        self, header: Mapping[str, Any], arrays: Mapping[str, Anything] | None = None
    ) -> MessageFrame:
        """Send one request and return its answer.

        Raises ``SubjectLostError`` where the other end was lost (the next request opens it
        anew), ``ModelFailedError`` where it refuses, ``TargetError`` where it is not to be had.
        """
        ...

    def close(self) -> None:
        """End it."""
        ...
