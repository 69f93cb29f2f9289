"""Auto-PGD in an L1 ball (Croce & Hein 2021, Mind the Box, arXiv 2103.01208, algorithm 1)."""

from dataclasses import dataclass, replace

import numpy as np

from auditor.attacks.apgd import aimed, random_start, steps_left
from auditor.attacks.asking import Answer, Ground, Mask, Question, Source, one_each
from auditor.attacks.balls import Ball
from auditor.attacks.losses import LOSSES, Aim
from auditor.attacks.norms import TINY, Norm, chosen, flat, free, known, signs, size, wide
from auditor.attacks.ranking import largest
from auditor.attacks.shrinking import shrink
from auditor.domain.tasks import Floats

CHECK_SHARE = 0.04
FIRST_SPARSITY = 0.2
"""Share of the coordinates that the first steps move (section 4)."""
SPARSER = 1.5
STEADY = 0.95
LEAST_STEP = 0.1


@dataclass(frozen=True, slots=True, eq=False)
class SparseClimb:
    """A climb by sparse steps: ``moved`` is how many coordinates a step changes, row by row.

    ``step`` is its length as a share of the budget; ``sparsity_then`` how many coordinates the
    best point differed in at the last checkpoint.
    """

    ball: Ball
    aim: Aim
    loss: str
    steps: int
    point: Floats
    best: Floats
    best_loss: Floats
    moved: Floats
    step: Floats
    sparsity_then: Floats
    iteration: int

    def ask(self) -> Question | None:
        """Ask about the point that each row's climb has reached, until the last was looked at."""
        return None if self.iteration > self.steps else one_each(self.point)

    def tell(self, answer: Answer) -> "SparseClimb":
        """Go on from the loss and the gradient there; the last point is only looked at."""
        loss, cotangent = LOSSES[self.loss](answer.logits, self.aim)
        last = self.iteration >= self.steps
        gradient = np.zeros_like(self.point) if last else answer.pull(cotangent)
        better = loss > self.best_loss
        state = replace(
            self,
            best=chosen(better, self.point, self.best),
            best_loss=np.where(better, loss, self.best_loss),
            iteration=self.iteration + 1,
        )
        if last:
            return state
        every = max(1, int(CHECK_SHARE * self.steps))
        if self.iteration and self.iteration % every == 0:
            state = state._reconsider()  # noqa: SLF001 -- its own next state
        return state._climb(gradient)  # noqa: SLF001 -- its own next state

    def take(self, keep: Mask) -> "SparseClimb":
        """Return the climb of some rows only."""
        return replace(
            self,
            ball=self.ball.take(keep),
            aim=self.aim.take(keep),
            point=self.point[keep],
            best=self.best[keep],
            best_loss=self.best_loss[keep],
            moved=self.moved[keep],
            step=self.step[keep],
            sparsity_then=self.sparsity_then[keep],
        )

    def _reconsider(self) -> "SparseClimb":
        """Move as few coordinates as the best point needs; shorten steps where that is steady."""
        sparsity = size(self.ball.change(self.best), Norm.L0)
        steady = sparsity >= STEADY * self.sparsity_then
        step = np.where(steady, np.maximum(self.step / SPARSER, LEAST_STEP), 1.0)
        back = steady & (self.step <= LEAST_STEP)
        return replace(
            self,
            moved=np.maximum(sparsity / SPARSER, 1.0),
            step=step,
            sparsity_then=sparsity,
            point=chosen(back, self.best, self.point),
        )

    def _climb(self, gradient: Floats) -> "SparseClimb":
        slope = known(gradient) * self.ball.scale
        # A coordinate at the end of its reach cannot follow its slope: it is left out.
        low, high = self.ball.reach()
        change = self.ball.change(self.point)
        room = free(slope, change, low, high)
        steepest = largest(flat(np.abs(slope) * room), self.moved)
        sign = signs(slope) * steepest.reshape(slope.shape)
        count = wide(np.maximum(size(sign, Norm.L1), TINY), sign)
        ahead = change + wide(self.step, sign) * self.ball.eps * sign / count
        radius = np.full(len(ahead), self.ball.eps)
        kept = shrink(ahead, radius, low, high, Norm.L1)
        return replace(self, point=self.ball.at(kept))


@dataclass(frozen=True, slots=True)
class SparseApgd:
    """Auto-PGD on the twin in the L1 ball; see ``Apgd`` for ``rank`` and ``climbed``."""

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
        return f"apgd-l1 {self.loss}{target}, {self.steps} steps"

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

    def begin(self, ground: Ground, rng: np.random.Generator) -> SparseClimb | None:
        """Begin at the start that the ground names, or at a random point of the surface.

        There is nothing to try where no row has as many harmful classes as the rank.
        """
        if self.rank > ground.aim.toward.sum(axis=1).max(initial=0):
            return None
        ball, steps = ground.ball, steps_left(ground, self.steps, self.climbed)
        if not steps:
            return None
        start = random_start(ball, rng) if ground.start is None else ground.start
        rows, free = len(start), float((ball.scale > 0).sum())
        return SparseClimb(
            ball=ball,
            aim=aimed(ground, self.rank),
            loss=self.loss,
            steps=steps,
            point=start,
            best=start,
            best_loss=np.full(rows, -np.inf),
            moved=np.full(rows, max(1.0, FIRST_SPARSITY * free)),
            step=np.ones(rows),
            sparsity_then=np.full(rows, max(1.0, FIRST_SPARSITY * free)),
            iteration=0,
        )
