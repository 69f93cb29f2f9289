"""Image resampling and convolution, all of ``[n, height, width, channels]``."""

import numpy as np
from numpy.typing import NDArray

from auditor.domain.tasks import Floats

EDGE, LOW = "edge", "low"
FILLS = (EDGE, LOW)
"""What lies beyond the border: the nearest pixel, or nothing (0, the low end of the box)."""


def pixel_mesh(height: int, width: int) -> tuple[Floats, Floats]:
    """Return the rows and columns ``[height, width]`` of all pixels."""
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float64)
    return rows, columns


def sample_bilinear(pictures: Floats, rows: Floats, columns: Floats, fill: str = EDGE) -> Floats:
    """Look pictures up, bilinearly, at ``rows`` and ``columns``.

    These are ``[height, width]``, the same for all pictures, or ``[n, height, width]``.
    """
    top, left = np.floor(rows), np.floor(columns)
    down, right = rows - top, columns - left
    found = np.zeros((len(pictures), *rows.shape[-2:], pictures.shape[3]))
    for row, vertical in ((top, 1 - down), (top + 1, down)):
        for column, horizontal in ((left, 1 - right), (left + 1, right)):
            weight = vertical * horizontal
            if fill == LOW:
                weight = (
                    weight * _inside(row, pictures.shape[1]) * _inside(column, pictures.shape[2])
                )
            if weight.any():
                found += weight[..., None] * sample_nearest(pictures, row, column)
    return found


def sample_nearest(pictures: Floats, rows: Floats, columns: Floats) -> Floats:
    """Look pictures up at whole ``rows`` and ``columns``, at the border where these lie beyond."""
    y = np.clip(rows, 0, pictures.shape[1] - 1).astype(np.intp)
    x = np.clip(columns, 0, pictures.shape[2] - 1).astype(np.intp)
    if y.ndim == 2:  # noqa: PLR2004 -- height and width: one map for all pictures
        return pictures[:, y, x]
    return pictures[np.arange(len(pictures))[:, None, None], y, x]


def zoom_in(pictures: Floats, factor: float) -> Floats:
    """Magnify the middle by ``factor`` (at least 1), keeping the size."""
    for axis in (1, 2):
        side = pictures.shape[axis]
        middle = (side - 1) / 2
        places = middle + (np.arange(side) - middle) / factor
        first = np.clip(np.floor(places), 0, max(0, side - 2)).astype(np.intp)
        share = np.expand_dims(places - first, tuple(range(1, 4 - axis)))
        left = np.take(pictures, first, axis=axis)
        right = np.take(pictures, np.minimum(first + 1, side - 1), axis=axis)
        pictures = left + share * (right - left)
    return pictures


def convolve(pictures: Floats, kernels: Floats) -> Floats:
    """Filter pictures by ``[1 or n, k, k]`` kernels (``k`` odd), borders as their edge."""
    reach = kernels.shape[1] // 2
    around = ((0, 0), (reach, reach), (reach, reach), (0, 0))
    padded = np.pad(pictures, around, mode="edge")
    height, width = padded.shape[1:3]
    spectrum = np.fft.rfft2(kernels, s=(height, width), axes=(1, 2))[..., None]
    found = np.fft.irfft2(
        np.fft.rfft2(padded, axes=(1, 2)) * spectrum, s=(height, width), axes=(1, 2)
    )
    # The kernel's middle lies at index ``reach``, and so does the picture's corner in the padding.
    return found[:, 2 * reach :, 2 * reach :]


def _inside(places: Floats, side: int) -> NDArray[np.bool_]:
    within: NDArray[np.bool_] = (places >= 0) & (places <= side - 1)
    return within
