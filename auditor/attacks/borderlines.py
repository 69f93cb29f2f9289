"""Neighbouring inputs that one stack of hardware and software decides differently.

Two rows of different classes are drawn together until they differ in one coordinate by one step
of what the input can hold. Between such neighbours the last bits of every sum decide, so that
another instruction set, runtime or precision gives other labels. Source: Schlögl, Kupek and Böhme
2021, iNNformant: Boundary Samples as Telltale Watermarks (arXiv 2106.07303).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from auditor.domain.tasks import Array, Feature, FeatureKind, Floats, InputSpace

Labels = NDArray[np.int64]
Decide = Callable[[Array], Labels]
"""Asks a model for the class of each row."""
COARSE, FINE = 48, 160
"""Halvings: down to some steps apart, then (one coordinate, mostly few) to neighbours."""
DISCRETE = frozenset({FeatureKind.BINARY, FeatureKind.CATEGORICAL})


@dataclass(frozen=True, slots=True, eq=False)
class Grid:
    """The values that an input can hold: of a dtype, and in steps where there are any.

    ``low`` and ``quantum`` broadcast to a row; ``free`` is false for coordinates that stay as
    they are, because no value between two codes means anything.
    """

    dtype: np.dtype[np.generic]
    low: Floats
    quantum: Floats
    free: NDArray[np.bool_]

    def snap(self, points: Floats) -> Floats:
        """Return the nearest values that the grid holds, as float64, which holds them all."""
        step = np.where(self.quantum > 0, self.quantum, 1.0)
        stepped = self.low + step * np.rint((points - self.low) / step)
        held = np.where(self.quantum > 0, stepped, points)
        whole = np.rint(held) if self.dtype.kind in "biu" else held
        return whole.astype(self.dtype).astype(np.float64)


@dataclass(frozen=True, slots=True, eq=False)
class Neighbours:
    """Pairs of rows ``[n, ...]``, one step apart, with the class of each on the reference."""

    near: Floats
    far: Floats
    near_class: Labels
    far_class: Labels


def grid_of(rows: Array, dtype: str, space: InputSpace | None) -> Grid:
    """Return the grid of rows like ``rows`` that enter a model as ``dtype``.

    The coarser of the two types holds: whole numbers where the data has whole numbers.
    """
    shape = rows.shape[1:]
    entered = np.dtype(dtype) if dtype else rows.dtype
    coarse = rows.dtype if rows.dtype.kind in "biu" else min((rows.dtype, entered), key=_fineness)
    low, quantum = (
        (np.zeros(shape), np.zeros(shape))
        if space is None
        else (np.broadcast_to(space.low, shape), np.broadcast_to(space.quantum, shape))
    )
    return Grid(coarse, low, quantum, _free(space, shape))


def neighbours(decide: Decide, first: Array, second: Array, grid: Grid) -> Neighbours:
    """Draw each pair of rows together until they are neighbours; pairs decided alike drop out.

    ``decide`` is asked about ``COARSE`` rows a pair, then the logarithm of the row's size, then
    as many as one coordinate takes.
    """
    near = grid.snap(first.astype(np.float64))
    far = grid.snap(np.where(grid.free, second.astype(np.float64), near))
    ask = _typed(decide, first.dtype)
    near_class, far_class = ask(near), ask(far)
    keep = near_class != far_class
    pairs = Neighbours(near[keep], far[keep], near_class[keep], far_class[keep])
    if not keep.any():
        return pairs
    pairs = _halve(ask, pairs, grid, COARSE)
    return _halve(ask, _one_coordinate(ask, pairs), grid, FINE)


def _halve(ask: Decide, pairs: Neighbours, grid: Grid, rounds: int) -> Neighbours:
    near, far, beyond = pairs.near.copy(), pairs.far.copy(), pairs.far_class.copy()
    axes = tuple(range(1, near.ndim))
    for _ in range(rounds):
        middle = grid.snap((near + far) / 2)
        apart = (middle != near).any(axis=axes) & (middle != far).any(axis=axes)
        live = np.flatnonzero(apart)
        if not live.size:
            break
        said = ask(middle[live])
        same = said == pairs.near_class[live]
        near[live[same]] = middle[live[same]]
        far[live[~same]] = middle[live[~same]]
        beyond[live[~same]] = said[~same]
    return Neighbours(near, far, pairs.near_class, beyond)


def _one_coordinate(ask: Decide, pairs: Neighbours) -> Neighbours:
    """Move one coordinate after another from near to far, and stop where the class changes."""
    shape = pairs.near.shape
    near, far = (side.reshape(len(side), -1) for side in (pairs.near, pairs.far))
    differs = near != far
    rank = np.where(differs, np.cumsum(differs, axis=1) - 1, near.shape[1])
    low, high = np.zeros(len(near), dtype=np.int64), differs.sum(axis=1)
    beyond = pairs.far_class.copy()

    def moved(count: Labels) -> Floats:
        return np.where(rank < count[:, None], far, near).reshape(shape)

    while (high - low > 1).any():
        live = np.flatnonzero(high - low > 1)
        middle = (low + high) // 2
        said = ask(moved(middle)[live])
        same = said == pairs.near_class[live]
        low[live[same]] = middle[live[same]]
        high[live[~same]] = middle[live[~same]]
        beyond[live[~same]] = said[~same]
    return Neighbours(moved(low), moved(high), pairs.near_class, beyond)


def _typed(decide: Decide, dtype: np.dtype[np.generic]) -> Decide:
    return lambda points: decide(points.astype(dtype))


def _fineness(dtype: np.dtype[np.generic]) -> tuple[bool, int]:
    return dtype.kind not in "biu", dtype.itemsize


def _free(space: InputSpace | None, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    features: tuple[Feature, ...] = () if space is None else space.features
    if not features:
        return np.ones(shape, dtype=np.bool_)
    return np.array([item.kind not in DISCRETE and not item.one_hot for item in features])
