"""Whether members and non-members differ before any model has seen one: then no attack counts."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from auditor.domain.canonical import Json
from auditor.domain.tasks import Array, Floats
from auditor.exposing.attacks import Shadows, against_each_other
from auditor.shadows.training import LOGISTIC, train_stack
from auditor.stats.delong import area_and_influence

FOLDS = 5
LEVEL = 0.975
"""Each of an attack's two gates fails a clean audit once in forty."""
CHANCE = 0.5
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Area:
    """An area under the curve, and what each row ``[n]`` adds to its error."""

    value: float
    influence: Floats

    def ends(self, level: float = LEVEL) -> tuple[float, float]:
        """Return the normal interval."""
        half = float(ndtri((1 + level) / 2)) * float(np.linalg.norm(self.influence))
        return max(0.0, self.value - half), min(1.0, self.value + half)

    def beyond(self, other: "Area", level: float) -> tuple[float, float, float]:
        """Return how much larger this area is than ``other`` over the same rows, and its ends."""
        gain = self.value - other.value
        half = float(ndtri((1 + level) / 2))
        half *= float(np.linalg.norm(self.influence - other.influence))
        return gain, gain - half, gain + half

    @property
    def raised(self) -> bool:
        """Whether non-members are told from members without a leak, as a leak would do it."""
        return self.ends()[0] > CHANCE

    @property
    def lowered(self) -> bool:
        """Whether members look less like members than non-members do, which hides a leak."""
        return self.ends()[1] < CHANCE

    def to_json(self) -> list[Json]:
        """Return the area and its interval."""
        return [self.value, *self.ends()]


def area(scores: Floats, member: Mask) -> Area:
    """Return the area of scores ``[n]``, all of them known."""
    return Area(*area_and_influence(scores, member))


def blind_scores(inputs: Array, labels: NDArray[np.int64], member: Mask, seed: int) -> Floats:
    """Return how much like a member each row ``[n]`` looks to a classifier that asks no model.

    A logistic regression on inputs and label, fitted on four fifths of the rows and asked about
    the fifth (Das, Zhang and Tramer 2024, arXiv 2406.16201: blind baselines).
    """
    known = np.eye(int(labels.max()) + 1, dtype=np.float32)[labels]
    flat = np.asarray(inputs).reshape(len(inputs), -1).astype(np.float32)
    folds = _folds(member, seed)
    include = folds != np.arange(FOLDS)[:, None]
    rows = np.concatenate([flat, known], axis=1)
    stack = train_stack(rows, member.astype(np.int64), 2, include, LOGISTIC, seed=seed)
    said = stack.logits(rows)
    margin = (said[..., 1] - said[..., 0])[folds, np.arange(len(rows))]
    return margin.astype(np.float64)


def neither(name: str, shadows: Shadows, member: Mask) -> Area | None:
    """Return the area of an attack on models that saw neither the members nor the non-members.

    Each stand-in is attacked over the rows that it has not seen, by the others; the areas are
    averaged. ``None`` where no stand-in has unseen rows of both kinds.
    """
    found = []
    for scores in against_each_other(name, shadows):
        known = np.isfinite(scores)
        if member[known].all() or not member[known].any():
            continue
        value, influence = area_and_influence(scores[known], member[known])
        whole = np.zeros(len(scores))
        whole[known] = influence
        found.append((value, whole))
    if not found:
        return None
    values, parts = zip(*found, strict=True)
    return Area(float(np.mean(values)), np.mean(parts, axis=0))


def _folds(member: Mask, seed: int) -> NDArray[np.int64]:
    """Return the fold ``[n]`` of each row, as many members in each."""
    folds = np.empty(len(member), dtype=np.int64)
    rng = np.random.default_rng(seed)
    for kind in (True, False):
        rows = rng.permutation(np.flatnonzero(member == kind))
        folds[rows] = np.arange(len(rows)) % FOLDS
    return folds
