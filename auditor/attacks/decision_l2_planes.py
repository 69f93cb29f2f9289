"""Planes through a clean row and a success of it: what decision attacks in L2 walk along."""

from dataclasses import dataclass

import numpy as np

from auditor.attacks.balls import Ball
from auditor.attacks.norms import TINY, Norm, flat, size, wide
from auditor.domain.images import image_axes
from auditor.domain.tasks import Floats

SHARES = (0.15, 0.25, 0.5)
"""How much of a picture's frequencies a direction has, one of these at random: few at first hit
more often, many are needed in the end."""


def on_circle(success: Floats, across: Floats, angle: Floats) -> Floats:
    """Return changes on the circle over the segment from the clean row to each ``success``.

    At angle 0 lies the success itself, at a right angle the clean row; the size falls as the
    cosine. ``across`` is a unit direction orthogonal to the success, the side that a positive
    angle turns to. Where the decision line is a plane, its nearest point lies on the circle of the
    right direction (Thales; Maho et al. 2021, section 4).
    """
    cosine, sine = wide(np.cos(angle), success), wide(np.sin(angle), success)
    length = wide(size(success, Norm.L2), success)
    return cosine * (cosine * success + sine * length * across)


def across(success: Floats, wish: Floats) -> Floats:
    """Return ``wish`` without its part along ``success``, of length 1."""
    square = np.maximum((flat(success) ** 2).sum(axis=1), TINY)
    along = (flat(success) * flat(wish)).sum(axis=1) / square
    rest = wish - wide(along, wish) * success
    return np.asarray(rest / wide(np.maximum(size(rest, Norm.L2), TINY), rest))


@dataclass(frozen=True, slots=True, eq=False)
class Directions:
    """Random directions over the coordinates of a ball that may move: smooth ones on pictures."""

    ball: Ball

    def draw(self, rows: int, rng: np.random.Generator) -> Floats:
        """Return ``rows`` directions; on a picture each has its own share of the frequencies."""
        row = self.ball.clean.shape[1:]
        axes = image_axes(row)
        if axes is None:
            return np.asarray(rng.normal(size=(rows, *row)) * (self.ball.scale > 0))
        channels = 1 if axes[2] is None else row[axes[2]]
        height, width = row[axes[0]], row[axes[1]]
        down, over = cosines(height, max(SHARES)), cosines(width, max(SHARES))
        share = rng.choice(SHARES, rows)
        waves = rng.normal(size=(rows, channels, down.shape[1], over.shape[1]))
        waves = waves * _below(share * height, down)[:, None, :, None]
        waves = waves * _below(share * width, over)[:, None, None, :]
        pictures = down @ waves @ over.T
        if axes[2] is not None and axes[2] > axes[0]:
            pictures = np.moveaxis(pictures, 1, 3)
        return np.asarray(pictures.reshape(rows, *row) * (self.ball.scale > 0))


def cosines(length: int, share: float) -> Floats:
    """Return the slowest ``share`` of the cosine waves of ``length`` places: ``[length, waves]``.

    They are orthonormal (the second discrete cosine transform).
    """
    count = max(1, int(np.ceil(share * length)))
    angles = np.pi * (np.arange(length)[:, None] + 0.5) * np.arange(count) / length
    waves = np.cos(angles)
    return np.asarray(waves / np.sqrt((waves * waves).sum(axis=0)))


def _below(limit: Floats, waves: Floats) -> Floats:
    kept: Floats = (np.arange(waves.shape[1]) < np.ceil(limit)[:, None]).astype(np.float64)
    return kept
