"""Natural evolution strategies (Ilyas et al. 2018, arXiv 1804.08598): slopes from scores alone."""

from dataclasses import dataclass, replace

import numpy as np

from auditor.attacks.evasion.attack_protocol import (
    AttackContext,
    AttackFeedback,
    Mask,
    Query,
    QueryResult,
)
from auditor.attacks.evasion.norms import Norm, where_rows
from auditor.attacks.evasion.perturbation_ball import PerturbationBall, steepest_steps
from auditor.domain.tasks import Floats

SPREAD = {Norm.LINF: 0.25, Norm.L2: 0.03}
"""How far a pair is apart from its middle, as a share of the budget (a coordinate's in Linf)."""
MOMENTUM = 0.9
LAST_STEP = 0.05
"""The last step as a share of the budget; the first one is the budget; falling by a cosine."""


@dataclass(frozen=True, slots=True, eq=False)
class NesState:
    """Where each row's climb stands: ``point``, its smoothed ``slope``, and the noise of this step.

    ``best`` is the strongest point so far and ``loss`` its margin.
    """

    ball: PerturbationBall
    point: Floats
    slope: Floats
    noise: Floats
    best: Floats
    loss: Floats
    step: int
    steps: int
    pairs: int
    rng: np.random.Generator

    def ask(self) -> Query:
        """Ask about each row's point and, ``pairs`` times, about two points on opposite sides."""
        rows = np.arange(len(self.point), dtype=np.int64)
        points = [self.point, *(self.point + self.noise), *(self.point - self.noise)]
        return Query(np.concatenate(points), np.tile(rows, len(points)))

    def tell(self, answer: QueryResult) -> "NesState":
        """Estimate the slope from the pairs as they were judged, and step."""
        parts = 1 + 2 * self.pairs
        margin = answer.margin.reshape(parts, len(self.point))
        points = answer.points.reshape(parts, *self.point.shape)
        strongest = margin.argmax(axis=0)
        best, loss = (
            points[strongest, np.arange(len(strongest))],
            margin.max(axis=0, initial=-np.inf),
        )
        better = loss > self.loss
        moved = replace(
            self,
            slope=MOMENTUM * self.slope + _slope(points[1:], margin[1:], self.ball),
            best=where_rows(better, best, self.best),
            loss=np.where(better, loss, self.loss),
            step=self.step + 1,
        )
        return moved.ahead()

    def ahead(self) -> "NesState":
        """Return the state one step up the slope, with new noise."""
        turn = (1 + np.cos(np.pi * self.step / max(self.steps, 1))) / 2
        length = self.ball.eps * (LAST_STEP + (1 - LAST_STEP) * turn)
        climb = steepest_steps(self.slope / _units(self.ball), self.ball)
        point = self.ball.project(self.point + length * climb * self.ball.scale)
        noise = _noise(self.ball, self.pairs, self.rng)
        return replace(self, point=point, noise=noise)

    def take(self, keep: Mask) -> "NesState":
        """Return the climb of some rows only."""
        if keep.all():
            return self
        return replace(
            self,
            ball=self.ball.take(keep),
            point=self.point[keep],
            slope=self.slope[keep],
            noise=self.noise[:, keep],
            best=self.best[keep],
            loss=self.loss[keep],
        )


@dataclass(frozen=True, slots=True)
class NesAttack:
    """Projected climbs on a slope that ``pairs`` opposite pairs of scores estimate at each step."""

    steps: int
    pairs: int

    source = AttackFeedback.SCORES
    minimises = False
    passes = 0

    @property
    def name(self) -> str:
        """The attack, its steps and the pairs of each."""
        return f"nes, {self.steps} steps of {self.pairs} pairs"

    @property
    def rounds(self) -> int:
        """One a step."""
        return self.steps

    @property
    def queries(self) -> int:
        """Two a pair and one for the point itself, at each step."""
        return self.steps * (2 * self.pairs + 1)

    def begin(self, ground: AttackContext, rng: np.random.Generator) -> NesState:
        """Begin at the start that the ground names, or at the clean rows."""
        ball = ground.ball
        clean = ball.clean.astype(np.float64)
        start = clean if ground.start is None else ground.start
        return NesState(
            ball=ball,
            point=start,
            slope=np.zeros(clean.shape),
            noise=_noise(ball, self.pairs, rng),
            best=start,
            loss=np.full(len(clean), -np.inf),
            step=0,
            steps=self.steps,
            pairs=self.pairs,
            rng=rng,
        )


def _slope(points: Floats, margin: Floats, ball: PerturbationBall) -> Floats:
    """Return the slope in ranges that pairs of judged points ``[2 * pairs, n, ...]`` tell.

    Box and ball cut noise off, so that what counts is how far the two really are apart. A pair of
    which one was refused tells nothing.
    """
    pairs = len(points) // 2
    apart = (points[:pairs] - points[pairs:]) / _units(ball)
    known = np.isfinite(margin[:pairs]) & np.isfinite(margin[pairs:])
    rise = np.where(known, np.nan_to_num(margin[:pairs]) - np.nan_to_num(margin[pairs:]), 0.0)
    weights = rise.reshape(*rise.shape, *[1] * (points.ndim - 2))
    found: Floats = (weights * np.nan_to_num(apart)).mean(axis=0)
    return found


def _noise(ball: PerturbationBall, pairs: int, rng: np.random.Generator) -> Floats:
    spread = SPREAD[ball.norm] * ball.eps * ball.scale
    # A step that rounds back to nothing tells nothing.
    spread = np.where(ball.scale > 0, np.maximum(spread, ball.quantum), 0.0)
    return np.asarray(rng.normal(size=(pairs, *ball.clean.shape)) * spread)


def _units(ball: PerturbationBall) -> Floats:
    return np.where(ball.scale > 0, ball.scale, 1.0)
