"""How far predicted numbers miss the truth, with intervals."""

import math

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from auditor.domain.intervals import Interval
from auditor.domain.tasks import Floats
from auditor.stats.means import cluster_totals, mean_value

LEAST = 30
"""Fewest rows, or clusters of rows, that give errors of numbers an interval."""
EXPLAINED = "delta method on the logarithm of what is left unexplained"
CLUSTERED = ", of linearised cluster totals"

Clusters = NDArray[np.int64] | None


def mean_error(values: Floats, confidence: float, clusters: Clusters = None) -> Interval:
    """Return the mean of errors, signed or absolute, ``values`` ``[n]``.

    Rows that are alike within ``clusters`` ``[n]`` enter by the totals of their clusters. Raises
    ``ValueError`` for fewer than ``LEAST`` rows or clusters.
    """
    said = _said(values, clusters)
    mean, found = float(values.mean()), mean_value(said, confidence)
    ends = min(found.low, mean), max(found.high, mean)
    return Interval(mean, *ends, confidence, _named(found.method, clusters), values.size)


def root_mean_square(errors: Floats, confidence: float, clusters: Clusters = None) -> Interval:
    """Return the root of the mean square of ``errors`` ``[n]``, as ``mean_error`` of the squares.

    Raises ``ValueError`` as it does.
    """
    square = mean_error(errors * errors, confidence, clusters)
    value, low, high = (
        math.sqrt(max(0.0, part)) for part in (square.value, square.low, square.high)
    )
    return Interval(value, low, high, confidence, f"root of {square.method}", square.n)


def explained(
    truth: Floats, errors: Floats, confidence: float, clusters: Clusters = None
) -> Interval:
    """Return the share of the truth's variance that predictions explain (R squared).

    ``truth`` and ``errors`` are ``[n]``. Delta method on the logarithm of the ratio of the two
    sums of squares: each row adds the difference of its shares of them. At most 1, and below 0
    where the mean would predict better. Raises ``ValueError`` for a truth or errors that are all
    the same, or fewer than ``LEAST`` rows or clusters.
    """
    apart = truth - truth.mean()
    left, all_of_it = float(np.mean(errors * errors)), float(np.mean(apart * apart))
    if not left or not all_of_it:
        message = "there is nothing to explain, or nothing is left"
        raise ValueError(message)
    said = _said(errors * errors / left - apart * apart / all_of_it, clusters)
    half = float(stdtrit(said.size - 1, (1 + confidence) / 2)) * float(said.std(ddof=1))
    reach, ratio = math.exp(half / math.sqrt(said.size)), left / all_of_it
    method = _named(EXPLAINED, clusters)
    return Interval(1 - ratio, 1 - ratio * reach, 1 - ratio / reach, confidence, method, truth.size)


def _said(values: Floats, clusters: Clusters) -> Floats:
    said = values if clusters is None else cluster_totals(values, clusters)
    if said.size < LEAST:
        message = f"{said.size} rows or clusters, where {LEAST} are needed"
        raise ValueError(message)
    return said


def _named(method: str, clusters: Clusters) -> str:
    return method if clusters is None else f"{method}{CLUSTERED}"
