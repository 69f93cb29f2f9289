"""Drift statistics: column shift, label shift, accuracy without labels and goodness of fit.

Estimated accuracy relies on the calibration of a reference. Estimated label shift assumes that
each class looks the same as before.
"""

import math
import sys
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import isotonic_regression
from scipy.special import chdtrc, kolmogorov, ndtri, stdtrit, xlogy

from auditor.domain.datasets import Codes
from auditor.domain.readings import ConfidenceInterval
from auditor.domain.tasks import Floats
from auditor.metrics.stats.column_sketches import ColumnSketch
from auditor.metrics.stats.p_values import permutation_p_value
from auditor.metrics.stats.proportions import clopper_pearson, exact_limits

KOLMOGOROV = "kolmogorov-smirnov distance in cells, dvoretzky-kiefer-wolfowitz-massart bands"
WASSERSTEIN = "wasserstein distance over the reference's sd, dvoretzky-kiefer-wolfowitz-massart"
VARIATION = "total variation distance, weissman's concentration"
LEAST_EXPECTED = 5.0
LEAST_P = sys.float_info.min
"""No p-value is zero: what underflows is less than this."""
TWO = 2


@dataclass(frozen=True, slots=True)
class ColumnShift:
    """Between two samples of a column: the largest difference of the chance of any threshold (any
    set of levels), how far numbers have moved in standard deviations of the reference (if it has
    any), the p-value of no change, and, of categories, the Jensen-Shannon distance (base 2).
    """

    distance: ConfidenceInterval
    moved: ConfidenceInterval | None
    p_value: float
    jensen_shannon: float | None = None


def number_shift(
    reference: ColumnSketch, current: ColumnSketch, confidence: float, family: int = 1
) -> ColumnShift:
    """Compare two sketches on one grid; the intervals of ``family`` columns hold jointly.

    The bands of Massart (1990, Annals of Probability 18) around both distribution functions hold
    for any distribution; the distances' limits are those of any two within them, on the grid. The
    p-value is Smirnov's asymptotic one of the distance between cells, which is never more than the
    exact distance, so that it errs on the side of no change. Raises ``ValueError`` where a sample
    has no number.
    """
    one, other = reference.known, current.known
    if not one or not other:
        message = "a sample without a number lies nowhere"
        raise ValueError(message)
    # Half the width of a band that misses with half of what may be missed
    bands = sum(
        math.sqrt(math.log(4 * family / (1 - confidence)) / (TWO * rows)) for rows in (one, other)
    )
    apart = np.cumsum(current.counts) / other - np.cumsum(reference.counts) / one
    found = float(np.abs(apart).max())
    high = (
        found
        + bands
        + (0.0 if reference.exact and current.exact else _hidden(reference, current, apart))
    )
    distance = _interval(found, found - bands, min(1.0, high), confidence, KOLMOGOROV, one + other)
    p_value = max(LEAST_P, float(kolmogorov(found * math.sqrt(one * other / (one + other)))))
    return ColumnShift(distance, _moved(reference, current, bands, confidence), p_value)


def category_shift(
    reference: ArrayLike,
    current: ArrayLike,
    confidence: float,
    family: int = 1,
    hidden: int | None = None,
) -> ColumnShift:
    """Compare counts of the same levels ``[k]``; the intervals of ``family`` columns hold jointly.

    The limits are those of Weissman et al. (2003), Inequalities for the L1 deviation of the
    empirical distribution: they hold for any distribution. The p-value is Pearson's, of levels
    expected at least five times; rarer ones are joined. Where ``hidden`` levels were joined to two
    before, the last ones, by whether they have become rarer, the distance is that of all levels,
    whose number the limits allow for; for the p-value both are one. Raises ``ValueError`` for empty
    samples.
    """
    pair = np.stack([np.asarray(reference, np.float64), np.asarray(current, np.float64)])
    rows = pair.sum(axis=1)
    if not rows.all():
        message = "a sample without a row has no levels"
        raise ValueError(message)
    shares = pair / rows[:, None]
    found = float(np.abs(shares[1] - shares[0]).sum() / TWO)
    levels = int(np.count_nonzero(pair.sum(axis=0))) + (hidden or 0)
    tail = math.log(TWO * family / (1 - confidence))
    bands = float(np.sum(np.sqrt((levels * math.log(TWO) + tail) / (TWO * rows))))
    n = int(rows.sum())
    ends = found - bands, min(1.0, found + bands)
    distance = _interval(found, *ends, confidence, VARIATION, n)
    tested = pair if hidden is None else np.column_stack([pair[:, :-2], pair[:, -2:].sum(axis=1)])
    return ColumnShift(distance, None, pearson_p_value(tested), math.sqrt(_divergence(shares)))


def pearson_p_value(pair: Floats) -> float:
    """Return the p-value of equal shares of the levels of ``[2, k]``; 1 where there is one."""
    expected = pair.sum(axis=0) * pair.sum(axis=1).min() / pair.sum()
    common = expected >= LEAST_EXPECTED
    joined = np.column_stack([pair[:, common], pair[:, ~common].sum(axis=1)])
    table = joined[:, joined.sum(axis=0) > 0]
    if table.shape[1] < TWO:
        return 1.0
    fair = np.outer(table.sum(axis=1), table.sum(axis=0)) / table.sum()
    return max(LEAST_P, float(chdtrc(table.shape[1] - 1, np.sum((table - fair) ** 2 / fair))))


def _divergence(shares: Floats) -> float:
    """Return the Jensen-Shannon divergence in bits (Lin 1991)."""
    middle = shares.mean(axis=0)
    entropies = [-np.sum(xlogy(part, part)) for part in (middle, *shares)]
    bits = (entropies[0] - (entropies[1] + entropies[2]) / TWO) / math.log(TWO)
    return min(1.0, max(0.0, float(bits)))


def _hidden(reference: ColumnSketch, current: ColumnSketch, apart: Floats) -> float:
    """Return how much farther apart the samples may be within a cell than at its ends."""
    before = np.append(0.0, apart[:-1])
    up = before + current.counts / current.known
    down = -before + reference.counts / reference.known
    return float(max(0.0, max(up.max(), down.max()) - np.abs(apart).max()))


def _moved(
    reference: ColumnSketch, current: ColumnSketch, bands: float, confidence: float
) -> ConfidenceInterval | None:
    """Return the area between the distribution functions, over the reference's deviation.

    ``None`` where that is zero and something moved, or either is too large a number.
    """
    places = np.concatenate([reference.places, current.places])
    masses = np.concatenate([-reference.counts / reference.known, current.counts / current.known])
    order = np.argsort(places, kind="stable")
    with np.errstate(over="ignore", invalid="ignore"):
        spread, widths = reference.spread, np.diff(places[order])
    heights = np.abs(np.cumsum(masses[order])[:-1])
    area, least, most = (
        float(widths @ part)
        for part in (heights, np.maximum(heights - bands, 0), np.minimum(heights + bands, 1))
    )
    if not math.isfinite(spread + most) or (area > 0 and spread <= 0):
        return None
    value, low, high = (part / (spread or 1.0) for part in (area, least, most))
    return _interval(value, low, high, confidence, WASSERSTEIN, reference.known + current.known)


def _interval(  # noqa: PLR0913, PLR0917 -- mirrors the fields of an interval
    value: float, low: float, high: float, confidence: float, method: str, n: int
) -> ConfidenceInterval:
    return ConfidenceInterval(
        value, max(0.0, min(low, value)), max(high, value), confidence, method, n
    )


CBPE = "confidence-based performance estimation, delete-a-group jackknife"
CELLS = 1024
GROUPS = 40
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class LabelledReference:
    """Rows ``[n]`` of a reference: the probability that was stated, whether it came true, what each
    counts for, and the group of the jackknife that it is in.
    """

    stated: Floats
    happened: Flags
    weights: Floats
    groups: NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class UnlabelledSample:
    """Rows ``[m]`` without labels: what was stated, and whether the answer is that it happens."""

    stated: Floats
    decided: Flags


def effective_sample_size(weights: Floats) -> float:
    """Return how many rows of equal weight these are worth (Kish 1965, Survey Sampling, 11.7).

    None, where no weight is large enough for its square to be a number.
    """
    squares = float(np.sum(weights**2))
    return float(weights.sum()) ** 2 / squares if squares else 0.0


def jackknife_groups(rows: int, clusters: Codes | None, seed: int) -> NDArray[np.int64]:
    """Return the group of each row, at random: whole clusters, where rows hang together."""
    generator = np.random.default_rng(seed)
    if clusters is None:
        return generator.permutation(rows).astype(np.int64) % GROUPS
    units = int(clusters.max()) + 1
    return (generator.permutation(units).astype(np.int64) % GROUPS)[clusters]


def estimated_accuracy(
    known: LabelledReference, unknown: UnlabelledSample, confidence: float
) -> ConfidenceInterval:
    """Return the accuracy of the answers to ``unknown`` rows, if what a stated probability means
    is what it means, weighted, in the ``known`` ones.

    Bialek et al. (2024, arXiv 2401.08348), estimating model performance under covariate shift
    without labels: the mean over rows of the recalibrated probability that the answer is right,
    recalibrated by isotonic regression over 1,024 cells. With equal weights it is CBPE; weighted by
    how much more frequent rows of a kind have become it follows a change of the inputs too. The
    error joins that of the reference (delete-a-group jackknife, weights as given) and that of as
    many independent answers. Nothing here sees a change of what is true of a row. Raises
    ``ValueError`` for no rows.
    """
    if not known.stated.size or not unknown.stated.size:
        message = "an estimate needs known and unknown rows"
        raise ValueError(message)
    cells = np.minimum((known.stated * CELLS).astype(np.int64), CELLS - 1)
    place = known.groups * CELLS + cells
    shape = (GROUPS, CELLS)
    masses = np.bincount(place, known.weights, GROUPS * CELLS).reshape(shape)
    hits = np.bincount(place, known.weights * known.happened, GROUPS * CELLS).reshape(shape)
    target_cells = np.minimum((unknown.stated * CELLS).astype(np.int64), CELLS - 1)
    yes = np.bincount(target_cells[unknown.decided], minlength=CELLS) / target_cells.size
    no = np.bincount(target_cells[~unknown.decided], minlength=CELLS) / target_cells.size
    target = yes, no
    value = _estimate(hits.sum(axis=0), masses.sum(axis=0), target)
    without = np.array(
        [
            _estimate(hits.sum(axis=0) - part, masses.sum(axis=0) - mass, target)
            for part, mass in zip(hits, masses, strict=True)
        ]
    )
    jackknife = (GROUPS - 1) / GROUPS * float(np.sum((without - without.mean()) ** 2))
    own = value * (1 - value) / unknown.stated.size
    half = float(stdtrit(GROUPS - 1, (1 + confidence) / 2)) * math.sqrt(jackknife + own)
    ends = max(0.0, value - half), min(1.0, value + half)
    return ConfidenceInterval(value, *ends, confidence, CBPE, unknown.stated.size)


def _estimate(hits: Floats, masses: Floats, target: tuple[Floats, Floats]) -> float:
    filled = np.flatnonzero(masses > 0)
    if not filled.size:
        return 0.5
    means = isotonic_regression(hits[filled] / masses[filled], weights=masses[filled]).x
    chance = np.interp(np.arange(CELLS), filled, means)
    yes, no = target
    return float(np.clip(yes @ chance + no @ (1 - chance), 0.0, 1.0))


LEAST_EXPECTED_FIT = 5
ROUNDS = 9999
LIMITS = "clopper-pearson, joint by bonferroni"


@dataclass(frozen=True, slots=True)
class GoodnessOfFit:
    """Pearson's statistic, how often chance alone gives as much, and how that was found."""

    statistic: float
    p_value: float
    method: str


def goodness_of_fit(counts: Floats, shares: Floats, seed: int) -> GoodnessOfFit:
    """Return how likely ``counts`` ``[k]`` are, drawn from a population of ``shares`` ``[k]``.

    Pearson's chi-square (1900, Philosophical Magazine 50); where fewer than ``LEAST_EXPECTED_FIT``
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
    if expected.min() >= LEAST_EXPECTED_FIT:
        return GoodnessOfFit(statistic, float(chdtrc(len(counts) - 1, statistic)), "chi-square")
    drawn = np.random.default_rng(seed).multinomial(rows, law, ROUNDS)
    chances = np.sum((drawn - expected) ** 2 / expected, axis=1)
    # Sums of the same counts in another order may differ in the last place.
    return GoodnessOfFit(
        statistic,
        permutation_p_value(statistic * (1 - 1e-12), chances),
        "exact multinomial, by draws",
    )


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


def share_with_unknown(
    count: int, rows: int, unknown: int, confidence: float
) -> ConfidenceInterval:
    """Return the share of ``rows`` that count, wherever ``unknown`` more rows belong."""
    least, most = (
        clopper_pearson(hits, rows + unknown, confidence) for hits in (count, count + unknown)
    )
    return replace(least, value=count / rows, high=most.high, n=rows)


def largest_deviation(
    counts: Floats, shares: Floats, confidence: float, family: int, unknown: int = 0
) -> ConfidenceInterval:
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
    return ConfidenceInterval(value, float(least), float(most), confidence, LIMITS, rows)


METHOD = "black-box shift estimation (lipton, wang and smola), delta method"
BLURRED = 0.05
"""A confusion matrix whose least singular value is below it tells classes too badly apart."""
Counts = NDArray[np.int64]


def label_share_changes(
    confusion: Counts, decided: Counts, confidence: float
) -> tuple[ConfidenceInterval, ...] | None:
    """Return how much the share of each class ``[k]`` has changed, all jointly.

    ``confusion`` ``[k, k]`` counts a reference by decision and label, ``decided`` ``[k]`` the
    current decisions. Lipton, Wang and Smola (2018, ICML), black-box shift estimation: the current
    decisions are the reference's classes in other proportions, as long as every class looks as it
    did. The error is that of the delta method, with the classes' intervals joint by Bonferroni.
    ``None`` where a class has no reference row, or decisions tell classes too badly apart.
    """
    labelled, rows = confusion.sum(axis=0), int(decided.sum())
    if not rows or labelled.min() < 1:
        return None
    looks = confusion / labelled
    if float(np.linalg.svd(looks, compute_uv=False)[-1]) < BLURRED:
        return None
    inverse = np.linalg.inv(looks)
    seen = decided / rows
    now, before = inverse @ seen, labelled / labelled.sum()
    noise = _spread(seen) / rows
    for label, share in enumerate(now):
        noise += share**2 * _spread(looks[:, label]) / labelled[label]
    error = np.sqrt(np.diag(inverse @ noise @ inverse.T) + before * (1 - before) / labelled.sum())
    z = float(ndtri(1 - (1 - confidence) / (2 * len(now))))
    n = rows + int(labelled.sum())
    return tuple(
        ConfidenceInterval(value, value - z * off, value + z * off, confidence, METHOD, n)
        for value, off in zip((now - before).tolist(), error.tolist(), strict=True)
        if math.isfinite(off)
    )


def _spread(shares: Floats) -> Floats:
    return np.asarray(np.diag(shares) - np.outer(shares, shares))
