"""Largest gap and smallest ratio between groups, over all pairs of groups at once."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from auditor.domain.intervals import Interval
from auditor.domain.tasks import Floats
from auditor.stats.group_rates import GroupRates, independent_rates, pair_tail
from auditor.stats.proportions import exact_limits

TWO = 2


@dataclass(frozen=True, slots=True)
class Comparison:
    """The two groups that differ most, by index, and the interval of how much they differ."""

    interval: Interval
    highest: int
    lowest: int

    def between(self, names: Sequence[str]) -> dict[str, str]:
        """Name the two among the names of all."""
        return {"highest": names[self.highest], "lowest": names[self.lowest]}


def max_gap(
    successes: ArrayLike, trials: ArrayLike, confidence: float, family: int = 1
) -> Comparison:
    """Return the largest difference between the rates of any two groups of independent rows.

    ``widest_gap`` of ``independent_rates``. By simulation it covers where Agresti-Caffo intervals
    do not: many small groups, and a small group beside a large one. Raises ``ValueError`` when
    fewer than two groups have trials.
    """
    return widest_gap(independent_rates(successes, trials, confidence, family))


def widest_gap(groups: GroupRates) -> Comparison:
    """Return the largest difference between any two groups.

    Since the limits of all pairs hold at once, the largest gap lies in ``[max(0, largest lower
    limit), largest upper limit]``. A group whose rate is not known may have any, so that the upper
    limit is then as far as two can be apart.
    """
    _, lower, upper = groups.differences()
    np.fill_diagonal(upper, 0.0)
    high = min(float(upper.max()), groups.most) if groups.complete else groups.most
    value = float(np.ptp(groups.rates))
    return _comparison(groups, "difference", value, max(0.0, float(lower.max())), high)


def min_ratio(
    successes: ArrayLike, trials: ArrayLike, confidence: float, family: int = 1
) -> Comparison:
    """Return the smallest ratio between the rates of any two groups of independent rows.

    ``smallest_ratio`` of ``independent_rates``. Raises ``ValueError`` when fewer than two groups
    have trials, or no group has a success.
    """
    return smallest_ratio(independent_rates(successes, trials, confidence, family))


def smallest_ratio(groups: GroupRates) -> Comparison:
    """Return the smallest ratio between any two groups (the impact ratio).

    As ``widest_gap``, of ratios. Raises ``ValueError`` when no group has a success.
    """
    if not np.any(groups.rates > 0):
        message = "the ratio of rates that are all zero is not defined"
        raise ValueError(message)
    lower, upper = groups.ratios()
    np.fill_diagonal(lower, 1.0)
    np.fill_diagonal(upper, 1.0)
    low = float(lower.min()) if groups.complete else 0.0
    value = float(groups.rates.min() / groups.rates.max())
    return _comparison(groups, "log ratio", value, min(1.0, low), min(1.0, float(upper.min())))


def ratio_to(groups: GroupRates, one: int, reference: int) -> Interval:
    """Return the ratio of one group's rate to that of ``reference``, both places among ``groups``.

    It holds for all pairs at once, so that the reference may be the group that turned out best.
    Raises ``ValueError`` where the reference has no success.
    """
    if groups.rates[reference] == 0:
        message = "a ratio to a rate of zero is not defined"
        raise ValueError(message)
    lower, upper = groups.ratios()
    value = float(groups.rates[one] / groups.rates[reference])
    low, high = float(lower[one, reference]), float(upper[one, reference])
    method = f"all-pairs log ratio: {groups.method}"
    return Interval(value, min(low, value), max(high, value), groups.confidence, method, groups.n)


def equalised_odds_gap(
    successes: ArrayLike, trials: ArrayLike, confidence: float, family: int = 1
) -> tuple[int, Comparison]:
    """Return the largest gap of several rates, ``[rates, groups]`` each, and which rate has it.

    ``joint_gap`` of each rate's ``max_gap``. Raises ``ValueError`` when a rate has trials in fewer
    than two groups.
    """
    pairs = list(zip(np.asarray(successes), np.asarray(trials), strict=True))
    return joint_gap(
        [max_gap(hits, total, confidence, family * len(pairs)) for hits, total in pairs]
    )


def joint_gap(found: Sequence[Comparison]) -> tuple[int, Comparison]:
    """Return the largest of several gaps whose intervals hold jointly, and which one it is.

    Of true and false positive rates it is the equalised-odds difference (Hardt, Price and Srebro
    2016; Agarwal et al. 2018). It lies in ``[largest lower limit, largest upper limit]``.
    """
    which = max(range(len(found)), key=lambda index: found[index].interval.value)
    low = max(one.interval.low for one in found)
    high = max(one.interval.high for one in found)
    rows = sum(one.interval.n for one in found)
    interval = replace(found[which].interval, low=low, high=high, n=rows)
    return which, replace(found[which], interval=interval)


def gap_half_width(trials: ArrayLike, confidence: float, family: int = 1) -> float:
    """Return the half width of ``max_gap`` between the two smallest groups at rates of one half.

    It is one, which says nothing, where a group has no trials or there is one group only.
    """
    limits = _smallest_pair(trials, confidence, family)
    return 1.0 if limits is None else _longer(0.5 - limits[0], limits[1] - 0.5)


def ratio_half_width(trials: ArrayLike, confidence: float, family: int = 1) -> float:
    """Return how far ``min_ratio`` reaches below one for the two smallest groups at rates of half.

    That is the distance which a ratio of one must keep from a bound below it; one, which says
    nothing, where a group has no trials or there is one group only.
    """
    limits = _smallest_pair(trials, confidence, family)
    if limits is None:
        return 1.0
    middle = math.log(0.5)
    return 1 - math.exp(-_longer(middle - np.log(limits[0]), np.log(limits[1]) - middle))


def _comparison(
    groups: GroupRates, scale: str, value: float, low: float, high: float
) -> Comparison:
    """Name the two groups; an interval that misses its own value is stretched to it."""
    method = f"all-pairs {scale}: {groups.method}"
    interval = Interval(
        value, min(low, value), max(high, value), groups.confidence, method, groups.n
    )
    highest = int(np.argmax(groups.rates))
    lowest = groups.rates.size - 1 - int(np.argmin(groups.rates[::-1]))  # two groups on a tie, too
    return Comparison(interval, groups.index[highest], groups.index[lowest])


def _smallest_pair(
    trials: ArrayLike, confidence: float, family: int
) -> tuple[Floats, Floats] | None:
    total = np.sort(np.asarray(trials, dtype=np.float64))
    if total.size < TWO or total[0] <= 0:
        return None
    tail = pair_tail(total.size, confidence, family)
    return exact_limits(total[:TWO] / 2, total[:TWO], tail)


def _longer(below: Floats, above: Floats) -> float:
    return float(max(math.hypot(below[0], above[1]), math.hypot(below[1], above[0])))
