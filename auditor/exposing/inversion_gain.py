"""Whether what an attack made up looks more like its class than what needs no model at all."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from auditor.domain.canonical import Json
from auditor.domain.intervals import Interval
from auditor.domain.tasks import Array, Floats
from auditor.exposing.inversion_sides import Sample
from auditor.shadows.stacks import Stack
from auditor.shadows.training import Settings, train_stack
from auditor.stats.clusters import clustered_proportion_difference
from auditor.stats.sandwich import LEAST

JUDGES = 3
WIDEST, NARROWEST, MOST_WEIGHTS = 64, 8, 4_000_000
AT_ONCE = 2_000_000
Flags = NDArray[np.bool_]
Aims = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Judge:
    """A few small networks that were taught by public rows alone, and decide together."""

    stack: Stack

    @classmethod
    def of(cls, known: Sample, classes: int, seed: int) -> "Judge":
        """Teach the judge rows that neither attacker nor target ever saw."""
        width = int(np.prod(known.inputs.shape[1:]))
        hidden = int(np.clip(MOST_WEIGHTS // max(width, 1), NARROWEST, WIDEST))
        include = np.ones((JUDGES, len(known.labels)), dtype=np.bool_)
        settings = Settings((hidden,), rate=0.005)
        return cls(train_stack(known.inputs, known.labels, classes, include, settings, seed=seed))

    def chances(self, rows: Array) -> Floats:
        """Return ``[n, classes]`` probabilities."""
        size = max(1, AT_ONCE // max(1, int(np.prod(rows.shape[1:]))))
        parts = range(0, len(rows), size)
        said = [self.stack.probabilities(rows[at : at + size]).mean(axis=0) for at in parts]
        return np.concatenate(said).astype(np.float64)

    def hits(self, rows: Array, aims: Aims) -> Flags:
        """Return which rows ``[n]`` the judge takes for the class that was aimed at."""
        found: Flags = self.chances(rows).argmax(axis=1) == aims
        return found

    def accuracy(self, sample: Sample) -> float | None:
        """Return how often it is right about rows that it never saw; ``None`` of no rows."""
        return float(self.hits(sample.inputs, sample.labels).mean()) if len(sample.labels) else None


def means(known: Sample, aims: Aims, rng: np.random.Generator) -> Floats:
    """Return ``[n, d]``: the mean of each class aimed at, over public rows drawn with return."""
    flat = known.inputs.reshape(len(known.labels), -1).astype(np.float64)
    return np.stack([np.nanmean(flat[_drawn(known, aim, rng)], axis=0) for aim in aims])


def _drawn(known: Sample, aim: int, rng: np.random.Generator) -> NDArray[np.int64]:
    there = np.flatnonzero(known.labels == aim)
    return rng.choice(there, len(there))


def rows_of(known: Sample, aims: Aims, rng: np.random.Generator) -> NDArray[np.int64]:
    """Return ``[n]`` places of one public row of each class aimed at."""
    return np.array([rng.choice(np.flatnonzero(known.labels == aim)) for aim in aims])


@dataclass(frozen=True, slots=True, eq=False)
class Gain:
    """Which reconstructions the judge takes for their class, and which of each baseline; ``aims``
    are the classes. All are ``[n]``. ``drawn`` rows are those of a generator that no model led, a
    baseline of attacks that have the generator too.
    """

    hits: Flags
    mean: Flags
    row: Flags
    aims: Aims
    drawn: Flags | None = None

    @property
    def baseline(self) -> Flags:
        """The best of the baselines."""
        every = [self.mean, self.row, *([] if self.drawn is None else [self.drawn])]
        return max(every, key=lambda flags: float(flags.mean()))

    def over_baseline(self, confidence: float, family: int) -> Interval:
        """Return the attack's hits less the best baseline's; a family's intervals hold jointly.

        Starts at one class are alike, so that classes are clusters; one class says nothing of
        others. The judge and the public rows are taken as they are.
        """
        rows, level = self.hits.size, 1 - (1 - confidence) / family
        if len(np.unique(self.aims)) < LEAST:
            value = float(self.hits.mean() - self.baseline.mean())
            return Interval(value, -1.0, 1.0, confidence, "of one class, nothing of others", rows)
        found = clustered_proportion_difference(
            np.concatenate([self.hits, self.baseline]),
            np.arange(2 * rows) < rows,
            np.concatenate([self.aims, self.aims]),
            level,
        )
        method = f"{found.method}, classes are clusters, joint by bonferroni"
        return replace(found, confidence=confidence, method=method, n=rows)

    def details(self) -> dict[str, Json]:
        """Return the shares that the figure comes from."""
        return {
            "attack": float(self.hits.mean()),
            "class_mean": float(self.mean.mean()),
            "public_row": float(self.row.mean()),
            **({} if self.drawn is None else {"drawn_row": float(self.drawn.mean())}),
        }
