"""Rates of groups with limits that hold for all pairs of groups together."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq
from scipy.special import ndtr

from auditor.domain.intervals import Interval
from auditor.domain.tasks import Floats
from auditor.stats.clusters import PROPORTION, clustered_shares
from auditor.stats.proportions import exact_limits

TWO = 2
EXACT = "studentised range, mover of clopper-pearson limits"
CLUSTERED = f"bonferroni over pairs, mover with the correlation of groups of {PROPORTION}"

Codes = NDArray[np.integer]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class GroupRates:
    """The groups whose rate is known: rates ``[k]`` and their limits, for all pairs at once.

    ``index`` says which groups they are, ``complete`` whether those are all that there are, ``n``
    how many rows they have. ``shared`` ``[k, k]`` is how far the errors of two groups go together:
    not at all where rows are independent. ``most`` is how far two can be apart.
    """

    rates: Floats
    low: Floats
    high: Floats
    index: tuple[int, ...]
    complete: bool
    n: int
    confidence: float
    method: str
    shared: Floats
    most: float = 1.0

    def differences(self) -> tuple[Floats, Floats, Floats]:
        """Return ``[k, k]`` how much higher the rate of each group is than of each, and limits.

        Variance recovery (Newcombe 1998, Statistics in Medicine 17, method 10; with correlation
        Zou and Donner 2008, Statistics in Medicine 27).
        """
        below, above = self.rates - self.low, self.high - self.rates
        value = self.rates[:, None] - self.rates
        down, up = self.beyond(below[:, None], above), self.beyond(above[:, None], below)
        return value, value - down, value + up

    def ratios(self) -> tuple[Floats, Floats]:
        """Return the limits ``[k, k]`` of the ratio of each group's rate to that of each.

        As ``differences``, on the scale of logarithms (Katz 1978, with these limits in place of
        standard errors). Where a group has no success its logarithm has no distance: the lower
        limit is zero, and the upper one the ratio of the limits, which is wider.
        """
        zero = (self.rates[:, None] == 0) | (self.rates == 0)
        with np.errstate(divide="ignore", invalid="ignore"):
            below, above = np.log(self.rates / self.low), np.log(self.high / self.rates)
            ratio = self.rates[:, None] / self.rates
            low = ratio * np.exp(-self.beyond(below[:, None], above))
            high = ratio * np.exp(self.beyond(above[:, None], below))
            box = self.high[:, None] / self.low
        return np.where(zero, 0.0, low), np.where(zero, box, high)

    def beyond(self, one: Floats, other: Floats) -> Floats:
        """Join the distances of two limits from their figures."""
        squared = one * one + other * other - 2 * self.shared * one * other
        return np.sqrt(np.maximum(squared, 0.0))


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


def pair_tail(groups: int, confidence: float, family: int) -> float:
    """Return the probability beyond a limit at which all pairs of ``family`` families hold."""
    return float(ndtr(-pair_quantile(groups, 1 - (1 - confidence) / family)))


def pair_level(groups: int, confidence: float, family: int = 1) -> float:
    """Return the level of each group's limits at which all pairs of ``limited`` hold."""
    return 1 - 2 * pair_tail(groups, confidence, family)


def limited(
    groups: Sequence[Interval], confidence: float, method: str, family: int = 1
) -> GroupRates:
    """Return figures of any kind of independent groups, each with limits at ``pair_level``.

    Raises ``ValueError`` for fewer than two groups.
    """
    _refuse_alone(np.ones(len(groups), dtype=np.bool_))
    value, low, high = (
        np.array([getattr(item, end) for item in groups]) for end in ("value", "low", "high")
    )
    return GroupRates(
        value,
        low,
        high,
        tuple(range(len(groups))),
        complete=True,
        n=sum(item.n for item in groups),
        confidence=confidence,
        method=f"studentised range, mover of {method}{_joint(family)}",
        shared=np.zeros((len(groups), len(groups))),
        most=math.inf,
    )


def independent_rates(
    successes: ArrayLike, trials: ArrayLike, confidence: float, family: int = 1
) -> GroupRates:
    """Return the rates of groups of independent rows, with exact limits.

    The limits are taken at the quantile of the studentised range; ``family`` such sets of pairs
    hold jointly (Bonferroni). Raises ``ValueError`` when fewer than two groups have trials.
    """
    total = np.asarray(trials, dtype=np.float64)
    seen = total > 0
    _refuse_alone(seen)
    hits, total = np.asarray(successes, dtype=np.float64)[seen], total[seen]
    low, high = exact_limits(hits, total, pair_tail(total.size, confidence, family))
    return GroupRates(
        hits / total,
        low,
        high,
        tuple(int(at) for at in np.flatnonzero(seen)),
        bool(seen.all()),
        int(total.sum()),
        confidence,
        EXACT + _joint(family),
        np.zeros((total.size, total.size)),
    )


def clustered_rates(
    hits: Flags, groups: tuple[Codes, int], clusters: Codes, confidence: float, family: int = 1
) -> GroupRates:
    """Return the rates of groups whose rows ``[n]`` are alike within their ``clusters`` ``[n]``.

    ``groups`` are each row's group, from 0, and how many groups there are. Limits are those of
    ``clustered_proportion``, for all pairs by Bonferroni: what is known of the studentised range is
    not known of groups that share clusters and have few of them. A group whose rows come from one
    cluster says nothing of its error, and counts as one without trials. Raises ``ValueError``
    when fewer than two groups have rows in two clusters.
    """
    codes, count = groups
    seen = rows_in_clusters(codes, count, clusters) >= TWO
    _refuse_alone(seen)
    inside, kinds = renumbered(codes, seen)
    pairs = math.comb(int(seen.sum()), TWO)
    level = 1 - (1 - confidence) / family / pairs
    rates, low, high, shared = clustered_shares(hits[inside], kinds, clusters[inside], level)
    return GroupRates(
        rates,
        low,
        high,
        tuple(int(at) for at in np.flatnonzero(seen)),
        bool(seen.all()),
        int(inside.sum()),
        confidence,
        CLUSTERED + _joint(family),
        shared,
    )


def renumbered(codes: Codes, chosen: Flags) -> tuple[Flags, Codes]:
    """Return which rows ``[n]`` are of ``chosen`` groups, and those rows' groups, from 0."""
    inside = chosen[codes]
    return inside, (np.cumsum(chosen) - 1)[codes[inside]]


def rows_in_clusters(codes: Codes, count: int, clusters: Codes) -> NDArray[np.int64]:
    """Return ``[count]``: in how many clusters each group has rows."""
    cells = np.unique(clusters.astype(np.int64) * count + codes)
    return np.bincount(cells % count, minlength=count)


def _refuse_alone(seen: Flags) -> None:
    if np.count_nonzero(seen) < TWO:
        message = "a comparison needs two groups that have trials, in two clusters each"
        raise ValueError(message)


def _joint(family: int) -> str:
    return f", bonferroni over {family} comparisons" if family > 1 else ""
