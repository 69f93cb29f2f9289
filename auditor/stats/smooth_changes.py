"""How the smooth calibration error changes from one run to another over the same rows."""

import math

import numpy as np
from numpy.typing import NDArray

from auditor.domain.intervals import Interval
from auditor.domain.tasks import Floats
from auditor.stats.paired import LEAST
from auditor.stats.spreading import GUESS, meeting, norms, waves

CELLS = 512
DRAWS = 200
METHOD = f"paired smooth ece, norms of the noise by {DRAWS} gaussian multipliers"
Flags = NDArray[np.bool_]
Run = tuple[Floats, Flags]
"""What was stated ``[n]``, and what happened ``[n]``."""


def smooth_change(before: Run, after: Run, confidence: float, seed: int) -> Interval:
    """Return the smooth calibration error ``after``, less that ``before``, of the same rows.

    Both are Blasiok and Nakkiran's (2023, arXiv 2309.12236). Two bounds hold jointly (Bonferroni),
    and the interval is where both do: each error is off by the norm of its own noise at most, and
    by the triangle inequality the errors are no further apart than the norm of their difference,
    which is small where both runs state about the same. Either allows for an error too rare to be
    seen. Raises ``ValueError`` for fewer than 30 rows.
    """
    rows = len(before[0])
    if rows < LEAST:
        message = f"{rows} rows, where a change needs {LEAST}"
        raise ValueError(message)
    errors = [(happened - stated) / rows for stated, happened in (before, after)]
    cells = [np.minimum(run[0] * CELLS, CELLS - 1).astype(np.int64) for run in (before, after)]
    one, other = (
        waves(np.bincount(at, error, CELLS).astype(np.float64))
        for at, error in zip(cells, errors, strict=True)
    )
    was, now = _error(one), _error(other)
    noise, more = _noise(errors, cells, np.random.default_rng(seed))
    level, narrow = (1 + confidence) / 2, min(was, now)
    unseen = -math.log(1 - level) / rows
    away = float(np.quantile(norms(noise, was) + norms(more, now), level)) + unseen
    apart = float(np.quantile(norms(more - noise, narrow), level)) + unseen
    apart += float(norms(other - one, narrow))
    change = now - was
    low, high = max(change - away, -apart), min(change + away, apart)
    return Interval(change, min(low, change), max(high, change), confidence, METHOD, rows)


def _error(seen: Floats) -> float:
    return float(meeting(lambda width: norms(seen, width), GUESS))


def _noise(
    errors: list[Floats], cells: list[NDArray[np.int64]], rng: np.random.Generator
) -> tuple[Floats, Floats]:
    """Return the waves of what chance adds to either run, ``[DRAWS, CELLS]``; rows go together."""
    drawn = np.empty((2, DRAWS, CELLS))
    for place in range(DRAWS):
        signs = rng.normal(size=len(errors[0]))
        for run in (0, 1):
            drawn[run, place] = np.bincount(cells[run], errors[run] * signs, CELLS)
    return waves(drawn[0]), waves(drawn[1])
