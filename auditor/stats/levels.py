"""The interval of a mean of values that come from a short list, such as costs."""

import numpy as np
from numpy.typing import NDArray

from auditor.domain.intervals import Interval
from auditor.stats.proportions import clopper_pearson

METHOD = "sum of clopper-pearson intervals over the levels, joint by bonferroni"


def mean_of_levels(
    values: NDArray[np.float64], levels: tuple[float, ...], confidence: float
) -> Interval:
    """Return the interval of the mean of ``values`` ``[n]``, each 0 or one of ``levels``.

    The mean is the sum of each step between neighbouring levels times the share of values at or
    above it; each share has its exact interval (Clopper and Pearson 1934), at a confidence at which
    all of them hold together. It covers with at least ``confidence`` whatever the truth, and is
    exact for one level. ``levels`` are fixed before the values are seen. Raises ``ValueError`` for
    no values, none or negative levels, and for values that are no level.
    """
    steps = sorted(set(levels) - {0.0})
    if not len(values) or not steps or steps[0] < 0:
        message = "a mean of levels needs values and positive levels"
        raise ValueError(message)
    if not np.isin(values, [0.0, *steps]).all():
        message = "a value is none of the levels"
        raise ValueError(message)
    each = 1 - (1 - confidence) / len(steps)
    value = low = high = below = 0.0
    for step in steps:
        share = clopper_pearson(int((values >= step).sum()), len(values), each)
        value += (step - below) * share.value
        low += (step - below) * share.low
        high += (step - below) * share.high
        below = step
    method = "clopper-pearson, times the cost" if len(steps) == 1 else METHOD
    return Interval(value, low, high, confidence, method, len(values))
