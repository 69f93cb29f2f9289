"""Square Attack, a score-based black-box attack, in L-infinity and L2 balls.

Source: Andriushchenko et al. 2020, arXiv 1912.00049; the L2 variant is its algorithm 3.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from auditor.attacks.evasion.attack_protocol import (
    AttackContext,
    AttackFeedback,
    Mask,
    Places,
    Query,
    QueryResult,
    query_each_row,
)
from auditor.attacks.evasion.image_windows import as_planes, as_rows, window_places
from auditor.attacks.evasion.norms import TINY, Norm, broadcast_rows, row_norms, where_rows
from auditor.attacks.evasion.perturbation_ball import PerturbationBall
from auditor.domain.evidence import find_image_axes
from auditor.domain.tasks import Floats

FIRST_SHARE = 0.8
HALVINGS = (0.001, 0.005, 0.02, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8)
"""Shares of the budget after which the share of changed coordinates halves (section 4.2)."""

RowMask = NDArray[np.bool_]


def square_share(iteration: int, budget: int) -> float:
    """Return the share of coordinates that iteration ``iteration`` of ``budget`` changes."""
    spent = iteration / budget
    return FIRST_SHARE / 2.0 ** sum(spent > bound for bound in HALVINGS)


@dataclass(frozen=True, slots=True, eq=False)
class SquareState:
    """The best point of each row so far, its loss on the target, and what was proposed last."""

    ball: PerturbationBall
    best: Floats
    loss: Floats
    asked: Floats
    iteration: int
    budget: int
    rng: np.random.Generator

    def ask(self) -> Query:
        """Ask about the last proposal."""
        return query_each_row(self.asked)

    def tell(self, answer: QueryResult) -> "SquareState":
        """Keep the better one of each row, and propose the next."""
        better = answer.margin > self.loss
        best = where_rows(better, self.asked, self.best)
        part = square_share(self.iteration + 1, self.budget)
        return replace(
            self,
            best=best,
            loss=np.where(better, answer.margin, self.loss),
            asked=propose_square(best, part, self.ball, self.rng),
            iteration=self.iteration + 1,
        )

    def take(self, keep: RowMask) -> "SquareState":
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


def initial_stripes(ball: PerturbationBall, rng: np.random.Generator) -> Floats:
    """Return where the search starts: vertical stripes on images, random corners otherwise."""
    clean = ball.clean.astype(np.float64)
    axes = find_image_axes(clean.shape[1:])
    shape = list(clean.shape)
    if axes is not None:
        shape[1 + axes[0]] = 1
    return ball.project(clean + ball.eps * ball.scale * rng.choice([-1.0, 1.0], shape))


def propose_square(
    best: Floats, part: float, ball: PerturbationBall, rng: np.random.Generator
) -> Floats:
    """Return ``best`` with a random square of each row (or a random subset) set to a corner.

    ``part`` is the share of coordinates that change. Every channel of a square goes its own way.
    A square that stands at its corners already goes to the opposite ones, as in the authors' code:
    a question about the same point again would be lost.
    """
    axes = find_image_axes(best.shape[1:])
    if axes is None:
        movable = np.flatnonzero(np.broadcast_to(ball.scale, best.shape[1:]).reshape(-1) > 0)
        count = max(1, round(part * len(movable)))
        order = rng.random((len(best), len(movable))).argpartition(count - 1, axis=1)[:, :count]
        inside = np.zeros((len(best), best[0].size), dtype=np.bool_)
        np.put_along_axis(inside, movable[order], values=True, axis=1)
        inside, signs = inside.reshape(best.shape), rng.choice([-1.0, 1.0], best.shape)
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


def _square(
    best: Floats, part: float, axes: tuple[int, int, int | None], rng: np.random.Generator
) -> tuple[RowMask, Floats]:
    height, width = best.shape[1 + axes[0]], best.shape[1 + axes[1]]
    side = min(max(round(np.sqrt(part * height * width)), 1), height, width)
    rows = len(best)
    inside = _window(rng.integers(0, height - side + 1, rows), side, best, axes[0])
    inside = inside & _window(rng.integers(0, width - side + 1, rows), side, best, axes[1])
    shape = [rows] + [1] * (best.ndim - 1)
    if axes[2] is not None:
        shape[1 + axes[2]] = best.shape[1 + axes[2]]
    return inside, rng.choice([-1.0, 1.0], shape)


def _window(start: NDArray[np.int64], side: int, best: Floats, axis: int) -> RowMask:
    places = np.arange(best.shape[1 + axis])
    inside = (places >= start[:, None]) & (places < start[:, None] + side)
    shape = [len(best)] + [1] * (best.ndim - 1)
    shape[1 + axis] = len(places)
    return inside.reshape(shape)


LEAST_SIDE = 3
TILES = 5
"""How many windows the first change has along the picture's height (section 4.4)."""


@dataclass(frozen=True, slots=True, eq=False)
class SquareL2State:
    """The best change of each row so far, in ranges, its loss, and what was proposed last."""

    ball: PerturbationBall
    change: Floats
    loss: Floats
    asked: Floats
    iteration: int
    budget: int
    rng: np.random.Generator

    @property
    def best(self) -> Floats:
        """The strongest point of each row so far."""
        return self.ball.at(self.change)

    def ask(self) -> Query:
        """Ask about the last proposal."""
        return query_each_row(self.ball.at(self.asked))

    def tell(self, answer: QueryResult) -> "SquareL2State":
        """Keep the better one of each row, as it was judged, and propose the next."""
        better = answer.margin > self.loss
        judged = self.ball.change(answer.points)
        change = where_rows(better, judged, self.change)
        part = square_share(self.iteration + 1, self.budget)
        return replace(
            self,
            change=change,
            loss=np.where(better, answer.margin, self.loss),
            asked=redistribute_mass(change, part, self.ball, self.rng),
            iteration=self.iteration + 1,
        )

    def take(self, keep: Mask) -> "SquareL2State":
        """Return the search of some rows only."""
        if keep.all():
            return self
        return replace(
            self,
            ball=self.ball.take(keep),
            change=self.change[keep],
            loss=self.loss[keep],
            asked=self.asked[keep],
        )


@dataclass(frozen=True, slots=True)
class SquareAttack:
    """Square Attack on the target's scores: one query an iteration for each live row.

    ``euclidean`` moves mass between windows, which keeps the L2 norm, in place of corners.
    """

    iterations: int
    euclidean: bool = False

    source = AttackFeedback.SCORES
    minimises = False
    passes = 0

    @property
    def name(self) -> str:
        """The attack and its iterations."""
        return f"square{' l2' * self.euclidean}, {self.iterations} queries"

    @property
    def rounds(self) -> int:
        """One an iteration."""
        return self.iterations

    @property
    def queries(self) -> int:
        """One an iteration."""
        return self.iterations

    def begin(self, ground: AttackContext, rng: np.random.Generator) -> SquareState | SquareL2State:
        """Begin at the start that the ground names, or with stripes, or tiles of either sign."""
        ball, start = ground.ball, ground.start
        if self.euclidean:
            change = initial_tiles(ball, rng) if start is None else ball.change(start)
            never = np.full(len(change), -np.inf)
            return SquareL2State(ball, change, never, change, 0, self.iterations, rng)
        start = initial_stripes(ball, rng) if start is None else start
        never = np.full(len(start), -np.inf)
        return SquareState(ball, start, never, start, 0, self.iterations, rng)


def initial_tiles(ball: PerturbationBall, rng: np.random.Generator) -> Floats:
    """Return the first change, in ranges: tiles on pictures, random signs on other rows."""
    planes = as_planes(np.zeros(ball.clean.shape))
    axes = find_image_axes(ball.clean.shape[1:])
    if axes is None:
        planes = rng.choice([-1.0, 1.0], planes.shape)
        return _fill(as_rows(planes, ball.clean.shape[1:]), ball)
    height, width = (ball.clean.shape[1 + axis] for axis in axes[:2])
    side = max(1, height // TILES)
    wave = window_pattern(side).reshape(-1)
    for top in range(0, height - side + 1, side):
        for left in range(0, width - side + 1, side):
            sign = rng.choice([-1.0, 1.0], (*planes.shape[:2], 1))
            corner = np.full(1, top, dtype=np.int64), np.full(1, left, dtype=np.int64)
            planes[:, :, window_places(*corner, side, width)[0]] = sign * wave
    return _fill(as_rows(planes, ball.clean.shape[1:]), ball)


def redistribute_mass(
    change: Floats, part: float, ball: PerturbationBall, rng: np.random.Generator
) -> Floats:
    """Return changes whose mass in two random windows of each row moved into the first of them.

    On a picture a window is a square of about ``part`` of its pixels, elsewhere a random choice
    of ``part`` of the coordinates. Immovable coordinates stay, and the whole has the ball's size.
    """
    planes = as_planes(change)
    first, second, wave = _windows(change, part, ball, rng)
    # The squared norm of each plane within both windows together
    inside = np.zeros((len(planes), planes.shape[2]), dtype=np.bool_)
    np.put_along_axis(inside, first, values=True, axis=1)
    np.put_along_axis(inside, second, values=True, axis=1)
    mass: Floats = (planes**2 * inside[:, None, :]).sum(axis=2)
    left = np.maximum(ball.eps**2 - (planes**2).sum(axis=(1, 2)), 0.0)
    budget = np.sqrt(left[:, None] / planes.shape[1] + mass)[:, :, None]
    old = np.take_along_axis(planes, first[:, None, :], axis=2)
    new = wave * rng.choice([-1.0, 1.0], (*old.shape[:2], 1)) + _unit(old)
    moved = planes.copy()
    np.put_along_axis(moved, np.broadcast_to(second[:, None, :], old.shape), 0.0, axis=2)
    filled = budget * _unit(new)
    np.put_along_axis(moved, np.broadcast_to(first[:, None, :], old.shape), filled, axis=2)
    return _fill(as_rows(moved, ball.clean.shape[1:]), ball)


def window_pattern(side: int) -> Floats:
    """Return the pattern of one window: a hill beside a hollow, of norm 1 (equation 2)."""
    half = side // 2
    pattern = np.concatenate([_hill(half, side), -_hill(side - half, side)])
    return np.asarray(pattern / np.sqrt((pattern * pattern).sum()))


def _hill(height: int, width: int) -> Floats:
    """Return rectangles about the middle, each added with the square of its own inverse size."""
    found = np.zeros((height, width))
    top, left = height // 2, width // 2
    for ring in range(max(top, left) + 1):
        rows = slice(max(top - ring, 0), top + ring + 1)
        columns = slice(max(left - ring, 0), left + ring + 1)
        found[rows, columns] += 1.0 / (ring + 1) ** 2
    return found / max(float(np.sqrt((found * found).sum())), TINY)


def _windows(
    change: Floats, part: float, ball: PerturbationBall, rng: np.random.Generator
) -> tuple[Places, Places, Floats]:
    """Return two windows a row as places ``[n, m]`` of its planes, and the pattern of the first."""
    axes = find_image_axes(change.shape[1:])
    rows = len(change)
    if axes is None:
        free = np.flatnonzero(np.broadcast_to(ball.scale, change.shape[1:]).reshape(-1) > 0)
        count = max(1, round(part * len(free)))
        pair = [free[rng.random((rows, len(free))).argsort(axis=1)[:, :count]] for _ in range(2)]
        signs = rng.choice([-1.0, 1.0], (rows, 1, count)) / np.sqrt(count)
        return pair[0], pair[1], signs
    height, width = (change.shape[1 + axis] for axis in axes[:2])
    side = max(round(np.sqrt(part * height * width)), LEAST_SIDE) | 1
    side = min(side, height, width)
    found = [
        window_places(
            rng.integers(0, height - side + 1, rows),
            rng.integers(0, width - side + 1, rows),
            side,
            width,
        )
        for _ in range(2)
    ]
    wave = window_pattern(side)
    lying = rng.random(rows) < 1 / 2
    both = np.where(lying[:, None, None], wave, wave.T)
    return found[0], found[1], both.reshape(rows, 1, side * side)


def _unit(values: Floats) -> Floats:
    length = np.sqrt((values * values).sum(axis=2, keepdims=True))
    return np.asarray(values / np.maximum(length, TINY))


def _fill(change: Floats, ball: PerturbationBall) -> Floats:
    """Return the change with nothing where a row cannot move, stretched to the ball's size."""
    free = change * (ball.scale > 0)
    return np.asarray(
        free * broadcast_rows(ball.eps / np.maximum(row_norms(free, Norm.L2), TINY), free)
    )
