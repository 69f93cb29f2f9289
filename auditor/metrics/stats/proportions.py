"""Intervals of proportions, and of a mean of proportions."""

import math

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import brentq
from scipy.special import betaincinv, ndtri
from scipy.stats import binom

from auditor.domain.intervals import Interval
from auditor.domain.tasks import Floats


def wilson(successes: int, trials: int, confidence: float) -> Interval:
    """Return the score interval, which is meant for display: its coverage holds on average.

    Wilson (1927), JASA 22. Raises ``ValueError`` for impossible counts.
    """
    _refuse_impossible(successes, trials, confidence)
    z = float(ndtri((1 + confidence) / 2))
    share = successes / trials
    shrink = 1 + z * z / trials
    middle = (share + z * z / (2 * trials)) / shrink
    half = z * math.sqrt(share * (1 - share) / trials + z * z / (4 * trials**2)) / shrink
    low = 0.0 if successes == 0 else middle - half
    high = 1.0 if successes == trials else middle + half
    return Interval(share, low, high, confidence, "wilson", trials)


def clopper_pearson(successes: int, trials: int, confidence: float) -> Interval:
    """Return the exact interval, which covers with at least ``confidence`` whatever the truth.

    Clopper and Pearson (1934), Biometrika 26. Raises ``ValueError`` for impossible counts.
    """
    _refuse_impossible(successes, trials, confidence)
    low, high = exact_limits([successes], [trials], (1 - confidence) / 2)
    return Interval(
        successes / trials, float(low[0]), float(high[0]), confidence, "clopper-pearson", trials
    )


def mid_p(successes: int, trials: int, confidence: float) -> Interval:
    """Return the exact mid-p interval: half of the observed count's probability in each tail.

    Lancaster (1961), JASA 56; shorter than ``clopper_pearson``, and it covers on average.
    Raises ``ValueError`` for impossible counts.
    """
    _refuse_impossible(successes, trials, confidence)
    tail = (1 - confidence) / 2

    def below(rate: float) -> float:
        return float(binom.cdf(successes, trials, rate) - binom.pmf(successes, trials, rate) / 2)

    low = 0.0 if successes == 0 else brentq(lambda rate: below(rate) - (1 - tail), 0.0, 1.0)
    high = 1.0 if successes == trials else brentq(lambda rate: below(rate) - tail, 0.0, 1.0)
    return Interval(successes / trials, float(low), float(high), confidence, "mid-p", trials)


def exact_limits(successes: ArrayLike, trials: ArrayLike, tail: float) -> tuple[Floats, Floats]:
    """Return the Clopper-Pearson limits ``[k], [k]`` of many proportions at once.

    ``tail`` is the probability left beyond each limit. No trials say nothing: ``[0, 1]``.
    """
    hits = np.asarray(successes, dtype=np.float64)
    misses = np.asarray(trials, dtype=np.float64) - hits
    low = betaincinv(np.where(hits > 0, hits, 1.0), misses + 1, tail)
    high = betaincinv(hits + 1, np.where(misses > 0, misses, 1.0), 1 - tail)
    return np.where(hits > 0, low, 0.0), np.where(misses > 0, high, 1.0)


def mean_of_proportions(successes: ArrayLike, trials: ArrayLike, confidence: float) -> Interval:
    """Return the interval of the unweighted mean of independent proportions ``[k]``.

    The wider, on each side, of two: exact limits joined by variance recovery (Zou and Donner
    2008, Statistics in Medicine 27, eq. 5), which is short above where limits end at one, and
    the normal interval with one success and one failure added, which is short below where all
    rates are one. Balanced accuracy is such a mean. Raises ``ValueError`` when one has no trials.
    """
    hits = np.asarray(successes, dtype=np.float64)
    total = np.asarray(trials, dtype=np.float64)
    if total.size == 0 or np.any(total < 1):
        message = "a mean of proportions needs at least one trial of each"
        raise ValueError(message)
    shares = hits / total
    low, high = exact_limits(hits, total, (1 - confidence) / 2)
    smooth = (hits + 1) / (total + 2)
    normal = ndtri((1 + confidence) / 2) * math.sqrt(np.sum(smooth * (1 - smooth) / total))
    down = max(float(np.linalg.norm(shares - low)), normal) / total.size
    up = max(float(np.linalg.norm(high - shares)), normal) / total.size
    value = float(shares.mean())
    return Interval(
        value,
        max(0.0, value - down),
        min(1.0, value + up),
        confidence,
        "mover of clopper-pearson limits, at least the smoothed normal interval",
        int(total.sum()),
    )


def _refuse_impossible(successes: int, trials: int, confidence: float) -> None:
    if not 0 <= successes <= trials or trials < 1 or not 0 < confidence < 1:
        message = f"{successes} of {trials} at confidence {confidence} is no proportion"
        raise ValueError(message)
