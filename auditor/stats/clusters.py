"""Intervals for rows that hang together (of one person, of one day) or count for several."""

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import stdtrit

from auditor.domain.intervals import Interval
from auditor.domain.tasks import Floats
from auditor.stats.proportions import exact_limits
from auditor.stats.sandwich import ClusteredMeans, Estimate, clustered_means

MEAN = "cluster-robust t (cr2, satterthwaite)"
PROPORTION = "korn-graubard on the cluster-robust effective size (cr2, satterthwaite)"
DIFFERENCE = f"mover of {PROPORTION}"

Codes = NDArray[np.int64]
Flags = NDArray[np.bool_]


def clustered_mean(
    values: Floats, clusters: Codes, confidence: float, weights: ArrayLike | None = None
) -> Interval:
    """Return the mean of ``values`` ``[n]`` whose rows are alike within their ``clusters`` ``[n]``.

    ``weights`` ``[n]`` say how many rows of the population each stands for. Student's interval
    with the error and freedom of ``clustered_means``: one row a cluster and no weights give the
    usual one, equal clusters that of the clusters' means. If those means are about normal it holds
    from three equal clusters on, and within a point for four unequal ones; a mean of zeros and ones
    that comes from few clusters is ``clustered_proportion``'s. Raises ``ValueError`` for unfit
    weights and fewer than two clusters.
    """
    kinds = np.zeros(len(values), dtype=np.int64)
    found, _ = _fitted(values, kinds, clusters, confidence, weights)
    return _student(found.estimate(np.ones(1)), confidence, len(values))


def clustered_mean_difference(
    values: Floats,
    ours: Flags,
    clusters: Codes,
    confidence: float,
    weights: ArrayLike | None = None,
) -> Interval:
    """Return the mean of ``values`` ``[n]`` in ``ours`` ``[n]`` less that of all other rows.

    As ``clustered_mean``; a cluster may have rows on both sides, and what both sides share in it
    cancels. Raises ``ValueError`` for fewer than two clusters on a side.
    """
    found, _ = _fitted(values, ours.astype(np.int64), clusters, confidence, weights)
    return _student(found.estimate(np.array([-1.0, 1.0])), confidence, len(values))


def clustered_proportion(
    hits: Flags, clusters: Codes, confidence: float, weights: ArrayLike | None = None
) -> Interval:
    """Return the share of ``hits`` ``[n]`` whose rows are alike within ``clusters`` ``[n]``.

    The exact interval of as many rows as would be worth the same alone, reduced once more for the
    few clusters that say so (Korn and Graubard 1998, Survey Methodology 24), with the error and
    freedom of ``clustered_means``. Where all rows are alike nothing tells how clusters differ: each
    counts for one row. It holds from three clusters on, but a rare thing that comes in whole
    clusters is not seen for what it is: at a rate of 0.05 in 20 clusters correlated by 0.6 it
    covers 0.89. Raises ``ValueError`` as ``clustered_mean``.
    """
    kinds = np.zeros(len(hits), dtype=np.int64)
    found, kept = _fitted(hits.astype(np.float64), kinds, clusters, confidence, weights)
    value, low, high = _share(found, 0, kept, confidence)
    return Interval(value, low, high, confidence, PROPORTION, len(hits))


def clustered_mean_of_proportions(
    hits: Flags, kinds: Codes, clusters: Codes, confidence: float
) -> Interval:
    """Return the unweighted mean over ``kinds`` ``[n]`` of the share of ``hits`` ``[n]`` in each.

    The limits of each kind's ``clustered_proportion`` are added as they are: clusters that have
    rows of several kinds may make all of them err together. Raises ``ValueError`` for fewer than
    two clusters, or a kind (from 0 on) without rows.
    """
    found, kept = _fitted(hits.astype(np.float64), kinds, clusters, confidence, None)
    shares = np.array([_share(found, at, kept, confidence) for at in range(found.means.size)])
    value, low, high = (float(part) for part in shares.mean(axis=0))
    method = f"sum of {PROPORTION}"
    return Interval(value, low, high, confidence, method, len(hits))


def clustered_proportion_difference(
    hits: Flags, ours: Flags, clusters: Codes, confidence: float, weights: ArrayLike | None = None
) -> Interval:
    """Return the share of ``hits`` ``[n]`` in ``ours`` ``[n]`` less that among all other rows.

    The limits of the two ``clustered_proportion`` are joined by variance recovery, with the
    correlation that clusters on both sides make (Zou and Donner 2008, Statistics in Medicine 27;
    Newcombe 1998, method 10 for none). Raises ``ValueError`` as ``clustered_mean_difference``.
    """
    kinds = ours.astype(np.int64)
    found, kept = _fitted(hits.astype(np.float64), kinds, clusters, confidence, weights)
    (base, least, most), (value, low, high) = (
        _share(found, side, kept, confidence) for side in (0, 1)
    )
    shared = float(found.correlations()[0, 1])
    return Interval(
        value - base,
        max(-1.0, value - base - _joined(value - low, most - base, shared)),
        min(1.0, value - base + _joined(high - value, base - least, shared)),
        confidence,
        DIFFERENCE,
        len(hits),
    )


def clustered_shares(
    hits: Flags, kinds: NDArray[np.integer], clusters: NDArray[np.integer], confidence: float
) -> tuple[Floats, Floats, Floats, Floats]:
    """Return the share of ``hits`` ``[n]`` of each kind, its limits, and how errors go together.

    Each as ``clustered_proportion``; the last is ``[kinds, kinds]``, their correlation. Raises
    ``ValueError`` unless every kind, counted from 0, has rows in two clusters.
    """
    found, kept = _fitted(
        hits.astype(np.float64), kinds.astype(np.int64), clusters.astype(np.int64), confidence, None
    )
    count = found.means.size
    shares = np.array([_share(found, kind, kept, confidence) for kind in range(count)])
    return shares[:, 0], shares[:, 1], shares[:, 2], found.correlations()


def clustered_means_of(
    values: Floats, kinds: NDArray[np.integer], clusters: NDArray[np.integer], confidence: float
) -> tuple[Floats, Floats, Floats, Floats]:
    """Return the mean of ``values`` ``[n]`` of each kind, its limits, and how errors go together.

    Each as ``clustered_mean``; the rest as ``clustered_shares``.
    """
    found, _ = _fitted(values, kinds.astype(np.int64), clusters.astype(np.int64), confidence, None)
    count = found.means.size
    of = [_student(found.estimate(at), confidence, len(values)) for at in np.eye(count)]
    limits = np.array([(one.value, one.low, one.high) for one in of])
    return limits[:, 0], limits[:, 1], limits[:, 2], found.correlations()


def _joined(one: float, other: float, shared: float) -> float:
    return math.sqrt(max(0.0, one * one + other * other - 2 * shared * one * other))


def _share(
    found: ClusteredMeans, kind: int, sizes: tuple[Floats, Floats], confidence: float
) -> tuple[float, float, float]:
    """Return the share of one kind, and its limits."""
    only = np.eye(found.means.size)[kind]
    estimate = found.estimate(only)
    size = _effective_size(estimate, float(sizes[0][kind]), float(sizes[1][kind]), confidence)
    hits = min(max(estimate.value, 0.0), 1.0) * size
    low, high = exact_limits([hits], [size], (1 - confidence) / 2)
    return estimate.value, float(low[0]), float(high[0])


def _effective_size(estimate: Estimate, rows: float, clusters: float, confidence: float) -> float:
    """Return how many independent rows the share is worth; ``rows`` and ``clusters`` are Kish's."""
    spread = estimate.value * (1 - estimate.value)
    if estimate.error <= 0 or spread <= 0 or estimate.freedom <= 0:
        return clusters
    upper = (1 + confidence) / 2
    sure = float(stdtrit(max(rows - 1, 1.0), upper) / stdtrit(estimate.freedom, upper))
    return min(rows, spread / estimate.error**2 * min(1.0, sure * sure))


def _student(estimate: Estimate, confidence: float, rows: int) -> Interval:
    half = float(stdtrit(max(estimate.freedom, 1.0), (1 + confidence) / 2)) * estimate.error
    value = estimate.value
    return Interval(value, value - half, value + half, confidence, MEAN, rows)


def _fitted(
    values: Floats, kinds: Codes, clusters: Codes, confidence: float, weights: ArrayLike | None
) -> tuple[ClusteredMeans, tuple[Floats, Floats]]:
    """Fit, and return with it how many rows and clusters of equal weight each kind is worth.

    That is the square of the sum over the sum of squares (Kish 1965, Survey Sampling, 11.7).
    """
    given = np.ones(len(values)) if weights is None else np.asarray(weights, dtype=np.float64)
    alike = len(values) == len(kinds) == len(clusters) == given.size
    if not alike or not np.all(np.isfinite(given) & (given > 0)) or not 0 < confidence < 1:
        message = "rows need a cluster and a positive weight each, at a confidence within 0..1"
        raise ValueError(message)
    found = clustered_means(values, kinds, clusters, given)
    _, places = np.unique(clusters, return_inverse=True)
    count = int(kinds.max()) + 1
    joint = np.bincount(places * count + kinds, given, (int(places.max()) + 1) * count)
    joint = joint.reshape(-1, count)
    rows = np.bincount(kinds, given, count) ** 2 / np.bincount(kinds, given**2, count)
    return found, (rows, joint.sum(axis=0) ** 2 / np.sum(joint**2, axis=0))
