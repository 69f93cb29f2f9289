"""A mean over rows, each seen in several repeats of something random."""

import math

import numpy as np
from scipy.special import stdtrit

from auditor.domain.intervals import Interval
from auditor.domain.tasks import Floats
from auditor.stats.means import mean_loss

METHOD = "of rows: {rows}; of repeats: student's t; in quadrature"


def mean_over_repeats(values: Floats, confidence: float) -> Interval:
    """Return the interval of the mean of ``values`` ``[repeats, n]``, each within -1..1.

    It speaks of other rows (``mean_loss`` of each row's mean) and of other repeats (Student's t of
    each repeat's mean), whose distances from the mean are joined as two independent errors. One
    repeat speaks of rows alone. Values within 0..1 keep to it. Raises ``ValueError`` for fewer than
    two rows.
    """
    repeats = len(values)
    least = -1.0 if values.min(initial=0.0) < 0 else 0.0
    width = 1.0 - least
    rows = mean_loss((values.mean(axis=0) - least) / width, 1.0, confidence)
    low, high = (least + width * end for end in (rows.low, rows.high))
    value = float(values.mean())
    between = 0.0
    if repeats > 1:
        scatter = float(np.std(values.mean(axis=1), ddof=1)) / math.sqrt(repeats)
        between = scatter * float(stdtrit(repeats - 1, (1 + confidence) / 2))
    return Interval(
        value,
        max(least, value - math.hypot(value - low, between)),
        min(1.0, value + math.hypot(high - value, between)),
        confidence,
        METHOD.format(rows=rows.method) if repeats > 1 else rows.method,
        values.shape[1],
    )
