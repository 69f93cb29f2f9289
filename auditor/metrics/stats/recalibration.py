"""Logistic recalibration of probabilities, and the held-out gain of simple corrections."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import expit, log_expit, log_softmax, logit, softmax
from scipy.stats import chi2, f, norm

from auditor.domain.readings import ConfidenceInterval
from auditor.domain.tasks import Floats
from auditor.metrics.stats.cluster_robust import ClusterCodes, clustered_mean
from auditor.metrics.stats.means import (
    DEEPER,
    FLOOR,
    LEAST_PAIRS,
    clip_probabilities,
    mean_difference,
)

METHOD = "logistic recalibration, profile likelihood"
CLUSTERED = "logistic recalibration, linearised: "
LEAST_CLUSTERS = 10
"""Fewest clusters that say how much a line varies between them."""
LARGEST = 17.0
"""Log odds beyond what clipped probabilities have: larger ones are fitted in larger units."""
STEPS = 100
ENOUGH = 1e-10


@dataclass(frozen=True, slots=True)
class RecalibrationLine:
    """The best line from stated to true log odds; slope 1 and intercept 0 need no correction.

    ``statistic`` compares it with that line, ``p_value`` belongs to it: twice the log likelihood
    ratio (2 degrees of freedom), for rows in clusters Hotelling's squared t. ``offset`` is the
    intercept where the slope stays 1.
    """

    slope: ConfidenceInterval
    intercept: ConfidenceInterval
    offset: float
    statistic: float
    p_value: float


@dataclass(frozen=True, slots=True)
class _LogOddsSample:
    """Stated log odds and what happened."""

    odds: Floats
    happened: Floats

    @classmethod
    def of(
        cls, stated: Floats, happened: NDArray[np.bool_], odds: Floats | None
    ) -> "tuple[_LogOddsSample, float]":
        """Return the sample, and the unit of its odds: 1 unless known ones are large."""
        known = logit(clip_probabilities(stated)) if odds is None else odds
        unit = max(1.0, float(np.max(np.abs(known), initial=0.0)) / LARGEST)
        return cls(known / unit, happened.astype(np.float64)), unit

    def likelihood(self, intercept: float, slope: float) -> float:
        line = intercept + slope * self.odds
        return float(np.sum(self.happened * line - np.logaddexp(0.0, line)))

    def best_intercept(self, slope: float, start: float) -> float:
        return _ascend(lambda value: self._slopes(value, slope, np.ones_like(self.odds)), start)

    def best_slope(self, intercept: float, start: float) -> float:
        return _ascend(lambda value: self._slopes(intercept, value, self.odds), start)

    def _slopes(self, intercept: float, slope: float, column: Floats) -> tuple[float, float]:
        chance = expit(intercept + slope * self.odds)
        first = float(np.sum(column * (self.happened - chance)))
        return first, float(np.sum(column * column * chance * (1 - chance)))

    def pulls(self, intercept: float, slope: float) -> Floats:
        """Return what each row adds to the slopes of the likelihood, ``[n, 2]``."""
        off = self.happened - expit(intercept + slope * self.odds)
        return np.stack([off, off * self.odds], axis=1)

    def fit(self) -> tuple[float, float, Floats]:
        """Return intercept, slope and their covariance by Newton's method with halved steps."""
        design = np.stack([np.ones_like(self.odds), self.odds], axis=1)
        place, height = np.zeros(2), self.likelihood(0.0, 0.0)
        information = np.eye(2)
        for _ in range(STEPS):
            chance = expit(design @ place)
            information = design.T @ (design * (chance * (1 - chance))[:, None])
            step = np.linalg.solve(information, design.T @ (self.happened - chance))
            while (higher := self.likelihood(*(place + step))) < height - ENOUGH:
                step = step / 2
            place, height = place + step, higher
            if float(np.max(np.abs(step))) < ENOUGH:
                break
        covariance = np.asarray(np.linalg.inv(information), dtype=np.float64)
        return float(place[0]), float(place[1]), covariance


def recalibrate(
    stated: Floats, happened: NDArray[np.bool_], confidence: float, odds: Floats | None = None
) -> RecalibrationLine | None:
    """Fit ``logit P(happened) = intercept + slope * logit(stated)`` by maximum likelihood.

    Cox (1958), Biometrika 45; profile-likelihood intervals as in Venzon and Moolgavkar (1988).
    ``stated`` ``[n]`` is clipped first, unless its log ``odds`` ``[n]`` are known. ``None`` where
    the likelihood has no finite maximum (Albert and Anderson 1984): one outcome only, one stated
    value only, or outcomes that a threshold on the stated probability tells apart.
    """
    sample, unit = _LogOddsSample.of(stated, happened, odds)
    if not _overlaps(sample.odds, happened):
        return None
    intercept, slope, covariance = sample.fit()
    best = sample.likelihood(intercept, slope)
    ends = _profile(sample, (intercept, slope), covariance, best - chi2.ppf(confidence, 1) / 2)
    statistic = max(0.0, 2 * (best - sample.likelihood(0.0, unit)))
    slopes = (slope / unit, ends[1][0] / unit, ends[1][1] / unit)
    return RecalibrationLine(
        ConfidenceInterval(*slopes, confidence, METHOD, len(stated)),
        ConfidenceInterval(intercept, *ends[0], confidence, METHOD, len(stated)),
        sample.best_intercept(unit, 0.0),
        statistic,
        float(chi2.sf(statistic, 2)),
    )


def recalibrate_clustered(
    stated: Floats,
    happened: NDArray[np.bool_],
    clusters: ClusterCodes,
    confidence: float,
    odds: Floats | None = None,
) -> RecalibrationLine | None:
    """Fit the line of ``recalibrate`` to rows that are alike within their ``clusters`` ``[n]``.

    The estimates are means of what each row moves them by (Liang and Zeger 1986, Biometrika 73),
    with the intervals of ``clustered_mean``; the joint test takes the clusters' sums for draws of
    one bivariate law (Hotelling 1931). Raises ``ValueError`` for fewer than ``LEAST_CLUSTERS``.
    """
    _, places = np.unique(clusters, return_inverse=True)
    groups = int(places.max(initial=-1)) + 1
    if groups < LEAST_CLUSTERS:
        message = f"{groups} clusters, where a line needs {LEAST_CLUSTERS}"
        raise ValueError(message)
    sample, unit = _LogOddsSample.of(stated, happened, odds)
    if not _overlaps(sample.odds, happened):
        return None
    intercept, slope, covariance = sample.fit()
    found = np.array([intercept, slope])
    moves = sample.pulls(intercept, slope) @ covariance
    values = found + len(stated) * moves
    ends = [clustered_mean(values[:, at], clusters, confidence) for at in (0, 1)]
    sums = np.stack([np.bincount(places, moves[:, at], groups) for at in (0, 1)], axis=1)
    away = found - np.array([0.0, unit])
    spread = sums.T @ sums * groups / (groups - 1)
    statistic = float(away @ np.linalg.solve(spread, away))
    scaled = statistic * (groups - 2) / (2 * (groups - 1))
    lines = [replace(end, method=CLUSTERED + end.method) for end in ends]
    line = lines[1]
    return RecalibrationLine(
        replace(line, value=line.value / unit, low=line.low / unit, high=line.high / unit),
        lines[0],
        sample.best_intercept(unit, 0.0),
        statistic,
        float(f.sf(scaled, 2, groups - 2)),
    )


def depends_on_clipping(
    stated: Floats, happened: NDArray[np.bool_], found: RecalibrationLine
) -> bool:
    """Whether the line ``found`` of ``stated`` ``[n]`` is one of the floor, and not of the model.

    That is so where a probability that is clipped was wrong, whose true log odds may be any, and
    where the line of a deeper floor lies outside the intervals.
    """
    cut = (stated < FLOOR) | (stated > 1 - FLOOR)
    if not cut.any():
        return False
    if (happened[cut] != (stated[cut] > 1 / 2)).any():
        return True
    sample, unit = _LogOddsSample.of(stated, happened, logit(clip_probabilities(stated, DEEPER)))
    if not _overlaps(sample.odds, happened):
        return True
    intercept, slope, _ = sample.fit()
    places = ((found.slope, slope / unit), (found.intercept, intercept))
    return not all(interval.low <= value <= interval.high for interval, value in places)


def spiegelhalter(stated: Floats, happened: NDArray[np.bool_]) -> tuple[float, float] | None:
    """Return Spiegelhalter's Z and its two-sided p-value, for independent rows.

    Spiegelhalter (1986), Statistics in Medicine 5: how far the Brier score of ``stated`` ``[n]`` is
    from what a calibrated model expects, in standard errors. It is blind where half of all came
    true at 0.5. ``None`` where nothing but 0, 0.5 and 1 is stated, so that there is no error.
    """
    tilt = 1 - 2 * stated
    spread = float(np.sum(tilt**2 * stated * (1 - stated)))
    if spread <= 0:
        return None
    z = float(np.sum((happened - stated) * tilt)) / math.sqrt(spread)
    return z, float(2 * norm.sf(abs(z)))


def expected_half_widths(rows: int, confidence: float) -> tuple[float, float]:
    """Return the half widths of slope and intercept for calibrated scores spread evenly over 0..1.

    From the Fisher information: the means of ``p(1-p)`` and ``p(1-p) logit(p)^2`` are 1/6 and
    ``(pi^2 - 6) / 18``.
    """
    quantile = math.sqrt(float(chi2.ppf(confidence, 1)) / rows)
    return quantile / math.sqrt((math.pi**2 - 6) / 18), quantile / math.sqrt(1 / 6)


def _profile(
    sample: _LogOddsSample, best: tuple[float, float], covariance: Floats, floor: float
) -> tuple[tuple[float, float], tuple[float, float]]:
    """Return where the likelihood, the other parameter at its best, falls to ``floor``."""
    intercept, slope = best
    spread = np.diag(covariance)
    errors, tilt = np.sqrt(spread), covariance[0, 1] / spread

    def of_intercept(value: float) -> float:
        guess = slope + float(tilt[0]) * (value - intercept)
        return sample.likelihood(value, sample.best_slope(value, guess)) - floor

    def of_slope(value: float) -> float:
        guess = intercept + float(tilt[1]) * (value - slope)
        return sample.likelihood(sample.best_intercept(value, guess), value) - floor

    return (
        _limits(of_intercept, intercept, float(errors[0])),
        _limits(of_slope, slope, float(errors[1])),
    )


def _overlaps(odds: Floats, happened: NDArray[np.bool_]) -> bool:
    if happened.all() or not happened.any():
        return False
    yes, no = odds[happened], odds[~happened]
    return bool(no.max() > yes.min() and yes.max() > no.min())


def _ascend(slopes: Callable[[float], tuple[float, float]], start: float) -> float:
    """Find where the first derivative of a concave function is zero, from bracket to root."""
    first, second = slopes(start)
    step = max(abs(first) / max(second, ENOUGH), ENOUGH)
    if first == 0:
        return start
    away = math.copysign(min(step, 1.0), first)
    near, far = start, start + away
    while slopes(far)[0] * first > 0:
        near, away = far, away * 2
        far += away
    return float(brentq(lambda value: slopes(value)[0], near, far, xtol=1e-11))


def _limits(height: Callable[[float], float], middle: float, error: float) -> tuple[float, float]:
    ends = []
    for side in (-1.0, 1.0):
        away = side * 2 * error
        near, far = middle, middle + away
        while height(far) > 0:
            near, away = far, away * 2
            far += away
        ends.append(float(brentq(height, near, far, xtol=1e-9)))
    return ends[0], ends[1]


ENOUGH_PROGRESS = 1e-6
SHARPEST = 100.0
"""Temperatures lie between its inverse and it: rows that are all right would have none.

Log odds beyond those of clipped probabilities are taken in units in which they are not."""

FLATTEST, ENOUGH_ROWS = 1000.0, 2000
"""How far the inverse of ``fit_temperature`` may lie from 1, in units of the logits' spread, and
how many rows it takes at the most.
"""


@dataclass(frozen=True, slots=True)
class CorrectionSplit:
    """Which rows ``[n]`` a correction is learnt on; the others tell what it is worth.

    ``clusters`` ``[n]`` are the rows' own where rows hang together; none is split.
    """

    learnt: NDArray[np.bool_]
    clusters: ClusterCodes | None = None

    def gain(self, saved: Floats, confidence: float) -> ConfidenceInterval:
        """Return the mean of the losses ``saved`` by the rows that were held out."""
        if self.clusters is None:
            return mean_difference(saved, confidence)
        return clustered_mean(saved, self.clusters[~self.learnt], confidence)

    @property
    def enough(self) -> bool:
        """Whether both halves have rows, and clusters, for a fit and for an interval."""
        held_out = ~self.learnt
        if self.clusters is not None and len(np.unique(self.clusters[held_out])) < LEAST_CLUSTERS:
            return False
        return min(int(self.learnt.sum()), int(held_out.sum())) >= LEAST_PAIRS


@dataclass(frozen=True, slots=True)
class CorrectionAdvice:
    """A correction and the log loss that it saves a row (nats), on rows that it never saw.

    ``corrects`` are its constants: the temperature, or Platt's slope and intercept. One that
    ``hangs`` on where probabilities were clipped is none of the model.
    """

    gain: ConfidenceInterval
    corrects: dict[str, float]
    hangs: bool = False

    @property
    def advised(self) -> bool:
        """Whether chance does not explain the gain."""
        return self.gain.low > 0


def advise_temperature(
    stated: Floats,
    labels: NDArray[np.int64],
    halves: CorrectionSplit,
    confidence: float,
    chances: Floats | None = None,
) -> CorrectionAdvice:
    """Divide the log odds of ``stated`` ``[n, classes]`` by one temperature.

    Guo, Pleiss, Sun and Weinberger (2017), ICML, section 4.2: the one that makes the log loss of
    the rows learnt from least. The loss is convex in its inverse. ``chances`` are the log
    probabilities ``[n, classes]`` where they are known; otherwise those of ``stated``, clipped.
    """
    if chances is not None:
        return _tempered(chances, labels, halves, confidence)
    found = _tempered(np.log(clip_probabilities(stated)), labels, halves, confidence)
    if not (stated < FLOOR).any():
        return found
    deeper = _tempered(
        np.log(clip_probabilities(stated, DEEPER)), labels, halves, confidence
    ).gain.value
    lost = bool((stated[np.arange(len(labels)), labels] < FLOOR).any())
    return replace(found, hangs=lost or not found.gain.low <= deeper <= found.gain.high)


def _tempered(
    odds: Floats, labels: NDArray[np.int64], halves: CorrectionSplit, confidence: float
) -> CorrectionAdvice:
    learnt, held = halves.learnt, ~halves.learnt
    inverse = _coolness(odds[learnt], labels[learnt])
    rows, truth = np.arange(int(held.sum())), labels[held]
    before, after = (
        log_softmax(scale * odds[held], axis=1)[rows, truth] for scale in (1.0, inverse)
    )
    return CorrectionAdvice(halves.gain(after - before, confidence), {"temperature": 1 / inverse})


def advise_platt(
    stated: Floats,
    happened: NDArray[np.bool_],
    halves: CorrectionSplit,
    confidence: float,
    odds: Floats | None = None,
) -> CorrectionAdvice | None:
    """Put the log odds of ``stated`` ``[n]`` on a line of slope and intercept.

    Platt (1999), Advances in Large Margin Classifiers, with the line of ``recalibrate``. ``None``
    where the rows learnt from have none. ``odds`` ``[n]`` are the log odds where they are known;
    otherwise those of ``stated``, clipped.
    """
    learnt, held = halves.learnt, ~halves.learnt
    known = None if odds is None else odds[learnt]
    line = recalibrate(stated[learnt], happened[learnt], confidence, known)
    if line is None:
        return None
    signs = np.where(happened[held], 1.0, -1.0)
    corrects = {"slope": line.slope.value, "intercept": line.intercept.value}
    if odds is not None:
        moved = line.intercept.value + line.slope.value * odds[held]
        saved = log_expit(signs * moved) - log_expit(signs * odds[held])
        return CorrectionAdvice(halves.gain(saved, confidence), corrects)
    clipped = logit(clip_probabilities(stated[held]))
    moved = line.intercept.value + line.slope.value * clipped
    before, after = (expit(signs * item) for item in (clipped, moved))
    saved = np.log(clip_probabilities(after)) - np.log(clip_probabilities(before))
    # Whether a probability `[n]` of what came to pass was clipped, as if there were none
    hangs = bool((np.where(happened, stated, 1 - stated) < FLOOR).any()) or depends_on_clipping(
        stated[learnt], happened[learnt], line
    )
    return CorrectionAdvice(halves.gain(saved, confidence), corrects, hangs)


def fit_temperature(logits: Floats, labels: NDArray[np.int64]) -> float:
    """Return the temperature ``[n, classes]`` logits are to be divided by, whatever their scale.

    It makes the log loss least of labels that are believed ``(n + 1) / (n + 2)`` (Platt 1999): rows
    that are all right would have none. At most ``ENOUGH_ROWS`` rows are taken. 1 where logits do
    not differ, or tell less of labels than chance does.
    """
    apart = -(-len(labels) // ENOUGH_ROWS)
    some, truth = logits[::apart], labels[::apart]
    odds = some - some.mean(axis=1, keepdims=True)
    rows, classes = odds.shape
    spread = float(odds.std())
    if not spread:
        return 1.0
    odds = odds / spread
    wrong = 1 / (rows + 2)
    # The scores of a row add up to nothing, so that all others have what its label lacks.
    wanted: float = float(odds[np.arange(rows), truth].mean()) * (1 - wrong - wrong / (classes - 1))

    def excess(inverse: float) -> float:
        return float(np.sum(softmax(inverse * odds, axis=1) * odds, axis=1).mean()) - wanted

    if excess(1 / FLATTEST) >= 0:
        return 1.0
    if excess(FLATTEST) <= 0:
        return spread / FLATTEST
    return spread / float(brentq(excess, 1 / FLATTEST, FLATTEST, xtol=ENOUGH_PROGRESS))


def _coolness(odds: Floats, labels: NDArray[np.int64]) -> float:
    """Return the inverse temperature at which the mean log loss is least."""
    truth = float(odds[np.arange(len(labels)), labels].mean())

    def excess(scale: float) -> float:
        return float(np.sum(softmax(scale * odds, axis=1) * odds, axis=1).mean()) - truth

    unit = max(1.0, float(-odds.min()) / LARGEST)
    least = 1 / (SHARPEST * unit)
    if excess(least) >= 0:
        return least
    if excess(SHARPEST) <= 0:
        return SHARPEST
    return float(brentq(excess, least, SHARPEST, xtol=ENOUGH_PROGRESS / unit))
