"""Changes of view as arrays: one part of a transformation each, for one picture a value."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from auditor.attacks.spatial import STILL, Transformation
from auditor.domain.tasks import Array
from auditor.errors import DatasetError

PARTS: tuple[str, ...] = tuple(asdict(STILL))
"""The names of the arrays: all are optional, and what is left out changes nothing."""
WHOLE = ("down", "right")
SWITCH = "mirrored"


def read_views(arrays: Mapping[str, Array], count: int, name: str) -> tuple[Transformation, ...]:
    """Return ``count`` transformations of which ``arrays`` hold the parts.

    Raises ``DatasetError`` for what is not one finite number a view, for shifts that are no whole
    pixels, and for ``mirrored`` that is neither true nor false.
    """
    parts = {part: _part(arrays[part], part, count, name) for part in PARTS if part in arrays}
    views: list[dict[str, Any]] = [
        {part: values[at] for part, values in parts.items()} for at in range(count)
    ]
    return tuple(Transformation(**view) for view in views)


def _part(array: Array, part: str, count: int, name: str) -> list[float] | list[int] | list[bool]:
    kinds = "biuf" if part != SWITCH else "biu"
    if array.shape != (count,) or array.dtype.kind not in kinds:
        raise _wrong(array, part, f"one number for each of {count} views", name)
    values: NDArray[np.float64] = array.astype(np.float64)
    if not np.isfinite(values).all():
        raise DatasetError(f"{name}: {part} holds NaN or infinity", cure="Give finite numbers.")
    if part == SWITCH:
        if not np.isin(values, (0, 1)).all():
            raise _wrong(array, part, "true or false for each view", name)
        return [bool(value) for value in values]
    if part in WHOLE:
        if (values != np.rint(values)).any():
            raise _wrong(array, part, "whole pixels", name)
        return [int(value) for value in values]
    return [float(value) for value in values]


def _wrong(array: Array, part: str, expected: str, name: str) -> DatasetError:
    return DatasetError(
        f"{name}: {part} has shape {array.shape} and type {array.dtype}, and is not {expected}",
        cure="Give angle in degrees, down and right in whole pixels, scale, shear, brightness, "
        "contrast and hue as numbers, and mirrored as true or false, each with one value a view.",
    )
