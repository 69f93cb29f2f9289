"""The interval of a mean of losses."""

import math

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from auditor.domain.intervals import Interval
from auditor.domain.tasks import Floats

HALL = "skewness-corrected t (hall)"
METHOD = f"{HALL}, above as if one more row were the worst possible"
CLUSTERED = f"{METHOD}, of linearised cluster totals"
LEAST = 2


def mean_loss(losses: Floats, worst: float, confidence: float) -> Interval:
    """Return the interval of the mean of ``losses`` ``[n]``, each within ``[0, worst]``.

    Hall (1992), JRSS B 54, eq. 2.2: the studentised mean, its skewness removed by a monotone
    cubic, which covers for losses of accurate models where the plain t interval falls to 0.87. A
    sample without a rare large loss cannot speak of it, so the upper limit is the greater one of
    the sample's and of the sample with one more row at ``worst``. Raises ``ValueError`` for fewer
    than two losses.
    """
    if losses.size < LEAST:
        message = "a mean needs at least two losses for an interval"
        raise ValueError(message)
    value = float(losses.mean())
    low, high = _hall(losses, confidence)
    _, cautious = _hall(np.append(losses, worst), confidence)
    return Interval(
        value,
        min(value, max(0.0, low)),
        max(value, min(worst, max(high, cautious))),
        confidence,
        METHOD,
        losses.size,
    )


def clustered_loss(
    losses: Floats, worst: float, clusters: NDArray[np.int64], confidence: float
) -> Interval:
    """Return the interval of the mean of ``losses`` ``[n]`` that are alike within ``clusters``.

    ``mean_loss`` of what each cluster says: its total, linearised around the mean, so that large
    clusters weigh more (Cochran 1977, Sampling Techniques, ratio estimators). Clusters of one row
    give ``mean_loss`` itself. Raises ``ValueError`` for fewer than two clusters.
    """
    mean = float(losses.mean())
    found = mean_loss(cluster_totals(losses, clusters), worst, confidence)
    return Interval(
        mean, min(mean, found.low), max(mean, found.high), confidence, CLUSTERED, losses.size
    )


def cluster_totals(values: Floats, clusters: NDArray[np.int64]) -> Floats:
    """Return ``[clusters]``: what each says of the mean of ``values`` ``[n]``, their own mean.

    The totals, linearised around the mean: a cluster of the mean size says its own mean.
    """
    _, places = np.unique(clusters, return_inverse=True)
    rows = np.bincount(places)
    mean = float(values.mean())
    said: Floats = mean + (np.bincount(places, values) - mean * rows) * rows.size / values.size
    return said


def mean_value(values: Floats, confidence: float) -> Interval:
    """Return the interval of the mean of ``values`` ``[n]`` that nothing bounds.

    Student's, its skewness removed as in ``mean_loss``. Raises ``ValueError`` for fewer than two.
    """
    if values.size < LEAST:
        message = "a mean needs at least two values for an interval"
        raise ValueError(message)
    value = float(values.mean())
    low, high = _hall(values, confidence)
    return Interval(value, min(low, value), max(high, value), confidence, HALL, values.size)


def mean_excess(stated: Floats, happened: NDArray[np.bool_], confidence: float) -> Interval:
    """Return how much more often things ``happened`` ``[n]`` than was ``stated`` ``[n]``.

    ``mean_loss`` of the errors from either side, so that each limit is cautious. Raises
    ``ValueError`` for fewer than two rows.
    """
    off = happened - stated
    above = mean_loss(1 + off, 2 - float(stated.min(initial=1)), confidence)
    below = mean_loss(1 - off, 1 + float(stated.max(initial=0)), confidence)
    value = float(off.mean())
    low, high = min(value, 1 - below.high), max(value, above.high - 1)
    return Interval(value, low, high, confidence, METHOD, off.size)


def _hall(losses: Floats, confidence: float) -> tuple[float, float]:
    count = losses.size
    mean, spread = float(losses.mean()), float(losses.std())
    error = spread / math.sqrt(count - 1)
    quantile = float(stdtrit(count - 1, (1 + confidence) / 2))
    skew = 0.0
    if spread > 0:
        skew = float(np.mean(((losses - mean) / spread) ** 3)) / math.sqrt(count)
    return mean - error * _unskew(quantile, skew), mean - error * _unskew(-quantile, skew)


def _unskew(quantile: float, skew: float) -> float:
    """Invert ``t + g t^2 / 3 + g^2 t^3 / 27 + g / 6`` at ``quantile`` (g: skewness / sqrt n)."""
    if abs(skew) < 1e-9:  # noqa: PLR2004 -- below it the cubic is the identity
        return quantile
    return 3 / skew * (math.cbrt(1 + skew * (quantile - skew / 6)) - 1)
