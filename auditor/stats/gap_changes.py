"""How the widest gap between groups' rates changes from one run to another over the same rows."""

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from auditor.domain.intervals import Interval
from auditor.domain.tasks import Floats
from auditor.stats.group_rates import pair_quantile
from auditor.stats.paired import paired_difference
from auditor.stats.proportions import exact_limits

METHOD = "all pairs of groups, before and change (studentised range, mover), projected"
TWO = 2


def gap_change(
    before: NDArray[np.bool_], after: NDArray[np.bool_], codes: NDArray[np.int64], confidence: float
) -> Interval:
    """Return the widest difference of two groups' rates ``after``, less that ``before``.

    ``codes`` numbers each row's group from 0, and every group has rows. For all pairs of groups at
    once, intervals of their difference before and of how it changed are joined by variance
    recovery (Zou and Donner 2008, Statistics in Medicine 27) at the quantile of the studentised
    range; what the widest gap can do within them is the interval. The bootstrap does not hold its
    level here: a largest difference is not smooth where groups are alike. Raises ``ValueError`` for
    fewer than two groups.
    """
    trials = np.bincount(codes)
    if trials.size < TWO or trials.min() == 0:
        message = "a gap needs two groups, each with rows"
        raise ValueError(message)
    quantile = pair_quantile(trials.size, 1 - (1 - confidence) / 2)
    hits = np.bincount(codes, weights=before).astype(np.float64)
    was = _before(hits, trials, quantile)
    moved = _changes(before, after, codes, quantile)
    one, other = np.triu_indices(trials.size, 1)
    apart, change = _pairs(was, one, other), _pairs(moved, one, other)
    low, high = _least(apart, change), _most(apart, change)
    value = float(np.ptp(was[0] + moved[0]) - np.ptp(was[0]))
    ends = max(-1.0, min(low, value)), min(1.0, max(high, value))
    return Interval(value, *ends, confidence, METHOD, len(codes))


def _before(hits: Floats, trials: NDArray[np.int64], quantile: float) -> tuple[Floats, ...]:
    return (hits / trials, *exact_limits(hits, trials, float(ndtr(-quantile))))


def _changes(
    before: NDArray[np.bool_], after: NDArray[np.bool_], codes: NDArray[np.int64], quantile: float
) -> tuple[Floats, ...]:
    level = 1 - 2 * float(ndtr(-quantile))
    gained = np.bincount(codes, weights=after & ~before).astype(np.int64).tolist()
    lost = np.bincount(codes, weights=before & ~after).astype(np.int64).tolist()
    trials = np.bincount(codes).tolist()
    found = [
        paired_difference(up, down, count, level)
        for up, down, count in zip(gained, lost, trials, strict=True)
    ]
    return tuple(
        np.array([getattr(item, end) for item in found]) for end in ("value", "low", "high")
    )


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
