"""Area under the ROC curve (AUC) with intervals by DeLong's placements.

The intervals do not collapse near an area of one.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import expit, logit, ndtri, stdtrit
from scipy.stats import rankdata

from auditor.domain.readings import ConfidenceInterval
from auditor.domain.tasks import Floats


def auc_and_influence(scores: Floats, positive: NDArray[np.bool_]) -> tuple[float, Floats]:
    """Return the area under the curve, and what each row ``[n]`` adds to its error.

    The squares of the influence sum to the area's variance; the products of two areas' influence
    over the same rows sum to their covariance (DeLong, DeLong and Clarke-Pearson 1988, Biometrics
    44, by the ranks of Sun and Xu 2014, IEEE Signal Processing Letters 21). Raises ``ValueError``
    when all rows are of one kind.
    """
    above, below = int(positive.sum()), int((~positive).sum())
    if not above or not below:
        message = "an area under the curve needs rows of both kinds"
        raise ValueError(message)
    ranks = rankdata(scores)
    placed = np.empty(len(scores))
    placed[positive] = (ranks[positive] - rankdata(scores[positive])) / below
    placed[~positive] = 1 - (ranks[~positive] - rankdata(scores[~positive])) / above
    area = float(placed[positive].mean())
    counts = np.where(positive, above, below).astype(np.float64)
    return area, (placed - area) / np.sqrt(counts * np.maximum(counts - 1, 1))


def auc_covariance(one: Floats, other: Floats, positive: NDArray[np.bool_]) -> Floats:
    """Return the ``[2, 2]`` covariance of two areas over the same rows, as in the paper.

    Raises ``ValueError`` when all rows are of one kind.
    """
    parts = np.stack([auc_and_influence(scores, positive)[1] for scores in (one, other)])
    return np.asarray(parts @ parts.T)


METHOD = "delong on the logit scale, at least newcombe's score interval"
CLUSTERED = f"{METHOD}, influence summed by cluster"
DIFFERENCE = f"mover of two areas: {METHOD}"


Codes = NDArray[np.integer]
LEAST_CLUSTERS = 2


def auc(
    scores: Floats, positive: NDArray[np.bool_], confidence: float, clusters: Codes | None = None
) -> ConfidenceInterval:
    """Return the chance that a positive row scores above a negative one (ties count half).

    The wider, on each side, of two intervals: DeLong, DeLong and Clarke-Pearson (1988), Biometrics
    44, on the logit scale, which assumes nothing of the scores and collapses when few pairs are
    out of order; and Newcombe (2006), Statistics in Medicine 25, method 5, which does not.

    Rows that are alike within their ``clusters`` ``[n]`` err together: their influence is summed
    first (Obuchowski 1997, Biometrics 53, to first order), Student's quantile of one less than the
    clusters is taken, and Newcombe's counts shrink as much as the variance grew. Raises
    ``ValueError`` when all rows are of one kind, or of one cluster.
    """
    area, influence = auc_and_influence(scores, positive)
    error = _AucError.of(influence, clusters, confidence)
    wide = _newcombe(area, error.worth(positive), error.worth(~positive), error.quantile)
    narrow = _logit_interval(area, error.size, error.quantile)
    method = METHOD if clusters is None else CLUSTERED
    return _widest(area, (narrow, wide), confidence, method, len(scores))


def macro_auc(
    scores: Floats, labels: NDArray[np.int64], confidence: float, clusters: Codes | None = None
) -> ConfidenceInterval:
    """Return the unweighted mean over classes of one class's ``auc`` against the rest.

    ``scores`` is ``[n, classes]``. DeLong's placements of a row are added over the classes, so
    that the dependence of the areas enters the variance; Newcombe's limits are joined by variance
    recovery. ``clusters`` as in ``auc``. Raises ``ValueError`` when a class has no row, or has them
    all, or all are of one cluster.
    """
    classes = scores.shape[1]
    areas, reach = np.empty(classes), np.empty((classes, 2))
    influence = np.zeros(len(labels))
    for index in range(classes):
        positive = labels == index
        areas[index], part = auc_and_influence(scores[:, index], positive)
        influence += part / classes
        error = _AucError.of(part, clusters, confidence)
        counts = error.worth(positive), error.worth(~positive)
        low, high = _newcombe(areas[index], *counts, error.quantile)
        reach[index] = areas[index] - low, high - areas[index]
    area = float(areas.mean())
    down, up = np.linalg.norm(reach, axis=0) / classes
    error = _AucError.of(influence, clusters, confidence)
    narrow = _logit_interval(area, error.size, error.quantile)
    wide = (max(0.0, area - float(down)), min(1.0, area + float(up)))
    method = f"mean of one-vs-rest areas: {METHOD if clusters is None else CLUSTERED}"
    return _widest(area, (narrow, wide), confidence, method, len(labels))


def auc_difference(
    one: ConfidenceInterval, other: ConfidenceInterval, shared: float = 0.0
) -> ConfidenceInterval:
    """Return an area less another one, from the interval of each at the same confidence.

    ``shared`` is the correlation of their errors, 0 for areas over different rows. Their limits are
    joined by variance recovery (Zou and Donner 2008, Statistics in Medicine 27), since DeLong's own
    interval covers 0.89 for ten rows of a kind and collapses where both orders are perfect. Raises
    ``ValueError`` for two confidences.
    """
    if one.confidence != other.confidence or not -1 <= shared <= 1:
        message = f"areas at {one.confidence} and {other.confidence}, correlated by {shared}"
        raise ValueError(message)
    value = one.value - other.value
    down = _joined(one.value - one.low, other.high - other.value, shared)
    up = _joined(one.high - one.value, other.value - other.low, shared)
    ends = max(-1.0, value - down), min(1.0, value + up)
    return ConfidenceInterval(value, *ends, one.confidence, DIFFERENCE, min(one.n, other.n))


def paired_auc_difference(
    one: Floats, other: Floats, positive: NDArray[np.bool_], confidence: float
) -> ConfidenceInterval:
    """Return the area of the scores ``one`` ``[n]`` less that of ``other``, over the same rows.

    ``auc_difference`` of the two ``auc``, with DeLong's correlation. Where two near-perfect orders
    are almost one it is wider than it need be. Raises ``ValueError`` when all rows are of one kind.
    """
    (ours, both), (_, theirs) = auc_covariance(one, other, positive)
    scale = float(np.sqrt(ours * theirs))
    shared = float(np.clip(both / scale, -1.0, 1.0)) if scale > 0 else 0.0
    return auc_difference(auc(one, positive, confidence), auc(other, positive, confidence), shared)


@dataclass(frozen=True, slots=True)
class _AucError:
    """The standard error of an area, by how much clusters raised its square, and its quantile."""

    size: float
    raised: float
    quantile: float

    @classmethod
    def of(cls, influence: Floats, clusters: Codes | None, confidence: float) -> "_AucError":
        """Add up influence ``[n]``, cluster by cluster where there are any."""
        alone = float(np.linalg.norm(influence))
        if clusters is None:
            return cls(alone, 1.0, float(ndtri((1 + confidence) / 2)))
        count = len(np.unique(clusters))
        if count < LEAST_CLUSTERS:
            message = "an area needs rows of at least two clusters for an interval"
            raise ValueError(message)
        sums = np.bincount(clusters, influence)
        size = float(np.linalg.norm(sums)) * float(np.sqrt(count / (count - 1)))
        quantile = float(stdtrit(count - 1, (1 + confidence) / 2))
        return cls(size, max(1.0, (size / alone) ** 2 if alone > 0 else 1.0), quantile)

    def worth(self, rows: NDArray[np.bool_]) -> float:
        """Return how many independent rows so many are worth."""
        return max(1.0, int(rows.sum()) / self.raised)


def _joined(one: float, other: float, shared: float) -> float:
    return float(np.sqrt(max(0.0, one * one + other * other - 2 * shared * one * other)))


def _logit_interval(area: float, error: float, z: float) -> tuple[float, float]:
    spread = area * (1 - area)
    if spread <= 0:
        return area, area
    middle, half = float(logit(area)), z * error / spread
    return float(expit(middle - half)), float(expit(middle + half))


def _newcombe(area: float, above: float, below: float, z: float) -> tuple[float, float]:
    pairs = (above + below) / 2 - 1

    def excess(truth: float) -> float:
        shape = 1 + pairs * ((1 - truth) / (2 - truth) + truth / (1 + truth))
        return (truth - area) ** 2 - z * z * truth * (1 - truth) * shape / (above * below)

    edge = 1e-12  # the excess is zero at 0 and at 1 itself when the area lies there
    low = brentq(excess, 0.0, min(area, 1 - edge)) if area > edge else 0.0
    high = brentq(excess, max(area, edge), 1.0) if area < 1 - edge else 1.0
    return float(low), float(high)


def _widest(
    area: float, pair: tuple[tuple[float, float], ...], confidence: float, method: str, n: int
) -> ConfidenceInterval:
    low = min(low for low, _ in pair)
    high = max(high for _, high in pair)
    return ConfidenceInterval(area, min(low, area), max(high, area), confidence, method, n)
