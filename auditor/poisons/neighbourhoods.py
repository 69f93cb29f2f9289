"""How near a row lies to its own class and to every other: what contradicts its label."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from auditor.domain.tasks import Floats

Codes = NDArray[np.int64]
Narrow = NDArray[np.float32]
BLOCK = 2048
NOWHERE = -1
"""The place in the pool of a row that is not in it."""
LEAST = 1e-6


@dataclass(frozen=True, slots=True, eq=False)
class Crowd:
    """Rows ``[m, d]`` that others are looked up among, and which of ``classes`` each is of."""

    rows: Narrow
    labels: Codes
    classes: int

    def distances(self, rows: Narrow, own: Codes, neighbours: int) -> Narrow:
        """Return ``[n, classes]``: how far rows ``[n, d]`` are from the ``neighbours``-th nearest
        one of each class.

        Every pair is compared, a block of rows at a time. ``own`` ``[n]`` is a row's own place in
        the crowd, which is passed over, or ``NOWHERE``. Infinite where a class has too few rows.
        """
        order = np.argsort(self.labels, kind="stable")
        crowd = np.ascontiguousarray(self.rows[order])
        place = np.full(len(crowd) + 1, NOWHERE)
        place[order] = np.arange(len(crowd))
        edges = np.searchsorted(self.labels[order], np.arange(self.classes + 1))
        squares = np.einsum("ij,ij->i", crowd, crowd)
        found = np.full((len(rows), self.classes), np.inf, dtype=np.float32)
        for start in range(0, len(rows), BLOCK):
            part = rows[start : start + BLOCK]
            away = part @ crowd.T
            np.multiply(away, -2, out=away)
            away += squares
            there = place[own[start : start + BLOCK]]
            mine = np.flatnonzero(there >= 0)
            away[mine, there[mine]] = np.inf
            nearest = _kth(away, edges, neighbours) + np.einsum("ij,ij->i", part, part)[:, None]
            found[start : start + BLOCK] = np.sqrt(np.maximum(nearest, 0))
        return found


def _kth(away: Narrow, edges: Codes, neighbours: int) -> Narrow:
    found = np.full((len(away), len(edges) - 1), np.inf, dtype=np.float32)
    for kind, (first, last) in enumerate(pairwise(edges)):
        if last - first >= neighbours:
            part = away[:, first:last]
            found[:, kind] = np.partition(part, neighbours - 1, axis=1)[:, neighbours - 1]
    return found


def contradiction(distances: Narrow, labels: Codes) -> tuple[Floats, Codes]:
    """Return how much nearer ``[n]`` each row lies to another class than to its own, and to which.

    The logarithm of the distance to its own class over the least one to another, after Hodge and
    Austin (2004, Artificial Intelligence Review 22): above 0 the neighbours say another label.
    Where its own class has too few rows nothing is said: minus infinity.
    """
    away = np.array(distances, dtype=np.float64)
    at = np.arange(len(away))
    mine = away[at, labels]
    away[at, labels] = np.inf
    other = away.argmin(axis=1)
    nearest = away[at, other]
    known = np.isfinite(mine) & np.isfinite(nearest)
    ratio = np.log(np.maximum(np.where(known, mine, 1), LEAST))
    ratio -= np.log(np.maximum(np.where(known, nearest, 1), LEAST))
    return np.where(known, ratio, -np.inf), other.astype(np.int64)
