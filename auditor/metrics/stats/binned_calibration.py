"""Binned calibration error, reliability diagrams and Murphy's decomposition of the Brier score."""

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import chdtr, chndtr

from auditor.domain.readings import ConfidenceInterval
from auditor.domain.tasks import Floats
from auditor.metrics.stats.proportions import clopper_pearson, exact_limits

BINS = 15
LEAST_ROWS = 150
"""Ten rows a bin: below that the interval of ``debiased_calibration_error`` has not been tested."""
CLOSE = 1e-9
"""How near an edge, in bins, a product may end on its wrong side: far more than it rounds by."""
SOME_FREEDOM = 1e-3
"""Degrees of freedom must be positive, also where no bin holds an error."""
METHOD = "debiased over 15 equal-mass bins, noncentral chi-squared"


@dataclass(frozen=True, slots=True)
class CalibrationBin:
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
class _BinSums:
    """Per filled bin: rows, times it came true, sum of stated probabilities."""

    rows: Floats
    hits: Floats
    stated: Floats

    @property
    def errors(self) -> Floats:
        return (self.hits - self.stated) / self.rows


def equal_mass_bins(stated: Floats, bins: int = BINS) -> NDArray[np.int64]:
    """Return the bin of each row; bins hold as near as can be the same number of rows.

    Equal probabilities share a bin, so that the order of rows plays no part; few distinct values
    give fewer bins.
    """
    shares = np.arange(1, bins) / bins
    edges = np.unique(np.quantile(stated, shares, method="inverted_cdf"))
    return np.searchsorted(edges, stated, side="left").astype(np.int64)


def equal_width_bins(stated: Floats, bins: int = BINS) -> NDArray[np.int64]:
    """Return the bin of each row; bins are ``[k/bins, (k+1)/bins)``, the last one closed."""
    scaled = stated * bins
    placed = scaled.astype(np.int64)
    # A product rounds: only what lies as good as on an edge has to be looked up, and that is slow.
    close = np.flatnonzero(np.abs(scaled - np.rint(scaled)) <= CLOSE)
    edges = np.linspace(0.0, 1.0, bins + 1)
    placed[close] = np.searchsorted(edges, stated[close], side="right") - 1
    return np.clip(placed, 0, bins - 1, out=placed)


def reliability_bins(
    stated: Floats, happened: NDArray[np.bool_], placed: NDArray[np.int64], confidence: float
) -> tuple[CalibrationBin, ...]:
    """Return the filled bins of a reliability diagram, each with its own exact interval."""
    sums = _sum(stated, happened, placed)
    lows, highs = exact_limits(sums.hits, sums.rows, (1 - confidence) / 2)
    members = [stated[placed == index] for index in np.unique(placed)]
    return tuple(
        CalibrationBin(
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


def expected_calibration_error(
    stated: Floats, happened: NDArray[np.bool_], bins: int = BINS
) -> float:
    """Return the expected calibration error over equal-width bins (Naeini et al. 2015).

    It is biased upward, and no interval of it is known to cover; ``expected_error_if_calibrated``
    says how much of it noise alone explains.
    """
    sums = _sum(stated, happened, equal_width_bins(stated, bins))
    return float(np.sum(sums.rows * np.abs(sums.errors)) / len(stated))


def expected_error_if_calibrated(stated: Floats, bins: int = BINS) -> float:
    """Return the mean ``expected_calibration_error`` that a perfectly calibrated model has on these
    scores.

    By the normal approximation, in which the mean absolute error of a bin is ``sqrt(2 / pi)``
    standard errors.
    """
    placed = equal_width_bins(stated, bins)
    variance = np.bincount(placed, stated * (1 - stated))
    return float(np.sum(np.sqrt(2 * np.maximum(variance, 0) / math.pi)) / len(stated))


def debiased_calibration_error(
    stated: Floats, happened: NDArray[np.bool_], confidence: float
) -> ConfidenceInterval:
    """Return the root of the mean squared calibration error over 15 equal-mass bins.

    ``binned_calibration_error`` of those bins. Raises ``ValueError`` for fewer than 150 rows.
    """
    if len(stated) < LEAST_ROWS:
        message = f"the debiased calibration error needs {LEAST_ROWS} rows"
        raise ValueError(message)
    return binned_calibration_error(stated, happened, equal_mass_bins(stated), confidence)


def binned_calibration_error(
    stated: Floats,
    happened: NDArray[np.bool_],
    placed: NDArray[np.int64],
    confidence: float,
    method: str = METHOD,
) -> ConfidenceInterval:
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
    tail = (1 - confidence) / 2
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
    low, high = math.sqrt(low * unit), min(1.0, math.sqrt(high * unit))
    return ConfidenceInterval(value, min(value, low), max(value, high), confidence, method, rows)


def _sum(stated: Floats, happened: NDArray[np.bool_], placed: NDArray[np.int64]) -> _BinSums:
    rows = np.bincount(placed).astype(np.float64)
    filled = rows > 0
    hits: Floats = np.bincount(placed, happened.astype(np.float64)).astype(np.float64)
    sums: Floats = np.bincount(placed, stated).astype(np.float64)
    return _BinSums(rows[filled], hits[filled], sums[filled])


def _noncentrality(found: float, freedom: float, share: float) -> float:
    """Return the noncentrality under which ``found`` is the ``share`` quantile; zero if none is."""
    if float(chdtr(freedom, found)) <= share:
        return 0.0
    far = max(10.0, 4 * found)
    while float(chndtr(found, freedom, far)) > share:
        far *= 2
    return float(brentq(lambda value: float(chndtr(found, freedom, value)) - share, 0.0, far))


RELIABILITY = "square of the debiased error over 15 equal-mass bins, noncentral chi-squared"
RESOLUTION = "debiased variance of 15 equal-mass bins' rates, noncentral chi-squared"
UNCERTAINTY = "variance at clopper-pearson limits of the rate"
HALF = 0.5


@dataclass(frozen=True, slots=True)
class MurphyDecomposition:
    """The parts of a Brier score over bins: ``reliability - resolution + uncertainty + rest``.

    They add up to ``brier`` exactly. ``rest`` is what stated values do within their bins.
    """

    brier: float
    reliability: float
    resolution: float
    uncertainty: float
    rest: float


@dataclass(frozen=True, slots=True)
class BrierParts:
    """Murphy's parts as the sample has them, and each of the population's with its interval."""

    plain: MurphyDecomposition
    reliability: ConfidenceInterval
    resolution: ConfidenceInterval
    uncertainty: ConfidenceInterval


def murphy_decomposition(
    stated: Floats, happened: NDArray[np.bool_], placed: NDArray[np.int64]
) -> MurphyDecomposition:
    """Take the score of ``stated`` ``[n]`` apart over the bins ``placed`` ``[n]``.

    Murphy (1973), Journal of Applied Meteorology 12; the rest is that of Stephenson, Coelho and
    Jolliffe (2008), Weather and Forecasting 23, within-bin variance less twice the covariance.
    """
    _, places = np.unique(placed, return_inverse=True)
    rows = np.bincount(places)
    said, rate = (np.bincount(places, item) / rows for item in (stated, happened))
    shares, base = rows / len(stated), float(happened.mean())
    within, off = stated - said[places], happened - rate[places]
    return MurphyDecomposition(
        float(np.mean((stated - happened) ** 2)),
        float(shares @ (said - rate) ** 2),
        float(shares @ (rate - base) ** 2),
        base * (1 - base),
        float(np.mean(within**2) - 2 * np.mean(within * off)),
    )


def brier_parts(stated: Floats, happened: NDArray[np.bool_], confidence: float) -> BrierParts:
    """Return the parts over 15 equal-mass bins, each with its own interval.

    Reliability and resolution of the sample are too large by the bins' noise; it is taken off
    (Ferro and Fricker 2012, Quarterly Journal of the Royal Meteorological Society 138), and limits
    are those of ``binned_calibration_error``, for resolution against the base rate. Raises
    ``ValueError`` for fewer than 150 rows.
    """
    if len(stated) < LEAST_ROWS:
        message = f"the parts of the Brier score need {LEAST_ROWS} rows"
        raise ValueError(message)
    placed, base = equal_mass_bins(stated), float(happened.mean())
    away = binned_calibration_error(stated, happened, placed, confidence)
    apart = binned_calibration_error(np.full(len(stated), base), happened, placed, confidence)
    return BrierParts(
        murphy_decomposition(stated, happened, placed),
        replace(_squared(away), method=RELIABILITY),
        replace(_squared(apart), method=RESOLUTION),
        _variance(clopper_pearson(int(happened.sum()), len(happened), confidence)),
    )


def _squared(root: ConfidenceInterval) -> ConfidenceInterval:
    return replace(root, value=root.value**2, low=root.low**2, high=root.high**2)


def _variance(rate: ConfidenceInterval) -> ConfidenceInterval:
    """Return what ``p (1 - p)`` may be; it is largest at one half."""
    value, low, high = (end * (1 - end) for end in (rate.value, rate.low, rate.high))
    most = 0.25 if rate.low <= HALF <= rate.high else max(low, high)
    return replace(rate, value=value, low=min(low, high), high=most, method=UNCERTAINTY)


ROWS_A_BIN = 20
JOINT = "root mean square over classes, joint by bonferroni: "
TOP_LABEL = "debiased over equal-mass bins within each answered class, noncentral chi-squared"


def classwise_calibration_error(
    stated: Floats, labels: NDArray[np.int64], confidence: float
) -> tuple[ConfidenceInterval, tuple[ConfidenceInterval, ...]]:
    """Return the error over all classes and that of each, for ``stated`` ``[n, classes]``.

    The marginal calibration error of Kumar, Liang and Ma (2019), NeurIPS, with equal weights. The
    classes' intervals hold jointly (Bonferroni), and the whole one within them. Raises
    ``ValueError`` for fewer than 150 rows.
    """
    count = stated.shape[1]
    level = 1 - (1 - confidence) / count
    each = tuple(
        debiased_calibration_error(stated[:, at], labels == at, level) for at in range(count)
    )
    value, low, high = (
        math.sqrt(sum(end * end for end in ends) / count)
        for ends in zip(*((item.value, item.low, item.high) for item in each), strict=True)
    )
    whole = ConfidenceInterval(value, low, high, confidence, JOINT + each[0].method, len(labels))
    return whole, tuple(replace(item, confidence=confidence) for item in each)


def top_label_calibration_error(
    stated: Floats, happened: NDArray[np.bool_], answered: NDArray[np.int64], confidence: float
) -> ConfidenceInterval:
    """Return the error of the probability ``stated`` ``[n]`` of the class ``answered`` ``[n]``.

    Gupta and Ramdas (2022), ICLR, Top-label calibration: what is meant holds for each answer by
    itself, so that a class stated too boldly is not made good by one stated too timidly. Each
    class has a bin for every 20 rows, 15 at most; classes with fewer rows share theirs. Raises
    ``ValueError`` for fewer than 150 rows.
    """
    if len(stated) < LEAST_ROWS:
        message = f"the top-label calibration error needs {LEAST_ROWS} rows"
        raise ValueError(message)
    counts = np.bincount(answered)
    own = np.where(counts >= ROWS_A_BIN, np.arange(counts.size), counts.size)[answered]
    placed = np.zeros(len(stated), dtype=np.int64)
    for one in np.unique(own):
        mine = own == one
        bins = min(BINS, max(1, int(mine.sum()) // ROWS_A_BIN))
        placed[mine] = equal_mass_bins(stated[mine], bins) + one * BINS
    return binned_calibration_error(stated, happened, placed, confidence, TOP_LABEL)
