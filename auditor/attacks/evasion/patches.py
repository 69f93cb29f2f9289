"""Adversarial patch attacks: Sparse-RS by scores, and a patch optimised with the twin's gradient.

Sparse-RS for patches: Croce et al. 2022, arXiv 2006.12834.
"""

import math
from dataclasses import dataclass, replace

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
from auditor.attacks.evasion.image_windows import (
    as_planes,
    as_rows,
    picture_size,
    square_weights,
    window_places,
)
from auditor.attacks.evasion.losses import LossAim, logit_difference
from auditor.attacks.evasion.norms import broadcast_rows
from auditor.attacks.evasion.perturbation_ball import PerturbationBall
from auditor.attacks.evasion.square import HALVINGS
from auditor.domain.tasks import Floats

FIRST_SHARE = 0.4
"""Share of the patch that one step repaints at first; it halves as Square Attack's does."""
FIRST_SHIFT = 0.75
"""How far one step moves the patch at first, as a share of the picture; falling to nothing."""
MOVE_EVERY = 4
"""One step in so many moves the patch instead of repainting it."""

Places = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class PatchPlacement:
    """One patch a row: its corner, and which of its pixels are at their high end.

    ``high`` is ``[n, channels, side * side]``; the others are at their low end.
    """

    top: Places
    left: Places
    high: Mask

    def take(self, keep: Mask) -> "PatchPlacement":
        """Return the patches of some rows only."""
        return PatchPlacement(self.top[keep], self.left[keep], self.high[keep])

    def chosen(self, better: Mask, other: "PatchPlacement") -> "PatchPlacement":
        """Return ``other`` where it is better, and this elsewhere."""
        return PatchPlacement(
            np.where(better, other.top, self.top),
            np.where(better, other.left, self.left),
            np.where(better[:, None, None], other.high, self.high),
        )

    def on(self, ball: PerturbationBall) -> Floats:
        """Return the clean pictures with the patches on them."""
        row = ball.clean.shape[1:]
        places = window_places(self.top, self.left, self.side, picture_size(row)[1])[:, None, :]
        painted = as_planes(ball.clean.astype(np.float64)).copy()
        every = np.broadcast_to(places, self.high.shape)
        low, high = (
            np.take_along_axis(as_planes(end), every, axis=2) for end in (ball.lower, ball.upper)
        )
        np.put_along_axis(painted, every, np.where(self.high, high, low), axis=2)
        return as_rows(painted, row)

    @property
    def side(self) -> int:
        """How many pixels the patch is wide."""
        return math.isqrt(self.high.shape[2])


@dataclass(frozen=True, slots=True, eq=False)
class RandomPatchState:
    """The best patch of each row so far, its loss on the target, and what was proposed last."""

    ball: PerturbationBall
    patch: PatchPlacement
    loss: Floats
    tried: PatchPlacement
    iteration: int
    budget: int
    rng: np.random.Generator

    @property
    def best(self) -> Floats:
        """The strongest point of each row so far."""
        return self.patch.on(self.ball)

    def ask(self) -> Query:
        """Ask about the last proposal."""
        return query_each_row(self.tried.on(self.ball))

    def tell(self, answer: QueryResult) -> "RandomPatchState":
        """Keep the better one of each row, then move it or repaint a part of it.

        An equal one is kept as well: where nothing under it matters, a patch has to wander.
        """
        better = answer.margin >= self.loss
        patch = self.patch.chosen(better, self.tried)
        step = self.iteration + 1
        if step % MOVE_EVERY == 0:
            size = picture_size(self.ball.clean.shape[1:])
            spent = step / self.budget
            reach = max(1, int(FIRST_SHIFT * (1 - spent) * max(size)))
            steps = self.rng.integers(-reach, reach + 1, (2, len(patch.top)))
            tried = PatchPlacement(
                np.clip(patch.top + steps[0], 0, size[0] - patch.side),
                np.clip(patch.left + steps[1], 0, size[1] - patch.side),
                patch.high,
            )
        else:
            # Give a square part of each patch one colour; one pixel alone changes its own
            spent = step / self.budget
            rows, channels, _ = patch.high.shape
            part = FIRST_SHARE / 2.0 ** sum(spent > bound for bound in HALVINGS)
            side = max(1, round(np.sqrt(part) * patch.side))
            corner = self.rng.integers(0, patch.side - side + 1, (2, rows))
            places = window_places(corner[0], corner[1], side, patch.side)[:, None, :]
            every = np.broadcast_to(places, (rows, channels, side * side))
            old = np.take_along_axis(patch.high, every, axis=2)
            colour = np.broadcast_to(self.rng.random((rows, channels, 1)) < 1 / 2, old.shape)
            same = (colour == old).all(axis=(1, 2))
            high = patch.high.copy()
            np.put_along_axis(high, every, np.where(same[:, None, None], ~colour, colour), axis=2)
            tried = PatchPlacement(patch.top, patch.left, high)
        return replace(
            self,
            patch=patch,
            loss=np.where(better, answer.margin, self.loss),
            tried=tried,
            iteration=step,
        )

    def take(self, keep: Mask) -> "RandomPatchState":
        """Return the search of some rows only."""
        if keep.all():
            return self
        return replace(
            self,
            ball=self.ball.take(keep),
            patch=self.patch.take(keep),
            loss=self.loss[keep],
            tried=self.tried.take(keep),
        )


@dataclass(frozen=True, slots=True)
class RandomPatch:
    """Looks for place and content of one square by the target's scores: one query an iteration."""

    iterations: int

    source = AttackFeedback.SCORES
    minimises = False
    passes = 0

    @property
    def name(self) -> str:
        """The attack and its iterations."""
        return f"patch search, {self.iterations} queries"

    @property
    def rounds(self) -> int:
        """One an iteration."""
        return self.iterations

    @property
    def queries(self) -> int:
        """One an iteration."""
        return self.iterations

    def begin(self, ground: AttackContext, rng: np.random.Generator) -> RandomPatchState:
        """Begin anywhere, with one colour a patch."""
        ball, rows = ground.ball, len(ground.labels)
        row = ball.clean.shape[1:]
        height, width = picture_size(row)
        side = largest_side(ball.eps, height, width)
        channels = as_planes(ball.lower).shape[1]
        colour = rng.random((rows, channels, 1)) < 1 / 2
        patch = PatchPlacement(
            rng.integers(0, height - side + 1, rows),
            rng.integers(0, width - side + 1, rows),
            np.repeat(colour, side * side, axis=2),
        )
        never = np.full(rows, -np.inf)
        return RandomPatchState(ball, patch, never, patch, 0, self.iterations, rng)


def largest_side(places: float, height: int, width: int) -> int:
    """Return the side of the largest square of at most so many pixels, within the picture."""
    return max(1, min(int(np.sqrt(places) + 1e-9), height, width))


FIRST_STEP, LAST_STEP = 0.25, 0.02
"""How far one step moves a pixel, in ranges, at first and at last; falling by a cosine."""


@dataclass(frozen=True, slots=True, eq=False)
class GradientPatchState:
    """Where each row's patch stands: ``inside`` marks its square, once the first slope is known."""

    ball: PerturbationBall
    aim: LossAim
    point: Floats
    inside: Floats
    best: Floats
    loss: Floats
    step: int
    steps: int
    rank: int

    def ask(self) -> Query:
        """Ask about the present patches; at first about the clean pictures."""
        return query_each_row(self.point)

    def tell(self, answer: QueryResult) -> "GradientPatchState":
        """Keep the stronger patch, and step up the slope within the square."""
        value, cotangent = logit_difference(answer.logits, self.aim)
        slope = answer.pull(cotangent) * self.ball.scale
        if self.step == 0:
            # Lay the patch where a plane of this slope would rise most, at its best corner
            low, high = self.ball.reach()
            promise = np.maximum(slope * high, slope * low)
            # 1 within the square of each picture that promises most, 0 elsewhere. `rank` of
            # more skips as many squares before it: those that promise more and lie apart.
            rank = self.rank
            row = self.ball.clean.shape[1:]
            height, width = picture_size(row)
            side = largest_side(self.ball.eps, height, width)
            weight = as_planes(promise).sum(axis=1).reshape(-1, height, width)
            total = square_weights(weight, side)
            down, over = np.arange(total.shape[1]), np.arange(total.shape[2])
            for again in range(rank + 1):
                place = total.reshape(len(total), -1).argmax(axis=1)
                top, left = np.unravel_index(place, total.shape[1:])
                if again < rank:
                    close = np.abs(down - top[:, None])[:, :, None] * 2 < side
                    close = close & (np.abs(over - left[:, None])[:, None, :] * 2 < side)
                    total = np.where(close, -np.inf, total)
            planes = np.zeros(as_planes(promise).shape)
            places = window_places(np.asarray(top), np.asarray(left), side, width)[:, None, :]
            every = np.broadcast_to(places, (*planes.shape[:2], side * side))
            np.put_along_axis(planes, every, 1.0, axis=2)
            inside = as_rows(planes, row)
            corner = np.where(slope > 0, self.ball.upper, self.ball.lower)
            point = np.where((inside > 0) & (self.ball.scale > 0), corner, self.point)
            return replace(self, inside=inside, point=point, best=point, step=1)
        better = value > self.loss
        turn = (1 + np.cos(np.pi * self.step / max(self.steps, 1))) / 2
        length = LAST_STEP + (FIRST_STEP - LAST_STEP) * turn
        ahead = self.point + length * np.sign(slope) * self.inside * self.ball.scale
        return replace(
            self,
            point=np.clip(ahead, self.ball.lower, self.ball.upper),
            best=np.where(broadcast_rows(better, self.point), self.point, self.best),
            loss=np.where(better, value, self.loss),
            step=self.step + 1,
        )

    def take(self, keep: Mask) -> "GradientPatchState":
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


@dataclass(frozen=True, slots=True)
class GradientPatch:
    """Climbs on the twin within the square of ``rank`` (0: where the slope promises most)."""

    steps: int
    rank: int = 0

    source = AttackFeedback.TWIN
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

    def begin(self, ground: AttackContext, rng: np.random.Generator) -> GradientPatchState:
        """Begin at the clean pictures: the climb draws nothing at random."""
        del rng
        clean = ground.ball.clean.astype(np.float64)
        return GradientPatchState(
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
