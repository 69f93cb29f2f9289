"""The climb of Auto-PGD, in any norm with steps (Croce & Hein 2020, arXiv 2003.01690, alg. 1)."""

from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from numpy.typing import NDArray

from auditor.attacks.balls import Ball, unit_steps
from auditor.attacks.norms import Reals, chosen, wide
from auditor.domain.tasks import Floats

MOMENTUM = 0.75
RISES_WANTED = 0.75
FIRST_CHECK, LEAST_GAP, SHRINK = 0.22, 0.06, 0.03

Mask = NDArray[np.bool_]


@cache
def checkpoints(steps: int) -> frozenset[int]:
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
class Ascent:
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
    halved: Mask
    iteration: int
    since: int

    @classmethod
    def start(cls, point: Reals) -> "Ascent":
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

    def take(self, keep: Mask) -> "Ascent":
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
        self, loss: Floats, gradient: Reals, ball: Ball, checks: frozenset[int]
    ) -> "Ascent":
        """Return the climb after hearing the loss and the gradient at ``point``."""
        noted = self.note(loss, gradient)
        if self.iteration in checks:
            noted, gradient = noted._reconsider(gradient)  # noqa: SLF001 -- its own next state
        return noted._step(gradient, ball)  # noqa: SLF001 -- its own next state

    def end(self, loss: Floats) -> "Ascent":
        """Return the climb after a last look at ``point``, from where it does not go on."""
        noted = self.note(loss, np.zeros_like(self.point))
        return replace(noted, iteration=self.iteration + 1)

    def note(self, loss: Floats, gradient: Reals) -> "Ascent":
        """Return the climb with the best point of each row brought up to date."""
        better = loss > self.best_loss
        first = self.iteration == 0
        return Ascent(
            point=self.point,
            previous=self.previous,
            best=chosen(better, self.point, self.best),
            best_gradient=chosen(better, gradient, self.best_gradient),
            best_loss=np.where(better, loss, self.best_loss),
            last_loss=loss,
            best_then=loss if first else self.best_then,
            size=self.size,
            rises=self.rises if first else self.rises + (loss > self.last_loss),
            halved=self.halved,
            iteration=self.iteration,
            since=self.since,
        )

    def _reconsider(self, gradient: Reals) -> tuple["Ascent", Reals]:
        """Halve the steps that oscillate or stand still, and go back to their best points."""
        oscillates = self.rises <= RISES_WANTED * (self.iteration - self.since)
        stuck = ~self.halved & (self.best_then >= self.best_loss)
        halve = oscillates | stuck
        state = Ascent(
            point=chosen(halve, self.best, self.point),
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
        return state, chosen(halve, self.best_gradient, gradient)

    def _step(self, gradient: Reals, ball: Ball) -> "Ascent":
        """Step along the gradient, and on from there as far as momentum carries."""
        point = self.point
        step = unit_steps(gradient, ball)
        step *= wide(self.size * ball.eps, step).astype(step.dtype)
        if ball.unit is not None:
            step *= ball.scale
        step += point
        moved = ball.hold(step)
        if self.iteration > 0:
            moved -= point
            moved *= MOMENTUM
            drift = np.subtract(point, self.previous, out=step)
            drift *= 1 - MOMENTUM
            moved += drift
            moved += point
            moved = ball.hold(moved)
        return Ascent(
            point=moved,
            previous=point,
            best=self.best,
            best_gradient=self.best_gradient,
            best_loss=self.best_loss,
            last_loss=self.last_loss,
            best_then=self.best_then,
            size=self.size,
            rises=self.rises,
            halved=self.halved,
            iteration=self.iteration + 1,
            since=self.since,
        )
