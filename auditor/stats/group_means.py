"""Means of groups with limits that hold for all pairs of groups together."""

import math

import numpy as np

from auditor.domain.intervals import Interval
from auditor.domain.tasks import Floats
from auditor.stats.clusters import MEAN, Codes, clustered_means_of
from auditor.stats.group_rates import GroupRates
from auditor.stats.means import HALL, mean_value

LEAST = 30
"""Rows, or clusters, from which on intervals hold for errors that are not normal."""


def means(
    values: Floats, codes: Codes, clusters: Codes | None, confidence: float
) -> tuple[Interval, ...]:
    """Return the mean of ``values`` ``[n]`` of each group, with an interval for it alone.

    ``codes`` ``[n]`` number the groups from 0; each has at least two rows, in two ``clusters``
    where rows come in such: ``mean_value``, or ``clustered_mean``.
    """
    middle, low, high, _, method = _limits(values, codes, clusters, confidence)
    rows = np.bincount(codes)
    return tuple(
        Interval(float(at), float(least), float(most), confidence, method, int(n))
        for at, least, most, n in zip(middle, low, high, rows, strict=True)
    )


def means_together(
    values: Floats, codes: Codes, clusters: Codes | None, confidence: float, family: int = 1
) -> GroupRates:
    """Return the means of ``values`` ``[n]`` with limits for all pairs of groups at once.

    Each group's limits are those of ``means`` at a level that holds for all pairs, and for
    ``family`` such sets of pairs (Bonferroni). Differences join them by variance recovery (Zou and
    Donner 2008, Statistics in Medicine 27), so that groups may differ in spread and size. Raises
    ``ValueError`` for fewer than two groups.
    """
    count = int(codes.max(initial=0)) + 1
    pairs = math.comb(count, 2)
    if not pairs:
        message = "a comparison needs two groups"
        raise ValueError(message)
    level = 1 - (1 - confidence) / family / pairs
    middle, low, high, shared, method = _limits(values, codes, clusters, level)
    joint = f", bonferroni over {family} comparisons" if family > 1 else ""
    return GroupRates(
        middle,
        low,
        high,
        tuple(range(count)),
        complete=True,
        n=len(values),
        confidence=confidence,
        method=f"bonferroni over pairs, mover of {method} limits{joint}",
        shared=shared,
        most=math.inf,
    )


def _limits(
    values: Floats, codes: Codes, clusters: Codes | None, level: float
) -> tuple[Floats, Floats, Floats, Floats, str]:
    if clusters is not None:
        return (*clustered_means_of(values, codes, clusters, level), MEAN)
    count = int(codes.max(initial=-1)) + 1
    found = [mean_value(values[codes == at], level) for at in range(count)]
    ends = ([getattr(one, end) for one in found] for end in ("value", "low", "high"))
    middle, low, high = (np.array(end, dtype=np.float64) for end in ends)
    return middle, low, high, np.zeros((count, count)), HALL
