"""Rates and means of groups with joint intervals, shrinkage and differential fairness.

Joint limits hold for all pairs of groups at once.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq
from scipy.special import betainc, betaln, expit, log_expit, logsumexp, ndtr

from auditor.domain.readings import ConfidenceInterval
from auditor.domain.tasks import Floats
from auditor.metrics.stats.cluster_robust import (
    MEAN,
    PROPORTION,
    ClusterCodes,
    clustered_mean_intervals,
    clustered_shares,
)
from auditor.metrics.stats.means import HALL, mean_value
from auditor.metrics.stats.proportions import exact_limits

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
    """Return the level of each group's limits at which all pairs of ``joint_limits`` hold."""
    return 1 - 2 * pair_tail(groups, confidence, family)


def joint_limits(
    groups: Sequence[ConfidenceInterval], confidence: float, method: str, family: int = 1
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
    seen = count_group_clusters(codes, count, clusters) >= TWO
    _refuse_alone(seen)
    inside, kinds = renumber_groups(codes, seen)
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


def renumber_groups(codes: Codes, chosen: Flags) -> tuple[Flags, Codes]:
    """Return which rows ``[n]`` are of ``chosen`` groups, and those rows' groups, from 0."""
    inside = chosen[codes]
    return inside, (np.cumsum(chosen) - 1)[codes[inside]]


def count_group_clusters(codes: Codes, count: int, clusters: Codes) -> NDArray[np.int64]:
    """Return ``[count]``: in how many clusters each group has rows."""
    cells = np.unique(clusters.astype(np.int64) * count + codes)
    return np.bincount(cells % count, minlength=count)


def _refuse_alone(seen: Flags) -> None:
    if np.count_nonzero(seen) < TWO:
        message = "a comparison needs two groups that have trials, in two clusters each"
        raise ValueError(message)


def _joint(family: int) -> str:
    return f", bonferroni over {family} comparisons" if family > 1 else ""


METHOD = "beta-binomial over all groups, posterior integrated over mean and spread"
POINTS = 24
"""Grid points of either parameter, once the grid has closed in on where the posterior lies."""
REACH = 12.0
ZOOMS = 4
NEGLIGIBLE = 12.0
"""Log posterior below the highest one, from which on a grid point is left out (6e-6)."""
LOST = 1e-4
"""Share of the posterior that the least likely grid points may take away with them."""
HALVINGS = 24
LEAST_SHRUNKEN_GROUPS = 2


@dataclass(frozen=True, slots=True)
class _BetaPopulation:
    """Weighted guesses of the law of rates: ``Beta(mean * size, (1 - mean) * size)``, ``[g]``."""

    mean: Floats
    size: Floats
    weight: Floats


def shrunken_rates(
    successes: ArrayLike, trials: ArrayLike, confidence: float
) -> tuple[ConfidenceInterval, ...]:
    """Return the rate of every group ``[k]``, on the strength of all groups.

    Rates are taken as draws from one beta law whose mean and spread are unknown; each value is the
    mean of its posterior, the limits are its quantiles. Plugging in the best law (Efron and Morris
    1975) covers far too seldom where groups hardly differ, so the law is integrated out: the mean
    is uniform, and so is the weight that a group of the least size gets beside all others, the
    uniform shrinkage prior (Christiansen and Morris 1997, JASA 92; Daniels 1999). An interval
    covers at its confidence (0.93 for three groups at 0.95) on average over groups, also the group
    picked for being worst, as long as one beta law holds. It says nothing for a lone outlier: one
    rate of 0.4 among 39 of 0.1, 60 rows each, is drawn so far that its interval covers it 0.12 of
    the time, so that what is decided on one group is decided by its own rows. A group without
    trials gets what the law says of any. Raises ``ValueError`` for impossible counts, and unless
    two groups have trials.
    """
    hits = np.asarray(successes, dtype=np.float64)
    total = np.asarray(trials, dtype=np.float64)
    possible = hits.shape == total.shape and bool(np.all((hits >= 0) & (hits <= total)))
    if not possible or not 0 < confidence < 1:
        message = f"{hits} of {total} at confidence {confidence} are no proportions"
        raise ValueError(message)
    if np.count_nonzero(total > 0) < LEAST_SHRUNKEN_GROUPS:
        message = "groups are drawn together only where two of them have trials"
        raise ValueError(message)
    # Close in on the posterior of both parameters, each on the scale of log odds
    population_hits = hits[total > 0]
    population_total = total[total > 0]
    least = float(population_total.min())
    across = along = (-REACH, REACH)
    for _ in range(ZOOMS):
        centre, weight, height = _heights(across, along, least, population_hits, population_total)
        kept = height > height.max() - NEGLIGIBLE
        across, along = _around(centre[kept], across), _around(weight[kept], along)
    centre, weight, height = _heights(across, along, least, population_hits, population_total)
    share = np.exp(height - logsumexp(height))
    order = np.argsort(share)
    likely = order[np.cumsum(share[order]) > LOST]
    size = least * np.exp(weight[likely])
    law = _BetaPopulation(expit(centre[likely]), size, share[likely] / np.sum(share[likely]))
    counts, places = np.unique(np.stack([hits, total]), axis=1, return_inverse=True)
    found = _posterior(law, counts[0], counts[1], confidence)
    value, low, high = (part[places.ravel()] for part in found)
    return tuple(
        ConfidenceInterval(
            float(v), min(float(v), float(a)), max(float(v), float(b)), confidence, METHOD, n
        )
        for v, a, b, n in zip(value, low, high, total.astype(int).tolist(), strict=True)
    )


def _posterior(
    law: _BetaPopulation, hits: Floats, total: Floats, confidence: float
) -> tuple[Floats, Floats, Floats]:
    """Return mean and limits; a rate of 0 or 1 is not excluded where all that was seen is that."""
    above = (law.mean * law.size)[:, None] + hits
    below = ((1 - law.mean) * law.size)[:, None] + total - hits
    weight = law.weight[:, None]
    tail = (1 - confidence) / 2
    low, high = (_quantile(above, below, weight, share) for share in (tail, 1 - tail))
    value = np.sum(weight * above / (above + below), axis=0)
    return value, np.where(hits > 0, low, 0.0), np.where(hits < total, high, 1.0)


def _heights(
    across: tuple[float, float],
    along: tuple[float, float],
    least: float,
    hits: Floats,
    total: Floats,
) -> tuple[Floats, Floats, Floats]:
    centre = np.repeat(np.linspace(across[0], across[1], POINTS), POINTS)
    weight = np.tile(np.linspace(along[0], along[1], POINTS), POINTS)
    # Beta-binomial likelihood and priors; `weight` is the log of the law's size over `least`. The
    # shrinkage `size / (size + least)` is uniform, and so is the mean: on the scale of log odds
    # either has the density of the logistic law.
    mean, size = expit(centre), least * np.exp(weight)
    above, below = mean * size, (1 - mean) * size
    found = log_expit(centre) + log_expit(-centre) + log_expit(weight) + log_expit(-weight)
    counts, repeats = np.unique(np.stack([hits, total - hits]), axis=1, return_counts=True)
    for (yes, no), times in zip(counts.T, repeats, strict=True):
        found = found + times * (betaln(above + yes, below + no) - betaln(above, below))
    return centre, weight, found


def _around(inside: Floats, box: tuple[float, float]) -> tuple[float, float]:
    """Return the part of a side of the grid that matters, and one step on either side of it."""
    step = (box[1] - box[0]) / (POINTS - 1)
    return float(inside.min()) - step, float(inside.max()) + step


def _quantile(above: Floats, below: Floats, weight: Floats, share: float) -> Floats:
    """Return where each mixture of beta laws ``[g, k]`` reaches ``share``, by halving."""
    low, high = np.zeros(above.shape[1]), np.ones(above.shape[1])
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        beyond = np.sum(weight * betainc(above, below, middle), axis=0) > share
        low, high = np.where(beyond, low, middle), np.where(beyond, middle, high)
    return np.asarray((low + high) / 2)


LEAST_MEAN_ROWS = 30
"""Rows, or clusters, from which on intervals hold for errors that are not normal."""


def group_means(
    values: Floats,
    codes: ClusterCodes,
    clusters: ClusterCodes | None,
    confidence: float,
) -> tuple[ConfidenceInterval, ...]:
    """Return the mean of ``values`` ``[n]`` of each group, with an interval for it alone.

    ``codes`` ``[n]`` number the groups from 0; each has at least two rows, in two ``clusters``
    where rows come in such: ``mean_value``, or ``clustered_mean``.
    """
    middle, low, high, _, method = _limits(values, codes, clusters, confidence)
    rows = np.bincount(codes)
    return tuple(
        ConfidenceInterval(float(at), float(least), float(most), confidence, method, int(n))
        for at, least, most, n in zip(middle, low, high, rows, strict=True)
    )


def joint_group_means(
    values: Floats,
    codes: ClusterCodes,
    clusters: ClusterCodes | None,
    confidence: float,
    family: int = 1,
) -> GroupRates:
    """Return the means of ``values`` ``[n]`` with limits for all pairs of groups at once.

    Each group's limits are those of ``group_means`` at a level that holds for all pairs, and for
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
    values: Floats,
    codes: ClusterCodes,
    clusters: ClusterCodes | None,
    level: float,
) -> tuple[Floats, Floats, Floats, Floats, str]:
    if clusters is not None:
        return (*clustered_mean_intervals(values, codes, clusters, level), MEAN)
    count = int(codes.max(initial=-1)) + 1
    found = [mean_value(values[codes == at], level) for at in range(count)]
    ends = ([getattr(one, end) for one in found] for end in ("value", "low", "high"))
    middle, low, high = (np.array(end, dtype=np.float64) for end in ends)
    return middle, low, high, np.zeros((count, count)), HALL


SMOOTHING = 0.5
"""Pseudo-counts of each of the two outcomes, as in the paper's estimator with concentration 1."""


def differential_fairness(successes: ArrayLike, trials: ArrayLike) -> float:
    """Return the smoothed empirical differential fairness of groups ``[k]``, in nats.

    The largest log ratio of the probability of either outcome between any two groups, each
    probability smoothed (Foulds, Islam, Keya and Pan 2020, An intersectional definition of
    fairness, ICDE). 0 is fair; it is a point figure, biased upwards by small groups. Groups
    without trials do not count. Raises ``ValueError`` when fewer than two have trials.
    """
    hits, total = np.asarray(successes, dtype=np.float64), np.asarray(trials, dtype=np.float64)
    hits, total = hits[total > 0], total[total > 0]
    if total.size < 2:  # noqa: PLR2004 -- a pair
        message = "differential fairness needs two groups that have trials"
        raise ValueError(message)
    rates = (hits + SMOOTHING) / (total + 2 * SMOOTHING)
    return max(float(np.ptp(np.log(rates))), float(np.ptp(np.log1p(-rates))))
