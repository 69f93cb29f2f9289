"""Means of losses and errors with intervals, per-row losses, and paired differences."""

import math

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax, logsumexp, ndtri, stdtrit

from auditor.domain.readings import ConfidenceInterval
from auditor.domain.tasks import Floats

HALL = "skewness-corrected t (hall)"
METHOD = f"{HALL}, above as if one more row were the worst possible"
CLUSTERED = f"{METHOD}, of linearised cluster totals"
LEAST = 2


def mean_loss(losses: Floats, worst: float, confidence: float) -> ConfidenceInterval:
    """Return the interval of the mean of ``losses`` ``[n]``, each within ``[0, worst]``.

    Hall (1992), JRSS B 54, eq. 2.2: the studentised mean, its skewness removed by a monotone
    cubic, which covers for losses of accurate models where the plain t interval falls to 0.87. A
    sample without a rare large loss cannot speak of it, so the upper limit is the greater one of
    the sample's and of the sample with one more row at ``worst``. Raises ``ValueError`` for fewer
    than two losses.
    """
    if losses.size < LEAST:
        message = "a mean needs at least two losses for an interval"
        raise ValueError(message)
    value = float(losses.mean())
    low, high = _hall(losses, confidence)
    _, cautious = _hall(np.append(losses, worst), confidence)
    return ConfidenceInterval(
        value,
        min(value, max(0.0, low)),
        max(value, min(worst, max(high, cautious))),
        confidence,
        METHOD,
        losses.size,
    )


def clustered_loss(
    losses: Floats, worst: float, clusters: NDArray[np.int64], confidence: float
) -> ConfidenceInterval:
    """Return the interval of the mean of ``losses`` ``[n]`` that are alike within ``clusters``.

    ``mean_loss`` of what each cluster says: its total, linearised around the mean, so that large
    clusters weigh more (Cochran 1977, Sampling Techniques, ratio estimators). Clusters of one row
    give ``mean_loss`` itself. Raises ``ValueError`` for fewer than two clusters.
    """
    mean = float(losses.mean())
    found = mean_loss(cluster_totals(losses, clusters), worst, confidence)
    return ConfidenceInterval(
        mean, min(mean, found.low), max(mean, found.high), confidence, CLUSTERED, losses.size
    )


def cluster_totals(values: Floats, clusters: NDArray[np.int64]) -> Floats:
    """Return ``[clusters]``: what each says of the mean of ``values`` ``[n]``, their own mean.

    The totals, linearised around the mean: a cluster of the mean size says its own mean.
    """
    _, places = np.unique(clusters, return_inverse=True)
    rows = np.bincount(places)
    mean = float(values.mean())
    said: Floats = mean + (np.bincount(places, values) - mean * rows) * rows.size / values.size
    return said


def mean_value(values: Floats, confidence: float) -> ConfidenceInterval:
    """Return the interval of the mean of ``values`` ``[n]`` that nothing bounds.

    Student's, its skewness removed as in ``mean_loss``. Raises ``ValueError`` for fewer than two.
    """
    if values.size < LEAST:
        message = "a mean needs at least two values for an interval"
        raise ValueError(message)
    value = float(values.mean())
    low, high = _hall(values, confidence)
    return ConfidenceInterval(
        value, min(low, value), max(high, value), confidence, HALL, values.size
    )


def mean_excess(
    stated: Floats, happened: NDArray[np.bool_], confidence: float
) -> ConfidenceInterval:
    """Return how much more often things ``happened`` ``[n]`` than was ``stated`` ``[n]``.

    ``mean_loss`` of the errors from either side, so that each limit is cautious. Raises
    ``ValueError`` for fewer than two rows.
    """
    off = happened - stated
    above = mean_loss(1 + off, 2 - float(stated.min(initial=1)), confidence)
    below = mean_loss(1 - off, 1 + float(stated.max(initial=0)), confidence)
    value = float(off.mean())
    low, high = min(value, 1 - below.high), max(value, above.high - 1)
    return ConfidenceInterval(value, low, high, confidence, METHOD, off.size)


def _hall(losses: Floats, confidence: float) -> tuple[float, float]:
    count = losses.size
    mean, spread = float(losses.mean()), float(losses.std())
    error = spread / math.sqrt(count - 1)
    quantile = float(stdtrit(count - 1, (1 + confidence) / 2))
    skew = 0.0
    if spread > 0:
        skew = float(np.mean(((losses - mean) / spread) ** 3)) / math.sqrt(count)
    return mean - error * _unskew(quantile, skew), mean - error * _unskew(-quantile, skew)


def _unskew(quantile: float, skew: float) -> float:
    """Invert ``t + g t^2 / 3 + g^2 t^3 / 27 + g / 6`` at ``quantile`` (g: skewness / sqrt n)."""
    if abs(skew) < 1e-9:  # noqa: PLR2004 -- below it the cubic is the identity
        return quantile
    return 3 / skew * (math.cbrt(1 + skew * (quantile - skew / 6)) - 1)


LEAST_ERRORS = 30
"""Fewest rows, or clusters of rows, that give errors of numbers an interval."""
EXPLAINED = "delta method on the logarithm of what is left unexplained"
CLUSTERED_ERRORS = ", of linearised cluster totals"

Clusters = NDArray[np.int64] | None


def mean_error(values: Floats, confidence: float, clusters: Clusters = None) -> ConfidenceInterval:
    """Return the mean of errors, signed or absolute, ``values`` ``[n]``.

    Rows that are alike within ``clusters`` ``[n]`` enter by the totals of their clusters. Raises
    ``ValueError`` for fewer than ``LEAST_ERRORS`` rows or clusters.
    """
    said = _said(values, clusters)
    mean, found = float(values.mean()), mean_value(said, confidence)
    ends = min(found.low, mean), max(found.high, mean)
    return ConfidenceInterval(mean, *ends, confidence, _named(found.method, clusters), values.size)


def root_mean_square(
    errors: Floats, confidence: float, clusters: Clusters = None
) -> ConfidenceInterval:
    """Return the root of the mean square of ``errors`` ``[n]``, as ``mean_error`` of the squares.

    Raises ``ValueError`` as it does.
    """
    square = mean_error(errors * errors, confidence, clusters)
    value, low, high = (
        math.sqrt(max(0.0, part)) for part in (square.value, square.low, square.high)
    )
    return ConfidenceInterval(value, low, high, confidence, f"root of {square.method}", square.n)


def r_squared(
    truth: Floats, errors: Floats, confidence: float, clusters: Clusters = None
) -> ConfidenceInterval:
    """Return the share of the truth's variance that predictions explain (R squared).

    ``truth`` and ``errors`` are ``[n]``. Delta method on the logarithm of the ratio of the two
    sums of squares: each row adds the difference of its shares of them. At most 1, and below 0
    where the mean would predict better. Raises ``ValueError`` for a truth or errors that are all
    the same, or fewer than ``LEAST_ERRORS`` rows or clusters.
    """
    apart = truth - truth.mean()
    left, all_of_it = float(np.mean(errors * errors)), float(np.mean(apart * apart))
    if not left or not all_of_it:
        message = "there is nothing to explain, or nothing is left"
        raise ValueError(message)
    said = _said(errors * errors / left - apart * apart / all_of_it, clusters)
    half = float(stdtrit(said.size - 1, (1 + confidence) / 2)) * float(said.std(ddof=1))
    reach, ratio = math.exp(half / math.sqrt(said.size)), left / all_of_it
    method = _named(EXPLAINED, clusters)
    return ConfidenceInterval(
        1 - ratio, 1 - ratio * reach, 1 - ratio / reach, confidence, method, truth.size
    )


def _said(values: Floats, clusters: Clusters) -> Floats:
    said = values if clusters is None else cluster_totals(values, clusters)
    if said.size < LEAST_ERRORS:
        message = f"{said.size} rows or clusters, where {LEAST_ERRORS} are needed"
        raise ValueError(message)
    return said


def _named(method: str, clusters: Clusters) -> str:
    return method if clusters is None else f"{method}{CLUSTERED_ERRORS}"


FLOOR = 1e-7
"""Probabilities are kept this far from 0 and 1: float32 resolves no finer near one."""
CURE = "export the model with its logits as scores"
"""What helps where probabilities end nearer to 0 or 1 than they are told apart."""
BINARY = 2


DEEPER = FLOOR**2
"""Another floor, twice as far in logarithms: a figure that it moves hangs on where one clips."""


def clip_probabilities(probabilities: Floats, floor: float = FLOOR) -> Floats:
    """Keep probabilities within ``[floor, 1 - floor]``, so that logarithms stay finite."""
    return np.clip(probabilities, floor, 1 - floor)


def count_clipped(probabilities: Floats) -> int:
    """Return how many entries ``clip_probabilities`` changes."""
    return int(np.count_nonzero((probabilities < FLOOR) | (probabilities > 1 - FLOOR)))


def log_probabilities(logits: Floats) -> Floats:
    """Return the log probabilities ``[n, classes]`` that logits stand for, however small."""
    return np.asarray(log_softmax(logits, axis=1), dtype=np.float64)


def log_odds(chances: Floats) -> Floats:
    """Return the log odds ``[n, classes]`` of log probabilities, however near they are to one.

    ``log(1 - p)`` of the likeliest class is added up from the others', of which each is exact.
    """
    rows, top = np.arange(len(chances)), chances.argmax(axis=1)
    others = chances.copy()
    others[rows, top] = -np.inf
    against = np.log1p(-np.exp(others))
    against[rows, top] = logsumexp(others, axis=1)
    return chances - against


def log_losses(probabilities: Floats, labels: NDArray[np.int64]) -> tuple[Floats, float]:
    """Return ``[n]`` minus log probabilities (nats) of the labels, and the worst possible one.

    The worst is what these very scores ``[n, classes]`` would have cost under the unluckiest
    labels. Probabilities are clipped first.
    """
    kept = clip_probabilities(probabilities)
    return -np.log(kept[np.arange(len(labels)), labels]), float(-np.log(kept.min()))


def exact_log_losses(chances: Floats, labels: NDArray[np.int64]) -> tuple[Floats, float]:
    """Return what ``log_losses`` does, of log probabilities ``[n, classes]``, unclipped."""
    return -chances[np.arange(len(labels)), labels], float(-chances.min())


def brier_scores(probabilities: Floats, labels: NDArray[np.int64]) -> tuple[Floats, float]:
    """Return ``[n]`` squared errors of ``[n, classes]`` probabilities, and the worst possible one.

    Brier (1950). For two classes the error of one column, within ``[0, 1]``; for more the sum over
    the classes, within ``[0, 2]``, as scikit-learn has it.
    """
    rows = np.arange(len(labels))
    if probabilities.shape[1] == BINARY:
        return (1 - probabilities[rows, labels]) ** 2, float(np.max(probabilities) ** 2)
    squares = np.sum(probabilities**2, axis=1)
    losses = squares - 2 * probabilities[rows, labels] + 1
    return losses, float(np.max(squares - 2 * probabilities.min(axis=1) + 1))


LEAST_PAIRS = 30
"""Fewest rows whose mean difference gets an interval."""


def paired_difference(gained: int, lost: int, rows: int, confidence: float) -> ConfidenceInterval:
    """Return the change of a proportion between two runs over the same ``rows``.

    ``gained`` rows went from no to yes, ``lost`` ones from yes to no; the value is
    ``(gained - lost) / rows``. The adjusted Wald interval of Bonett and Price (2012), Journal of
    Educational and Behavioral Statistics 37, equation 3, holds its level also where few rows
    changed. Raises ``ValueError`` for impossible counts.
    """
    if rows <= 0 or gained < 0 or lost < 0 or gained + lost > rows or not 0 < confidence < 1:
        message = f"{gained} gained and {lost} lost of {rows} rows at {confidence}"
        raise ValueError(message)
    z = float(ndtri((1 + confidence) / 2))
    more, less = (gained + 1) / (rows + 2), (lost + 1) / (rows + 2)
    middle = more - less
    half = z * math.sqrt((more + less - middle * middle) / (rows + 2))
    value = (gained - lost) / rows
    low, high = max(-1.0, middle - half), min(1.0, middle + half)
    return ConfidenceInterval(
        value, min(low, value), max(high, value), confidence, "bonett-price", rows
    )


def mean_difference(differences: Floats, confidence: float) -> ConfidenceInterval:
    """Return the mean of paired differences ``[n]`` with Student's interval.

    Student (1908), Biometrika 6; the differences need not be normal from ``LEAST_PAIRS`` rows on,
    as the simulation in the tests shows for losses. Raises ``ValueError`` for fewer rows.
    """
    rows = len(differences)
    if rows < LEAST_PAIRS or not 0 < confidence < 1:
        message = f"{rows} rows at {confidence}, where {LEAST_PAIRS} are needed"
        raise ValueError(message)
    middle = float(differences.mean())
    half = float(stdtrit(rows - 1, (1 + confidence) / 2)) * float(differences.std(ddof=1))
    half /= math.sqrt(rows)
    return ConfidenceInterval(middle, middle - half, middle + half, confidence, "paired t", rows)
