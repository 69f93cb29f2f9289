"""Square Attack in the L-infinity ball (Andriushchenko et al. 2020, arXiv 1912.00049)."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from auditor.attacks.threats import Ball
from auditor.domain.tasks import Floats

FIRST_SHARE = 0.8
HALVINGS = (0.001, 0.005, 0.02, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8)
"""Shares of the budget after which the share of changed coordinates halves (section 4.2)."""
FEWEST_AXES, MOST_CHANNELS = 2, 4
IMAGE_AXES = 3

Mask = NDArray[np.bool_]


def share(iteration: int, budget: int) -> float:
    """Return the share of coordinates that iteration ``iteration`` of ``budget`` changes."""
    spent = iteration / budget
    return FIRST_SHARE / 2.0 ** sum(spent > bound for bound in HALVINGS)


@dataclass(frozen=True, slots=True, eq=False)
class Search:
    """The best point of each row so far, and its loss on the target."""

    best: Floats
    loss: Floats

    def take(self, keep: Mask) -> "Search":
        """Return the search of some rows only."""
        return replace(self, best=self.best[keep], loss=self.loss[keep])

    def hear(self, points: Floats, loss: Floats) -> "Search":
        """Return the search after ``points`` scored ``loss``: the better one of each row stays."""
        better = loss > self.loss
        wide = better.reshape(-1, *[1] * (self.best.ndim - 1))
        return Search(np.where(wide, points, self.best), np.where(better, loss, self.loss))


def image_axes(row: tuple[int, ...]) -> tuple[int, int, int | None] | None:
    """Return the axes of height, width and channels of a row, or ``None`` where it is no image.

    Two axes are a grey image; of three axes a short first or last one is the channels.
    """
    if len(row) == FEWEST_AXES:
        return (0, 1, None)
    if len(row) != IMAGE_AXES:
        return None
    if row[0] <= MOST_CHANNELS or row[2] > MOST_CHANNELS:
        return (1, 2, 0)
    return (0, 1, 2)


def stripes(ball: Ball, radius: Floats, rng: np.random.Generator) -> Floats:
    """Return where the search starts: vertical stripes on images, random corners otherwise."""
    clean = ball.clean.astype(np.float64)
    axes = image_axes(clean.shape[1:])
    shape = list(clean.shape)
    if axes is not None:
        shape[1 + axes[0]] = 1
    return ball.project(clean + radius * rng.choice([-1.0, 1.0], shape))


def propose(
    best: Floats, part: float, ball: Ball, radius: Floats, rng: np.random.Generator
) -> Floats:
    """Return ``best`` with a random square of each row (or a random subset) set to a corner.

    ``part`` is the share of coordinates that change. Every channel of a square goes its own way.
    """
    axes = image_axes(best.shape[1:])
    if axes is None:
        chosen, signs = _subset(best, part, radius, rng)
    else:
        chosen, signs = _square(best, part, axes, rng)
    clean = ball.clean.astype(np.float64)
    return ball.project(np.where(chosen, clean + radius * signs, best))


def _subset(
    best: Floats, part: float, radius: Floats, rng: np.random.Generator
) -> tuple[Mask, Floats]:
    movable = np.flatnonzero(np.broadcast_to(radius, best.shape[1:]).reshape(-1) > 0)
    count = max(1, round(part * len(movable)))
    order = rng.random((len(best), len(movable))).argpartition(count - 1, axis=1)[:, :count]
    chosen = np.zeros((len(best), best[0].size), dtype=np.bool_)
    np.put_along_axis(chosen, movable[order], values=True, axis=1)
    return chosen.reshape(best.shape), rng.choice([-1.0, 1.0], best.shape)


def _square(
    best: Floats, part: float, axes: tuple[int, int, int | None], rng: np.random.Generator
) -> tuple[Mask, Floats]:
    height, width = best.shape[1 + axes[0]], best.shape[1 + axes[1]]
    side = min(max(round(np.sqrt(part * height * width)), 1), height, width)
    rows = len(best)
    chosen = _window(rng.integers(0, height - side + 1, rows), side, best, axes[0])
    chosen = chosen & _window(rng.integers(0, width - side + 1, rows), side, best, axes[1])
    shape = [rows] + [1] * (best.ndim - 1)
    if axes[2] is not None:
        shape[1 + axes[2]] = best.shape[1 + axes[2]]
    return chosen, rng.choice([-1.0, 1.0], shape)


def _window(start: NDArray[np.int64], side: int, best: Floats, axis: int) -> Mask:
    places = np.arange(best.shape[1 + axis])
    inside = (places >= start[:, None]) & (places < start[:, None] + side)
    shape = [len(best)] + [1] * (best.ndim - 1)
    shape[1 + axis] = len(places)
    return inside.reshape(shape)
