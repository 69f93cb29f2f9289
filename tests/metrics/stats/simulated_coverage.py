"""Coverage by simulation, with the Monte-Carlo error that a count of hits has."""

import math
from collections.abc import Iterable

from auditor.domain.readings import ConfidenceInterval

FOUR_ERRORS = 4


def coverage(intervals: Iterable[ConfidenceInterval], truth: float) -> tuple[float, int]:
    """Share of intervals that hold the truth, and how many there were."""
    hits = [item.low <= truth <= item.high for item in intervals]
    return sum(hits) / len(hits), len(hits)


def allowed(level: float, repeats: int) -> float:
    """The least share that is no evidence against coverage at ``level``."""
    return level - FOUR_ERRORS * math.sqrt(level * (1 - level) / repeats)
