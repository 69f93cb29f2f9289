"""Randomised smoothing: what the target's majority among noisy copies of a row cannot lose."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from auditor.attacks.threats import Threat
from auditor.domain.models import Model
from auditor.domain.subjects import Progress
from auditor.domain.tasks import Array, Classification, Floats
from auditor.stats.proportions import exact_limits

BATCH_BYTES = 2**25
"""Of noisy copies in float64 that are made together."""

Counts = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Votes:
    """How often each class was decided for among noisy copies, ``[n, classes]``.

    ``chosen`` counts the copies by which the class was guessed, ``counted`` later and independent
    ones; these are only spent on rows whose guess is right.
    """

    chosen: Counts
    counted: Counts

    @property
    def guesses(self) -> Counts:
        """The class that each row is guessed to have after smoothing."""
        best: Counts = self.chosen.argmax(axis=1).astype(np.int64)
        return best


@dataclass(frozen=True, slots=True, eq=False)
class Noise:
    """Gaussian noise of ``sigma`` ranges on every coordinate that a threat can move.

    What is smoothed is the target after its noisy input was brought back into the box and onto the
    steps: that is one fixed function of the input, so that the theorem holds for it.
    """

    threat: Threat
    sigma: float

    def copies(self, row: Array, count: int, generator: np.random.Generator) -> Array:
        """Return ``[count, ...]`` noisy copies of one row, in its own type."""
        scale = self.sigma * self.threat.scale
        exact = row.astype(np.float64)
        moved = exact + scale * generator.standard_normal((count, *row.shape))
        low, high, quantum = self.threat.low, self.threat.high, self.threat.quantum
        boxed = np.clip(moved, low, high)
        size = np.where(quantum > 0, quantum, 1.0)
        start = np.where(np.isfinite(low), low, 0.0)
        stepped = np.where(quantum > 0, start + np.rint((boxed - start) / size) * size, boxed)
        settled = np.where(scale > 0, stepped, exact)
        whole = np.issubdtype(row.dtype, np.integer)
        noisy: Array = (np.rint(settled) if whole else settled).astype(row.dtype)
        return noisy


def vote(  # noqa: PLR0913 -- what is smoothed, on what, and how hard
    model: Model,
    task: Classification,
    noise: Noise,
    rows: Array,
    labels: Counts,
    *,
    selection: int,
    samples: int,
    generator: np.random.Generator,
    progress: Progress,
) -> Votes:
    """Let the target decide on noisy copies of each row (Cohen et al. 2019, algorithm CERTIFY).

    ``selection`` copies guess the class, ``samples`` others count it where the guess is the label.
    """
    classes = len(task.classes)
    chosen, counted = (np.zeros((len(rows), classes), dtype=np.int64) for _ in range(2))
    for index, row in enumerate(rows):
        progress(index, len(rows), "noisy copies")
        chosen[index] = _decide(model, task, noise, row, selection, generator)
        if chosen[index].argmax() == labels[index]:
            counted[index] = _decide(model, task, noise, row, samples, generator)
    return Votes(chosen, counted)


def _decide(  # noqa: PLR0913, PLR0917 -- the inner loop of one function
    model: Model,
    task: Classification,
    noise: Noise,
    row: Array,
    count: int,
    generator: np.random.Generator,
) -> Counts:
    votes = np.zeros(len(task.classes), dtype=np.int64)
    batch = max(1, BATCH_BYTES // (8 * max(1, row.size)))
    for start in range(0, count, batch):
        copies = noise.copies(row, min(batch, count - start), generator)
        decided = task.decide(model.probabilities(model.predict(copies)))
        votes += np.bincount(decided, minlength=len(votes))
    return votes


def certified_radii(votes: Votes, alpha: float, sigma: float) -> Floats:
    """Return the L2 radius, in ranges, within which each row's guess surely stays; 0: abstains.

    ``sigma`` times the normal quantile of the lower limit of the guessed class' share (Cohen et
    al. 2019, arXiv 1902.02918, theorem 1 and algorithm CERTIFY). Each radius above 0 is too large
    with probability at most ``alpha``, over the noise.
    """
    rows = np.arange(len(votes.counted))
    hits, trials = votes.counted[rows, votes.guesses], votes.counted.sum(axis=1)
    least, _ = exact_limits(hits, trials, alpha)
    radii: Floats = sigma * ndtri(np.where(least > 0.5, least, 0.5))  # noqa: PLR2004 -- a majority
    return radii
