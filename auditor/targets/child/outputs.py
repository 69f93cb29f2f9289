"""What a session takes and returns, as arrays that a frame can carry."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from auditor.targets.child.serving import RefusalError
from auditor.targets.frames import Anything

Key = str | int


def to_array(name: str, value: object) -> tuple[Anything, list[Key] | None]:
    """Return an output as an array, and the class keys of its columns where it is a ZipMap."""
    if isinstance(value, np.ndarray):
        return (value, None) if value.dtype.kind in "biuf" else (_texts(value), None)
    if isinstance(value, Mapping):
        return _columns(name, [value])
    if isinstance(value, Sequence) and value and all(isinstance(row, Mapping) for row in value):
        return _columns(name, value)
    raise RefusalError(
        "model",
        f"the output {name!r} is a {type(value).__name__}, neither a tensor nor a ZipMap",
        "Export the model with its scores as a tensor [rows, classes].",
    )


def as_given(rows: Anything) -> Anything:
    """Return rows as a session takes them: the bytes of a text as the text that they spell."""
    if rows.dtype.kind != "S":
        return rows
    texts = [text.decode() for text in rows.reshape(-1).tolist()]
    return np.array(texts, dtype=object).reshape(rows.shape)


def _columns(name: str, rows: Sequence[Mapping[Any, float]]) -> tuple[Anything, list[Key]]:
    keys = list(rows[0])
    try:
        table = np.array([[row[key] for key in keys] for row in rows], dtype=np.float64)
    except (KeyError, TypeError, ValueError) as error:
        raise RefusalError(
            "model",
            f"the rows of the ZipMap {name!r} do not have the same numeric classes",
            "Export the model without ZipMap (skl2onnx: options={'zipmap': False}).",
        ) from error
    return table, [key if isinstance(key, int) else str(key) for key in keys]


def _texts(array: Anything) -> Anything:
    return np.array([str(item).encode() for item in array.reshape(-1)], dtype=np.bytes_).reshape(
        array.shape
    )


def join(parts: list[Anything], batch: int, rows: int) -> Anything:
    """Put the outputs of batches of ``batch`` rows back together, without the padding.

    A model with a fixed batch of 1 may leave the batch axis out of its output.
    """
    if batch == 1 and any(part.shape[:1] != (1,) for part in parts):
        return np.stack(parts)[:rows]
    return np.concatenate(parts)[:rows]
