"""The difference between two proportions of independent rows, with intervals."""

import math
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from auditor.domain.readings import ConfidenceInterval
from auditor.metrics.stats.cluster_robust import (
    clustered_proportion,
    clustered_proportion_difference,
)
from auditor.metrics.stats.proportions import clopper_pearson

LEAST_CLUSTERS = 3
"""From so many on each side on, intervals of clustered rows hold."""
Flags = NDArray[np.bool_]
Codes = NDArray[np.integer]


def share_difference(
    one: tuple[int, int], other: tuple[int, int], confidence: float
) -> ConfidenceInterval:
    """Return one share less another, each given as successes and trials of independent rows.

    Clopper and Pearson's limits of both are joined (Newcombe 1998, Statistics in Medicine 17,
    method 10, has Wilson's). Raises ``ValueError`` for impossible counts.
    """
    left, right = clopper_pearson(*one, confidence), clopper_pearson(*other, confidence)
    found = interval_difference(left, right)
    return replace(found, low=max(-1.0, found.low), high=min(1.0, found.high))


def interval_difference(one: ConfidenceInterval, other: ConfidenceInterval) -> ConfidenceInterval:
    """Return one figure less another, from the intervals of both over rows of their own.

    Limits are joined by variance recovery (Zou and Donner 2008, Statistics in Medicine 27). Raises
    ``ValueError`` for two confidences.
    """
    if one.confidence != other.confidence:
        message = f"intervals at {one.confidence} and {other.confidence} are not joined"
        raise ValueError(message)
    value = one.value - other.value
    down = math.hypot(one.value - one.low, other.high - other.value)
    up = math.hypot(one.high - one.value, other.value - other.low)
    method = f"mover of two intervals: {one.method}"
    return ConfidenceInterval(
        value, value - down, value + up, one.confidence, method, one.n + other.n
    )


def has_few_clusters(clusters: Codes, ours: Flags) -> bool:
    """Whether ``ours`` ``[n]``, or all other rows, are of too few ``clusters`` ``[n]``."""
    return min(np.unique(clusters[side]).size for side in (ours, ~ours)) < LEAST_CLUSTERS


def share_with_clusters(
    hits: Flags, clusters: Codes | None, confidence: float
) -> ConfidenceInterval:
    """Return the share of ``hits`` ``[n]``, whose rows may hang together in ``clusters``.

    Raises ``ValueError`` as ``clusters.clustered_proportion``.
    """
    if clusters is None:
        return clopper_pearson(int(hits.sum()), len(hits), confidence)
    return clustered_proportion(hits, clusters.astype(np.int64), confidence)


def group_share_difference(
    hits: Flags, ours: Flags, clusters: Codes | None, confidence: float
) -> ConfidenceInterval:
    """Return the share of ``hits`` ``[n]`` in ``ours`` ``[n]`` less that among all other rows.

    Raises ``ValueError`` as ``clusters.clustered_proportion_difference``.
    """
    if clusters is not None:
        return clustered_proportion_difference(hits, ours, clusters.astype(np.int64), confidence)
    mine, rest = ((int(part.sum()), len(part)) for part in (hits[ours], hits[~ours]))
    return share_difference(mine, rest, confidence)
