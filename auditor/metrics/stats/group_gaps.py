"""Largest gap and smallest ratio between group rates, with intervals joint over all pairs."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr

from auditor.domain.readings import ConfidenceInterval
from auditor.domain.tasks import Floats
from auditor.metrics.stats.group_rates import (
    GroupRates,
    independent_rates,
    pair_quantile,
    pair_tail,
)
from auditor.metrics.stats.means import paired_difference
from auditor.metrics.stats.proportions import exact_limits

TWO = 2


@dataclass(frozen=True, slots=True)
class GroupPairComparison:
    """The two groups that differ most, by index, and the interval of how much they differ."""

    interval: ConfidenceInterval
    highest: int
    lowest: int

    def between(self, names: Sequence[str]) -> dict[str, str]:
        """Name the two among the names of all."""
        return {"highest": names[self.highest], "lowest": names[self.lowest]}


def max_gap(
    successes: ArrayLike, trials: ArrayLike, confidence: float, family: int = 1
) -> GroupPairComparison:
    """Return the largest difference between the rates of any two groups of independent rows.

    ``widest_gap`` of ``independent_rates``. By simulation it covers where Agresti-Caffo intervals
    do not: many small groups, and a small group beside a large one. Raises ``ValueError`` when
    fewer than two groups have trials.
    """
    return widest_gap(independent_rates(successes, trials, confidence, family))


def widest_gap(groups: GroupRates) -> GroupPairComparison:
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
) -> GroupPairComparison:
    """Return the smallest ratio between the rates of any two groups of independent rows.

    ``smallest_ratio`` of ``independent_rates``. Raises ``ValueError`` when fewer than two groups
    have trials, or no group has a success.
    """
    return smallest_ratio(independent_rates(successes, trials, confidence, family))


def smallest_ratio(groups: GroupRates) -> GroupPairComparison:
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


def ratio_to_reference(groups: GroupRates, one: int, reference: int) -> ConfidenceInterval:
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
    return ConfidenceInterval(
        value, min(low, value), max(high, value), groups.confidence, method, groups.n
    )


def equalised_odds_gap(
    successes: ArrayLike, trials: ArrayLike, confidence: float, family: int = 1
) -> tuple[int, GroupPairComparison]:
    """Return the largest gap of several rates, ``[rates, groups]`` each, and which rate has it.

    ``joint_gap`` of each rate's ``max_gap``. Raises ``ValueError`` when a rate has trials in fewer
    than two groups.
    """
    pairs = list(zip(np.asarray(successes), np.asarray(trials), strict=True))
    return joint_gap(
        [max_gap(hits, total, confidence, family * len(pairs)) for hits, total in pairs]
    )


def joint_gap(found: Sequence[GroupPairComparison]) -> tuple[int, GroupPairComparison]:
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


def gap_half_width(
    trials: ArrayLike, confidence: float, family: int = 1, rate: float = 0.5
) -> float:
    """Return the half width of ``max_gap`` between the two smallest groups where both have a rate.

    It is one, which says nothing, where a group has no trials or there is one group only.
    """
    limits = _smallest_pair(trials, confidence, family, rate)
    return 1.0 if limits is None else _longer(rate - limits[0], limits[1] - rate)


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
) -> GroupPairComparison:
    """Name the two groups; an interval that misses its own value is stretched to it."""
    method = f"all-pairs {scale}: {groups.method}"
    interval = ConfidenceInterval(
        value, min(low, value), max(high, value), groups.confidence, method, groups.n
    )
    highest = int(np.argmax(groups.rates))
    lowest = groups.rates.size - 1 - int(np.argmin(groups.rates[::-1]))  # two groups on a tie, too
    return GroupPairComparison(interval, groups.index[highest], groups.index[lowest])


def _smallest_pair(
    trials: ArrayLike, confidence: float, family: int, rate: float = 0.5
) -> tuple[Floats, Floats] | None:
    total = np.sort(np.asarray(trials, dtype=np.float64))
    if total.size < TWO or total[0] <= 0:
        return None
    tail = pair_tail(total.size, confidence, family)
    return exact_limits(total[:TWO] * rate, total[:TWO], tail)


def _longer(below: Floats, above: Floats) -> float:
    return float(max(math.hypot(below[0], above[1]), math.hypot(below[1], above[0])))


Codes = NDArray[np.integer] | NDArray[np.bool_]
Counts = NDArray[np.int64]
MOST_CELLS = 1 << 24
BLOCK = 1 << 16
"""Rows that are packed at a time, so that what is packed stays near the processor."""


def tabulate(columns: Sequence[Codes], levels: Sequence[int]) -> Counts:
    """Return ``[*levels]``: how many rows have each combination of codes, from one pass.

    ``columns`` holds an array ``[n]`` of codes from 0 for each of ``levels`` (flags are codes of
    two levels): groups, label, decision, score bin. Raises ``ValueError`` for codes that are no
    level, columns of different lengths, and a table of more than ``MOST_CELLS``.
    """
    cells = math.prod(levels)
    _refuse_impossible(columns, levels, cells)
    kind = np.min_scalar_type(cells)
    counts = np.zeros(cells, dtype=np.int64)
    block = max(BLOCK, cells)
    for start in range(0, len(columns[0]), block):
        packed = np.zeros(min(block, len(columns[0]) - start), dtype=kind)
        for codes, size in zip(columns, levels, strict=True):
            packed *= kind.type(size)
            np.add(packed, codes[start : start + block], out=packed, casting="unsafe")
        counts += np.bincount(packed, minlength=cells)
    return counts.reshape(tuple(levels))


def rate_counts(confusion: Counts) -> Mapping[str, Counts]:
    """Return ``[..., 2]`` for each rate: how often, out of how many.

    ``confusion`` is ``[..., wanted, given]``: whether a row's label is the favourable class, and
    whether it was given that class. The axes before are groups, or rounds of a bootstrap.
    """
    everyone = confusion.sum(axis=(-2, -1))
    wanted, given = confusion[..., 1, :].sum(axis=-1), confusion[..., 1].sum(axis=-1)
    both, neither = confusion[..., 1, 1], confusion[..., 0, 0]
    found = {
        "selection_rate": (given, everyone),
        "tpr": (both, wanted),
        "fpr": (confusion[..., 0, 1], everyone - wanted),
        "ppv": (both, given),
        "npv": (neither, everyone - given),
        "accuracy": (both + neither, everyone),
    }
    return {name: np.stack(pair, axis=-1) for name, pair in found.items()}


def bootstrap_tables(table: Counts, rounds: int, generator: np.random.Generator) -> Counts:
    """Return ``[rounds, *table.shape]``: the tables of ``rounds`` bootstrap samples of the rows.

    To draw n rows with replacement and count the cells is to draw the cells once from the
    multinomial distribution of n and the shares seen: the same distribution, without the rows.
    Raises ``ValueError`` for a table of no rows.
    """
    rows = int(table.sum())
    if not rows:
        message = "a table of no rows cannot be resampled"
        raise ValueError(message)
    drawn = generator.multinomial(rows, table.ravel() / rows, size=rounds)
    return drawn.reshape(rounds, *table.shape)


def _refuse_impossible(columns: Sequence[Codes], levels: Sequence[int], cells: int) -> None:
    if not columns or len(columns) != len(levels) or not 1 <= cells <= MOST_CELLS:
        message = f"{len(columns)} columns of levels {list(levels)} are no table"
        raise ValueError(message)
    for at, (codes, size) in enumerate(zip(columns, levels, strict=True)):
        if len(codes) != len(columns[0]):
            message = f"column {at} has {len(codes)} rows, and the first {len(columns[0])}"
            raise ValueError(message)
        if len(codes) and not 0 <= int(codes.min()) <= int(codes.max()) < size:
            message = f"column {at} has a code that is none of its {size} levels"
            raise ValueError(message)


METHOD = "all pairs of groups, before and change (studentised range, mover), projected"
LEAST_GROUPS = 2


def widest_gap_change(
    before: NDArray[np.bool_], after: NDArray[np.bool_], codes: NDArray[np.int64], confidence: float
) -> ConfidenceInterval:
    """Return the widest difference of two groups' rates ``after``, less that ``before``.

    ``codes`` numbers each row's group from 0, and every group has rows. For all pairs of groups at
    once, intervals of their difference before and of how it changed are joined by variance
    recovery (Zou and Donner 2008, Statistics in Medicine 27) at the quantile of the studentised
    range; what the widest gap can do within them is the interval. The bootstrap does not hold its
    level here: a largest difference is not smooth where groups are alike. Raises ``ValueError`` for
    fewer than two groups.
    """
    trials = np.bincount(codes)
    if trials.size < LEAST_GROUPS or trials.min() == 0:
        message = "a gap needs two groups, each with rows"
        raise ValueError(message)
    quantile = pair_quantile(trials.size, 1 - (1 - confidence) / 2)
    hits = np.bincount(codes, weights=before).astype(np.float64)
    was = (hits / trials, *exact_limits(hits, trials, float(ndtr(-quantile))))
    level = 1 - 2 * float(ndtr(-quantile))
    gained = np.bincount(codes, weights=after & ~before).astype(np.int64).tolist()
    lost = np.bincount(codes, weights=before & ~after).astype(np.int64).tolist()
    changes_trials = np.bincount(codes).tolist()
    found = [
        paired_difference(up, down, count, level)
        for up, down, count in zip(gained, lost, changes_trials, strict=True)
    ]
    moved = tuple(
        np.array([getattr(item, end) for item in found]) for end in ("value", "low", "high")
    )
    one, other = np.triu_indices(trials.size, 1)
    apart, change = _pairs(was, one, other), _pairs(moved, one, other)
    low, high = _least(apart, change), _most(apart, change)
    value = float(np.ptp(was[0] + moved[0]) - np.ptp(was[0]))
    ends = max(-1.0, min(low, value)), min(1.0, max(high, value))
    return ConfidenceInterval(value, *ends, confidence, METHOD, len(codes))


def _pairs(
    groups: tuple[Floats, ...], one: NDArray[np.intp], other: NDArray[np.intp]
) -> tuple[Floats, Floats]:
    """Return the limits of the differences of all pairs of groups."""
    value, low, high = groups
    difference = value[one] - value[other]
    down = np.hypot((value - low)[one], (high - value)[other])
    up = np.hypot((high - value)[one], (value - low)[other])
    return difference - down, difference + up


def _most(apart: tuple[Floats, Floats], change: tuple[Floats, Floats]) -> float:
    """Return how much the widest gap grows at most: the pair that is widest after all tells it.

    ``|a + d| - |a|`` is convex in the change ``d`` and monotone in ``a``: a corner is its largest.
    """
    later = apart[0] + change[0], apart[1] + change[1]
    corners = np.array([np.abs(a + d) - np.abs(a) for a in apart for d in change])
    return float(corners.max(axis=0)[_widest(later)].max())


def _least(apart: tuple[Floats, Floats], change: tuple[Floats, Floats]) -> float:
    """Return how much it grows at least: the pair that was widest before tells it.

    For each ``a`` the change nearest to ``-a`` is the worst; what is left is linear between the
    places where that meets an end of the changes, or 0.
    """
    places = [*apart, *(np.clip(place, *apart) for place in (-change[0], -change[1], 0 * apart[0]))]
    worst = np.array([np.abs(a + np.clip(-a, *change)) - np.abs(a) for a in places])
    return float(worst.min(axis=0)[_widest(apart)].min())


def _widest(limits: tuple[Floats, Floats]) -> NDArray[np.bool_]:
    """Return which pairs may be the ones that are furthest apart."""
    low, high = limits
    least = np.where((low > 0) | (high < 0), np.minimum(np.abs(low), np.abs(high)), 0.0)
    may: NDArray[np.bool_] = np.maximum(np.abs(low), np.abs(high)) >= least.max()
    return may
