"""Distribution-free intervals for quantiles, and for ratios and differences of medians."""

import math

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri, stdtrit
from scipy.stats import binom

from auditor.domain.readings import ConfidenceInterval
from auditor.domain.tasks import Floats

METHOD = "order statistics (binomial)"


def quantile(samples: Floats, share: float, confidence: float) -> ConfidenceInterval | None:
    """Return the ``share`` quantile of independent ``samples`` between two order statistics.

    At least ``confidence`` for any distribution (David and Nagaraja 2003, Order Statistics, 7.1);
    ``None`` when there are too few samples for a limit on both sides (``least_samples``).
    """
    count = samples.size
    low, high = _ranks(count, share, (1 - confidence) / 2)
    if not 1 <= low <= high <= count:
        return None
    ordered = np.sort(samples)
    value = float(np.quantile(ordered, share, method="inverted_cdf"))
    ends = float(ordered[low - 1]), float(ordered[high - 1])
    return ConfidenceInterval(value, *ends, confidence, METHOD, count)


def clustered_quantile(
    samples: Floats, clusters: NDArray[np.int64], share: float, confidence: float
) -> ConfidenceInterval | None:
    """Return the ``share`` quantile of samples that are alike within each of their clusters.

    ``clusters`` are numbered from 0. What lies beyond the quantile comes in bunches, so that its
    count varies more than a binomial by the design effect: the mean of squares of the bunches'
    sizes over their mean, as for rare bunches that come at random. The binomial ranks are those
    of as many samples as would be worth the same alone, once more reduced for the few bunches
    from which the effect is known (Korn and Graubard 1998, Survey Methodology 24; Woodruff 1952,
    JASA 47, for quantiles). ``None`` where that leaves too few samples.
    """
    if not samples.size:
        return None
    order = np.argsort(samples, kind="stable")
    ordered = samples[order]
    value = float(np.quantile(ordered, share, method="inverted_cdf"))
    bunches = np.bincount(clusters[order[math.ceil(share * samples.size) - 1 :]])
    bunches = bunches[bunches > 0]
    if bunches.size < 2:  # noqa: PLR2004 -- one bunch does not say how bunches differ
        return None
    effect = float((bunches**2).sum() / bunches.sum())
    sure = float(ndtri((1 + confidence) / 2) / stdtrit(bunches.size - 1, (1 + confidence) / 2))
    worth = int(samples.size / effect * sure * sure)
    low, high = _ranks(worth, share, (1 - confidence) / 2)
    if not 1 <= low <= high <= worth:
        return None
    lower, upper = low * samples.size // worth, -(-high * samples.size // worth)
    ends = ordered[lower - 1], ordered[upper - 1]
    method = f"{METHOD}, by clusters"
    return ConfidenceInterval(value, float(ends[0]), float(ends[1]), confidence, method, worth)


def least_samples(share: float, confidence: float) -> int:
    """Return the fewest samples from which ``quantile`` gives an interval."""
    tail = (1 - confidence) / 2
    count = math.floor(max(math.log(tail) / math.log(part) for part in (share, 1 - share)))
    while True:
        low, high = _ranks(count, share, tail)
        if 1 <= low <= high <= count:
            return count
        count += 1


def _ranks(count: int, share: float, tail: float) -> tuple[int, int]:
    low = int(binom.ppf(tail, count, share))
    return low, int(binom.ppf(1 - tail, count, share)) + 1


MEDIANS_METHOD = "order statistics of two medians (binomial), joint by bonferroni"


def ratio_of_medians(above: Floats, below: Floats, confidence: float) -> ConfidenceInterval | None:
    """Return the median of positive ``above`` over that of ``below``, two independent samples.

    The ends are those of two order-statistic intervals, each at the level at which both hold
    together; ``None`` where there are too few samples for one of them.
    """
    each = 1 - (1 - confidence) / 2
    top, bottom = quantile(above, 0.5, each), quantile(below, 0.5, each)
    if top is None or bottom is None or bottom.low <= 0:
        return None
    return ConfidenceInterval(
        top.value / bottom.value,
        top.low / bottom.high,
        top.high / bottom.low,
        confidence,
        MEDIANS_METHOD,
        min(top.n, bottom.n),
    )


def difference_of_medians(
    above: Floats, below: Floats, confidence: float
) -> ConfidenceInterval | None:
    """Return the median of ``above`` less that of ``below``, two independent samples.

    Joined as in ``ratio_of_medians``; ``None`` where there are too few samples for one of them.
    """
    each = 1 - (1 - confidence) / 2
    top, bottom = quantile(above, 0.5, each), quantile(below, 0.5, each)
    if top is None or bottom is None:
        return None
    return ConfidenceInterval(
        top.value - bottom.value,
        top.low - bottom.high,
        top.high - bottom.low,
        confidence,
        MEDIANS_METHOD,
        min(top.n, bottom.n),
    )
