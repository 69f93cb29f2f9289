"""Reads the opsets that a model file imports, without loading its graph or weights.

Source: ``ModelProto`` in onnx.proto (field 8 is ``opset_import``, an ``OperatorSetIdProto`` with
``domain`` in field 1 and ``version`` in field 2), and the protocol-buffer wire format.
"""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

OPSET_IMPORT, DOMAIN, VERSION = 8, 1, 2
VARINT, FIXED_64, BYTES, FIXED_32 = 0, 1, 2, 5
FIXED = {FIXED_64: 8, FIXED_32: 4}
LONGEST_VARINT = 10
LONGEST_ENTRY = 4096
STANDARD = "ai.onnx"


def read_opsets(path: Path) -> dict[str, int]:
    """Return the version of each imported domain; empty where the file is no ONNX model."""
    found: dict[str, int] = {}
    try:
        with path.open("rb") as stream:
            for number, place in _fields(stream):
                if number == OPSET_IMPORT and isinstance(place, bytes):
                    fields = dict(_fields(io.BytesIO(place)))
                    domain, version = fields.get(DOMAIN, b""), fields.get(VERSION, 0)
                    if isinstance(domain, bytes) and isinstance(version, int) and version > 0:
                        found[domain.decode("utf-8", errors="replace") or STANDARD] = version
    except (OSError, ValueError):
        return {}
    return dict(sorted(found.items()))


def _fields(stream: BinaryIO | io.BytesIO) -> Iterator[tuple[int, int | bytes | None]]:
    """Yield each field's number and value; ``None`` stands for what is too long to be an entry."""
    while (key := _varint(stream)) is not None:
        number, kind = key >> 3, key & 7
        if kind == VARINT:
            yield number, _varint(stream)
        elif kind == BYTES:
            length = _varint(stream) or 0
            if length > LONGEST_ENTRY:
                stream.seek(length, io.SEEK_CUR)
                yield number, None
            else:
                yield number, stream.read(length)
        elif kind in FIXED:
            stream.seek(FIXED[kind], io.SEEK_CUR)
        else:
            message = f"there is no wire type {kind}"
            raise ValueError(message)


def _varint(stream: BinaryIO | io.BytesIO) -> int | None:
    """Return the next number, ``None`` at the end of the stream."""
    number = 0
    for index in range(LONGEST_VARINT):
        byte = stream.read(1)
        if not byte:
            return None
        number |= (byte[0] & 0x7F) << (7 * index)
        if byte[0] < 0x80:  # noqa: PLR2004 -- the top bit says that more follows
            return number
    message = "a number is too long"
    raise ValueError(message)
