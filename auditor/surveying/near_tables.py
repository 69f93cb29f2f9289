"""Rows of a table that are nearly equal: in all but a few columns, or within a tolerance."""

from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from auditor.domain.tasks import Floats
from auditor.surveying.links import NO_LINKS, Pool, by_distance, by_key
from auditor.surveying.materials import Rows

APART = 4.0
"""How far apart, in tolerances, codes lie that are not equal."""
CENTRE = (16, 50, 84)


@dataclass(frozen=True, slots=True)
class Tolerance:
    """When rows of a table are nearly equal.

    All but ``columns`` of their columns are equal, or all are: measured numbers within ``share``
    of the column's spread (half of the width of its middle two thirds), and others exactly.
    """

    columns: int = 1
    share: float = 1e-3


def near_rows(
    ours: Floats, theirs: Floats | None, measured: NDArray[np.bool_], tolerance: Tolerance
) -> Rows:
    """Return links ``[m, 2]`` of rows of ``ours`` to rows of ``theirs``, or to each other."""
    whole = ours if theirs is None else np.concatenate((ours, theirs))
    within = NO_LINKS
    if measured.any():
        points = _points(whole, measured, tolerance.share)
        within = by_distance(_split(points, len(ours), theirs), 1.0, np.inf)
    return np.concatenate((within, _but_for_columns(whole, len(ours), theirs, tolerance.columns)))


def _split(points: Floats, ours: int, theirs: Floats | None) -> Pool:
    return Pool(points) if theirs is None else Pool(points[:ours], points[ours:])


def _points(whole: Floats, measured: NDArray[np.bool_], share: float) -> Floats:
    """Scale each column so that its tolerance is 1; a missing number is a place of its own."""
    points = np.empty_like(whole)
    for at, column in enumerate(whole.T):
        known = np.isfinite(column)
        if not measured[at]:
            points[:, at] = np.unique(column, return_inverse=True)[1] * APART
            continue
        values = column[known]
        unit = spread(values) * share
        middle = np.median(values) if values.size else 0.0
        points[:, at] = np.where(known, (column - middle) / unit, 0.0)
        points[~known, at] = points[known, at].min(initial=0.0) - APART
    return points


def spread(values: Floats) -> float:
    """Return half of the width of the middle two thirds, else the deviation, else 1."""
    if not values.size:
        return 1.0
    low, _, high = np.percentile(values, CENTRE)
    return float((high - low) / 2 or values.std() or 1.0)


def _but_for_columns(whole: Floats, ours: int, theirs: Floats | None, most: int) -> Rows:
    """Return links of rows that agree in all but ``most`` columns.

    The key of a row is a sum over its columns, from which the columns left out are taken away: a
    pass for each choice of columns. Tables of which that would leave less than half match nothing.
    """
    width = whole.shape[1]
    if not most or 2 * most >= width:
        return NO_LINKS
    parts = np.stack([_keys(column, at) for at, column in enumerate(whole.T)])
    total = parts.sum(axis=0, dtype=np.uint64)
    found = []
    for left_out in combinations(range(width), most):
        keys = total - parts[list(left_out)].sum(axis=0, dtype=np.uint64)
        found.append(by_key(keys[:ours], None if theirs is None else keys[ours:]))
    return np.unique(np.concatenate(found), axis=0)


def _keys(column: Floats, at: int) -> NDArray[np.uint64]:
    """Return 64 pseudo-random bits for each value of a column."""
    distinct, place = np.unique(column, return_inverse=True)
    bits = np.random.default_rng(at).integers(
        0, 1 << 64, distinct.size, dtype=np.uint64, endpoint=False
    )
    return np.asarray(bits[place])
