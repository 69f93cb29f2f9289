"""Cluster-robust means and proportions with intervals, for dependent or weighted rows."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import stdtrit

from auditor.domain.readings import ConfidenceInterval
from auditor.domain.tasks import Floats
from auditor.metrics.stats.proportions import exact_limits

LEAST = 2
SINGULAR = 1e-9
"""Eigenvalues that are smaller than this share of what they may be count as zero."""


@dataclass(frozen=True, slots=True)
class RobustEstimate:
    """A combination of means, its standard error, and the degrees of freedom of that error."""

    value: float
    error: float
    freedom: float


@dataclass(frozen=True, slots=True)
class ClusteredMeans:
    """Weighted means ``[k]`` of ``k`` kinds of rows, and what each cluster adds to their error.

    The cross products of ``scores`` ``[clusters, k]`` sum to the covariance of the means. How much
    they would vary and depend on each other if all rows were alike and independent is said by
    ``own`` ``[clusters, k]``, ``reach`` ``[clusters, k, 2]`` and ``kernel`` ``[k, 2, 2]``.
    """

    means: Floats
    scores: Floats
    own: Floats
    reach: Floats
    kernel: Floats

    def estimate(self, contrast: Floats) -> RobustEstimate:
        """Return ``contrast @ means`` with its error; the freedom is Satterthwaite's.

        Pustejovsky and Tipton (2018), Journal of Business and Economic Statistics 36, section 3.2:
        that of the chi-squared variable whose mean and variance are those of the squared error for
        independent rows. 0 where there is no error to speak of.
        """
        squared = float(np.sum((self.scores @ contrast) ** 2))
        part = np.flatnonzero(contrast)
        own = self.own[:, part] @ contrast[part] ** 2
        reach = self.reach[:, part] * contrast[part, None]
        passed = np.einsum("gki,kij->gkj", reach, self.kernel[part])
        flat, through = (part.reshape(len(own), -1) for part in (reach, passed))
        crossed = flat.T @ through
        apart = float(np.trace(crossed @ crossed)) - float(np.sum(np.sum(flat * through, 1) ** 2))
        spread = apart + float(np.sum(own**2))
        freedom = float(np.sum(own)) ** 2 / spread if spread > 0 else 0.0
        return RobustEstimate(float(contrast @ self.means), math.sqrt(squared), freedom)

    def correlations(self) -> Floats:
        """Return ``[k, k]`` how the errors of two means go together, 0 where one has no error."""
        product = self.scores.T @ self.scores
        own = np.diagonal(product)
        scale = np.sqrt(own[:, None] * own)
        there = scale > 0
        return np.where(there, np.clip(product / np.where(there, scale, 1.0), -1.0, 1.0), 0.0)


def clustered_means(
    values: Floats, kinds: NDArray[np.int64], clusters: NDArray[np.int64], weights: Floats
) -> ClusteredMeans:
    """Return the weighted means of ``values`` ``[n]`` by kind, ``kinds`` ``[n]`` counted from 0.

    A cluster's residuals are multiplied by the matrix that undoes what fitting the means took from
    their variance (CR2: Bell and McCaffrey 2002, Survey Methodology 28), for independent rows of
    equal variance; weights are those of a survey, not of precision. The matrix differs from the
    identity only within the span of ones and weights, so that two dimensions are enough for each
    cluster and kind. Raises ``ValueError`` unless every kind has rows in two clusters.
    """
    _, places = np.unique(clusters, return_inverse=True)
    count, groups = int(kinds.max(initial=0)) + 1, int(places.max(initial=-1)) + 1
    scaled = weights / weights.mean() if weights.size else weights

    def total(of: Floats) -> Floats:
        sums = np.bincount(places * count + kinds, of, minlength=groups * count)
        return sums.astype(np.float64).reshape(groups, count)

    rows, weight, square = total(np.ones_like(scaled)), total(scaled), total(scaled**2)
    if not rows.size or np.any(np.count_nonzero(weight, axis=0) < LEAST):
        message = "a mean of clustered rows needs rows in two clusters"
        raise ValueError(message)
    gram = _square(rows, weight, weight, square)
    sums = np.stack([total(values), total(scaled * values)], axis=-1)
    # `gram` `[g, k, 2, 2]`: products of ones and weights; `sums`: of those and values
    weight, square = gram[..., 0, 1].sum(axis=0), gram[..., 1, 1].sum(axis=0)
    means = sums[..., 1].sum(axis=0) / weight
    kernel = _square(square / weight**2, -1 / weight, -1 / weight, np.zeros_like(weight))
    # `_adjustments`; where weights are alike, once for each number of rows
    rows = gram[..., 0, 0]
    if not np.array_equal(rows, gram[..., 1, 1]) or not np.array_equal(rows, gram[..., 0, 1]):
        adjust, lost = _adjustments(gram, kernel)
    else:
        _, first, places = np.unique(rows, return_index=True, return_inverse=True)
        each = np.repeat(gram.reshape(-1, 2, 2)[first][:, None], len(kernel), axis=1)
        kind_adjust, kind_lost = _adjustments(each, kernel)
        at = places.reshape(rows.shape), np.arange(len(kernel))
        adjust, lost = kind_adjust[at], kind_lost[at]
    residual = sums - gram[..., 0] * means[:, None]
    turned = np.einsum("gki,gkij->gkj", gram[..., 1], adjust)
    scores = (residual[..., 1] + np.sum(turned * residual, axis=-1)) / weight
    reach = (gram[..., 1] + np.einsum("gki,gkij->gkj", turned, gram)) / weight[:, None]
    gone = np.einsum("gki,gkij,gkj->gk", gram[..., 1], lost, gram[..., 1])
    return ClusteredMeans(means, scores, (gram[..., 1, 1] - gone) / weight**2, reach, kernel)


def _adjustments(gram: Floats, kernel: Floats) -> tuple[Floats, Floats]:
    """Return ``C`` and ``D``: with ``U`` ones and weights of a cluster, CR2 is ``I + U C U'``.

    The residuals' variance is ``B = I + U kernel U'``; its inverse root is taken within an
    orthonormal basis of ``U``. ``U D U'`` projects on what has no variance left.
    """
    sizes, axes = np.linalg.eigh(gram)
    there = sizes > SINGULAR * sizes[..., -1:]
    root = np.sqrt(np.where(there, sizes, 0.0))
    undone = np.where(there, 1 / np.where(there, root, 1.0), 0.0)
    inward, outward = axes * root[..., None, :], axes * undone[..., None, :]
    variance = np.eye(2) + np.einsum("gkia,kij,gkjb->gkab", inward, kernel, inward)
    left, ways = np.linalg.eigh(variance)
    alive = left > SINGULAR
    factor: Floats = np.where(alive, 1 / np.sqrt(np.where(alive, left, 1.0)), 0.0)
    basis = np.einsum("gkia,gkab->gkib", outward, ways)

    def along(amount: Floats) -> Floats:
        return np.asarray(np.einsum("gkia,gka,gkja->gkij", basis, amount, basis))

    return along(factor - 1), along(np.where(alive, 0.0, 1.0))


def _square(one: Floats, two: Floats, three: Floats, four: Floats) -> Floats:
    return np.stack([np.stack([one, two], -1), np.stack([three, four], -1)], -2)


def intraclass_correlation(rows: Floats, hits: Floats) -> Floats:
    """Return the intraclass correlation of each kind ``[k]``, from 0 to 1.

    ``rows`` and ``hits`` ``[clusters, k]`` count a cluster's rows of each kind and the hits among
    them. The estimator by analysis of variance (Ridout, Demetrio and Firth 1999, Biometrics 55,
    section 2.1), which sees that clusters of two rows are of one mind where their share alone says
    little. 0 where no cluster has two rows of the kind.
    """
    clusters, count = np.count_nonzero(rows, axis=0), rows.sum(axis=0)
    share = hits.sum(axis=0) / count
    there = np.where(rows > 0, rows, 1.0)
    within = _over(np.sum(hits - hits**2 / there, axis=0), count - clusters)
    between = _over(np.sum(rows * (hits / there - share) ** 2, axis=0), clusters - 1)
    size = _over(count - np.sum(rows**2, axis=0) / count, clusters - 1)
    found = _over(between - within, between + (size - 1) * within)
    return np.where(count > clusters, np.clip(found, 0.0, 1.0), 0.0)


def design_variance(weight: Floats, square: Floats, correlation: Floats) -> Floats:
    """Return by kind ``[k]`` the variance of a weighted mean, for rows of variance one.

    ``weight`` and ``square`` ``[clusters, k]`` are the sums of weights and of their squares; rows
    of a cluster are correlated by ``correlation`` ``[k]`` (Kish 1965, Survey Sampling, 5.4).
    """
    own = square.sum(axis=0)
    shared = np.sum(weight**2, axis=0) - own
    return np.asarray((own + correlation * shared) / weight.sum(axis=0) ** 2)


def _over(above: Floats, below: Floats | NDArray[np.signedinteger]) -> Floats:
    return np.asarray(np.where(below > 0, above / np.where(below > 0, below, 1.0), 0.0))


MEAN = "cluster-robust t (cr2, satterthwaite)"
PROPORTION = (
    "korn-graubard on the lesser of two sizes: cluster-robust (cr2, satterthwaite), intraclass"
)
DIFFERENCE = f"mover of {PROPORTION}"

ClusterCodes = NDArray[np.int64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class EffectiveCounts:
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
    values: Floats, clusters: ClusterCodes, confidence: float, weights: ArrayLike | None = None
) -> ConfidenceInterval:
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
    clusters: ClusterCodes,
    confidence: float,
    weights: ArrayLike | None = None,
) -> ConfidenceInterval:
    """Return the mean of ``values`` ``[n]`` in ``ours`` ``[n]`` less that of all other rows.

    As ``clustered_mean``; a cluster may have rows on both sides, and what both sides share in it
    cancels. Raises ``ValueError`` for fewer than two clusters on a side.
    """
    found = _fitted(values, ours.astype(np.int64), clusters, confidence, weights)
    return _student(found.estimate(np.array([-1.0, 1.0])), confidence, len(values))


def clustered_proportion(
    hits: Flags, clusters: ClusterCodes, confidence: float, weights: ArrayLike | None = None
) -> ConfidenceInterval:
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
    return ConfidenceInterval(value, low, high, confidence, PROPORTION, len(hits))


def clustered_mean_of_proportions(
    hits: Flags, kinds: ClusterCodes, clusters: ClusterCodes, confidence: float
) -> ConfidenceInterval:
    """Return the unweighted mean over ``kinds`` ``[n]`` of the share of ``hits`` ``[n]`` in each.

    The limits of each kind's ``clustered_proportion`` are added as they are: clusters that have
    rows of several kinds may make all of them err together. Raises ``ValueError`` for fewer than
    two clusters, or a kind (from 0 on) without rows.
    """
    found, kept = _fitted_shares(hits, kinds, clusters, confidence, None)
    shares = np.array([_share(found, at, kept, confidence) for at in range(found.means.size)])
    value, low, high = (float(part) for part in shares.mean(axis=0))
    method = f"sum of {PROPORTION}"
    return ConfidenceInterval(value, low, high, confidence, method, len(hits))


def clustered_proportion_difference(
    hits: Flags,
    ours: Flags,
    clusters: ClusterCodes,
    confidence: float,
    weights: ArrayLike | None = None,
) -> ConfidenceInterval:
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
    return ConfidenceInterval(
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


def clustered_mean_intervals(
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
    found: ClusteredMeans, kind: int, kept: EffectiveCounts, confidence: float
) -> tuple[float, float, float]:
    """Return the share of one kind, and its limits."""
    only = np.eye(found.means.size)[kind]
    estimate = found.estimate(only)
    size = _effective_size(estimate, kept.of(kind), confidence)
    hits = min(max(estimate.value, 0.0), 1.0) * size
    low, high = exact_limits([hits], [size], (1 - confidence) / 2)
    return estimate.value, float(low[0]), float(high[0])


def _effective_size(
    estimate: RobustEstimate, worth: tuple[float, float, float], confidence: float
) -> float:
    """Return how many independent rows the share is worth."""
    rows, clusters, design = worth
    spread = estimate.value * (1 - estimate.value)
    if estimate.error <= 0 or spread <= 0 or estimate.freedom <= 0:
        return clusters
    upper = (1 + confidence) / 2
    sure = float(stdtrit(max(rows - 1, 1.0), upper) / stdtrit(estimate.freedom, upper))
    return min(rows, spread / max(estimate.error**2, spread * design) * min(1.0, sure * sure))


def _student(estimate: RobustEstimate, confidence: float, rows: int) -> ConfidenceInterval:
    half = float(stdtrit(max(estimate.freedom, 1.0), (1 + confidence) / 2)) * estimate.error
    value = estimate.value
    return ConfidenceInterval(value, value - half, value + half, confidence, MEAN, rows)


def _fitted(
    values: Floats,
    kinds: ClusterCodes,
    clusters: ClusterCodes,
    confidence: float,
    weights: ArrayLike | None,
) -> ClusteredMeans:
    given = _given(len(values), weights)
    alike = len(values) == len(kinds) == len(clusters) == given.size
    if not alike or not np.all(np.isfinite(given) & (given > 0)) or not 0 < confidence < 1:
        message = "rows need a cluster and a positive weight each, at a confidence within 0..1"
        raise ValueError(message)
    return clustered_means(values, kinds, clusters, given)


def _fitted_shares(
    hits: Flags,
    kinds: ClusterCodes,
    clusters: ClusterCodes,
    confidence: float,
    weights: ArrayLike | None,
) -> tuple[ClusteredMeans, EffectiveCounts]:
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
    return found, EffectiveCounts(
        rows=weight.sum(axis=0) ** 2 / square.sum(axis=0),
        clusters=weight.sum(axis=0) ** 2 / np.sum(weight**2, axis=0),
        design=design_variance(weight, square, correlation),
    )


def _given(rows: int, weights: ArrayLike | None) -> Floats:
    return np.ones(rows) if weights is None else np.asarray(weights, dtype=np.float64)
