"""How counts of levels agree with the shares of a population."""

from dataclasses import dataclass, replace

import numpy as np
from scipy.special import chdtrc

from auditor.domain.intervals import Interval
from auditor.domain.tasks import Floats
from auditor.stats.permutations import p_value
from auditor.stats.proportions import clopper_pearson, exact_limits

LEAST_EXPECTED = 5
ROUNDS = 9999
LIMITS = "clopper-pearson, joint by bonferroni"


@dataclass(frozen=True, slots=True)
class Fit:
    """Pearson's statistic, how often chance alone gives as much, and how that was found."""

    statistic: float
    p_value: float
    method: str


def fit(counts: Floats, shares: Floats, seed: int) -> Fit:
    """Return how likely ``counts`` ``[k]`` are, drawn from a population of ``shares`` ``[k]``.

    Pearson's chi-square (1900, Philosophical Magazine 50); where fewer than ``LEAST_EXPECTED``
    rows are expected of a level, its exact multinomial law by ``ROUNDS`` draws (Phipson and Smyth
    2010 for the p-value). Raises ``ValueError`` for no rows, and shares that are not positive.
    """
    rows = int(counts.sum())
    if not rows or shares.min() <= 0:
        message = "a fit needs rows, and a positive share of every level"
        raise ValueError(message)
    law = shares / shares.sum()
    expected = rows * law
    statistic = float(np.sum((counts - expected) ** 2 / expected))
    if expected.min() >= LEAST_EXPECTED:
        return Fit(statistic, float(chdtrc(len(counts) - 1, statistic)), "chi-square")
    drawn = np.random.default_rng(seed).multinomial(rows, law, ROUNDS)
    chances = np.sum((drawn - expected) ** 2 / expected, axis=1)
    # Sums of the same counts in another order may differ in the last place.
    return Fit(statistic, p_value(statistic * (1 - 1e-12), chances), "exact multinomial, by draws")


def share_limits(
    counts: Floats, rows: int, confidence: float, family: int, unknown: int = 0
) -> tuple[Floats, Floats]:
    """Return exact limits ``[k], [k]`` of shares that hold jointly over ``family`` levels.

    ``unknown`` more rows may be of any level: a lower limit takes none of them for a level, an
    upper limit all (Manski 1989, Journal of Human Resources 24, Anatomy of the selection problem).
    """
    total, tail = np.full(len(counts), rows + unknown), (1 - confidence) / 2 / family
    low, high = exact_limits(counts, total, tail)
    return (low, exact_limits(counts + unknown, total, tail)[1]) if unknown else (low, high)


def share_with_unknown(count: int, rows: int, unknown: int, confidence: float) -> Interval:
    """Return the share of ``rows`` that count, wherever ``unknown`` more rows belong."""
    least, most = (
        clopper_pearson(hits, rows + unknown, confidence) for hits in (count, count + unknown)
    )
    return replace(least, value=count / rows, high=most.high, n=rows)


def largest_deviation(
    counts: Floats, shares: Floats, confidence: float, family: int, unknown: int = 0
) -> Interval:
    """Return the largest distance of a level's share from the population's.

    From limits that hold for all levels together, wherever ``unknown`` rows belong: at least the
    largest distance between a limit and the population, at most the largest between the population
    and the farther limit. Raises ``ValueError`` for no rows.
    """
    rows = int(counts.sum())
    if not rows:
        message = "a deviation needs rows"
        raise ValueError(message)
    low, high = share_limits(counts, rows, confidence, family, unknown)
    least = np.maximum(0, np.maximum(low - shares, shares - high)).max()
    most = np.maximum(high - shares, shares - low).max()
    value = float(np.abs(counts / rows - shares).max())
    return Interval(value, float(least), float(most), confidence, LIMITS, rows)
