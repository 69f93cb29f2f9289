"""Auto-PGD as an attack (Croce & Hein 2020, arXiv 2003.01690): starts, aims and losses."""

from dataclasses import dataclass

import numpy as np

from auditor.attacks.ascent import Ascent, Mask, checkpoints
from auditor.attacks.asking import Answer, Ground, Question, Source, one_each
from auditor.attacks.balls import Ball
from auditor.attacks.losses import LOSSES, Aim
from auditor.attacks.norms import TINY, Norm, double, size, wide
from auditor.domain.tasks import Floats

TWO = 2
AGAIN = 3
"""The second climb of two classes takes one step of so many."""


def random_start(ball: Ball, rng: np.random.Generator) -> Floats:
    """Return points on the surface of the ball, as AutoAttack starts: random, then stretched."""
    shape = ball.clean.shape
    noise = rng.uniform(-1.0, 1.0, shape) if ball.norm is Norm.LINF else rng.normal(size=shape)
    noise *= ball.scale > 0
    length = np.maximum(size(noise, ball.norm), TINY)
    noise *= ball.eps
    noise /= wide(length, noise)
    return ball.project(ball.at(noise))


def aimed(ground: Ground, rank: int) -> Aim:
    """Return the aim of a ground, or, from rank 1 on, at the harmful class of that rank alone.

    Classes are ranked by the target's probabilities of the clean row, the likeliest first; where
    there are fewer, the last one is aimed at.
    """
    aim = ground.aim
    if rank == 0 or aim.toward.shape[1] == 1:
        return aim
    ranked = np.argsort(np.where(aim.toward, -ground.probabilities, np.inf), axis=1, kind="stable")
    place = np.minimum(rank, np.maximum(aim.toward.sum(axis=1), 1)) - 1
    rows = np.arange(len(ranked))
    chosen = np.zeros_like(aim.toward)
    chosen[rows, ranked[rows, place]] = aim.toward[rows, ranked[rows, place]]
    return Aim(chosen, aim.away)


def steps_left(ground: Ground, steps: int, climbed: int) -> int:
    """Return how many steps a climb takes after others of one suite took ``climbed``.

    Of two classes every loss here rises with the one difference of their scores, so that a climb
    towards the other class is the climb away from the label once more, from a start of its own. It
    takes a third of the steps by which it is longer, none where it is not: on two tabular models
    the other two thirds broke no further row at any budget.
    """
    if ground.aim.toward.shape[1] != TWO or not climbed:
        return steps
    return max(steps - climbed, 0) // AGAIN


@dataclass(frozen=True, slots=True, eq=False)
class Climb:
    """An ascent of one loss on some rows."""

    ascent: Ascent
    ball: Ball
    aim: Aim
    loss: str
    steps: int

    @property
    def best(self) -> Floats:
        """The point of the highest loss of each row."""
        return double(self.ascent.best)

    def ask(self) -> Question | None:
        """Ask about the point that each row's climb has reached, until the last was looked at."""
        return (
            None if self.ascent.iteration > self.steps else one_each(self.ascent.point, held=True)
        )

    def tell(self, answer: Answer) -> "Climb":
        """Go on from the loss and the gradient there; the last point is only looked at."""
        loss, cotangent = LOSSES[self.loss](answer.logits, self.aim)
        if self.ascent.iteration >= self.steps:
            ahead = self.ascent.end(loss)
        else:
            gradient = answer.pull(cotangent).astype(self.ascent.point.dtype, copy=False)
            ahead = self.ascent.advance(loss, gradient, self.ball, checkpoints(self.steps))
        return Climb(ahead, self.ball, self.aim, self.loss, self.steps)

    def take(self, keep: Mask) -> "Climb":
        """Return the climb of some rows only."""
        if keep.all():
            return self
        ball, aim = self.ball.take(keep), self.aim.take(keep)
        return Climb(self.ascent.take(keep), ball, aim, self.loss, self.steps)


@dataclass(frozen=True, slots=True)
class Apgd:
    """Auto-PGD on the twin: ``rank`` 0 climbs away from the label, 1 and more towards one class.

    The first start is what other attacks found, where there is something, else a random point.
    ``climbed`` are the steps of the longest earlier climb of a suite; see ``steps_left``.
    """

    steps: int
    loss: str = "cross_entropy"
    rank: int = 0
    climbed: int = 0

    source = Source.TWIN
    minimises = False

    @property
    def name(self) -> str:
        """The loss, the target's rank and the steps."""
        target = f" towards class {self.rank}" if self.rank else ""
        return f"apgd {self.loss}{target}, {self.steps} steps"

    @property
    def rounds(self) -> int:
        """One a step, and a last look."""
        return self.steps + 1

    @property
    def queries(self) -> int:
        """The target judges a point only where the twin calls it broken, and the best one."""
        return self.steps + 2

    @property
    def passes(self) -> int:
        """One a step."""
        return self.steps

    def begin(self, ground: Ground, rng: np.random.Generator) -> Climb | None:
        """Begin at the start that the ground names, or at a random point of the surface.

        There is nothing to try where no row has as many harmful classes as the rank.
        """
        if self.rank > ground.aim.toward.sum(axis=1).max(initial=0):
            return None
        steps = steps_left(ground, self.steps, self.climbed)
        if not steps:
            return None
        start = random_start(ground.ball, rng) if ground.start is None else ground.start
        aim = aimed(ground, self.rank)
        return Climb(Ascent.start(ground.ball.narrow(start)), ground.ball, aim, self.loss, steps)
