"""The area under the ROC curve, with an interval that does not collapse near one."""

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import expit, logit, ndtri
from scipy.stats import rankdata

from auditor.domain.intervals import Interval
from auditor.domain.tasks import Floats

METHOD = "delong on the logit scale, at least newcombe's score interval"


def auc(scores: Floats, positive: NDArray[np.bool_], confidence: float) -> Interval:
    """Return the chance that a positive row scores above a negative one (ties count half).

    The wider, on each side, of two intervals: DeLong, DeLong and Clarke-Pearson (1988), Biometrics
    44, on the logit scale, which assumes nothing of the scores and collapses when few pairs are
    out of order; and Newcombe (2006), Statistics in Medicine 25, method 5, which does not. Raises
    ``ValueError`` when all rows are of one kind.
    """
    area, influence = _area(scores, positive)
    z = float(ndtri((1 + confidence) / 2))
    wide = _newcombe(area, int(positive.sum()), int((~positive).sum()), z)
    narrow = _logit_interval(area, float(np.linalg.norm(influence)), z)
    return _widest(area, (narrow, wide), confidence, METHOD, len(scores))


def macro_auc(scores: Floats, labels: NDArray[np.int64], confidence: float) -> Interval:
    """Return the unweighted mean over classes of one class's ``auc`` against the rest.

    ``scores`` is ``[n, classes]``. DeLong's placements of a row are added over the classes, so
    that the dependence of the areas enters the variance; Newcombe's limits are joined by variance
    recovery. Raises ``ValueError`` when a class has no row, or has them all.
    """
    z = float(ndtri((1 + confidence) / 2))
    classes = scores.shape[1]
    areas, reach = np.empty(classes), np.empty((classes, 2))
    influence = np.zeros(len(labels))
    for index in range(classes):
        positive = labels == index
        areas[index], part = _area(scores[:, index], positive)
        influence += part / classes
        low, high = _newcombe(areas[index], int(positive.sum()), int((~positive).sum()), z)
        reach[index] = areas[index] - low, high - areas[index]
    area = float(areas.mean())
    down, up = np.linalg.norm(reach, axis=0) / classes
    narrow = _logit_interval(area, float(np.linalg.norm(influence)), z)
    wide = (max(0.0, area - float(down)), min(1.0, area + float(up)))
    method = f"mean of one-vs-rest areas: {METHOD}"
    return _widest(area, (narrow, wide), confidence, method, len(labels))


def _area(scores: Floats, positive: NDArray[np.bool_]) -> tuple[float, Floats]:
    """Return the area, and what each row adds to its error: the squares sum to the variance."""
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


def _logit_interval(area: float, error: float, z: float) -> tuple[float, float]:
    spread = area * (1 - area)
    if spread <= 0:
        return area, area
    middle, half = float(logit(area)), z * error / spread
    return float(expit(middle - half)), float(expit(middle + half))


def _newcombe(area: float, above: int, below: int, z: float) -> tuple[float, float]:
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
) -> Interval:
    low = min(low for low, _ in pair)
    high = max(high for _, high in pair)
    return Interval(area, min(low, area), max(high, area), confidence, method, n)
