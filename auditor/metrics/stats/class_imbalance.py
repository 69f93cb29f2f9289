"""Class imbalance: how evenly rows are spread over classes."""

import numpy as np
from scipy.optimize import brentq
from scipy.special import entr

from auditor.domain.readings import ConfidenceInterval
from auditor.domain.tasks import Floats
from auditor.metrics.stats.drift import share_limits

JOINT = "clopper-pearson limits of all classes, joint by bonferroni"


def effective_class_count(counts: Floats, confidence: float) -> ConfidenceInterval:
    """Return how many equally frequent classes would be as diverse as ``counts`` ``[k]``.

    The exponential of Shannon's entropy (Hill 1973, Ecology 54, of order 1). The ends are its
    extremes over all shares within limits that hold jointly: the greatest is exact, the least
    fills the most frequent classes first. Raises ``ValueError`` for no rows.
    """
    rows = int(counts.sum())
    if not rows:
        message = "an effective number of classes needs rows"
        raise ValueError(message)
    low, high = share_limits(counts, rows, confidence, len(counts))
    value = _number(counts / rows)
    # What the lower limits leave to the most frequent classes first
    shares, left = low.copy(), 1 - float(low.sum())
    for at in np.argsort(-counts, kind="stable"):
        given = min(left, float(high[at] - low[at]))
        shares[at] += given
        left -= given
    least, most = _number(shares), _number(_most_even(low, high))
    return ConfidenceInterval(value, min(least, value), max(most, value), confidence, JOINT, rows)


def imbalance_ratio(counts: Floats, confidence: float) -> ConfidenceInterval:
    """Return how many rows the most frequent of ``counts`` ``[k]`` has for one of the rarest.

    Raises ``ValueError`` for fewer than two classes, or one without rows.
    """
    if len(counts) < 2 or counts.min() <= 0:  # noqa: PLR2004 -- a pair
        message = "an imbalance needs two classes with rows"
        raise ValueError(message)
    rows = int(counts.sum())
    low, high = share_limits(counts, rows, confidence, len(counts))
    apart = ~np.eye(len(counts), dtype=np.bool_)
    least = float((low[:, None] / high)[apart].max())
    most = float((high[:, None] / low)[apart].max())
    value = float(counts.max() / counts.min())
    return ConfidenceInterval(value, max(1.0, least), most, confidence, f"ratio of {JOINT}", rows)


def _number(shares: Floats) -> float:
    return float(np.exp(np.sum(entr(shares))))


def _most_even(low: Floats, high: Floats) -> Floats:
    """Cut one level off at the limits so that the shares add up to one (water filling)."""

    def excess(level: float) -> float:
        return float(np.clip(level, low, high).sum()) - 1

    level = brentq(excess, 0.0, 1.0) if excess(0.0) < 0 < excess(1.0) else float(excess(0.0) < 0)
    return np.asarray(np.clip(level, low, high))
