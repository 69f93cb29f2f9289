"""What a simple recalibration would gain: learnt on some rows, measured on the others."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import expit, log_softmax, logit, softmax

from auditor.domain.intervals import Interval
from auditor.domain.tasks import Floats
from auditor.stats.clusters import Codes, clustered_mean
from auditor.stats.losses import clip
from auditor.stats.paired import LEAST, mean_difference
from auditor.stats.recalibration import LEAST_CLUSTERS, recalibrate

ENOUGH = 1e-6
SHARPEST = 100.0
"""Temperatures lie between its inverse and it: rows that are all right would have none."""


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

    ``corrects`` are its constants: the temperature, or Platt's slope and intercept.
    """

    gain: Interval
    corrects: dict[str, float]

    @property
    def advised(self) -> bool:
        """Whether chance does not explain the gain."""
        return self.gain.low > 0


def temper(stated: Floats, labels: NDArray[np.int64], halves: Halves, confidence: float) -> Advice:
    """Divide the log odds of ``stated`` ``[n, classes]`` by one temperature.

    Guo, Pleiss, Sun and Weinberger (2017), ICML, section 4.2: the one that makes the log loss of
    the rows learnt from least. The loss is convex in its inverse.
    """
    odds = np.log(clip(stated))
    learnt, held = halves.learnt, ~halves.learnt
    inverse = _coolness(odds[learnt], labels[learnt])
    rows, truth = np.arange(int(held.sum())), labels[held]
    before, after = (
        log_softmax(scale * odds[held], axis=1)[rows, truth] for scale in (1.0, inverse)
    )
    return Advice(halves.gain(after - before, confidence), {"temperature": 1 / inverse})


def platt(
    stated: Floats, happened: NDArray[np.bool_], halves: Halves, confidence: float
) -> Advice | None:
    """Put the log odds of ``stated`` ``[n]`` on a line of slope and intercept.

    Platt (1999), Advances in Large Margin Classifiers, with the line of ``recalibrate``. ``None``
    where the rows learnt from have none.
    """
    learnt, held = halves.learnt, ~halves.learnt
    line = recalibrate(stated[learnt], happened[learnt], confidence)
    if line is None:
        return None
    odds, truth = logit(clip(stated[held])), happened[held]
    moved = line.intercept.value + line.slope.value * odds
    before, after = (np.where(truth, expit(item), expit(-item)) for item in (odds, moved))
    saved = np.log(clip(after)) - np.log(clip(before))
    corrects = {"slope": line.slope.value, "intercept": line.intercept.value}
    return Advice(halves.gain(saved, confidence), corrects)


def _coolness(odds: Floats, labels: NDArray[np.int64]) -> float:
    """Return the inverse temperature at which the mean log loss is least."""
    truth = float(odds[np.arange(len(labels)), labels].mean())

    def excess(scale: float) -> float:
        return float(np.sum(softmax(scale * odds, axis=1) * odds, axis=1).mean()) - truth

    if excess(1 / SHARPEST) >= 0:
        return 1 / SHARPEST
    if excess(SHARPEST) <= 0:
        return SHARPEST
    return float(brentq(excess, 1 / SHARPEST, SHARPEST, xtol=ENOUGH))
