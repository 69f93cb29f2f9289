"""Whether an artifact is as good and as sure as retrainings by a recipe are."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm, t

from auditor.domain.canonical import Json
from auditor.domain.tasks import Floats

LEVEL = 0.01
"""The chance that an artifact is said to stand apart from its own recipe, all measures together."""
ERROR, BRIER, UNSURE = "error", "brier", "unsure"
Marks = Mapping[str, tuple[Floats, Floats]]
"""By measure: what the artifact's answers ``[n]`` and the retrainings' ``[k, n]`` are worth."""


@dataclass(frozen=True, slots=True)
class Likeness:
    """One measure of an artifact beside retrainings, as means over held-out rows.

    ``models`` is the p-value that it is one more of the retrainings, as they scatter from one
    training to the next; ``rows`` that it is as the nearest of them, as rows scatter.
    """

    measure: str
    artifact: float
    retrained: float
    scatter: float
    models: float
    rows: float
    level: float

    @property
    def apart(self) -> bool:
        """Whether neither other trainings nor other rows explain the difference."""
        return max(self.models, self.rows) <= self.level

    def to_json(self) -> dict[str, Json]:
        """Return the form in which details hold it."""
        return {
            "artifact": self.artifact,
            "retrained": self.retrained,
            "scatter": self.scatter,
            "p_models": self.models,
            "p_rows": self.rows,
        }


def marks(artifact: Floats, retrained: Floats, labels: NDArray[np.int64]) -> Marks:
    """Return what probabilities ``[n, classes]`` and ``[k, n, classes]`` of labelled rows are
    worth: whether they are wrong, their Brier score (from 0 to 2), and how unsure they are.
    """
    found = {}
    for name, mark in ((ERROR, _wrong), (BRIER, _brier), (UNSURE, _unsure)):
        found[name] = mark(artifact, labels), np.stack([mark(it, labels) for it in retrained])
    return found


def mistakes(
    artifact: NDArray[np.int64], retrained: NDArray[np.int64], labels: NDArray[np.int64]
) -> Marks:
    """Return the same of decisions ``[n]`` and ``[k, n]`` alone: whether they are wrong."""
    return {ERROR: ((artifact != labels) * 1.0, (retrained != labels) * 1.0)}


def likeness(given: Marks, share: float = 1.0) -> tuple[Likeness, ...]:
    """Hold an artifact against two retrainings or more, measure by measure.

    ``share`` is how many rows a retraining learnt from, of each that the artifact did. Whoever
    learns from more rows errs less, but no faster than by one over the rows, and nothing within
    that counts. What is beyond is held against the scatter of retrainings (a t-test for one more
    draw of a normal, at ``k - 1`` degrees of freedom), and row by row against the retraining that
    is nearest; both have to say so at ``LEVEL``, by Bonferroni over the measures.
    """
    level = LEVEL / max(1, len(given))
    return tuple(_held(name, *of, share, level) for name, of in given.items())


def _held(name: str, artifact: Floats, retrained: Floats, share: float, level: float) -> Likeness:
    count, rows = retrained.shape
    means, mine = retrained.mean(axis=1), float(artifact.mean())
    low, high = float(means.mean()) * min(1.0, share), float(means.mean()) * max(1.0, share)
    # Retrainings that err equally often have a scatter all the same: less than one row shows.
    scatter = max(float(means.std(ddof=1)), 1 / rows)
    beyond = max(low - mine, mine - high, 0.0)
    models = 2 * float(t.sf(beyond / (scatter * np.sqrt(1 + 1 / count)), count - 1))
    nearest = retrained[int(np.argmin(means) if mine < low else np.argmax(means))]
    factor = min(1.0, share) if mine < low else max(1.0, share)
    return Likeness(
        measure=name,
        artifact=mine,
        retrained=float(means.mean()),
        scatter=float(means.std(ddof=1)),
        models=min(1.0, models),
        rows=_by_rows(nearest * factor - artifact, below=mine < low),
        level=level,
    )


def _by_rows(difference: Floats, *, below: bool) -> float:
    """Return the two-sided p-value that differences ``[n]`` are none; 1 on the wrong side."""
    signed = difference if below else -difference
    mean, spread = float(signed.mean()), float(signed.std(ddof=1)) if len(signed) > 1 else 0.0
    if mean <= 0:
        return 1.0
    if not spread:
        return 0.0
    return 2 * float(norm.sf(mean / (spread / np.sqrt(len(signed)))))


def _wrong(said: Floats, labels: NDArray[np.int64]) -> Floats:
    return np.asarray(said.argmax(axis=1) != labels, dtype=np.float64)


def _brier(said: Floats, labels: NDArray[np.int64]) -> Floats:
    return np.asarray(((said - np.eye(said.shape[1])[labels]) ** 2).sum(axis=1))


def _unsure(said: Floats, labels: NDArray[np.int64]) -> Floats:  # noqa: ARG001 -- one of three
    return np.asarray(1 - said.max(axis=1))
