"""Square Attack in the L-infinity ball (Andriushchenko et al. 2020, arXiv 1912.00049)."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from auditor.attacks.asking import Answer, Ground, Question, Source, one_each
from auditor.attacks.balls import Ball
from auditor.attacks.norms import chosen
from auditor.domain.images import image_axes
from auditor.domain.tasks import Floats

FIRST_SHARE = 0.8
HALVINGS = (0.001, 0.005, 0.02, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8)
"""Shares of the budget after which the share of changed coordinates halves (section 4.2)."""

Mask = NDArray[np.bool_]


def share(iteration: int, budget: int) -> float:
    """Return the share of coordinates that iteration ``iteration`` of ``budget`` changes."""
    spent = iteration / budget
    return FIRST_SHARE / 2.0 ** sum(spent > bound for bound in HALVINGS)


@dataclass(frozen=True, slots=True, eq=False)
class Search:
    """The best point of each row so far, its loss on the target, and what was proposed last."""

    ball: Ball
    best: Floats
    loss: Floats
    asked: Floats
    iteration: int
    budget: int
    rng: np.random.Generator

    def ask(self) -> Question:
        """Ask about the last proposal."""
        return one_each(self.asked)

    def tell(self, answer: Answer) -> "Search":
        """Keep the better one of each row, and propose the next."""
        better = answer.margin > self.loss
        best = chosen(better, self.asked, self.best)
        part = share(self.iteration + 1, self.budget)
        return replace(
            self,
            best=best,
            loss=np.where(better, answer.margin, self.loss),
            asked=propose(best, part, self.ball, self.rng),
            iteration=self.iteration + 1,
        )

    def take(self, keep: Mask) -> "Search":
        """Return the search of some rows only."""
        if keep.all():
            return self
        return replace(
            self,
            ball=self.ball.take(keep),
            best=self.best[keep],
            loss=self.loss[keep],
            asked=self.asked[keep],
        )


@dataclass(frozen=True, slots=True)
class Square:
    """Square Attack on the target's scores: one query an iteration for each live row."""

    iterations: int

    source = Source.SCORES
    minimises = False
    passes = 0

    @property
    def name(self) -> str:
        """The attack and its iterations."""
        return f"square, {self.iterations} queries"

    @property
    def rounds(self) -> int:
        """One an iteration."""
        return self.iterations

    @property
    def queries(self) -> int:
        """One an iteration."""
        return self.iterations

    def begin(self, ground: Ground, rng: np.random.Generator) -> Search:
        """Begin at the start that the ground names, or with vertical stripes."""
        ball = ground.ball
        start = stripes(ball, rng) if ground.start is None else ground.start
        never = np.full(len(start), -np.inf)
        return Search(ball, start, never, start, 0, self.iterations, rng)


def stripes(ball: Ball, rng: np.random.Generator) -> Floats:
    """Return where the search starts: vertical stripes on images, random corners otherwise."""
    clean = ball.clean.astype(np.float64)
    axes = image_axes(clean.shape[1:])
    shape = list(clean.shape)
    if axes is not None:
        shape[1 + axes[0]] = 1
    return ball.project(clean + ball.eps * ball.scale * rng.choice([-1.0, 1.0], shape))


def propose(best: Floats, part: float, ball: Ball, rng: np.random.Generator) -> Floats:
    """Return ``best`` with a random square of each row (or a random subset) set to a corner.

    ``part`` is the share of coordinates that change. Every channel of a square goes its own way.
    A square that stands at its corners already goes to the opposite ones, as in the authors' code:
    a question about the same point again would be lost.
    """
    axes = image_axes(best.shape[1:])
    if axes is None:
        inside, signs = _subset(best, part, ball.scale, rng)
    else:
        inside, signs = _square(best, part, axes, rng)
    step = ball.eps * ball.scale * signs
    there = ball.project(np.where(inside, ball.exact + step, best))
    still = ((there == best) | np.isnan(best)).reshape(len(best), -1).all(axis=1)
    if still.any():
        own = ball.take(still)
        back = np.where(inside[still], own.exact - step[still], best[still])
        there[still] = own.project(back)
    return there


def _subset(
    best: Floats, part: float, scale: Floats, rng: np.random.Generator
) -> tuple[Mask, Floats]:
    movable = np.flatnonzero(np.broadcast_to(scale, best.shape[1:]).reshape(-1) > 0)
    count = max(1, round(part * len(movable)))
    order = rng.random((len(best), len(movable))).argpartition(count - 1, axis=1)[:, :count]
    inside = np.zeros((len(best), best[0].size), dtype=np.bool_)
    np.put_along_axis(inside, movable[order], values=True, axis=1)
    return inside.reshape(best.shape), rng.choice([-1.0, 1.0], best.shape)


def _square(
    best: Floats, part: float, axes: tuple[int, int, int | None], rng: np.random.Generator
) -> tuple[Mask, Floats]:
    height, width = best.shape[1 + axes[0]], best.shape[1 + axes[1]]
    side = min(max(round(np.sqrt(part * height * width)), 1), height, width)
    rows = len(best)
    inside = _window(rng.integers(0, height - side + 1, rows), side, best, axes[0])
    inside = inside & _window(rng.integers(0, width - side + 1, rows), side, best, axes[1])
    shape = [rows] + [1] * (best.ndim - 1)
    if axes[2] is not None:
        shape[1 + axes[2]] = best.shape[1 + axes[2]]
    return inside, rng.choice([-1.0, 1.0], shape)


def _window(start: NDArray[np.int64], side: int, best: Floats, axis: int) -> Mask:
    places = np.arange(best.shape[1 + axis])
    inside = (places >= start[:, None]) & (places < start[:, None] + side)
    shape = [len(best)] + [1] * (best.ndim - 1)
    shape[1 + axis] = len(places)
    return inside.reshape(shape)
