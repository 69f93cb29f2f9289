"""Largest gap and smallest ratio between groups, over all pairs of groups at once."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq
from scipy.special import ndtr

from auditor.domain.intervals import Interval
from auditor.domain.tasks import Floats
from auditor.stats.proportions import exact_limits

TWO = 2


@dataclass(frozen=True, slots=True)
class Comparison:
    """The two groups that differ most, by index, and the interval of how much they differ."""

    interval: Interval
    highest: int
    lowest: int


@dataclass(frozen=True, slots=True)
class _Rates:
    """The groups that have trials: their rates, and limits that hold for all pairs together."""

    rates: Floats
    low: Floats
    high: Floats
    index: tuple[int, ...]
    complete: bool
    n: int

    def apart(self) -> tuple[float, float]:
        """Return the limits of the largest difference, by variance recovery for every pair."""
        low, high = 0.0, 0.0
        for one in range(self.rates.size):
            other = np.arange(self.rates.size) != one
            difference = self.rates[one] - self.rates[other]
            down = np.hypot(self.rates[one] - self.low[one], (self.high - self.rates)[other])
            up = np.hypot(self.high[one] - self.rates[one], (self.rates - self.low)[other])
            low = max(low, float(np.max(difference - down)))
            high = max(high, float(np.max(difference + up)))
        return low, high

    def comparison(
        self, value: float, low: float, high: float, rest: tuple[float, str]
    ) -> Comparison:
        """Name the two groups; an interval that misses its own value is stretched to it."""
        interval = Interval(value, min(low, value), max(high, value), *rest, self.n)
        highest = int(np.argmax(self.rates))
        lowest = self.rates.size - 1 - int(np.argmin(self.rates[::-1]))  # two groups on a tie, too
        return Comparison(interval, self.index[highest], self.index[lowest])


@lru_cache(maxsize=256)
def pair_quantile(groups: int, confidence: float) -> float:
    """Return how many standard errors cover all pairwise differences of ``groups`` normal means.

    The studentised range with infinite degrees of freedom, divided by the root of two (Tukey
    1953; Hochberg and Tamhane 1987, section 3.2). For two groups it is the usual normal quantile.
    """
    grid = np.linspace(-9.0, 9.0, 4001)
    weight = groups * np.exp(-grid * grid / 2) / math.sqrt(2 * math.pi) * (grid[1] - grid[0])

    def excess(width: float) -> float:
        inside = (ndtr(grid) - ndtr(grid - width)) ** (groups - 1)
        return float(np.sum(weight * inside)) - confidence

    return float(brentq(excess, 1e-9, 40.0, xtol=1e-12)) / math.sqrt(2)


def max_gap(
    successes: ArrayLike, trials: ArrayLike, confidence: float, family: int = 1
) -> Comparison:
    """Return the largest difference between the rates of any two groups.

    Pairwise intervals join exact limits by variance recovery (Newcombe 1998, Statistics in
    Medicine 17, method 10, with Clopper-Pearson limits; Zou and Donner 2008) at the quantile of
    the studentised range, so that all pairs hold at once; then the largest gap lies in ``[max(0,
    largest lower limit), largest upper limit]``. By simulation it covers where Agresti-Caffo
    intervals do not: many small groups, and a small group beside a large one. ``family`` such
    intervals hold jointly (Bonferroni). A group without trials may have any rate, so that the
    upper limit is then one. Raises ``ValueError`` when fewer than two groups have trials.
    """
    groups = _limits(successes, trials, confidence, family)
    low, high = groups.apart()
    value = float(np.ptp(groups.rates))
    high = min(high, 1.0) if groups.complete else 1.0
    return groups.comparison(value, low, high, (confidence, _method("difference", family)))


def widest_gap(
    groups: Sequence[Interval], confidence: float, method: str, family: int = 1
) -> Comparison:
    """Return the largest difference between any two of the groups' figures.

    As ``max_gap``, from limits of any kind, each at ``pair_level`` of so many groups. Raises
    ``ValueError`` for fewer than two groups.
    """
    if len(groups) < TWO:
        message = "a comparison needs two groups"
        raise ValueError(message)
    value, low, high = (
        np.array([getattr(item, end) for item in groups]) for end in ("value", "low", "high")
    )
    found = _Rates(
        value, low, high, tuple(range(len(groups))), complete=True, n=sum(at.n for at in groups)
    )
    joint = f"all-pairs difference: studentised range, mover of {method}{_joint(family)}"
    return found.comparison(float(np.ptp(value)), *found.apart(), (confidence, joint))


def pair_level(groups: int, confidence: float, family: int = 1) -> float:
    """Return the level of each group's limits at which all pairs of ``widest_gap`` hold."""
    return 1 - 2 * float(ndtr(-pair_quantile(groups, 1 - (1 - confidence) / family)))


def min_ratio(
    successes: ArrayLike, trials: ArrayLike, confidence: float, family: int = 1
) -> Comparison:
    """Return the smallest ratio between the rates of any two groups (the impact ratio).

    As ``max_gap``, on the scale of logarithms (Katz 1978, with exact limits in place of standard
    errors). Where a group has no success its logarithm has no distance: the lower limit is zero,
    and the upper one the ratio of the exact limits, which is wider. Raises ``ValueError`` when
    fewer than two groups have trials, or no group has a success.
    """
    groups = _limits(successes, trials, confidence, family)
    if not np.any(groups.rates > 0):
        message = "the ratio of rates that are all zero is not defined"
        raise ValueError(message)
    low, high = 1.0, 1.0
    for one in range(groups.rates.size):
        other = np.arange(groups.rates.size) != one
        least, most = _ratio_limits(groups, one, other)
        low = min(low, float(np.min(least)))
        high = min(high, float(np.min(most)))
    value = float(groups.rates.min() / groups.rates.max())
    low = low if groups.complete else 0.0
    return groups.comparison(value, low, high, (confidence, _method("log ratio", family)))


def equalised_odds_gap(
    successes: ArrayLike, trials: ArrayLike, confidence: float, family: int = 1
) -> tuple[int, Comparison]:
    """Return the largest gap of several rates, ``[rates, groups]`` each, and which rate has it.

    For true and false positive rates it is the equalised-odds difference (Hardt, Price and Srebro
    2016; Agarwal et al. 2018). Each rate's ``max_gap`` holds jointly with the others (Bonferroni),
    so that the largest gap lies in ``[largest lower limit, largest upper limit]``. Raises
    ``ValueError`` when a rate has trials in fewer than two groups.
    """
    pairs = list(zip(np.asarray(successes), np.asarray(trials), strict=True))
    found = [max_gap(hits, total, confidence, family * len(pairs)) for hits, total in pairs]
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


def _limits(successes: ArrayLike, trials: ArrayLike, confidence: float, family: int) -> _Rates:
    total = np.asarray(trials, dtype=np.float64)
    seen = total > 0
    if np.count_nonzero(seen) < TWO:
        message = "a comparison needs two groups that have trials"
        raise ValueError(message)
    hits, total = np.asarray(successes, dtype=np.float64)[seen], total[seen]
    quantile = pair_quantile(total.size, 1 - (1 - confidence) / family)
    low, high = exact_limits(hits, total, float(ndtr(-quantile)))
    index = tuple(int(i) for i in np.flatnonzero(seen))
    return _Rates(hits / total, low, high, index, bool(seen.all()), int(total.sum()))


def _ratio_limits(groups: _Rates, one: int, other: NDArray[np.bool_]) -> tuple[Floats, Floats]:
    zero = (groups.rates[other] == 0) | (groups.rates[one] == 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        below = np.log(groups.rates / groups.low)
        above = np.log(groups.high / groups.rates)
        ratio = groups.rates[one] / groups.rates[other]
        low = ratio * np.exp(-np.hypot(below[one], above[other]))
        high = ratio * np.exp(np.hypot(above[one], below[other]))
        box = groups.high[one] / groups.low[other]
    return np.where(zero, 0.0, low), np.where(zero, box, high)


def _smallest_pair(
    trials: ArrayLike, confidence: float, family: int
) -> tuple[Floats, Floats] | None:
    total = np.sort(np.asarray(trials, dtype=np.float64))
    if total.size < TWO or total[0] <= 0:
        return None
    quantile = pair_quantile(total.size, 1 - (1 - confidence) / family)
    return exact_limits(total[:TWO] / 2, total[:TWO], float(ndtr(-quantile)))


def _longer(below: Floats, above: Floats) -> float:
    return float(max(math.hypot(below[0], above[1]), math.hypot(below[1], above[0])))


def _method(scale: str, family: int) -> str:
    return f"all-pairs {scale}: studentised range, mover of clopper-pearson limits{_joint(family)}"


def _joint(family: int) -> str:
    return f", bonferroni over {family} comparisons" if family > 1 else ""
