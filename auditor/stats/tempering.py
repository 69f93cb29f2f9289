"""What a simple recalibration would gain: learnt on some rows, measured on the others."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import expit, log_expit, log_softmax, logit, softmax

from auditor.domain.intervals import Interval
from auditor.domain.tasks import Floats
from auditor.stats.clusters import Codes, clustered_mean
from auditor.stats.losses import DEEPER, FLOOR, clip
from auditor.stats.paired import LEAST, mean_difference
from auditor.stats.recalibration import LARGEST, LEAST_CLUSTERS, hangs_on_clip, recalibrate

ENOUGH = 1e-6
SHARPEST = 100.0
"""Temperatures lie between its inverse and it: rows that are all right would have none.

Log odds beyond those of clipped probabilities are taken in units in which they are not."""

FLATTEST, ENOUGH_ROWS = 1000.0, 2000
"""How far the inverse of ``fit_temperature`` may lie from 1, in units of the logits' spread, and
how many rows it takes at the most.
"""


@dataclass(frozen=True, slots=True)
class Halves:
    """Which rows ``[n]`` a correction is learnt on; the others tell what it is worth.

    ``clusters`` ``[n]`` are the rows' own where rows hang together; none is split.
    """

    learnt: NDArray[np.bool_]
    clusters: Codes | None = None

    def gain(self, saved: Floats, confidence: float) -> Interval:
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
        return min(int(self.learnt.sum()), int(held_out.sum())) >= LEAST


@dataclass(frozen=True, slots=True)
class Advice:
    """A correction and the log loss that it saves a row (nats), on rows that it never saw.

    ``corrects`` are its constants: the temperature, or Platt's slope and intercept. One that
    ``hangs`` on where probabilities were clipped is none of the model.
    """

    gain: Interval
    corrects: dict[str, float]
    hangs: bool = False

    @property
    def advised(self) -> bool:
        """Whether chance does not explain the gain."""
        return self.gain.low > 0


def temper(
    stated: Floats,
    labels: NDArray[np.int64],
    halves: Halves,
    confidence: float,
    chances: Floats | None = None,
) -> Advice:
    """Divide the log odds of ``stated`` ``[n, classes]`` by one temperature.

    Guo, Pleiss, Sun and Weinberger (2017), ICML, section 4.2: the one that makes the log loss of
    the rows learnt from least. The loss is convex in its inverse. ``chances`` are the log
    probabilities ``[n, classes]`` where they are known; otherwise those of ``stated``, clipped.
    """
    if chances is not None:
        return _tempered(chances, labels, halves, confidence)
    found = _tempered(np.log(clip(stated)), labels, halves, confidence)
    if not (stated < FLOOR).any():
        return found
    deeper = _tempered(np.log(clip(stated, DEEPER)), labels, halves, confidence).gain.value
    lost = bool((stated[np.arange(len(labels)), labels] < FLOOR).any())
    return replace(found, hangs=lost or not found.gain.low <= deeper <= found.gain.high)


def _tempered(odds: Floats, labels: NDArray[np.int64], halves: Halves, confidence: float) -> Advice:
    learnt, held = halves.learnt, ~halves.learnt
    inverse = _coolness(odds[learnt], labels[learnt])
    rows, truth = np.arange(int(held.sum())), labels[held]
    before, after = (
        log_softmax(scale * odds[held], axis=1)[rows, truth] for scale in (1.0, inverse)
    )
    return Advice(halves.gain(after - before, confidence), {"temperature": 1 / inverse})


def platt(
    stated: Floats,
    happened: NDArray[np.bool_],
    halves: Halves,
    confidence: float,
    odds: Floats | None = None,
) -> Advice | None:
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
        return Advice(halves.gain(saved, confidence), corrects)
    clipped = logit(clip(stated[held]))
    moved = line.intercept.value + line.slope.value * clipped
    before, after = (expit(signs * item) for item in (clipped, moved))
    saved = np.log(clip(after)) - np.log(clip(before))
    hangs = _cut_wrong(stated, happened) or hangs_on_clip(stated[learnt], happened[learnt], line)
    return Advice(halves.gain(saved, confidence), corrects, hangs)


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
    return spread / float(brentq(excess, 1 / FLATTEST, FLATTEST, xtol=ENOUGH))


def _cut_wrong(stated: Floats, happened: NDArray[np.bool_]) -> bool:
    """Whether a probability ``[n]`` of what came to pass was clipped, as if there were none."""
    return bool((np.where(happened, stated, 1 - stated) < FLOOR).any())


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
    return float(brentq(excess, least, SHARPEST, xtol=ENOUGH / unit))
