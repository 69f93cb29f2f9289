"""The smooth calibration error, what a calibrated model has of it, and the curve behind it."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from auditor.domain.intervals import Interval
from auditor.domain.tasks import Floats
from auditor.stats.proportions import exact_limits
from auditor.stats.spreading import CELLS, GUESS, meeting, norms, spread, waves

DRAWN_CELLS = 512
"""Draws lie on fewer cells: kernels are wider than one of them up to millions of rows."""
DRAWS = 200
CLOSE = 1e-4
"""Grid and search are not finer than that."""
FEW = 16
"""So many draws tell where all of them lie, roughly."""
METHOD = f"smooth ece on {CELLS} cells, norm of the noise by {DRAWS} gaussian multipliers"
NULL_LEVEL = 0.95
POINTS = 41
CURVE_WIDTH = 0.05
FEWEST = 10
"""A point of the curve rests on as many rows at least."""


@dataclass(frozen=True, slots=True)
class Null:
    """What a perfectly calibrated model with these stated probabilities would show.

    19 in 20 draws lie in ``[low, high]``; ``p_value`` is the share of draws that show as much as
    was found (Davison and Hinkley 1997, Bootstrap Methods, section 4.2).
    """

    mean: float
    low: float
    high: float
    p_value: float
    draws: int


@dataclass(frozen=True, slots=True)
class Point:
    """How often ``stated`` came true by the smooth curve, with pointwise limits."""

    stated: float
    happened: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class SmoothError:
    """The error, which is the width of its kernel too, the null, and the curve."""

    interval: Interval
    null: Null
    curve: tuple[Point, ...]


@dataclass(frozen=True, slots=True, eq=False)
class _Grid:
    """By cell: rows, hits, sums of what was stated, and of squared errors."""

    rows: Floats
    hits: Floats
    stated: Floats
    squares: Floats

    @classmethod
    def of(cls, stated: Floats, happened: NDArray[np.bool_]) -> "_Grid":
        cells = np.minimum(stated * CELLS, CELLS - 1).astype(np.int64)
        true, off = happened.astype(np.float64), happened - stated

        def total(values: Floats | None = None) -> Floats:
            return np.bincount(cells, values, CELLS).astype(np.float64)

        return cls(total(), total(true), total(stated), total(off * off))

    def coarse(self) -> "_Grid":
        """Return the grid on which chance is drawn."""
        parts = (self.rows, self.hits, self.stated, self.squares)
        return _Grid(*(item.reshape(DRAWN_CELLS, -1).sum(axis=1) for item in parts))

    @property
    def count(self) -> float:
        return float(self.rows.sum())

    @property
    def errors(self) -> Floats:
        """The waves of what was seen."""
        return waves((self.hits - self.stated) / self.count)

    def noise(self, rng: np.random.Generator) -> Floats:
        """Return the waves of what chance may add, ``[DRAWS, cells]``."""
        return waves(rng.normal(size=(DRAWS, self.rows.size)) * np.sqrt(self.squares) / self.count)

    def calibrated(self, rng: np.random.Generator) -> Floats:
        """Return the waves of calibrated models that state the same, ``[DRAWS, cells]``."""
        chances = np.clip(self.stated / np.maximum(self.rows, 1), 0, 1)
        hits = rng.binomial(self.rows.astype(np.int64), chances, (DRAWS, self.rows.size))
        return waves((hits - self.stated) / self.count)


def smooth_error(
    stated: Floats, happened: NDArray[np.bool_], confidence: float, seed: int
) -> SmoothError:
    """Return the smooth calibration error of ``stated`` ``[n]`` and what ``happened`` ``[n]``.

    Blasiok and Nakkiran (2023), Smooth ECE, arXiv 2309.12236: the mean absolute error after a
    Gaussian kernel, reflected at 0 and 1, whose width is that very error. Since the error falls as
    the width grows, what chance adds to it in that norm bounds how far the truth is away: the
    triangle inequality gives the interval, and no bias near zero breaks it. The upper limit allows
    for an error too rare to be seen among so many rows. Raises ``ValueError`` for no rows.
    """
    if not len(stated):
        message = "a calibration error needs rows"
        raise ValueError(message)
    rng, grid = np.random.default_rng(seed), _Grid.of(stated, happened)
    found, coarse = grid.errors, grid.coarse()
    noise = coarse.noise(rng)
    value = float(meeting(lambda width: norms(found, width), GUESS))

    def reach(width: Floats) -> Floats:
        return np.asarray(np.quantile(norms(noise, width), confidence))

    unseen = -math.log(1 - confidence) / len(stated)
    low = value - float(reach(np.asarray(value))) - CLOSE
    high = float(meeting(lambda width: norms(found, width) + reach(width) + unseen, value))
    ends = max(0.0, low), min(1.0, max(high, value))
    return SmoothError(
        Interval(value, *ends, confidence, METHOD, len(stated)),
        _null(coarse.calibrated(rng), value),
        _curve(grid, max(value, CURVE_WIDTH), confidence),
    )


def _null(drawn_waves: Floats, found: float) -> Null:
    near = meeting(lambda width: norms(drawn_waves[:FEW], width).mean(), GUESS)
    drawn = meeting(lambda width: norms(drawn_waves, width), np.full(DRAWS, near))
    low, high = np.quantile(drawn, [(1 - NULL_LEVEL) / 2, (1 + NULL_LEVEL) / 2])
    as_much = int(np.count_nonzero(drawn >= found - CLOSE))
    p_value = (as_much + 1) / (DRAWS + 1)
    return Null(float(drawn.mean()), float(low), float(high), p_value, DRAWS)


def _curve(grid: _Grid, width: float, confidence: float) -> tuple[Point, ...]:
    """Return the kernel regression of outcomes, with exact limits for the rows that it rests on.

    Those are the square of the sum of weights over the sum of their squares (Kish 1965), which a
    narrower kernel gives.
    """
    rows, hits, stated = (
        spread(waves(item), width) * CELLS for item in (grid.rows, grid.hits, grid.stated)
    )
    narrow = spread(waves(grid.rows), width / math.sqrt(2)) * CELLS
    size = rows**2 * 2 * width * math.sqrt(math.pi) / np.maximum(narrow, 1e-12)
    size = np.clip(size, 0, grid.count)
    places = np.linspace(0, CELLS - 1, POINTS).astype(np.int64)
    kept = places[size[places] >= FEWEST]
    share = np.clip(hits[kept] / rows[kept], 0, 1)
    low, high = exact_limits(share * size[kept], size[kept], (1 - confidence) / 2)
    at = np.clip(stated[kept] / rows[kept], 0, 1)
    listed = zip(at.tolist(), share.tolist(), low.tolist(), high.tolist(), strict=True)
    return tuple(Point(*item) for item in listed)
