"""Gradient check of a twin: its gradients beside score changes of the model on its target."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from auditor.domain.models import Twin
from auditor.domain.readings import Gap
from auditor.domain.tasks import Array, ClassificationTask, FeatureKind, Floats, InputSpace, Task
from auditor.targets.model import OpenedModel

DIRECTIONS = 12
FLOOR, NO_FLOOR = 1e-7, 1e-300
"""The least probability that a logarithm is taken of: of ``1 - p`` in float32 nothing less is left.
Logits have no such bound."""
REPEATS = 8
"""How often a model is asked that answers otherwise each time: halves of them tell noise apart."""


@dataclass(frozen=True, slots=True, eq=False)
class StepRange:
    """How far each coordinate of a row can be moved: its box, its range, its steps.

    ``width`` is 0 where it must not be moved. All have the shape of one row.
    """

    low: Floats
    high: Floats
    width: Floats
    quantum: Floats

    def pair(self, rows: Array, signs: Floats, share: float) -> tuple[Array, Array]:
        """Return the rows moved along and against ``signs`` by ``share`` of each range.

        They stay inside the box and on its steps, at least one step away where there is room.
        """
        step = np.where(self.width > 0, np.maximum(share * self.width, self.quantum), 0.0) * signs
        return self._settle(rows, step), self._settle(rows, -step)

    def _settle(self, rows: Array, step: Floats) -> Array:
        exact = rows.astype(np.float64)
        points = np.clip(
            exact + step, np.fmin(self.low, exact), np.fmax(self.high, exact)
        )  # a missing value stays
        quantum = np.where(self.quantum > 0, self.quantum, 1.0)
        stepped = self.low + np.rint((points - self.low) / quantum) * quantum
        points = np.where((self.quantum > 0) & (step != 0), stepped, points)
        points = np.where(step == 0, exact, points)
        return points.astype(rows.dtype)


def find_step_range(space: InputSpace | Gap, inputs: Array, *, whole: bool) -> StepRange:
    """Return how far rows can be moved: as the input space says, else as they themselves range.

    Immutable columns, and those whose codes are no quantities, have no width.
    """
    row = inputs.shape[1:]
    if isinstance(space, Gap):
        known = inputs.astype(np.float64)
        low, high = np.fmin.reduce(known, axis=0), np.fmax.reduce(known, axis=0)
        width = np.nan_to_num(high - low)
        return StepRange(low, high, width, np.full(row, float(whole)))
    low, high, quantum = (
        np.broadcast_to(item, row).astype(np.float64)
        for item in (space.low, space.high, space.quantum)
    )
    movable = np.broadcast_to(space.mutable, row) & np.isfinite(high - low)
    if space.features and row[-1:] == (len(space.features),):
        ordered = [
            item.kind in {FeatureKind.NUMERIC, FeatureKind.INTEGER} for item in space.features
        ]
        steps = [float(item.kind is FeatureKind.INTEGER) for item in space.features]
        free = [not item.immutable for item in space.features]
        movable = movable & np.array(ordered) & np.array(free)
        quantum = np.maximum(quantum, np.array(steps))
    quantum = np.maximum(quantum, float(whole))
    width = np.where(movable, np.where(movable, high - low, 0.0), 0.0)
    return StepRange(low, high, width, quantum)


@dataclass(frozen=True, slots=True)
class SlopeLoss:
    """A loss of each row: the cross-entropy of class ``wanted``, or a regression's own value.

    ``spread`` is the unit of a regression's values.
    """

    task: Task
    wanted: NDArray[np.int64]
    spread: float
    logits: bool

    @classmethod
    def at(cls, task: Task, scores: Floats, *, logits: bool) -> "SlopeLoss":
        """Aim at each row's second class: towards the first one sure rows have no slope.

        ``scores`` are probabilities, or a regression's values.
        """
        if not isinstance(task, ClassificationTask):
            return cls(task, np.zeros(len(scores), dtype=np.int64), value_spread(scores), logits)
        second = np.argsort(-scores, axis=1, kind="stable")[:, 1].astype(np.int64)
        return cls(task, second, 1.0, logits)

    def take(self, rows: NDArray[np.int64]) -> "SlopeLoss":
        """Return the aim of some rows."""
        return SlopeLoss(self.task, self.wanted[rows], self.spread, self.logits)

    def loss(self, scores: Floats) -> Floats:
        """Return the loss of each row from probabilities, or from values."""
        if not isinstance(self.task, ClassificationTask):
            return scores[:, 0] / self.spread
        chosen = scores[np.arange(len(scores)), self.wanted]
        lost: Floats = -np.log(np.maximum(chosen, NO_FLOOR if self.logits else FLOOR))
        return lost

    def cotangent(self, logits: Floats) -> Floats:
        """Return the derivative of each row's loss in its logits, or in its value."""
        if not isinstance(self.task, ClassificationTask):
            return np.full(logits.shape, 1.0 / self.spread)
        raised = np.exp(logits - logits.max(axis=1, keepdims=True))
        found: Floats = raised / raised.sum(axis=1, keepdims=True)
        found[np.arange(len(found)), self.wanted] -= 1.0
        return found


def value_spread(values: Floats) -> float:
    """Return the standard deviation of a regression's values, 1 where they are all the same."""
    return float(values.std()) or 1.0


@dataclass(frozen=True, slots=True, eq=False)
class SlopeComparison:
    """How each row's loss moved on the target ``[repeats, rows, directions]``, and what the twin
    foretold ``[rows, directions]``.
    """

    seen: Floats
    foretold: Floats

    @property
    def flat(self) -> bool:
        """Whether the twin has no gradient at all."""
        return not self.foretold.any()

    @property
    def pairs(self) -> int:
        """How many differences there are on rows whose loss moves at all."""
        moving = int(np.count_nonzero(self.seen.any(axis=(0, 2))))
        return moving * int(self.foretold.shape[1])

    @property
    def correlation(self) -> float:
        """Mean over rows of the correlation about zero (signs of directions mean nothing).

        Rows whose loss does not move on the target say nothing; where it moves and the twin's does
        not, the correlation is 0. Repeats are averaged, and what their noise takes away is given
        back (the correction for attenuation, Spearman 1904, American Journal of Psychology 15).
        0 where nothing moves, or where the noise hides it.
        """
        found = _mean_correlation(self.seen.mean(axis=0), self.foretold)
        if len(self.seen) == 1:
            return found
        half = len(self.seen) // 2
        halves = self.seen[:half].mean(axis=0), self.seen[half:].mean(axis=0)
        agreed = max(0.0, _mean_correlation(*halves))
        reliable = 2 * agreed / (1 + agreed)
        return min(1.0, found / np.sqrt(reliable)) if reliable > LEAST_RELIABLE else 0.0


LEAST_RELIABLE = 0.05
"""Below this share of what repeats have in common, a model's noise hides its slopes."""


@dataclass(frozen=True, slots=True, eq=False)
class TwinComparison:
    """A model and its twin, and how rows are moved between them."""

    model: OpenedModel
    twin: Twin
    reach: StepRange
    rng: np.random.Generator


def measure_slopes(
    sides: TwinComparison, rows: Array, aim: SlopeLoss, share: float
) -> SlopeComparison:
    """Measure central differences along random directions of signs, and the twin's derivative.

    The twin is asked half way between the two points, where a central difference speaks of.
    Costs ``2 * DIRECTIONS`` queries a row, times ``REPEATS`` where the model is not deterministic.
    """
    model, seen, foretold = sides.model, [], []
    times = 1 if model.deterministic else REPEATS
    for _ in range(DIRECTIONS):
        signs = sides.rng.choice(np.array([-1.0, 1.0]), size=rows.shape)
        ahead, behind = sides.reach.pair(rows, signs, share)
        both = np.concatenate([ahead, behind])
        moved = []
        for _ in range(times):
            scores = model.probabilities(model.predict(both))
            moved.append(aim.loss(scores[: len(rows)]) - aim.loss(scores[len(rows) :]))
        seen.append(np.array(moved))
        first, second = ahead.astype(np.float64), behind.astype(np.float64)
        gradient = sides.twin.backward(aim.cotangent(sides.twin.forward((first + second) / 2)))
        along = np.nan_to_num(gradient) * np.nan_to_num(first - second)
        total: Floats = along.reshape(len(along), -1).sum(axis=1)
        foretold.append(total)
    return SlopeComparison(np.stack(seen, axis=-1), np.stack(foretold, axis=-1))


def _mean_correlation(left: Floats, right: Floats) -> float:
    moving = left.any(axis=1)
    if not moving.any():
        return 0.0
    left, right = _unit(left[moving]), _unit(right[moving])
    return float((left * right).sum(axis=1).mean())


def _unit(rows: Floats) -> Floats:
    """Scale each row to length 1, first to a largest entry of 1 so that none is squared away."""
    most = np.abs(rows).max(axis=1, keepdims=True)
    rows = rows / np.where(most > 0, most, 1.0)
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    scaled: Floats = rows / np.where(length > 0, length, 1.0)
    return scaled
