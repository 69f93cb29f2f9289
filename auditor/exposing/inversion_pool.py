"""Members and others of each class, and which of them lie nearest to what an attack made up."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from auditor.domain.images import image_axes
from auditor.domain.tasks import Array, Floats
from auditor.exposing.inversion_ground import flattened
from auditor.exposing.inversion_sides import Sample, Sides

NEAREST = 16
"""Neighbours that are kept: that all of them are of one side has the chance 2^-15."""
FEWEST, MOST = 2, 500
"""Rows of each class and side in the pool."""
AT_ONCE = 8_000_000
MOST_VALUES = 30_000_000
"""Input values of the whole pool, so that it fits into memory."""
LEAST_SPREAD = 1e-9
Places = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Pool:
    """As many ``members`` as others of each class: points ``[p, d]``, classes and names ``[p]``."""

    points: Floats
    classes: Places
    members: NDArray[np.bool_]
    ids: NDArray[np.str_]
    rows: Array
    scale: Floats

    @classmethod
    def of(cls, taken: Sides, classes: Places) -> "Pool":
        """Take the first rows of each of the classes from either side, as many of each."""
        members, others = [], []
        width = max(1, int(np.prod(taken.attacker.inputs.shape[1:])))
        most = max(FEWEST, min(MOST, MOST_VALUES // (2 * width * max(1, len(classes)))))
        for at in classes:
            ours, theirs = (np.flatnonzero(it.labels == at) for it in (taken.members, taken.others))
            count = min(len(ours), len(theirs), most)
            if count >= FEWEST:
                members.append(ours[:count])
                others.append(theirs[:count])
        none = np.arange(0)
        parts = [
            taken.members.take(np.concatenate([none, *members])),
            taken.others.take(np.concatenate([none, *others])),
        ]
        scale = scaling(taken.attacker)
        rows = np.concatenate([it.inputs for it in parts])
        return cls(
            flattened(rows) / scale if len(rows) else np.zeros((0, len(scale))),
            np.concatenate([it.labels for it in parts]),
            np.arange(len(rows)) < len(parts[0].labels),
            np.concatenate([it.ids for it in parts]).astype(np.str_),
            rows,
            scale,
        )

    def nearest(self, made: Array, aims: Places) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """Return the nearest rows of its own class to each row that was made up, and how far.

        ``[n, 16]`` places in the pool and distances; places are -1 where a class has fewer rows.
        """
        points = flattened(made) / self.scale
        near = np.full((len(made), NEAREST), -1, dtype=np.int32)
        away = np.full((len(made), NEAREST), np.inf, dtype=np.float32)
        for one in np.unique(aims):
            places, asked = np.flatnonzero(self.classes == one), np.flatnonzero(aims == one)
            if places.size:
                found = _distances(points[asked], self.points[places])
                order = np.argsort(found, axis=1, kind="stable")[:, :NEAREST]
                near[asked, : order.shape[1]] = places[order]
                away[asked, : order.shape[1]] = np.take_along_axis(found, order, axis=1)
        return near, away


def scaling(known: Sample) -> Floats:
    """Return what coordinates are divided by: nothing of a picture, deviations of a table."""
    flat = flattened(known.inputs)
    if image_axes(known.inputs.shape[1:]) is not None:
        return np.ones(flat.shape[1])
    spread = flat.std(axis=0)
    return np.where(spread > LEAST_SPREAD, spread, 1.0)


def _distances(points: Floats, known: Floats) -> Floats:
    found = np.empty((len(points), len(known)))
    size = max(1, AT_ONCE // max(1, known.size))
    for at in range(0, len(points), size):
        apart = points[at : at + size, None] - known
        found[at : at + size] = np.sqrt((apart * apart).sum(axis=2))
    return found
