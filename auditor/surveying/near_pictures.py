"""Pictures that are nearly equal, whatever their brightness and contrast."""

import numpy as np

from auditor.domain.images import image_axes
from auditor.domain.tasks import Array, Floats
from auditor.surveying.links import NO_LINKS, Pool, by_distance
from auditor.surveying.materials import Rows

SIDE = 8
CANDIDATES = 4
WIDER = 2.0
"""How much farther apart than the pictures their small forms may lie."""
BLOCK = 4096
FLAT = 1e-6


def near_pictures(ours: Array, theirs: Array | None, distance: float) -> Rows:
    """Return links ``[m, 2]`` of pictures whose grey values, centred and scaled to length one, lie
    within ``distance`` of each other (a correlation of ``1 - distance ** 2 / 2``).

    They are looked for among the ``CANDIDATES`` whose means over a grid of 8 by 8 are the nearest.
    A picture of one colour is like no other.
    """
    grey = greys(ours)
    other = None if theirs is None else greys(theirs)
    pool = Pool(small(grey), None if other is None else small(other))
    drawn = [np.flatnonzero(np.any(part != 0, axis=1)) for part in (pool.ours, pool.corpus)]
    if not drawn[0].size or not drawn[1].size:
        return NO_LINKS
    trimmed = Pool(pool.ours[drawn[0]], None if theirs is None else pool.corpus[drawn[1]])
    links = by_distance(trimmed, WIDER * distance, 2.0, CANDIDATES)
    links = np.stack((drawn[0][links[:, 0]], drawn[1][links[:, 1]]), axis=1)
    return _verified(grey, grey if other is None else other, links, distance)


def greys(pictures: Array) -> Floats:
    """Return ``[n, height, width]``, the mean over channels. Raises ``ValueError`` for no image."""
    axes = image_axes(pictures.shape[1:])
    if axes is None:
        message = f"rows of shape {pictures.shape[1:]} are no pictures"
        raise ValueError(message)
    values = pictures.astype(np.float32)
    if axes[2] is not None:
        values = values.mean(axis=1 + axes[2])
    return np.asarray(values, dtype=np.float32)


def means(grey: Floats) -> Floats:
    """Return ``[n, cells]`` means over a grid of at most 8 by 8 cells."""
    for axis in (1, 2):
        length = grey.shape[axis]
        edges = np.unique(np.arange(SIDE) * length // SIDE)
        sizes = np.diff(np.append(edges, length))
        summed = np.add.reduceat(grey, edges, axis=axis)
        grey = summed / (sizes[:, None] if axis == 1 else sizes)
    return grey.reshape(len(grey), -1).astype(np.float64)


def small(grey: Floats) -> Floats:
    """Return the means over a grid, centred and scaled to length one."""
    return _scaled(means(grey))


def _scaled(flat: Floats) -> Floats:
    centred = flat - flat.mean(axis=1, keepdims=True)
    length = np.linalg.norm(centred, axis=1, keepdims=True)
    whole = np.linalg.norm(flat, axis=1, keepdims=True)
    return np.where(length > FLAT * whole, centred / np.maximum(length, FLAT * FLAT), 0.0)


def _verified(ours: Floats, theirs: Floats, links: Rows, distance: float) -> Rows:
    kept = []
    for start in range(0, len(links), BLOCK):
        part = links[start : start + BLOCK]
        one = _scaled(ours[part[:, 0]].reshape(len(part), -1).astype(np.float64))
        other = _scaled(theirs[part[:, 1]].reshape(len(part), -1).astype(np.float64))
        kept.append(part[np.linalg.norm(one - other, axis=1) <= distance])
    return np.concatenate(kept) if kept else NO_LINKS
