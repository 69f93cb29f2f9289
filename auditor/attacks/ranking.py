"""The largest numbers of each row."""

import numpy as np
from numpy.typing import NDArray

from auditor.domain.tasks import Floats

GROUP = 8
"""How many numbers of a row are looked at through the largest one of them."""
FEW = 4
"""What may be among the largest is sorted alone where it is at most this fraction of a row."""

Counts = NDArray[np.int64]


def largest(values: Floats, counts: Floats) -> NDArray[np.bool_]:
    """Mark the ``counts`` largest of each row of ``[n, d]`` values; of equals the first ones."""
    wanted = np.clip(np.ceil(counts), 0, values.shape[1]).astype(np.int64)
    least = _least(values, np.maximum(wanted, 1))[:, None]
    at_least: NDArray[np.bool_] = values >= least
    if (np.count_nonzero(at_least, axis=1) == wanted).all():
        return at_least
    marked, equal = values > least, values == least
    left = wanted - np.count_nonzero(marked, axis=1)
    crowded = np.count_nonzero(equal, axis=1) > left
    if crowded.any():
        among = equal[crowded]
        equal[crowded] = among & (np.cumsum(among, axis=1) <= left[crowded, None])
    return np.asarray(marked | equal)


def slots_of(rows: Counts, count: Counts) -> Counts:
    """Return the place of each of some marks among those of its row.

    ``rows`` are the marks' rows in their order, ``count`` how many each row has.
    """
    return np.arange(len(rows)) - np.repeat(np.cumsum(count) - count, count)


def _least(values: Floats, wanted: Counts) -> Floats:
    """Return the least of the ``wanted`` largest of each row: one at least.

    The largest numbers of disjoint groups rank below those of the whole row, so that the least
    wanted of them is a bound, and few numbers are above it.
    """
    rows, columns = values.shape
    groups = columns // GROUP
    if rows and int(wanted.max()) * 2 <= groups:
        heads = values[:, : groups * GROUP].reshape(rows, GROUP, groups).max(axis=1)
        heads.sort(axis=1)
        bound = heads[np.arange(rows), groups - wanted]
        places = np.flatnonzero(values >= bound[:, None])
        own = places // columns
        count = np.bincount(own, minlength=rows)
        most = int(count.max())
        if most * FEW <= columns:
            few = np.full((rows, most), -np.inf)
            few[own, slots_of(own, count)] = values.reshape(-1).take(places)
            return _ranked(few, wanted)
    return _ranked(values, wanted)


def _ranked(values: Floats, wanted: Counts) -> Floats:
    ranked = np.sort(values, axis=1)
    return np.asarray(ranked[np.arange(len(ranked)), values.shape[1] - wanted])
