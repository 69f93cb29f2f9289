"""Smooth calibration error by a reflected Gaussian kernel, its null, curve and paired change."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.fft import dct, idct

from auditor.domain.readings import ConfidenceInterval
from auditor.domain.report_panels import DiagramPoint
from auditor.domain.tasks import Floats
from auditor.metrics.stats.means import LEAST_PAIRS
from auditor.metrics.stats.proportions import exact_limits

CELLS = 2048
STEPS = 14
GUESS = 0.05


def cosine_coefficients(mass: Floats) -> Floats:
    """Return the cosines ``[..., cells]`` of mass in cells of equal width on ``[0, 1]``."""
    return np.asarray(dct(mass, axis=-1), dtype=np.float64)


def spread_reflected(of: Floats, width: float | Floats) -> Floats:
    """Spread mass by a reflected Gaussian: cosines are its eigenfunctions on ``[0, 1]``."""
    damped = np.exp(-0.5 * (np.pi * np.arange(of.shape[-1]) * np.asarray(width)[..., None]) ** 2)
    return np.asarray(idct(of * damped, axis=-1), dtype=np.float64)


def spread_norms(of: Floats, width: float | Floats) -> Floats:
    """Return the sums of absolute mass ``[...]`` of waves ``[..., cells]`` after spreading."""
    return np.asarray(np.abs(spread_reflected(of, width)).sum(axis=-1))


def crossing_point(falling: Callable[[Floats], Floats], near: float | Floats) -> Floats:
    """Return where a function that falls meets its own argument, from a guess within 0..1.

    An argument and its value always lie on both sides of that place.
    """
    at = np.asarray(near, dtype=np.float64)
    low, high = np.zeros_like(at), np.ones_like(at)
    for _ in range(STEPS):
        value = falling(at)
        low = np.maximum(low, np.minimum(at, value))
        high = np.minimum(high, np.maximum(at, value))
        at = (low + high) / 2
    return at


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
class CalibrationNull:
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
class SmoothCalibration:
    """The error, which is the width of its kernel too, the null, and the curve."""

    interval: ConfidenceInterval
    null: CalibrationNull
    curve: tuple[DiagramPoint, ...]


@dataclass(frozen=True, slots=True, eq=False)
class _CalibrationGrid:
    """By cell: rows, hits, sums of what was stated, and of squared errors."""

    rows: Floats
    hits: Floats
    stated: Floats
    squares: Floats

    @classmethod
    def of(cls, stated: Floats, happened: NDArray[np.bool_]) -> "_CalibrationGrid":
        cells = np.minimum(stated * CELLS, CELLS - 1).astype(np.int64)
        true, off = happened.astype(np.float64), happened - stated

        def total(values: Floats | None = None) -> Floats:
            return np.bincount(cells, values, CELLS).astype(np.float64)

        return cls(total(), total(true), total(stated), total(off * off))

    def coarse(self) -> "_CalibrationGrid":
        """Return the grid on which chance is drawn."""
        parts = (self.rows, self.hits, self.stated, self.squares)
        return _CalibrationGrid(*(item.reshape(DRAWN_CELLS, -1).sum(axis=1) for item in parts))

    @property
    def count(self) -> float:
        return float(self.rows.sum())

    @property
    def errors(self) -> Floats:
        """The waves of what was seen."""
        return cosine_coefficients((self.hits - self.stated) / self.count)

    def noise(self, rng: np.random.Generator) -> Floats:
        """Return the waves of what chance may add, ``[DRAWS, cells]``."""
        return cosine_coefficients(
            rng.normal(size=(DRAWS, self.rows.size)) * np.sqrt(self.squares) / self.count
        )

    def calibrated(self, rng: np.random.Generator) -> Floats:
        """Return the waves of calibrated models that state the same, ``[DRAWS, cells]``."""
        chances = np.clip(self.stated / np.maximum(self.rows, 1), 0, 1)
        hits = rng.binomial(self.rows.astype(np.int64), chances, (DRAWS, self.rows.size))
        return cosine_coefficients((hits - self.stated) / self.count)


def smooth_calibration_error(
    stated: Floats, happened: NDArray[np.bool_], confidence: float, seed: int
) -> SmoothCalibration:
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
    rng, grid = np.random.default_rng(seed), _CalibrationGrid.of(stated, happened)
    found, coarse = grid.errors, grid.coarse()
    noise = coarse.noise(rng)
    value = float(crossing_point(lambda width: spread_norms(found, width), GUESS))

    def reach(width: Floats) -> Floats:
        return np.asarray(np.quantile(spread_norms(noise, width), confidence))

    unseen = -math.log(1 - confidence) / len(stated)
    low = value - float(reach(np.asarray(value))) - CLOSE
    high = float(
        crossing_point(lambda width: spread_norms(found, width) + reach(width) + unseen, value)
    )
    ends = max(0.0, low), min(1.0, max(high, value))
    return SmoothCalibration(
        ConfidenceInterval(value, *ends, confidence, METHOD, len(stated)),
        _null(coarse.calibrated(rng), value),
        _curve(grid, max(value, CURVE_WIDTH), confidence),
    )


def _null(drawn_waves: Floats, found: float) -> CalibrationNull:
    near = crossing_point(lambda width: spread_norms(drawn_waves[:FEW], width).mean(), GUESS)
    drawn = crossing_point(lambda width: spread_norms(drawn_waves, width), np.full(DRAWS, near))
    low, high = np.quantile(drawn, [(1 - NULL_LEVEL) / 2, (1 + NULL_LEVEL) / 2])
    as_much = int(np.count_nonzero(drawn >= found - CLOSE))
    p_value = (as_much + 1) / (DRAWS + 1)
    return CalibrationNull(float(drawn.mean()), float(low), float(high), p_value, DRAWS)


def _curve(grid: _CalibrationGrid, width: float, confidence: float) -> tuple[DiagramPoint, ...]:
    """Return the kernel regression of outcomes, with exact limits for the rows that it rests on.

    Those are the square of the sum of weights over the sum of their squares (Kish 1965), which a
    narrower kernel gives.
    """
    rows, hits, stated = (
        spread_reflected(cosine_coefficients(item), width) * CELLS
        for item in (grid.rows, grid.hits, grid.stated)
    )
    narrow = spread_reflected(cosine_coefficients(grid.rows), width / math.sqrt(2)) * CELLS
    size = rows**2 * 2 * width * math.sqrt(math.pi) / np.maximum(narrow, 1e-12)
    size = np.clip(size, 0, grid.count)
    places = np.linspace(0, CELLS - 1, POINTS).astype(np.int64)
    kept = places[size[places] >= FEWEST]
    share = np.clip(hits[kept] / rows[kept], 0, 1)
    low, high = exact_limits(share * size[kept], size[kept], (1 - confidence) / 2)
    at = np.clip(stated[kept] / rows[kept], 0, 1)
    listed = zip(at.tolist(), share.tolist(), low.tolist(), high.tolist(), strict=True)
    return tuple(DiagramPoint(*item) for item in listed)


CHANGE_CELLS = 512
CHANGE_DRAWS = 200
CHANGE_METHOD = f"paired smooth ece, norms of the noise by {CHANGE_DRAWS} gaussian multipliers"
Flags = NDArray[np.bool_]
Run = tuple[Floats, Flags]
"""What was stated ``[n]``, and what happened ``[n]``."""


def smooth_calibration_change(
    before: Run, after: Run, confidence: float, seed: int
) -> ConfidenceInterval:
    """Return the smooth calibration error ``after``, less that ``before``, of the same rows.

    Both are Blasiok and Nakkiran's (2023, arXiv 2309.12236). Two bounds hold jointly (Bonferroni),
    and the interval is where both do: each error is off by the norm of its own noise at most, and
    by the triangle inequality the errors are no further apart than the norm of their difference,
    which is small where both runs state about the same. Either allows for an error too rare to be
    seen. Raises ``ValueError`` for fewer than 30 rows.
    """
    rows = len(before[0])
    if rows < LEAST_PAIRS:
        message = f"{rows} rows, where a change needs {LEAST_PAIRS}"
        raise ValueError(message)
    errors = [(happened - stated) / rows for stated, happened in (before, after)]
    cells = [
        np.minimum(run[0] * CHANGE_CELLS, CHANGE_CELLS - 1).astype(np.int64)
        for run in (before, after)
    ]
    one, other = (
        cosine_coefficients(np.bincount(at, error, CHANGE_CELLS).astype(np.float64))
        for at, error in zip(cells, errors, strict=True)
    )
    was, now = _error(one), _error(other)
    # The waves of what chance adds to either run, `[DRAWS, CELLS]`; rows go together
    rng = np.random.default_rng(seed)
    drawn = np.empty((2, CHANGE_DRAWS, CHANGE_CELLS))
    for place in range(CHANGE_DRAWS):
        signs = rng.normal(size=len(errors[0]))
        for run in (0, 1):
            drawn[run, place] = np.bincount(cells[run], errors[run] * signs, CHANGE_CELLS)
    noise, more = cosine_coefficients(drawn[0]), cosine_coefficients(drawn[1])
    level, narrow = (1 + confidence) / 2, min(was, now)
    unseen = -math.log(1 - level) / rows
    away = float(np.quantile(spread_norms(noise, was) + spread_norms(more, now), level)) + unseen
    apart = float(np.quantile(spread_norms(more - noise, narrow), level)) + unseen
    apart += float(spread_norms(other - one, narrow))
    change = now - was
    low, high = max(change - away, -apart), min(change + away, apart)
    return ConfidenceInterval(
        change, min(low, change), max(high, change), confidence, CHANGE_METHOD, rows
    )


def _error(seen: Floats) -> float:
    return float(crossing_point(lambda width: spread_norms(seen, width), GUESS))
