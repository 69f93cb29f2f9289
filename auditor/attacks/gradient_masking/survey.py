"""Where the twin's gradients lead near clean rows, and how smooth the target's scores are."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from auditor.attacks.apgd import Apgd
from auditor.attacks.arenas import Arena
from auditor.attacks.asking import Answer, Ground
from auditor.attacks.balls import Ball
from auditor.attacks.losses import cross_entropy
from auditor.attacks.masking.probes import FromClean
from auditor.domain.models import Twin
from auditor.domain.tasks import Floats

Mask = NDArray[np.bool_]
LAST = 10
"""The last steps of a climb, in which it should have come to rest (Pintor et al. 2022)."""
ROWS_AT_ONCE = 64


@dataclass(frozen=True, slots=True, eq=False)
class Slopes:
    """What was seen at each of ``[n]`` rows.

    ``finite`` and ``zero`` describe the twin's gradient of the loss that attacks climb;
    ``saturated`` says that every probability is 0 or 1 to single precision, the target's or the
    twin's. ``cosine`` is the mean cosine between the gradient and those of neighbours; ``jitter``
    the mean change of the target's margin over the same neighbours, as a share of the margin;
    ``rise`` the part of a climb's whole gain that its last steps brought.
    """

    finite: Mask
    zero: Mask
    saturated: Mask
    cosine: Floats
    jitter: Floats
    rise: Floats

    @classmethod
    def joined(cls, parts: list["Slopes"]) -> "Slopes":
        """Put the parts of a sample together."""
        return cls(
            *(np.concatenate([getattr(part, name) for part in parts]) for name in cls.__slots__)
        )


def measure(  # noqa: PLR0913, PLR0917 -- a place, and how hard to look
    arena: Arena, near: float, eps: float, neighbours: int, steps: int, rng: np.random.Generator
) -> Slopes:
    """Look at all rows of an arena that has a twin: within ``near`` of each, and up to ``eps``.

    Costs ``neighbours + 1 + steps`` gradients and ``neighbours`` queries a row. Raises
    ``TypeError`` where there is no twin.
    """
    if arena.twin is None:
        message = "gradients are looked at on a twin"
        raise TypeError(message)
    parts = [
        _part(arena, arena.twin, np.arange(first, min(first + ROWS_AT_ONCE, len(arena.rows))),
              near, eps, neighbours, steps, rng)
        for first in range(0, len(arena.rows), ROWS_AT_ONCE)
    ]  # fmt: skip
    return Slopes.joined(parts)


def _part(  # noqa: PLR0913, PLR0917 -- a place, and how hard to look
    arena: Arena, twin: Twin, rows: NDArray[np.int64], near: float, eps: float, neighbours: int,
    steps: int, rng: np.random.Generator,
) -> Slopes:  # fmt: skip
    labels = arena.labels[rows]
    close, wide = (arena.threat(size).around(arena.rows[rows]) for size in (near, eps))
    around = Ground(wide, labels, arena.goal, arena.probabilities[rows])
    clean = close.clean.astype(np.float64)
    logits, slope = _gradient(twin, around, close, clean)
    finite: Mask = np.asarray(np.isfinite(slope).reshape(len(rows), -1).all(axis=1))
    slope = np.nan_to_num(slope)
    cosines, jitters = [], []
    margin = _margin(arena, rows, close, clean)
    for _ in range(neighbours):
        points = close.project(close.at(close.eps * rng.uniform(-1.0, 1.0, clean.shape)))
        cosines.append(_cosine(slope, np.nan_to_num(_gradient(twin, around, close, points)[1])))
        jitters.append(np.abs(_margin(arena, rows, close, points) - margin))
    return Slopes(
        finite=finite,
        zero=np.asarray(~slope.reshape(len(rows), -1).any(axis=1)),
        saturated=_extreme(arena.probabilities[rows]) | _extreme(_shares(logits)),
        cosine=np.mean(cosines, axis=0),
        jitter=np.mean(jitters, axis=0) / np.maximum(np.abs(margin), np.finfo(np.float32).tiny),
        rise=_rise(twin, around, steps, rng),
    )


def _gradient(twin: Twin, ground: Ground, ball: Ball, points: Floats) -> tuple[Floats, Floats]:
    """Return the twin's logits, and the gradient of its loss where coordinates may move."""
    logits = twin.forward(points.astype(ball.clean.dtype))
    _, cotangent = cross_entropy(logits, ground.aim)
    return logits, twin.backward(cotangent) * ball.scale


def _margin(arena: Arena, rows: NDArray[np.int64], ball: Ball, points: Floats) -> Floats:
    scores = arena.model.predict(ball.settle(points))
    return arena.goal.margin(scores, arena.labels[rows])


def _cosine(one: Floats, other: Floats) -> Floats:
    """Return the cosine a row; two zeros point the same way, one zero points nowhere."""
    left, right = one.reshape(len(one), -1), other.reshape(len(other), -1)
    lengths = np.linalg.norm(left, axis=1) * np.linalg.norm(right, axis=1)
    along = (left * right).sum(axis=1) / np.where(lengths > 0, lengths, 1.0)
    both = ~left.any(axis=1) & ~right.any(axis=1)
    return np.where(both, 1.0, along)


def _shares(logits: Floats) -> Floats:
    single = logits.astype(np.float32)
    powers = np.exp(single - single.max(axis=1, keepdims=True))
    shares: Floats = (powers / powers.sum(axis=1, keepdims=True)).astype(np.float64)
    return shares


def _extreme(probabilities: Floats) -> Mask:
    """Return the rows whose every probability is 0 or 1 to single precision."""
    single = probabilities.astype(np.float32)
    found: Mask = ((single == 0) | (single == 1)).all(axis=1)
    return found


def _rise(twin: Twin, ground: Ground, steps: int, rng: np.random.Generator) -> Floats:
    """Climb on the twin, and return which part of the gain the last steps brought.

    0 where nothing was gained, and where the twin is broken: more of a success is no news.
    """
    climb = FromClean(Apgd(steps)).begin(ground, rng)
    if climb is None:
        return np.zeros(len(ground.labels))
    losses = []
    for _ in range(steps):
        points = ground.ball.settle(climb.ascent.point)
        answer = Answer(
            points,
            np.zeros(len(points), dtype=np.bool_),
            np.zeros(0),
            twin.forward(points),
            lambda cotangent: np.nan_to_num(twin.backward(cotangent)),
        )
        climb = climb.tell(answer)
        losses.append(climb.ascent.best_loss)
    first, before, last = losses[0], losses[max(0, len(losses) - 1 - LAST)], losses[-1]
    gained = last - first
    part = (last - before) / np.where(gained > 0, gained, 1.0)
    return np.where((gained > 0) & (last < 0), part, 0.0)
