"""How far two shares, each of rows of its own, lie apart."""

import math

import numpy as np
from numpy.typing import NDArray

from auditor.domain.intervals import Interval
from auditor.stats.clusters import clustered_proportion, clustered_proportion_difference
from auditor.stats.proportions import clopper_pearson

METHOD = "mover of two clopper-pearson proportions"
LEAST_CLUSTERS = 3
"""From so many on each side on, intervals of clustered rows hold."""
Flags = NDArray[np.bool_]
Codes = NDArray[np.integer]


def share_difference(one: tuple[int, int], other: tuple[int, int], confidence: float) -> Interval:
    """Return one share less another, each given as successes and trials of independent rows.

    The exact limits of both are joined by variance recovery (Newcombe 1998, Statistics in Medicine
    17, method 10, with Clopper and Pearson's limits in place of Wilson's; Zou and Donner 2008,
    Statistics in Medicine 27). Raises ``ValueError`` for impossible counts.
    """
    left, right = clopper_pearson(*one, confidence), clopper_pearson(*other, confidence)
    value = left.value - right.value
    down = math.hypot(left.value - left.low, right.high - right.value)
    up = math.hypot(left.high - left.value, right.value - right.low)
    ends = max(-1.0, value - down), min(1.0, value + up)
    return Interval(value, *ends, confidence, METHOD, left.n + right.n)


def share(hits: Flags, clusters: Codes | None, confidence: float) -> Interval:
    """Return the share of ``hits`` ``[n]``, whose rows may hang together in ``clusters``.

    Raises ``ValueError`` as ``clusters.clustered_proportion``.
    """
    if clusters is None:
        return clopper_pearson(int(hits.sum()), len(hits), confidence)
    return clustered_proportion(hits, clusters.astype(np.int64), confidence)


def difference(hits: Flags, ours: Flags, clusters: Codes | None, confidence: float) -> Interval:
    """Return the share of ``hits`` ``[n]`` in ``ours`` ``[n]`` less that among all other rows.

    Raises ``ValueError`` as ``clusters.clustered_proportion_difference``.
    """
    if clusters is not None:
        return clustered_proportion_difference(hits, ours, clusters.astype(np.int64), confidence)
    mine, rest = ((int(part.sum()), len(part)) for part in (hits[ours], hits[~ours]))
    return share_difference(mine, rest, confidence)
