"""A patch by the twin's slope: laid where the slope promises most, then climbed by its sign."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from auditor.attacks.asking import Answer, Ground, Mask, Question, Source, one_each
from auditor.attacks.balls import Ball
from auditor.attacks.losses import Aim, difference
from auditor.attacks.norms import wide
from auditor.attacks.patches_search import largest_side
from auditor.attacks.windows import as_planes, as_rows, picture_size, squares, window
from auditor.domain.tasks import Floats

FIRST_STEP, LAST_STEP = 0.25, 0.02
"""How far one step moves a pixel, in ranges, at first and at last; falling by a cosine."""

Places = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Climb:
    """Where each row's patch stands: ``inside`` marks its square, once the first slope is known."""

    ball: Ball
    aim: Aim
    point: Floats
    inside: Floats
    best: Floats
    loss: Floats
    step: int
    steps: int
    rank: int

    def ask(self) -> Question:
        """Ask about the present patches; at first about the clean pictures."""
        return one_each(self.point)

    def tell(self, answer: Answer) -> "Climb":
        """Keep the stronger patch, and step up the slope within the square."""
        value, cotangent = difference(answer.logits, self.aim)
        slope = answer.pull(cotangent) * self.ball.scale
        if self.step == 0:
            return self._laid(slope)
        better = value > self.loss
        turn = (1 + np.cos(np.pi * self.step / max(self.steps, 1))) / 2
        length = LAST_STEP + (FIRST_STEP - LAST_STEP) * turn
        ahead = self.point + length * np.sign(slope) * self.inside * self.ball.scale
        return replace(
            self,
            point=np.clip(ahead, self.ball.lower, self.ball.upper),
            best=np.where(wide(better, self.point), self.point, self.best),
            loss=np.where(better, value, self.loss),
            step=self.step + 1,
        )

    def take(self, keep: Mask) -> "Climb":
        """Return the climb of some rows only."""
        if keep.all():
            return self
        return replace(
            self,
            ball=self.ball.take(keep),
            aim=self.aim.take(keep),
            point=self.point[keep],
            inside=self.inside[keep],
            best=self.best[keep],
            loss=self.loss[keep],
        )

    def _laid(self, slope: Floats) -> "Climb":
        """Lay the patch where a plane of this slope would rise most, at its best corner."""
        low, high = self.ball.reach()
        promise = np.maximum(slope * high, slope * low)
        inside = _promising(promise, self.ball, self.rank)
        corner = np.where(slope > 0, self.ball.upper, self.ball.lower)
        point = np.where((inside > 0) & (self.ball.scale > 0), corner, self.point)
        return replace(self, inside=inside, point=point, best=point, step=1)


@dataclass(frozen=True, slots=True)
class SlopedPatch:
    """Climbs on the twin within the square of ``rank`` (0: where the slope promises most)."""

    steps: int
    rank: int = 0

    source = Source.TWIN
    minimises = False

    @property
    def name(self) -> str:
        """The attack, its steps and its square."""
        return f"patch ascent {self.rank + 1}, {self.steps} steps"

    @property
    def rounds(self) -> int:
        """One a step, and one to find the place."""
        return self.steps + 1

    @property
    def queries(self) -> int:
        """The target is asked where the twin calls a patch broken, and at the end."""
        return self.steps + 2

    @property
    def passes(self) -> int:
        """One a step, and one to find the place."""
        return self.steps + 1

    def begin(self, ground: Ground, rng: np.random.Generator) -> Climb:
        """Begin at the clean pictures: the climb draws nothing at random."""
        del rng
        clean = ground.ball.clean.astype(np.float64)
        return Climb(
            ball=ground.ball,
            aim=ground.aim,
            point=clean,
            inside=np.zeros(clean.shape),
            best=clean,
            loss=np.full(len(clean), -np.inf),
            step=0,
            steps=self.steps,
            rank=self.rank,
        )


def _promising(promise: Floats, ball: Ball, rank: int) -> Floats:
    """Return 1 within the square of each picture that promises most, 0 elsewhere.

    ``rank`` of more skips as many squares before it: those that promise more and lie apart.
    """
    row = ball.clean.shape[1:]
    height, width = picture_size(row)
    side = largest_side(ball.eps, height, width)
    weight = as_planes(promise).sum(axis=1).reshape(-1, height, width)
    total = squares(weight, side)
    down, over = np.arange(total.shape[1]), np.arange(total.shape[2])
    for again in range(rank + 1):
        place = total.reshape(len(total), -1).argmax(axis=1)
        top, left = np.unravel_index(place, total.shape[1:])
        if again < rank:
            close = np.abs(down - top[:, None])[:, :, None] * 2 < side
            close = close & (np.abs(over - left[:, None])[:, None, :] * 2 < side)
            total = np.where(close, -np.inf, total)
    planes = np.zeros(as_planes(promise).shape)
    places = window(np.asarray(top), np.asarray(left), side, width)[:, None, :]
    every = np.broadcast_to(places, (*planes.shape[:2], side * side))
    np.put_along_axis(planes, every, 1.0, axis=2)
    return as_rows(planes, row)
