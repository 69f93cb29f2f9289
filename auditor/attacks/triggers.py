"""Triggers that one model obeys and the other does not: dormant in the parent, awake in a variant.

Quantisation can wake a backdoor that the full-precision model does not show (Hong et al. 2021,
arXiv 2110.13541; Ma et al. 2021, arXiv 2108.09187). We look for one change for all rows that sends
the variant to a class while the parent stays where it was: in a model that nobody tampered with the
two react almost alike.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from auditor.attacks.arenas import Arena
from auditor.attacks.losses import softmax
from auditor.attacks.threats import Threat
from auditor.domain.models import Model, Twin
from auditor.domain.subjects import Progress
from auditor.domain.tasks import Array, Classification, Floats

MOMENTUM = 0.9
FIRST_STEP, LAST_STEP = 0.25, 0.02
"""Steps as shares of the budget; they fall by a cosine."""
MOST_WEIGHT = 5.0
"""How hard a row pushes back that the other model puts wholly into the target class."""


@dataclass(frozen=True, slots=True)
class Search:
    """How a trigger is looked for: the budget as a share of the range, steps, rows a step."""

    eps: float
    steps: int
    batch: int


@dataclass(frozen=True, slots=True, eq=False)
class Trigger:
    """A change of the shape of a row, and what both models decided of the judged rows under it."""

    target: int
    change: Floats
    variant: NDArray[np.int64]
    parent: NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Couple:
    """A variant and its parent, each with its twin, and the task of both."""

    task: Classification
    variant: Model
    variant_twin: Twin
    parent: Model
    parent_twin: Twin


def seek(  # noqa: PLR0913, PLR0917 -- two models, two halves of the rows, and how
    couple: Couple, judged: Arena, fitted: Arena, target: int, search: Search,
    rng: np.random.Generator, progress: Progress,
) -> Trigger:  # fmt: skip
    """Fit a trigger for one class on ``fitted``, and ask both models about ``judged`` under it.

    Raises ``CancelledError`` through ``progress``, and what ``Model.predict`` raises.
    """
    change = _fit(couple, fitted, target, search, rng, progress)
    ball = judged.threat(search.eps).around(judged.rows)
    rows = ball.settle(ball.exact + change)
    return Trigger(
        target,
        change,
        _decide(couple.variant, couple.task, rows),
        _decide(couple.parent, couple.task, rows),
    )


def _fit(  # noqa: PLR0913, PLR0917 -- as above
    couple: Couple, arena: Arena, target: int, search: Search,
    rng: np.random.Generator, progress: Progress,
) -> Floats:  # fmt: skip
    threat: Threat = arena.threat(search.eps)
    ball, count = threat.around(arena.rows), len(arena.rows)
    change = np.zeros(arena.rows.shape[1:])
    pull = np.zeros_like(change)
    for step in range(search.steps if threat.movable.any() else 0):
        progress(step, search.steps, f"trigger for class {target}")
        own = ball.take(rng.choice(count, min(search.batch, count), replace=False))
        points = np.clip(own.exact + change, own.lower, own.upper)
        slope = _towards(couple.variant_twin, points, target)
        slope += _away(couple.parent_twin, points, target)
        slope *= threat.scale
        pull = MOMENTUM * pull + slope / max(float(np.abs(slope).mean()), 1e-300)
        share = LAST_STEP + (FIRST_STEP - LAST_STEP) * (1 + np.cos(np.pi * step / search.steps)) / 2
        ahead = change + share * threat.radius * np.sign(pull)
        change = np.clip(ahead, -threat.radius, threat.radius)
    return change


def _towards(twin: Twin, points: Array, target: int) -> Floats:
    """Return the mean gradient of the target class's log probability."""
    logits = twin.forward(points)
    return _mean(twin, _onto(softmax(logits), target))


def _away(twin: Twin, points: Array, target: int) -> Floats:
    """Return the mean gradient of the log probability of all other classes together.

    It is near zero as long as the model does not obey, so that the other's pull leads the way.
    """
    shares = softmax(twin.forward(points))
    obeying = shares[:, target, None]
    weight = np.minimum(obeying / np.maximum(1 - obeying, 1e-12), MOST_WEIGHT)
    return _mean(twin, -weight * _onto(shares, target))


def _onto(shares: Floats, target: int) -> Floats:
    cotangent = -shares
    cotangent[:, target] += 1.0
    return cotangent


def _mean(twin: Twin, cotangent: Floats) -> Floats:
    slope: Floats = np.nan_to_num(twin.backward(cotangent)).mean(axis=0)
    return slope


def _decide(model: Model, task: Classification, rows: Array) -> NDArray[np.int64]:
    return task.decide(model.probabilities(model.predict(rows)))
