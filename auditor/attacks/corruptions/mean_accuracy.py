"""The mean over conditions that the same rows met, with an interval that respects it."""

import math

import numpy as np
from scipy.optimize import brentq
from scipy.special import rel_entr

from auditor.domain.readings import ConfidenceInterval
from auditor.domain.tasks import Floats
from auditor.metrics.stats.means import LEAST, mean_loss

METHOD = "rows as clusters: skewness-corrected t (hall) with one more extreme row, or chernoff"


def mean_over_rows(shares: Floats, confidence: float) -> ConfidenceInterval | None:
    """Return the mean of ``shares`` ``[n]`` in 0..1, one a row, each over all its conditions.

    The outcomes of one row are not independent, so a row counts once, with its share. Each end is
    the nearer one of two: that of ``auditor.metrics.stats.means``, as if one more row lay at the
    far end of 0..1, and Chernoff's bound for independent values in 0..1 (Hoeffding 1963, JASA 58,
    theorem 1), which holds for any of them and is the nearer one where nearly all rows are alike.
    ``None`` for fewer than two rows.
    """
    if shares.size < LEAST:
        return None
    value = float(shares.mean())
    above = mean_loss(shares, 1.0, confidence).high
    below = mean_loss(1.0 - shares, 1.0, confidence).high
    high = min(above, _chernoff(value, shares.size, confidence))
    low = 1.0 - min(below, _chernoff(1.0 - value, shares.size, confidence))
    return ConfidenceInterval(
        value, min(low, value), max(high, value), confidence, METHOD, shares.size
    )


def _chernoff(value: float, count: int, confidence: float) -> float:
    """Return the largest mean under which a sample's mean may still be as low as ``value``."""
    most = -math.log((1 - confidence) / 2) / count

    def excess(mean: float) -> float:
        return float(np.sum(rel_entr([value, 1 - value], [mean, 1 - mean]))) - most

    edge = 1e-12
    if value >= 1 - edge or excess(1 - edge) <= 0:
        return 1.0
    return float(brentq(excess, max(value, edge), 1 - edge))
