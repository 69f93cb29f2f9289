"""Calibration in bins: the reliability diagram, its expected error, and the debiased error."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import chdtr, chndtr

from auditor.domain.intervals import Interval
from auditor.domain.tasks import Floats
from auditor.stats.proportions import exact_limits

BINS = 15
LEAST_ROWS = 150
"""Ten rows a bin: below that the interval of ``debiased_l2`` has not been tested."""
CLOSE = 1e-9
"""How near an edge, in bins, a product may end on its wrong side: far more than it rounds by."""
SOME_FREEDOM = 1e-3
"""Degrees of freedom must be positive, also where no bin holds an error."""
METHOD = "debiased over 15 equal-mass bins, noncentral chi-squared"


@dataclass(frozen=True, slots=True)
class Bin:
    """The rows whose stated probability lies between ``low`` and ``high``, both as stated.

    ``stated`` is the mean of what they state, ``happened`` the share in which it came true, with
    the exact limits ``happened_low`` and ``happened_high``.
    """

    low: float
    high: float
    stated: float
    happened: float
    happened_low: float
    happened_high: float
    n: int


@dataclass(frozen=True, slots=True)
class _Sums:
    """Per filled bin: rows, times it came true, sum of stated probabilities."""

    rows: Floats
    hits: Floats
    stated: Floats

    @property
    def errors(self) -> Floats:
        return (self.hits - self.stated) / self.rows


def equal_mass(stated: Floats, bins: int = BINS) -> NDArray[np.int64]:
    """Return the bin of each row; bins hold as near as can be the same number of rows.

    Equal probabilities share a bin, so that the order of rows plays no part; few distinct values
    give fewer bins.
    """
    shares = np.arange(1, bins) / bins
    edges = np.unique(np.quantile(stated, shares, method="inverted_cdf"))
    return np.searchsorted(edges, stated, side="left").astype(np.int64)


def equal_width(stated: Floats, bins: int = BINS) -> NDArray[np.int64]:
    """Return the bin of each row; bins are ``[k/bins, (k+1)/bins)``, the last one closed."""
    scaled = stated * bins
    placed = scaled.astype(np.int64)
    # A product rounds: only what lies as good as on an edge has to be looked up, and that is slow.
    close = np.flatnonzero(np.abs(scaled - np.rint(scaled)) <= CLOSE)
    edges = np.linspace(0.0, 1.0, bins + 1)
    placed[close] = np.searchsorted(edges, stated[close], side="right") - 1
    return np.clip(placed, 0, bins - 1, out=placed)


def reliability(
    stated: Floats, happened: NDArray[np.bool_], placed: NDArray[np.int64], confidence: float
) -> tuple[Bin, ...]:
    """Return the filled bins of a reliability diagram, each with its own exact interval."""
    sums = _sum(stated, happened, placed)
    lows, highs = exact_limits(sums.hits, sums.rows, (1 - confidence) / 2)
    members = [stated[placed == index] for index in np.unique(placed)]
    return tuple(
        Bin(
            float(inside.min()),
            float(inside.max()),
            float(inside.mean()),
            float(hits / inside.size),
            float(low),
            float(high),
            int(inside.size),
        )
        for inside, hits, low, high in zip(members, sums.hits, lows, highs, strict=True)
    )


def expected_error(stated: Floats, happened: NDArray[np.bool_], bins: int = BINS) -> float:
    """Return the expected calibration error over equal-width bins (Naeini et al. 2015).

    It is biased upward, and no interval of it is known to cover; ``expected_if_calibrated`` says
    how much of it noise alone explains.
    """
    sums = _sum(stated, happened, equal_width(stated, bins))
    return float(np.sum(sums.rows * np.abs(sums.errors)) / len(stated))


def expected_if_calibrated(stated: Floats, bins: int = BINS) -> float:
    """Return the mean ``expected_error`` that a perfectly calibrated model has on these scores.

    By the normal approximation, in which the mean absolute error of a bin is ``sqrt(2 / pi)``
    standard errors.
    """
    placed = equal_width(stated, bins)
    variance = np.bincount(placed, stated * (1 - stated))
    return float(np.sum(np.sqrt(2 * np.maximum(variance, 0) / math.pi)) / len(stated))


def debiased_l2(stated: Floats, happened: NDArray[np.bool_], confidence: float) -> Interval:
    """Return the root of the mean squared calibration error over 15 equal-mass bins.

    ``binned_l2`` of those bins. Raises ``ValueError`` for fewer than 150 rows.
    """
    if len(stated) < LEAST_ROWS:
        message = f"the debiased calibration error needs {LEAST_ROWS} rows"
        raise ValueError(message)
    return binned_l2(stated, happened, equal_mass(stated), confidence)


def binned_l2(
    stated: Floats,
    happened: NDArray[np.bool_],
    placed: NDArray[np.int64],
    confidence: float,
    method: str = METHOD,
) -> Interval:
    """Return the root of the mean squared calibration error of bins ``placed`` ``[n]``.

    The value is Kumar, Liang and Ma (2019), NeurIPS, definition 4.1: noise subtracted bin by bin,
    zero where less than noise is left. For the interval the sum of squared bin errors is taken as
    a scaled noncentral chi-squared variable (Patnaik 1949), inverted at both ends. The scale is
    the larger one of the noise's and of the error's, since errors may sit in the noisy bins; the
    lower limit takes off all the noise there may be, the upper limit only what was seen, and never
    claims less than a sample without any excess would. Within a bin errors of opposite sign
    cancel, so that the figure speaks of the binned scores.
    """
    sums = _sum(stated, happened, placed)
    rows, rate = len(stated), sums.hits / sums.rows
    squared = sums.rows / rows * sums.errors**2
    unbiased = rate * (1 - rate) * sums.rows / np.maximum(sums.rows - 1, 1)
    value = math.sqrt(max(0.0, float(np.sum(squared) - np.sum(unbiased) / rows)))
    low, high = _root_limits(sums, squared, unbiased, (1 - confidence) / 2)
    return Interval(value, min(value, low), max(value, high), confidence, method, rows)


def _root_limits(
    sums: _Sums, squared: Floats, unbiased: Floats, tail: float
) -> tuple[float, float]:
    smooth = (sums.hits + 1) / (sums.rows + 2)
    noise = np.maximum(unbiased, smooth * (1 - smooth))  # a bin without errors is not certain
    scale = float(np.sum(noise**2) / np.sum(noise))
    if squared.sum() > 0:
        scale = max(scale, float(np.sum(squared * noise) / np.sum(squared)))
    unit = scale / float(np.sum(sums.rows))
    found, most = float(np.sum(squared)) / unit, float(np.sum(noise)) / scale
    least = max(float(np.sum(unbiased)) / scale, SOME_FREEDOM)
    low = _noncentrality(found, most, 1 - tail)
    high = _noncentrality(max(found, most), least, tail)
    return math.sqrt(low * unit), min(1.0, math.sqrt(high * unit))


def _sum(stated: Floats, happened: NDArray[np.bool_], placed: NDArray[np.int64]) -> _Sums:
    rows = np.bincount(placed).astype(np.float64)
    filled = rows > 0
    hits: Floats = np.bincount(placed, happened.astype(np.float64)).astype(np.float64)
    sums: Floats = np.bincount(placed, stated).astype(np.float64)
    return _Sums(rows[filled], hits[filled], sums[filled])


def _noncentrality(found: float, freedom: float, share: float) -> float:
    """Return the noncentrality under which ``found`` is the ``share`` quantile; zero if none is."""
    if float(chdtr(freedom, found)) <= share:
        return 0.0
    far = max(10.0, 4 * found)
    while float(chndtr(found, freedom, far)) > share:
        far *= 2
    return float(brentq(lambda value: float(chndtr(found, freedom, value)) - share, 0.0, far))
