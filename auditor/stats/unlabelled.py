"""Accuracy without labels: what a reference's calibration promises for other rows."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import isotonic_regression
from scipy.special import stdtrit

from auditor.domain.columns import Codes
from auditor.domain.intervals import Interval
from auditor.domain.tasks import Floats

CBPE = "confidence-based performance estimation, delete-a-group jackknife"
CELLS = 1024
GROUPS = 40
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Known:
    """Rows ``[n]`` of a reference: the probability that was stated, whether it came true, what each
    counts for, and the group of the jackknife that it is in.
    """

    stated: Floats
    happened: Flags
    weights: Floats
    groups: NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Unknown:
    """Rows ``[m]`` without labels: what was stated, and whether the answer is that it happens."""

    stated: Floats
    decided: Flags


def effective_rows(weights: Floats) -> float:
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


def estimated_accuracy(known: Known, unknown: Unknown, confidence: float) -> Interval:
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
    target = _target(unknown)
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
    return Interval(value, *ends, confidence, CBPE, unknown.stated.size)


def _target(unknown: Unknown) -> tuple[Floats, Floats]:
    """Return the share of rows in each cell, of which it is answered that it happens, or not."""
    cells = np.minimum((unknown.stated * CELLS).astype(np.int64), CELLS - 1)
    yes = np.bincount(cells[unknown.decided], minlength=CELLS) / cells.size
    no = np.bincount(cells[~unknown.decided], minlength=CELLS) / cells.size
    return yes, no


def _estimate(hits: Floats, masses: Floats, target: tuple[Floats, Floats]) -> float:
    filled = np.flatnonzero(masses > 0)
    if not filled.size:
        return 0.5
    means = isotonic_regression(hits[filled] / masses[filled], weights=masses[filled]).x
    chance = np.interp(np.arange(CELLS), filled, means)
    yes, no = target
    return float(np.clip(yes @ chance + no @ (1 - chance), 0.0, 1.0))
