"""How many rows a request should carry, found out by measuring.

More rows a request save calls and keep a device busy; too many fall out of its caches. Which it is
depends on model and machine. Sizes that give other bytes are not chosen, whatever their pace: the
same seed shall give the same scores.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from auditor.targets.frames import Anything

SIZES = (16, 64, 256)
ROUNDS = 2
SECONDS = 1.0
"""What the trial may take, by the pace of the rows before it."""
LEAST_PACE = 1e-4
"""Seconds a row under which a request's own cost is small whatever its size."""
LEAST_SAMPLE = 64
"""Rows by which a pace is judged: of fewer, one late answer would make a fast model slow."""
GAIN = 0.9
"""Another size than the usual one is taken only where it needs less than this share of its time."""

Ask = Callable[[Anything], Anything]
"""Scores arranged rows in one request."""
Clock = Callable[[], float]


@dataclass(frozen=True, slots=True)
class Trial:
    """The rows a request that were chosen (``None``: as usual), and the rows that were sent."""

    rows: int | None
    queries: int


def try_sizes(
    ask: Ask, sample: Anything, pace: float, usual: int, *, clock: Clock = time.perf_counter
) -> Trial:
    """Time requests of growing sizes over the same rows, and return the size to use.

    ``sample`` are arranged rows, ``pace`` the seconds that each took before, ``usual`` the size
    by the rows' bytes alone. Raises what ``ask`` raises.
    """
    count = min(SIZES[-1], int(SECONDS / max(pace, LEAST_PACE) / (ROUNDS * len(SIZES))))
    sizes = [size for size in SIZES if size <= min(count, usual)]
    if pace < LEAST_PACE or len(sample) < LEAST_SAMPLE or len(sizes) < 2:  # noqa: PLR2004 -- there must be a choice
        return Trial(None, 0)
    rows = np.resize(sample, (sizes[-1], *sample.shape[1:]))
    taken = dict.fromkeys(sizes, float("inf"))
    said: dict[int, bytes] = {}
    for _ in range(ROUNDS):
        for size in sizes:
            began = clock()
            parts = [ask(rows[start : start + size]) for start in range(0, len(rows), size)]
            taken[size] = min(taken[size], clock() - began)
            said[size] = b"".join(part.tobytes() for part in parts)
    queries = ROUNDS * len(sizes) * len(rows)
    best = min(taken, key=lambda size: taken[size])
    faster = taken[best] < GAIN * taken[sizes[-1]] and len(set(said.values())) == 1
    return Trial(best if faster else None, queries)
