"""How far two samples of one column lie apart, and whether chance explains it."""

import math
import sys
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import chdtrc, kolmogorov, xlogy

from auditor.domain.intervals import Interval
from auditor.domain.tasks import Floats
from auditor.stats.sketches import Sketch

KOLMOGOROV = "kolmogorov-smirnov distance in cells, dvoretzky-kiefer-wolfowitz-massart bands"
WASSERSTEIN = "wasserstein distance over the reference's sd, dvoretzky-kiefer-wolfowitz-massart"
VARIATION = "total variation distance, weissman's concentration"
LEAST_EXPECTED = 5.0
LEAST_P = sys.float_info.min
"""No p-value is zero: what underflows is less than this."""
TWO = 2


@dataclass(frozen=True, slots=True)
class Shift:
    """Between two samples of a column: the largest difference of the chance of any threshold (any
    set of levels), how far numbers have moved in standard deviations of the reference (if it has
    any), the p-value of no change, and, of categories, the Jensen-Shannon distance (base 2).
    """

    distance: Interval
    moved: Interval | None
    p_value: float
    jensen_shannon: float | None = None


def number_shift(reference: Sketch, current: Sketch, confidence: float, family: int = 1) -> Shift:
    """Compare two sketches on one grid; the intervals of ``family`` columns hold jointly.

    The bands of Massart (1990, Annals of Probability 18) around both distribution functions hold
    for any distribution; the distances' limits are those of any two within them, on the grid. The
    p-value is Smirnov's asymptotic one of the distance between cells, which is never more than the
    exact distance, so that it errs on the side of no change. Raises ``ValueError`` where a sample
    has no number.
    """
    one, other = reference.known, current.known
    if not one or not other:
        message = "a sample without a number lies nowhere"
        raise ValueError(message)
    bands = sum(_band(rows, confidence, family) for rows in (one, other))
    apart = np.cumsum(current.counts) / other - np.cumsum(reference.counts) / one
    found = float(np.abs(apart).max())
    high = (
        found
        + bands
        + (0.0 if reference.exact and current.exact else _hidden(reference, current, apart))
    )
    distance = _interval(found, found - bands, min(1.0, high), confidence, KOLMOGOROV, one + other)
    p_value = max(LEAST_P, float(kolmogorov(found * math.sqrt(one * other / (one + other)))))
    return Shift(distance, _moved(reference, current, bands, confidence), p_value)


def category_shift(
    reference: ArrayLike,
    current: ArrayLike,
    confidence: float,
    family: int = 1,
    hidden: int | None = None,
) -> Shift:
    """Compare counts of the same levels ``[k]``; the intervals of ``family`` columns hold jointly.

    The limits are those of Weissman et al. (2003), Inequalities for the L1 deviation of the
    empirical distribution: they hold for any distribution. The p-value is Pearson's, of levels
    expected at least five times; rarer ones are joined. Where ``hidden`` levels were joined to two
    before, the last ones, by whether they have become rarer, the distance is that of all levels,
    whose number the limits allow for; for the p-value both are one. Raises ``ValueError`` for empty
    samples.
    """
    pair = np.stack([np.asarray(reference, np.float64), np.asarray(current, np.float64)])
    rows = pair.sum(axis=1)
    if not rows.all():
        message = "a sample without a row has no levels"
        raise ValueError(message)
    shares = pair / rows[:, None]
    found = float(np.abs(shares[1] - shares[0]).sum() / TWO)
    levels = int(np.count_nonzero(pair.sum(axis=0))) + (hidden or 0)
    tail = math.log(TWO * family / (1 - confidence))
    bands = float(np.sum(np.sqrt((levels * math.log(TWO) + tail) / (TWO * rows))))
    n = int(rows.sum())
    ends = found - bands, min(1.0, found + bands)
    distance = _interval(found, *ends, confidence, VARIATION, n)
    tested = pair if hidden is None else np.column_stack([pair[:, :-2], pair[:, -2:].sum(axis=1)])
    return Shift(distance, None, pearson(tested), math.sqrt(_divergence(shares)))


def pearson(pair: Floats) -> float:
    """Return the p-value of equal shares of the levels of ``[2, k]``; 1 where there is one."""
    expected = pair.sum(axis=0) * pair.sum(axis=1).min() / pair.sum()
    common = expected >= LEAST_EXPECTED
    joined = np.column_stack([pair[:, common], pair[:, ~common].sum(axis=1)])
    table = joined[:, joined.sum(axis=0) > 0]
    if table.shape[1] < TWO:
        return 1.0
    fair = np.outer(table.sum(axis=1), table.sum(axis=0)) / table.sum()
    return max(LEAST_P, float(chdtrc(table.shape[1] - 1, np.sum((table - fair) ** 2 / fair))))


def _divergence(shares: Floats) -> float:
    """Return the Jensen-Shannon divergence in bits (Lin 1991)."""
    middle = shares.mean(axis=0)
    entropies = [-np.sum(xlogy(part, part)) for part in (middle, *shares)]
    bits = (entropies[0] - (entropies[1] + entropies[2]) / TWO) / math.log(TWO)
    return min(1.0, max(0.0, float(bits)))


def _band(rows: int, confidence: float, family: int) -> float:
    """Return half the width of a band that misses with half of what may be missed."""
    return math.sqrt(math.log(4 * family / (1 - confidence)) / (TWO * rows))


def _hidden(reference: Sketch, current: Sketch, apart: Floats) -> float:
    """Return how much farther apart the samples may be within a cell than at its ends."""
    before = np.append(0.0, apart[:-1])
    up = before + current.counts / current.known
    down = -before + reference.counts / reference.known
    return float(max(0.0, max(up.max(), down.max()) - np.abs(apart).max()))


def _moved(reference: Sketch, current: Sketch, bands: float, confidence: float) -> Interval | None:
    """Return the area between the distribution functions, over the reference's deviation.

    ``None`` where that is zero and something moved, or either is too large a number.
    """
    places = np.concatenate([reference.places, current.places])
    masses = np.concatenate([-reference.counts / reference.known, current.counts / current.known])
    order = np.argsort(places, kind="stable")
    with np.errstate(over="ignore", invalid="ignore"):
        spread, widths = reference.spread, np.diff(places[order])
    heights = np.abs(np.cumsum(masses[order])[:-1])
    area, least, most = (
        float(widths @ part)
        for part in (heights, np.maximum(heights - bands, 0), np.minimum(heights + bands, 1))
    )
    if not math.isfinite(spread + most) or (area > 0 and spread <= 0):
        return None
    value, low, high = (part / (spread or 1.0) for part in (area, least, most))
    return _interval(value, low, high, confidence, WASSERSTEIN, reference.known + current.known)


def _interval(  # noqa: PLR0913, PLR0917 -- mirrors the fields of an interval
    value: float, low: float, high: float, confidence: float, method: str, n: int
) -> Interval:
    return Interval(value, max(0.0, min(low, value)), max(high, value), confidence, method, n)
