"""Means of rows that hang together in clusters: their cluster-robust error and its freedom."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from auditor.domain.tasks import Floats

LEAST = 2
SINGULAR = 1e-9
"""Eigenvalues that are smaller than this share of what they may be count as zero."""


@dataclass(frozen=True, slots=True)
class Estimate:
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

    def estimate(self, contrast: Floats) -> Estimate:
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
        return Estimate(float(contrast @ self.means), math.sqrt(squared), freedom)

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
    return _fit(gram, sums)


def _fit(gram: Floats, sums: Floats) -> ClusteredMeans:
    """``gram`` ``[g, k, 2, 2]``: products of ones and weights; ``sums``: of those and values."""
    weight, square = gram[..., 0, 1].sum(axis=0), gram[..., 1, 1].sum(axis=0)
    means = sums[..., 1].sum(axis=0) / weight
    kernel = _square(square / weight**2, -1 / weight, -1 / weight, np.zeros_like(weight))
    adjust, lost = _once_a_kind(gram, kernel)
    residual = sums - gram[..., 0] * means[:, None]
    turned = np.einsum("gki,gkij->gkj", gram[..., 1], adjust)
    scores = (residual[..., 1] + np.sum(turned * residual, axis=-1)) / weight
    reach = (gram[..., 1] + np.einsum("gki,gkij->gkj", turned, gram)) / weight[:, None]
    gone = np.einsum("gki,gkij,gkj->gk", gram[..., 1], lost, gram[..., 1])
    return ClusteredMeans(means, scores, (gram[..., 1, 1] - gone) / weight**2, reach, kernel)


def _once_a_kind(gram: Floats, kernel: Floats) -> tuple[Floats, Floats]:
    """Return ``_adjustments``; where weights are alike, once for each number of rows."""
    rows = gram[..., 0, 0]
    if not np.array_equal(rows, gram[..., 1, 1]) or not np.array_equal(rows, gram[..., 0, 1]):
        return _adjustments(gram, kernel)
    _, first, places = np.unique(rows, return_index=True, return_inverse=True)
    each = np.repeat(gram.reshape(-1, 2, 2)[first][:, None], len(kernel), axis=1)
    adjust, lost = _adjustments(each, kernel)
    at = places.reshape(rows.shape), np.arange(len(kernel))
    return adjust[at], lost[at]


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
