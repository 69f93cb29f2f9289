"""Auto-PGD, a projected gradient attack with adaptive steps, in L-infinity, L2 and L1 balls.

Sources: Croce & Hein 2020, arXiv 2003.01690, algorithm 1; for L1, Croce & Hein 2021 (Mind the
Box), arXiv 2103.01208, algorithm 1.
"""

from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from numpy.typing import NDArray

from auditor.attacks.evasion.attack_protocol import (
    AttackContext,
    AttackFeedback,
    Mask,
    Query,
    QueryResult,
    query_each_row,
)
from auditor.attacks.evasion.losses import LOSSES, LossAim
from auditor.attacks.evasion.norms import (
    TINY,
    Norm,
    Reals,
    broadcast_rows,
    fast_sign,
    flatten_rows,
    free_coordinates,
    mark_largest,
    replace_nonfinite,
    row_norms,
    to_double,
    where_rows,
)
from auditor.attacks.evasion.perturbation_ball import (
    PerturbationBall,
    shrink_to_radius,
    steepest_steps,
)
from auditor.domain.tasks import Floats

MOMENTUM = 0.75
RISES_WANTED = 0.75
FIRST_CHECK, LEAST_GAP, SHRINK = 0.22, 0.06, 0.03

RowMask = NDArray[np.bool_]


@cache
def checkpoint_iterations(steps: int) -> frozenset[int]:
    """Return the iterations at which the step size is reconsidered (section 3.2).

    The gaps between them shrink from 22 % of the steps by 3 points each, to no less than 6 %.
    """
    gap = max(int(FIRST_CHECK * steps), 1)
    least, shrink = max(int(LEAST_GAP * steps), 1), max(int(SHRINK * steps), 1)
    places, place = [], gap
    while place <= steps:
        places.append(place)
        gap = max(gap - shrink, least)
        place += gap
    return frozenset(places)


@dataclass(frozen=True, slots=True, eq=False)
class PgdAscent:
    """Where the climb of each row stands; ``point`` is what wants a loss and a gradient next.

    ``size`` is the step of each row as a share of the budget. ``rises`` counts iterations since
    the last checkpoint (``since``) in which the loss grew; ``halved`` says whether that
    checkpoint shortened the step, ``best_then`` what the best loss was.
    """

    point: Reals
    previous: Reals
    best: Reals
    best_gradient: Reals
    best_loss: Floats
    last_loss: Floats
    best_then: Floats
    size: Floats
    rises: NDArray[np.int64]
    halved: RowMask
    iteration: int
    since: int

    @classmethod
    def start(cls, point: Reals) -> "PgdAscent":
        """Begin at ``[n, ...]`` points of the ball, with steps of twice its radius."""
        rows = len(point)
        never = np.full(rows, -np.inf)
        return cls(
            point=point,
            previous=point,
            best=point,
            best_gradient=np.zeros_like(point),
            best_loss=never,
            last_loss=never,
            best_then=never,
            size=np.full(rows, 2.0),
            rises=np.zeros(rows, dtype=np.int64),
            halved=np.ones(rows, dtype=np.bool_),
            iteration=0,
            since=0,
        )

    def take(self, keep: RowMask) -> "PgdAscent":
        """Return the climb of some rows only."""
        if keep.all():
            return self
        rows = np.flatnonzero(keep)
        return replace(
            self,
            point=self.point.take(rows, axis=0),
            previous=self.previous.take(rows, axis=0),
            best=self.best.take(rows, axis=0),
            best_gradient=self.best_gradient.take(rows, axis=0),
            best_loss=self.best_loss[rows],
            last_loss=self.last_loss[rows],
            best_then=self.best_then[rows],
            size=self.size[rows],
            rises=self.rises[rows],
            halved=self.halved[rows],
        )

    def advance(
        self, loss: Floats, gradient: Reals, ball: PerturbationBall, checks: frozenset[int]
    ) -> "PgdAscent":
        """Return the climb after hearing the loss and the gradient at ``point``."""
        noted = self.note(loss, gradient)
        if self.iteration in checks:
            noted, gradient = noted._reconsider(gradient)  # noqa: SLF001 -- its own next state
        # Step along the gradient, and on from there as far as momentum carries
        point = noted.point
        step = steepest_steps(gradient, ball)
        step *= broadcast_rows(noted.size * ball.eps, step).astype(step.dtype)
        if ball.unit is not None:
            step *= ball.scale
        step += point
        moved = ball.hold(step)
        if noted.iteration > 0:
            moved -= point
            moved *= MOMENTUM
            drift = np.subtract(point, noted.previous, out=step)
            drift *= 1 - MOMENTUM
            moved += drift
            moved += point
            moved = ball.hold(moved)
        return PgdAscent(
            point=moved,
            previous=point,
            best=noted.best,
            best_gradient=noted.best_gradient,
            best_loss=noted.best_loss,
            last_loss=noted.last_loss,
            best_then=noted.best_then,
            size=noted.size,
            rises=noted.rises,
            halved=noted.halved,
            iteration=noted.iteration + 1,
            since=noted.since,
        )

    def end(self, loss: Floats) -> "PgdAscent":
        """Return the climb after a last look at ``point``, from where it does not go on."""
        noted = self.note(loss, np.zeros_like(self.point))
        return replace(noted, iteration=self.iteration + 1)

    def note(self, loss: Floats, gradient: Reals) -> "PgdAscent":
        """Return the climb with the best point of each row brought up to date."""
        better = loss > self.best_loss
        first = self.iteration == 0
        return PgdAscent(
            point=self.point,
            previous=self.previous,
            best=where_rows(better, self.point, self.best),
            best_gradient=where_rows(better, gradient, self.best_gradient),
            best_loss=np.where(better, loss, self.best_loss),
            last_loss=loss,
            best_then=loss if first else self.best_then,
            size=self.size,
            rises=self.rises if first else self.rises + (loss > self.last_loss),
            halved=self.halved,
            iteration=self.iteration,
            since=self.since,
        )

    def _reconsider(self, gradient: Reals) -> tuple["PgdAscent", Reals]:
        """Halve the steps that oscillate or stand still, and go back to their best points."""
        oscillates = self.rises <= RISES_WANTED * (self.iteration - self.since)
        stuck = ~self.halved & (self.best_then >= self.best_loss)
        halve = oscillates | stuck
        state = PgdAscent(
            point=where_rows(halve, self.best, self.point),
            previous=self.previous,
            best=self.best,
            best_gradient=self.best_gradient,
            best_loss=self.best_loss,
            last_loss=self.last_loss,
            best_then=self.best_loss,
            size=np.where(halve, self.size / 2, self.size),
            rises=np.zeros_like(self.rises),
            halved=halve,
            iteration=self.iteration,
            since=self.iteration,
        )
        return state, where_rows(halve, self.best_gradient, gradient)


TWO = 2
AGAIN = 3
"""The second climb of two classes takes one step of so many."""


def random_start(ball: PerturbationBall, rng: np.random.Generator) -> Floats:
    """Return points on the surface of the ball, as AutoAttack starts: random, then stretched."""
    shape = ball.clean.shape
    noise = rng.uniform(-1.0, 1.0, shape) if ball.norm is Norm.LINF else rng.normal(size=shape)
    noise *= ball.scale > 0
    length = np.maximum(row_norms(noise, ball.norm), TINY)
    noise *= ball.eps
    noise /= broadcast_rows(length, noise)
    return ball.project(ball.at(noise))


def select_aim(ground: AttackContext, rank: int) -> LossAim:
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
    return LossAim(chosen, aim.away)


def remaining_steps(ground: AttackContext, steps: int, climbed: int) -> int:
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
class ApgdState:
    """An ascent of one loss on some rows."""

    ascent: PgdAscent
    ball: PerturbationBall
    aim: LossAim
    loss: str
    steps: int

    @property
    def best(self) -> Floats:
        """The point of the highest loss of each row."""
        return to_double(self.ascent.best)

    def ask(self) -> Query | None:
        """Ask about the point that each row's climb has reached, until the last was looked at."""
        return (
            None
            if self.ascent.iteration > self.steps
            else query_each_row(self.ascent.point, held=True)
        )

    def tell(self, answer: QueryResult) -> "ApgdState":
        """Go on from the loss and the gradient there; the last point is only looked at."""
        loss, cotangent = LOSSES[self.loss](answer.logits, self.aim)
        if self.ascent.iteration >= self.steps:
            ahead = self.ascent.end(loss)
        else:
            gradient = answer.pull(cotangent).astype(self.ascent.point.dtype, copy=False)
            ahead = self.ascent.advance(
                loss, gradient, self.ball, checkpoint_iterations(self.steps)
            )
        return ApgdState(ahead, self.ball, self.aim, self.loss, self.steps)

    def take(self, keep: RowMask) -> "ApgdState":
        """Return the climb of some rows only."""
        if keep.all():
            return self
        ball, aim = self.ball.take(keep), self.aim.take(keep)
        return ApgdState(self.ascent.take(keep), ball, aim, self.loss, self.steps)


CHECK_SHARE = 0.04
FIRST_SPARSITY = 0.2
"""Share of the coordinates that the first steps move (section 4)."""
SPARSER = 1.5
STEADY = 0.95
LEAST_STEP = 0.1


@dataclass(frozen=True, slots=True, eq=False)
class L1ApgdState:
    """A climb by sparse steps: ``moved`` is how many coordinates a step changes, row by row.

    ``step`` is its length as a share of the budget; ``sparsity_then`` how many coordinates the
    best point differed in at the last checkpoint.
    """

    ball: PerturbationBall
    aim: LossAim
    loss: str
    steps: int
    point: Floats
    best: Floats
    best_loss: Floats
    moved: Floats
    step: Floats
    sparsity_then: Floats
    iteration: int

    def ask(self) -> Query | None:
        """Ask about the point that each row's climb has reached, until the last was looked at."""
        return None if self.iteration > self.steps else query_each_row(self.point)

    def tell(self, answer: QueryResult) -> "L1ApgdState":
        """Go on from the loss and the gradient there; the last point is only looked at."""
        loss, cotangent = LOSSES[self.loss](answer.logits, self.aim)
        last = self.iteration >= self.steps
        gradient = np.zeros_like(self.point) if last else answer.pull(cotangent)
        better = loss > self.best_loss
        state = replace(
            self,
            best=where_rows(better, self.point, self.best),
            best_loss=np.where(better, loss, self.best_loss),
            iteration=self.iteration + 1,
        )
        if last:
            return state
        every = max(1, int(CHECK_SHARE * self.steps))
        if self.iteration and self.iteration % every == 0:
            state = state._reconsider()  # noqa: SLF001 -- its own next state
        slope = replace_nonfinite(gradient) * state.ball.scale
        # A coordinate at the end of its reach cannot follow its slope: it is left out.
        low, high = state.ball.reach()
        change = state.ball.change(state.point)
        room = free_coordinates(slope, change, low, high)
        steepest = mark_largest(flatten_rows(np.abs(slope) * room), state.moved)
        sign = fast_sign(slope) * steepest.reshape(slope.shape)
        count = broadcast_rows(np.maximum(row_norms(sign, Norm.L1), TINY), sign)
        ahead = change + broadcast_rows(state.step, sign) * state.ball.eps * sign / count
        radius = np.full(len(ahead), state.ball.eps)
        kept = shrink_to_radius(ahead, radius, low, high, Norm.L1)
        return replace(state, point=state.ball.at(kept))

    def take(self, keep: Mask) -> "L1ApgdState":
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

    def _reconsider(self) -> "L1ApgdState":
        """Move as few coordinates as the best point needs; shorten steps where that is steady."""
        sparsity = row_norms(self.ball.change(self.best), Norm.L0)
        steady = sparsity >= STEADY * self.sparsity_then
        step = np.where(steady, np.maximum(self.step / SPARSER, LEAST_STEP), 1.0)
        back = steady & (self.step <= LEAST_STEP)
        return replace(
            self,
            moved=np.maximum(sparsity / SPARSER, 1.0),
            step=step,
            sparsity_then=sparsity,
            point=where_rows(back, self.best, self.point),
        )


@dataclass(frozen=True, slots=True)
class AutoPgd:
    """Auto-PGD on the twin: ``rank`` 0 climbs away from the label, 1 and more towards one class.

    The first start is what other attacks found, where there is something, else a random point.
    ``climbed`` are the steps of the longest earlier climb of a suite; see ``remaining_steps``.
    ``sparse`` climbs by the sparse steps of the L1 ball.
    """

    steps: int
    loss: str = "cross_entropy"
    rank: int = 0
    climbed: int = 0
    sparse: bool = False

    source = AttackFeedback.TWIN
    minimises = False

    @property
    def name(self) -> str:
        """The loss, the target's rank and the steps."""
        target = f" towards class {self.rank}" if self.rank else ""
        return f"apgd{'-l1' * self.sparse} {self.loss}{target}, {self.steps} steps"

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

    def begin(
        self, ground: AttackContext, rng: np.random.Generator
    ) -> ApgdState | L1ApgdState | None:
        """Begin at the start that the ground names, or at a random point of the surface.

        There is nothing to try where no row has as many harmful classes as the rank.
        """
        if self.rank > ground.aim.toward.sum(axis=1).max(initial=0):
            return None
        ball, steps = ground.ball, remaining_steps(ground, self.steps, self.climbed)
        if not steps:
            return None
        start = random_start(ball, rng) if ground.start is None else ground.start
        aim = select_aim(ground, self.rank)
        if not self.sparse:
            return ApgdState(PgdAscent.start(ball.narrow(start)), ball, aim, self.loss, steps)
        rows, free = len(start), float((ball.scale > 0).sum())
        return L1ApgdState(
            ball=ball,
            aim=aim,
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
