"""Search for points near a classifier's decision boundary, where its scores still change."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from auditor.domain.tasks import Array, Floats

HALVINGS = 10
Decide = Callable[[Array], NDArray[np.int64]]
"""Asks the model for the class of each row."""


def find_boundary_points(
    decide: Decide, rows: Array, decisions: NDArray[np.int64], count: int, rng: np.random.Generator
) -> tuple[Array, NDArray[np.int64]]:
    """Return up to ``count`` points beside a border, and the class on its other side.

    Each lies between two rows of different ``decisions``, halved ``HALVINGS`` times: so many
    queries a point. None where all rows are decided alike. Missing values stay missing.
    """
    order = rng.permutation(len(rows))
    partner = {
        int(one): next((int(b) for b in order[place + 1 :] if decisions[b] != decisions[one]), None)
        for place, one in enumerate(order)
    }
    pairs = [(one, other) for one, other in partner.items() if other is not None][:count]
    if not pairs:
        return rows[:0], np.zeros(0, dtype=np.int64)
    first, second = (np.array(side, dtype=np.int64) for side in zip(*pairs, strict=True))
    near, far = rows[first].astype(np.float64), rows[second].astype(np.float64)
    beyond = decisions[second].copy()
    for _ in range(HALVINGS):
        middle = _typed((near + far) / 2, rows)
        said = decide(middle)
        same = (said == decisions[first]).reshape(-1, *[1] * (rows.ndim - 1))
        near, far = np.where(same, middle, near), np.where(same, far, middle)
        beyond = np.where(said == decisions[first], beyond, said)
    return _typed(near, rows), beyond


def _typed(points: Floats, rows: Array) -> Array:
    whole = rows.dtype.kind in "biu"
    return (np.rint(points) if whole else points).astype(rows.dtype)
