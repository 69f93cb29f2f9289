"""The Brier score taken apart: what calibration costs it, and what telling cases apart gains."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from auditor.domain.intervals import Interval
from auditor.domain.tasks import Floats
from auditor.stats.binning import LEAST_ROWS, binned_l2, equal_mass
from auditor.stats.proportions import clopper_pearson

RELIABILITY = "square of the debiased error over 15 equal-mass bins, noncentral chi-squared"
RESOLUTION = "debiased variance of 15 equal-mass bins' rates, noncentral chi-squared"
UNCERTAINTY = "variance at clopper-pearson limits of the rate"
HALF = 0.5


@dataclass(frozen=True, slots=True)
class Murphy:
    """The parts of a Brier score over bins: ``reliability - resolution + uncertainty + rest``.

    They add up to ``brier`` exactly. ``rest`` is what stated values do within their bins.
    """

    brier: float
    reliability: float
    resolution: float
    uncertainty: float
    rest: float


@dataclass(frozen=True, slots=True)
class Parts:
    """Murphy's parts as the sample has them, and each of the population's with its interval."""

    plain: Murphy
    reliability: Interval
    resolution: Interval
    uncertainty: Interval


def murphy(stated: Floats, happened: NDArray[np.bool_], placed: NDArray[np.int64]) -> Murphy:
    """Take the score of ``stated`` ``[n]`` apart over the bins ``placed`` ``[n]``.

    Murphy (1973), Journal of Applied Meteorology 12; the rest is that of Stephenson, Coelho and
    Jolliffe (2008), Weather and Forecasting 23, within-bin variance less twice the covariance.
    """
    _, places = np.unique(placed, return_inverse=True)
    rows = np.bincount(places)
    said, rate = (np.bincount(places, item) / rows for item in (stated, happened))
    shares, base = rows / len(stated), float(happened.mean())
    within, off = stated - said[places], happened - rate[places]
    return Murphy(
        float(np.mean((stated - happened) ** 2)),
        float(shares @ (said - rate) ** 2),
        float(shares @ (rate - base) ** 2),
        base * (1 - base),
        float(np.mean(within**2) - 2 * np.mean(within * off)),
    )


def brier_parts(stated: Floats, happened: NDArray[np.bool_], confidence: float) -> Parts:
    """Return the parts over 15 equal-mass bins, each with its own interval.

    Reliability and resolution of the sample are too large by the bins' noise; it is taken off
    (Ferro and Fricker 2012, Quarterly Journal of the Royal Meteorological Society 138), and limits
    are those of ``binned_l2``, for resolution against the base rate. Raises ``ValueError`` for
    fewer than 150 rows.
    """
    if len(stated) < LEAST_ROWS:
        message = f"the parts of the Brier score need {LEAST_ROWS} rows"
        raise ValueError(message)
    placed, base = equal_mass(stated), float(happened.mean())
    away = binned_l2(stated, happened, placed, confidence)
    apart = binned_l2(np.full(len(stated), base), happened, placed, confidence)
    return Parts(
        murphy(stated, happened, placed),
        replace(_squared(away), method=RELIABILITY),
        replace(_squared(apart), method=RESOLUTION),
        _variance(clopper_pearson(int(happened.sum()), len(happened), confidence)),
    )


def _squared(root: Interval) -> Interval:
    return replace(root, value=root.value**2, low=root.low**2, high=root.high**2)


def _variance(rate: Interval) -> Interval:
    """Return what ``p (1 - p)`` may be; it is largest at one half."""
    value, low, high = (end * (1 - end) for end in (rate.value, rate.low, rate.high))
    most = 0.25 if rate.low <= HALF <= rate.high else max(low, high)
    return replace(rate, value=value, low=min(low, high), high=most, method=UNCERTAINTY)
