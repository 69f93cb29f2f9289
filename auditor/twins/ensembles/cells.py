"""Cells: the few ranges of each feature that an ensemble of trees can tell apart."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from auditor.domain.certificates import Boxes
from auditor.domain.tasks import Floats
from auditor.twins.ensembles.columns import last_below, next_above
from auditor.twins.ensembles.forests import LEAF, Forest

Ranks = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Axis:
    """One input as the trees see it: cell ``k`` holds the values above ``limits[k - 1]`` and up to
    ``limits[k]``.

    ``first`` and ``last`` are the least and greatest values that a row may take in each cell, where
    it comes from below or from above; ``empty`` cells have none.
    """

    limits: Floats
    first: Floats
    last: Floats
    empty: NDArray[np.bool_]

    def cell(self, values: Floats) -> Ranks:
        """Return the cells that values lie in."""
        return np.searchsorted(self.limits, values, side="left").astype(np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class Grid:
    """All axes of an ensemble, by input, and for each node the cell below which it goes left."""

    axes: dict[int, Axis]
    source: Ranks
    rank: Ranks
    dtype: str

    def cells(self, rows: Floats) -> Ranks:
        """Return the cells ``[n, inputs]`` of rows ``[n, inputs]``; 0 where no tree looks."""
        seen = _typed(rows, self.dtype)
        found = np.zeros(rows.shape, dtype=np.int64)
        for source, axis in self.axes.items():
            found[:, source] = axis.cell(seen[:, source])
        return found


def lay_grid(forest: Forest, boxes: Boxes) -> Grid:
    """Find the cells of a forest's inputs under the steps that ``boxes`` allows."""
    inner = np.flatnonzero(forest.feature != LEAF)
    source, rank = np.full(len(forest.feature), LEAF), np.zeros(len(forest.feature), np.int64)
    limit = np.zeros(len(forest.feature))
    for index, column in enumerate(forest.columns):
        nodes = inner[forest.feature[inner] == index]
        if len(nodes):
            source[nodes] = column.source
            limit[nodes] = last_below(column, forest.threshold[nodes], forest.dtype)
    axes: dict[int, Axis] = {}
    for place in np.unique(source[inner]):
        nodes = inner[source[inner] == place]
        steps = float(boxes.quantum.reshape(-1)[place]), float(boxes.origin.reshape(-1)[place])
        axes[int(place)] = _axis(np.unique(limit[nodes]), *steps, forest.dtype)
        rank[nodes] = axes[int(place)].cell(limit[nodes]) + 1
    return Grid(axes, source, rank, forest.dtype)


def _axis(limits: Floats, quantum: float, origin: float, dtype: str) -> Axis:
    ends = limits[np.isfinite(limits)]
    before, beyond = np.append(-np.inf, ends), np.append(ends, np.inf)
    first, last = np.append(-np.inf, next_above(ends, dtype)), beyond
    if quantum > 0:
        first = np.append(-np.inf, _step_above(ends, quantum, origin, dtype))
        last = np.append(_step_below(ends, quantum, origin, dtype), np.inf)
    empty = (_typed(first, dtype) > beyond) | (_typed(last, dtype) <= before)
    return Axis(ends, first, last, empty)


def _step_above(limits: Floats, quantum: float, origin: float, dtype: str) -> Floats:
    """Return the first steps that the model sees above limits; where steps blur, any value."""
    steps = _steps_near(limits, quantum, origin)
    found = np.where(_typed(steps, dtype) > limits, steps, np.inf).min(axis=0)
    return np.where(np.isinf(found), next_above(limits, dtype), found)


def _step_below(limits: Floats, quantum: float, origin: float, dtype: str) -> Floats:
    """Return the last steps that the model does not see above limits; where they blur, these."""
    steps = _steps_near(limits, quantum, origin)
    found = np.where(_typed(steps, dtype) <= limits, steps, -np.inf).max(axis=0)
    return np.where(np.isinf(found), limits, found)


def _steps_near(limits: Floats, quantum: float, origin: float) -> Floats:
    """Return ``[k, n]`` steps around limits, one of which is the next on either side.

    Whether rounding puts a step on a limit or beside it, only looking at it tells.
    """
    nearest = np.rint((limits - origin) / quantum)
    steps: Floats = origin + (nearest + np.arange(-2.0, 3.0)[:, None]) * quantum
    return steps


def _typed(values: Floats, dtype: str) -> Floats:
    if np.dtype(dtype).kind != "f":
        return values
    with np.errstate(over="ignore"):
        return values.astype(dtype).astype(np.float64)


@dataclass(frozen=True, slots=True, eq=False)
class Reach:
    """What one row can be turned into: for each input the cost of each cell, and its value there.

    ``own`` are the row's cells; a cost is a share of the input's unit, infinite out of reach.
    """

    own: Ranks
    costs: dict[int, Floats]
    values: dict[int, Floats]

    @property
    def steps(self) -> Floats:
        """All finite costs above 0, the smallest first: no other distance can be the smallest."""
        every = np.concatenate([np.empty(0), *self.costs.values()])
        return np.unique(every[np.isfinite(every) & (every > 0)])

    def window(self, source: int, eps: float) -> tuple[int, int]:
        """Return the first and last cell of an input that ``eps`` reaches."""
        cells = np.flatnonzero(self.costs[source] <= eps)
        return int(cells[0]), int(cells[-1])

    def cheapest(self, source: int, low: int, high: int) -> int:
        """Return the cell of an input that costs least among those from ``low`` to ``high``."""
        return low + int(np.argmin(self.costs[source][low : high + 1]))


def reach(grid: Grid, boxes: Boxes, row: int) -> Reach:
    """Return what row number ``row`` of the boxes can be turned into."""
    clean, lower, upper = (
        part[row].reshape(-1).astype(np.float64) for part in (boxes.clean, boxes.lower, boxes.upper)
    )
    unit = boxes.unit.reshape(-1)
    own = grid.cells(clean[None])[0]
    costs, values = dict[int, Floats](), dict[int, Floats]()
    for source, axis in grid.axes.items():
        cells = np.arange(len(axis.first))
        target = np.where(cells > own[source], axis.first, axis.last)
        allowed = (target >= lower[source]) & (target <= upper[source]) & ~axis.empty
        moved = np.abs(target - clean[source])
        share = moved / unit[source] if unit[source] > 0 else np.full(len(cells), np.inf)
        costs[source] = np.where(cells == own[source], 0.0, np.where(allowed, share, np.inf))
        values[source] = np.where(cells == own[source], clean[source], target)
    return Reach(own, costs, values)
