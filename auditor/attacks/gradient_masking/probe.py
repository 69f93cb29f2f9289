"""Attacks that are simple on purpose: what they find and a strong attack misses, it should have."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from auditor.attacks.apgd import Apgd, Climb
from auditor.attacks.asking import Answer, Ground, Question, Source, one_each
from auditor.attacks.balls import Ball, unit_steps
from auditor.attacks.losses import LOSSES, Aim
from auditor.domain.tasks import Floats

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Stride:
    """One step from the clean row along the gradient: taken once it is known."""

    ball: Ball
    aim: Aim
    best: Floats
    taken: bool = False

    def ask(self) -> Question:
        """Ask about the clean row first, then about where the step leads."""
        return one_each(self.best)

    def tell(self, answer: Answer) -> "Stride":
        """Take the step, once."""
        if self.taken:
            return self
        _, cotangent = LOSSES["cross_entropy"](answer.logits, self.aim)
        step = self.ball.eps * unit_steps(answer.pull(cotangent), self.ball)
        return replace(self, best=self.ball.project(self.ball.at(step)), taken=True)

    def take(self, keep: Mask) -> "Stride":
        """Return the steps of some rows."""
        return replace(
            self, ball=self.ball.take(keep), aim=self.aim.take(keep), best=self.best[keep]
        )


@dataclass(frozen=True, slots=True)
class OneStep:
    """The fast gradient sign method (Goodfellow et al. 2015): one step of the whole budget."""

    name = "one step"
    source = Source.TWIN
    minimises = False
    rounds = 2
    queries = 3
    passes = 1

    def begin(self, ground: Ground, _: np.random.Generator) -> Stride:
        """Begin at the clean rows."""
        return Stride(ground.ball, ground.aim, ground.ball.clean.astype(np.float64))


@dataclass(frozen=True, slots=True)
class FromClean:
    """A climb that starts at the clean rows, so that nothing but its gradient moves it."""

    climb: Apgd

    source = Source.TWIN
    minimises = False

    @property
    def name(self) -> str:
        """The climb, and where it starts."""
        return f"{self.climb.name}, from the clean row"

    @property
    def rounds(self) -> int:
        """Those of the climb."""
        return self.climb.rounds

    @property
    def queries(self) -> int:
        """Those of the climb."""
        return self.climb.queries

    @property
    def passes(self) -> int:
        """Those of the climb."""
        return self.climb.passes

    def begin(self, ground: Ground, rng: np.random.Generator) -> Climb | None:
        """Begin at the clean rows, where the climb has something to try."""
        return self.climb.begin(replace(ground, start=ground.ball.clean.astype(np.float64)), rng)


@dataclass(frozen=True, slots=True, eq=False)
class Tries:
    """Points ``[tries, n, ...]`` that are asked about one after the other."""

    points: Floats
    at: int = 0

    @property
    def best(self) -> Floats:
        """The point at hand: none of them is known to be better."""
        point: Floats = self.points[min(self.at, len(self.points) - 1)]
        return point

    def ask(self) -> Question:
        """Ask about the point at hand."""
        return one_each(self.best)

    def tell(self, _: Answer) -> "Tries":
        """Go on to the next, whatever came of it."""
        return replace(self, at=self.at + 1)

    def take(self, keep: Mask) -> "Tries":
        """Return the points of some rows."""
        return replace(self, points=self.points[:, keep])


@dataclass(frozen=True, slots=True, eq=False)
class Throws:
    """Corners of the ball, drawn one after the other without looking at what came of them."""

    ball: Ball
    best: Floats
    rng: np.random.Generator

    def ask(self) -> Question:
        """Ask about the corner at hand."""
        return one_each(self.best)

    def tell(self, _: Answer) -> "Throws":
        """Draw the next."""
        return replace(self, best=corner(self.ball, self.rng))

    def take(self, keep: Mask) -> "Throws":
        """Return the throws at some rows."""
        return replace(self, ball=self.ball.take(keep), best=self.best[keep])


def corner(ball: Ball, rng: np.random.Generator) -> Floats:
    """Return a random corner of the L-infinity ball of each row."""
    signs = rng.choice(np.array([-1.0, 1.0]), size=ball.clean.shape)
    return ball.project(ball.at(ball.eps * signs))


@dataclass(frozen=True, slots=True)
class RandomCorners:
    """Random corners of the ball: what they break, any gradient should (Athalye et al. 2018)."""

    rounds: int

    source = Source.DECISIONS
    minimises = False
    passes = 0

    @property
    def name(self) -> str:
        """The number of corners."""
        return f"random corners, {self.rounds} queries"

    @property
    def queries(self) -> int:
        """One a corner."""
        return self.rounds

    def begin(self, ground: Ground, rng: np.random.Generator) -> Throws:
        """Begin with one corner."""
        return Throws(ground.ball, corner(ground.ball, rng), rng)


@dataclass(frozen=True, slots=True)
class OtherRows:
    """Rows of another label, as far as the ball reaches: in the whole range they surely break."""

    rounds: int

    source = Source.DECISIONS
    minimises = False
    passes = 0

    @property
    def name(self) -> str:
        """The number of rows that are copied."""
        return f"copies of {self.rounds} other rows"

    @property
    def queries(self) -> int:
        """One a copy."""
        return self.rounds

    def begin(self, ground: Ground, rng: np.random.Generator) -> Tries:
        """Choose the rows to copy among those that the model gets right."""
        labels, clean = ground.labels, ground.ball.clean.astype(np.float64)
        chosen = np.tile(np.arange(len(labels)), (self.rounds, 1))
        for row, label in enumerate(labels):
            others = np.flatnonzero(labels != label)
            if len(others):
                chosen[:, row] = rng.choice(others, size=self.rounds)
        return Tries(np.array([ground.ball.project(clean[places]) for places in chosen]))
