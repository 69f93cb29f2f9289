"""Intervals for proportions and for means of discrete values, and sample size planning."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq
from scipy.special import betaincinv, ndtri, stdtrit
from scipy.stats import binom

from auditor.domain.readings import ConfidenceInterval
from auditor.domain.tasks import Floats
from auditor.metrics.stats.means import mean_loss


def wilson(successes: int, trials: int, confidence: float) -> ConfidenceInterval:
    """Return the score interval, which is meant for display: its coverage holds on average.

    Wilson (1927), JASA 22. Raises ``ValueError`` for impossible counts.
    """
    _refuse_impossible(successes, trials, confidence)
    z = float(ndtri((1 + confidence) / 2))
    share = successes / trials
    shrink = 1 + z * z / trials
    middle = (share + z * z / (2 * trials)) / shrink
    half = z * math.sqrt(share * (1 - share) / trials + z * z / (4 * trials**2)) / shrink
    low = 0.0 if successes == 0 else middle - half
    high = 1.0 if successes == trials else middle + half
    return ConfidenceInterval(share, low, high, confidence, "wilson", trials)


def clopper_pearson(successes: int, trials: int, confidence: float) -> ConfidenceInterval:
    """Return the exact interval, which covers with at least ``confidence`` whatever the truth.

    Clopper and Pearson (1934), Biometrika 26. Raises ``ValueError`` for impossible counts.
    """
    _refuse_impossible(successes, trials, confidence)
    low, high = exact_limits([successes], [trials], (1 - confidence) / 2)
    return ConfidenceInterval(
        successes / trials, float(low[0]), float(high[0]), confidence, "clopper-pearson", trials
    )


def mid_p(successes: int, trials: int, confidence: float) -> ConfidenceInterval:
    """Return the exact mid-p interval: half of the observed count's probability in each tail.

    Lancaster (1961), JASA 56; shorter than ``clopper_pearson``, and it covers on average.
    Raises ``ValueError`` for impossible counts.
    """
    _refuse_impossible(successes, trials, confidence)
    tail = (1 - confidence) / 2

    def below(rate: float) -> float:
        return float(binom.cdf(successes, trials, rate) - binom.pmf(successes, trials, rate) / 2)

    low = 0.0 if successes == 0 else brentq(lambda rate: below(rate) - (1 - tail), 0.0, 1.0)
    high = 1.0 if successes == trials else brentq(lambda rate: below(rate) - tail, 0.0, 1.0)
    return ConfidenceInterval(
        successes / trials, float(low), float(high), confidence, "mid-p", trials
    )


def exact_limits(successes: ArrayLike, trials: ArrayLike, tail: float) -> tuple[Floats, Floats]:
    """Return the Clopper-Pearson limits ``[k], [k]`` of many proportions at once.

    ``tail`` is the probability left beyond each limit. No trials say nothing: ``[0, 1]``.
    """
    hits = np.asarray(successes, dtype=np.float64)
    misses = np.asarray(trials, dtype=np.float64) - hits
    low = betaincinv(np.where(hits > 0, hits, 1.0), misses + 1, tail)
    high = betaincinv(hits + 1, np.where(misses > 0, misses, 1.0), 1 - tail)
    return np.where(hits > 0, low, 0.0), np.where(misses > 0, high, 1.0)


def mean_of_proportions(
    successes: ArrayLike, trials: ArrayLike, confidence: float
) -> ConfidenceInterval:
    """Return the interval of the unweighted mean of independent proportions ``[k]``.

    The wider, on each side, of two: exact limits joined by variance recovery (Zou and Donner
    2008, Statistics in Medicine 27, eq. 5), which is short above where limits end at one, and
    the normal interval with one success and one failure added, which is short below where all
    rates are one. Balanced accuracy is such a mean. Raises ``ValueError`` when one has no trials.
    """
    hits = np.asarray(successes, dtype=np.float64)
    total = np.asarray(trials, dtype=np.float64)
    if total.size == 0 or np.any(total < 1):
        message = "a mean of proportions needs at least one trial of each"
        raise ValueError(message)
    shares = hits / total
    low, high = exact_limits(hits, total, (1 - confidence) / 2)
    smooth = (hits + 1) / (total + 2)
    normal = ndtri((1 + confidence) / 2) * math.sqrt(np.sum(smooth * (1 - smooth) / total))
    down = max(float(np.linalg.norm(shares - low)), normal) / total.size
    up = max(float(np.linalg.norm(high - shares)), normal) / total.size
    value = float(shares.mean())
    return ConfidenceInterval(
        value,
        max(0.0, value - down),
        min(1.0, value + up),
        confidence,
        "mover of clopper-pearson limits, at least the smoothed normal interval",
        int(total.sum()),
    )


def _refuse_impossible(successes: int, trials: int, confidence: float) -> None:
    if not 0 <= successes <= trials or trials < 1 or not 0 < confidence < 1:
        message = f"{successes} of {trials} at confidence {confidence} is no proportion"
        raise ValueError(message)


METHOD = "of rows: {rows}; of repeats: student's t; in quadrature"


def mean_over_repeats(values: Floats, confidence: float) -> ConfidenceInterval:
    """Return the interval of the mean of ``values`` ``[repeats, n]``, each within -1..1.

    It speaks of other rows (``mean_loss`` of each row's mean) and of other repeats (Student's t of
    each repeat's mean), whose distances from the mean are joined as two independent errors. One
    repeat speaks of rows alone. Values within 0..1 keep to it. Raises ``ValueError`` for fewer than
    two rows.
    """
    repeats = len(values)
    least = -1.0 if values.min(initial=0.0) < 0 else 0.0
    width = 1.0 - least
    rows = mean_loss((values.mean(axis=0) - least) / width, 1.0, confidence)
    low, high = (least + width * end for end in (rows.low, rows.high))
    value = float(values.mean())
    between = 0.0
    if repeats > 1:
        scatter = float(np.std(values.mean(axis=1), ddof=1)) / math.sqrt(repeats)
        between = scatter * float(stdtrit(repeats - 1, (1 + confidence) / 2))
    return ConfidenceInterval(
        value,
        max(least, value - math.hypot(value - low, between)),
        min(1.0, value + math.hypot(high - value, between)),
        confidence,
        METHOD.format(rows=rows.method) if repeats > 1 else rows.method,
        values.shape[1],
    )


DISCRETE_MEAN_METHOD = "sum of clopper-pearson intervals over the levels, joint by bonferroni"


def mean_of_levels(
    values: NDArray[np.float64], levels: tuple[float, ...], confidence: float
) -> ConfidenceInterval:
    """Return the interval of the mean of ``values`` ``[n]``, each 0 or one of ``levels``.

    The mean is the sum of each step between neighbouring levels times the share of values at or
    above it; each share has its exact interval (Clopper and Pearson 1934), at a confidence at which
    all of them hold together. It covers with at least ``confidence`` whatever the truth, and is
    exact for one level. ``levels`` are fixed before the values are seen. Raises ``ValueError`` for
    no values, none or negative levels, and for values that are no level.
    """
    steps = sorted(set(levels) - {0.0})
    if not len(values) or not steps or steps[0] < 0:
        message = "a mean of levels needs values and positive levels"
        raise ValueError(message)
    if not np.isin(values, [0.0, *steps]).all():
        message = "a value is none of the levels"
        raise ValueError(message)
    each = 1 - (1 - confidence) / len(steps)
    value = low = high = below = 0.0
    for step in steps:
        share = clopper_pearson(int((values >= step).sum()), len(values), each)
        value += (step - below) * share.value
        low += (step - below) * share.low
        high += (step - below) * share.high
        below = step
    method = "clopper-pearson, times the cost" if len(steps) == 1 else DISCRETE_MEAN_METHOD
    return ConfidenceInterval(value, low, high, confidence, method, len(values))


MOST_ROWS = 10**9
DIGITS = 2
NOISE = 6  # decimals beyond which a quotient is rounding error of floats


def expected_trials(
    groups: Sequence[Mapping[str, int]], favourable: str | None
) -> Mapping[str, Floats]:
    """Return the ``[groups]`` denominators of each rate, if half of all rows are selected.

    ``groups`` counts the rows of each label in each group. Without the favourable label those of
    the true and false positive rate are not known, and absent.
    """
    rows = np.array([sum(labels.values()) for labels in groups], dtype=np.float64)
    found: dict[str, Floats] = {
        "selection_rate": rows, "ppv": rows / 2, "npv": rows / 2, "accuracy": rows
    }  # fmt: skip
    if favourable is not None:
        wanted = np.array([labels.get(favourable, 0) for labels in groups], dtype=np.float64)
        found |= {"tpr": wanted, "fpr": rows - wanted}
    return found


def scale_rows(rows: float, ratio: float) -> int | None:
    """Return how many rows make a half width ``ratio`` times smaller than ``rows`` do, rounded up.

    Half widths shrink with the root of the sample. None where no sample of practical size does.
    """
    exact = rows * (ratio * ratio)
    return round_up_to_two_digits(exact) if 0 < exact <= MOST_ROWS else None


def round_up_to_two_digits(rows: float) -> int:
    """Round up to two significant digits, since more would pretend to know."""
    step: int = 10 ** max(0, math.floor(math.log10(rows)) - DIGITS + 1)
    steps = round(rows / step, NOISE)
    return math.ceil(steps) * step
