"""Pictures as planes of pixels, and square windows of them."""

import numpy as np
from numpy.typing import NDArray

from auditor.domain.evidence import find_image_axes
from auditor.domain.tasks import Floats

Places = NDArray[np.int64]


def as_planes(values: Floats) -> Floats:
    """Return ``[n, channels, pixels]`` of ``[n, ...]`` pictures; one plane of any other row."""
    axes = find_image_axes(values.shape[1:])
    if axes is None or axes[2] is None:
        return values.reshape(len(values), 1, int(np.prod(values.shape[1:])))
    moved = np.moveaxis(values, 1 + axes[2], 1)
    return moved.reshape(*moved.shape[:2], moved.shape[2] * moved.shape[3])


def as_rows(planes: Floats, row: tuple[int, ...]) -> Floats:
    """Return planes in the shape of rows again."""
    axes = find_image_axes(row)
    if axes is None or axes[2] is None:
        return planes.reshape(len(planes), *row)
    pictures = planes.reshape(*planes.shape[:2], row[axes[0]], row[axes[1]])
    return np.moveaxis(pictures, 1, 1 + axes[2])


def window_places(top: Places, left: Places, side: int, width: int) -> Places:
    """Return the pixels of a window of each picture as places ``[n, side * side]`` of a plane.

    ``top`` and ``left`` are ``[n]``, ``width`` is the picture's.
    """
    steps = np.arange(side)
    places = (top[:, None, None] + steps[:, None]) * width + left[:, None, None] + steps
    return np.asarray(places.reshape(len(top), side * side))


def picture_size(row: tuple[int, ...]) -> tuple[int, int]:
    """Return height and width. Raises ``TypeError`` for a row that is no picture."""
    axes = find_image_axes(row)
    if axes is None:
        message = f"a row of shape {row} is no picture"
        raise TypeError(message)
    return row[axes[0]], row[axes[1]]


def heaviest_square(weight: Floats, side: int) -> tuple[Places, Places]:
    """Return top and left of the square of ``side`` with most weight: ``[n, height, width]``."""
    total = square_weights(weight, side)
    best = total.reshape(len(total), -1).argmax(axis=1)
    top, left = np.unravel_index(best, total.shape[1:])
    return np.asarray(top), np.asarray(left)


def square_weights(weight: Floats, side: int) -> Floats:
    """Return the weight of each square of ``side``, by its top and left corner."""
    sums = np.pad(weight, ((0, 0), (1, 0), (1, 0))).cumsum(axis=1).cumsum(axis=2)
    both = sums[:, side:, side:] + sums[:, :-side, :-side]
    return np.asarray(both - sums[:, side:, :-side] - sums[:, :-side, side:])
