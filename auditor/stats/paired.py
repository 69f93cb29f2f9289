"""Differences between two runs over the same rows."""

import math

from scipy.special import ndtri, stdtrit

from auditor.domain.intervals import Interval
from auditor.domain.tasks import Floats

LEAST = 30
"""Fewest rows whose mean difference gets an interval."""


def paired_difference(gained: int, lost: int, rows: int, confidence: float) -> Interval:
    """Return the change of a proportion between two runs over the same ``rows``.

    ``gained`` rows went from no to yes, ``lost`` ones from yes to no; the value is
    ``(gained - lost) / rows``. The adjusted Wald interval of Bonett and Price (2012), Journal of
    Educational and Behavioral Statistics 37, equation 3, holds its level also where few rows
    changed. Raises ``ValueError`` for impossible counts.
    """
    if rows <= 0 or gained < 0 or lost < 0 or gained + lost > rows or not 0 < confidence < 1:
        message = f"{gained} gained and {lost} lost of {rows} rows at {confidence}"
        raise ValueError(message)
    z = float(ndtri((1 + confidence) / 2))
    more, less = (gained + 1) / (rows + 2), (lost + 1) / (rows + 2)
    middle = more - less
    half = z * math.sqrt((more + less - middle * middle) / (rows + 2))
    value = (gained - lost) / rows
    low, high = max(-1.0, middle - half), min(1.0, middle + half)
    return Interval(value, min(low, value), max(high, value), confidence, "bonett-price", rows)


def mean_difference(differences: Floats, confidence: float) -> Interval:
    """Return the mean of paired differences ``[n]`` with Student's interval.

    Student (1908), Biometrika 6; the differences need not be normal from ``LEAST`` rows on, as the
    simulation in the tests shows for losses. Raises ``ValueError`` for fewer rows.
    """
    rows = len(differences)
    if rows < LEAST or not 0 < confidence < 1:
        message = f"{rows} rows at {confidence}, where {LEAST} are needed"
        raise ValueError(message)
    middle = float(differences.mean())
    half = float(stdtrit(rows - 1, (1 + confidence) / 2)) * float(differences.std(ddof=1))
    half /= math.sqrt(rows)
    return Interval(middle, middle - half, middle + half, confidence, "paired t", rows)
