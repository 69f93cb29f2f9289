"""Intervals for rows that hang together (of one person, of one day) or count for several."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import stdtrit

from auditor.domain.intervals import Interval
from auditor.domain.tasks import Floats
from auditor.stats.intraclass import design_variance, intraclass_correlation
from auditor.stats.proportions import exact_limits
from auditor.stats.sandwich import ClusteredMeans, Estimate, clustered_means

MEAN = "cluster-robust t (cr2, satterthwaite)"
PROPORTION = (
    "korn-graubard on the lesser of two sizes: cluster-robust (cr2, satterthwaite), intraclass"
)
DIFFERENCE = f"mover of {PROPORTION}"

Codes = NDArray[np.int64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Worth:
    """How many rows and clusters of equal weight each kind ``[k]`` has, and its ``design``.

    The square of the sum over the sum of squares (Kish 1965, Survey Sampling, 11.7); the design is
    the variance of the mean of rows that are as alike within clusters as zeros and ones are here.
    """

    rows: Floats
    clusters: Floats
    design: Floats

    def of(self, kind: int) -> tuple[float, float, float]:
        """Return the three numbers of one kind."""
        return float(self.rows[kind]), float(self.clusters[kind]), float(self.design[kind])


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
    found = _fitted(values, kinds, clusters, confidence, weights)
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
    found = _fitted(values, ours.astype(np.int64), clusters, confidence, weights)
    return _student(found.estimate(np.array([-1.0, 1.0])), confidence, len(values))


def clustered_proportion(
    hits: Flags, clusters: Codes, confidence: float, weights: ArrayLike | None = None
) -> Interval:
    """Return the share of ``hits`` ``[n]`` whose rows are alike within ``clusters`` ``[n]``.

    The exact interval of as many rows as would be worth the same alone, reduced once more for the
    few clusters that say so (Korn and Graubard 1998, Survey Methodology 24), with the freedom of
    ``clustered_means``. Their error is the greater of the robust one and of what rows as alike as
    these have (``intraclass_correlation``): a rare thing that comes in whole small clusters hardly
    shows in the former. Where all rows are alike nothing tells how clusters differ: each counts for
    one row. It holds from three clusters on. Raises ``ValueError`` as ``clustered_mean``.
    """
    kinds = np.zeros(len(hits), dtype=np.int64)
    found, kept = _fitted_shares(hits, kinds, clusters, confidence, weights)
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
    found, kept = _fitted_shares(hits, kinds, clusters, confidence, None)
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
    found, kept = _fitted_shares(hits, kinds, clusters, confidence, weights)
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
    found, kept = _fitted_shares(
        hits, kinds.astype(np.int64), clusters.astype(np.int64), confidence, None
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
    found = _fitted(values, kinds.astype(np.int64), clusters.astype(np.int64), confidence, None)
    count = found.means.size
    of = [_student(found.estimate(at), confidence, len(values)) for at in np.eye(count)]
    limits = np.array([(one.value, one.low, one.high) for one in of])
    return limits[:, 0], limits[:, 1], limits[:, 2], found.correlations()


def _joined(one: float, other: float, shared: float) -> float:
    return math.sqrt(max(0.0, one * one + other * other - 2 * shared * one * other))


def _share(
    found: ClusteredMeans, kind: int, kept: Worth, confidence: float
) -> tuple[float, float, float]:
    """Return the share of one kind, and its limits."""
    only = np.eye(found.means.size)[kind]
    estimate = found.estimate(only)
    size = _effective_size(estimate, kept.of(kind), confidence)
    hits = min(max(estimate.value, 0.0), 1.0) * size
    low, high = exact_limits([hits], [size], (1 - confidence) / 2)
    return estimate.value, float(low[0]), float(high[0])


def _effective_size(
    estimate: Estimate, worth: tuple[float, float, float], confidence: float
) -> float:
    """Return how many independent rows the share is worth."""
    rows, clusters, design = worth
    spread = estimate.value * (1 - estimate.value)
    if estimate.error <= 0 or spread <= 0 or estimate.freedom <= 0:
        return clusters
    upper = (1 + confidence) / 2
    sure = float(stdtrit(max(rows - 1, 1.0), upper) / stdtrit(estimate.freedom, upper))
    return min(rows, spread / max(estimate.error**2, spread * design) * min(1.0, sure * sure))


def _student(estimate: Estimate, confidence: float, rows: int) -> Interval:
    half = float(stdtrit(max(estimate.freedom, 1.0), (1 + confidence) / 2)) * estimate.error
    value = estimate.value
    return Interval(value, value - half, value + half, confidence, MEAN, rows)


def _fitted(
    values: Floats, kinds: Codes, clusters: Codes, confidence: float, weights: ArrayLike | None
) -> ClusteredMeans:
    given = _given(len(values), weights)
    alike = len(values) == len(kinds) == len(clusters) == given.size
    if not alike or not np.all(np.isfinite(given) & (given > 0)) or not 0 < confidence < 1:
        message = "rows need a cluster and a positive weight each, at a confidence within 0..1"
        raise ValueError(message)
    return clustered_means(values, kinds, clusters, given)


def _fitted_shares(
    hits: Flags, kinds: Codes, clusters: Codes, confidence: float, weights: ArrayLike | None
) -> tuple[ClusteredMeans, Worth]:
    """Fit, and return with it what each kind's rows and clusters are worth."""
    found = _fitted(hits.astype(np.float64), kinds, clusters, confidence, weights)
    given = _given(len(hits), weights)
    _, places = np.unique(clusters, return_inverse=True)
    shape = int(places.max()) + 1, int(kinds.max()) + 1

    def total(of: ArrayLike) -> Floats:
        sums = np.bincount(places * shape[1] + kinds, of, shape[0] * shape[1])
        return sums.astype(np.float64).reshape(shape)

    weight, square = total(given), total(given**2)
    correlation = intraclass_correlation(total(np.ones_like(given)), total(hits))
    return found, Worth(
        rows=weight.sum(axis=0) ** 2 / square.sum(axis=0),
        clusters=weight.sum(axis=0) ** 2 / np.sum(weight**2, axis=0),
        design=design_variance(weight, square, correlation),
    )


def _given(rows: int, weights: ArrayLike | None) -> Floats:
    return np.ones(rows) if weights is None else np.asarray(weights, dtype=np.float64)
