"""DeLong's placements: the area under a ROC curve, and what each row adds to its error."""

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from auditor.domain.tasks import Floats


def area_and_influence(scores: Floats, positive: NDArray[np.bool_]) -> tuple[float, Floats]:
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


def covariance(one: Floats, other: Floats, positive: NDArray[np.bool_]) -> Floats:
    """Return the ``[2, 2]`` covariance of two areas over the same rows, as in the paper.

    Raises ``ValueError`` when all rows are of one kind.
    """
    parts = np.stack([area_and_influence(scores, positive)[1] for scores in (one, other)])
    return np.asarray(parts @ parts.T)
