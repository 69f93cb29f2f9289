"""Distribution-free intervals of quantiles."""

import math

import numpy as np
from scipy.stats import binom

from auditor.domain.intervals import Interval
from auditor.domain.tasks import Floats

METHOD = "order statistics (binomial)"


def quantile(samples: Floats, share: float, confidence: float) -> Interval | None:
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
    return Interval(value, *ends, confidence, METHOD, count)


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
