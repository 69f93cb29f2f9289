"""Which class inputs without meaning fall to: a backdoored class draws them to itself."""

import numpy as np
from numpy.typing import NDArray

from auditor.domain.tasks import Array
from auditor.poisons.backdoor_triggers import Room

Counts = NDArray[np.int64]
MOST_BYTES = 512 * 2**20


def noises(room: Room, rows: Array, count: int, rng: np.random.Generator) -> tuple[Array, Array]:
    """Return ``count`` rows in all: uniform noise, and random mixtures of known rows.

    A mixture takes each coordinate from a row of its own, so that every value is a usual one in
    its place and nothing else is left of any row. Of large inputs there are fewer: ``MOST_BYTES``.
    """
    half = min(count, max(2, MOST_BYTES // room.low.nbytes)) // 2
    uniform = rng.random((half, *room.shape))
    cover = np.ones(room.shape)
    start = np.repeat(rows[:1], half, axis=0)
    flat = rows.reshape(len(rows), -1)
    drawn = rng.integers(0, len(rows), (half, flat.shape[1]))
    mixed = flat[drawn, np.arange(flat.shape[1])].reshape(half, *room.shape)
    return room.put(start, cover, room.scaled(uniform)), mixed


def tally(decided: NDArray[np.int64], classes: int) -> Counts:
    """Return how many rows fell to each class, ``[classes]``."""
    return np.bincount(decided, minlength=classes).astype(np.int64)
