"""Column sketches: counts by cell, kept of a reference sample to compare later samples with.

Numbers are counted in 1,024 cells, even ones where no cell holds too much, and else cells of about
equal mass; whole numbers of a short range, and few distinct ones, have a cell each, so that nothing
is lost.
"""

import math
import sys
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from auditor.domain.tasks import Floats

CELLS = 1024
CROWDED = 1 / 128
"""The most of all values that an even cell may hold."""
CHUNK = 16_384
Counts = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class SketchGrid:
    """Cells between ``edges`` ``[k + 1]``, of which each holds its left one; ``even`` or not."""

    edges: Floats
    even: bool

    @property
    def cells(self) -> int:
        """How many cells there are."""
        return self.edges.size - 1


@dataclass(frozen=True, slots=True, eq=False)
class ColumnSketch:
    """What is kept of a sample of numbers on a grid of ``k`` cells.

    ``counts`` ``[k + 2]`` are the numbers below, in each cell and above, ``places`` ``[k + 2]``
    where they lie on average (a cell's middle, where it is even and narrow); ``exact`` says that
    all numbers within a cell are one and the same. ``unknown`` numbers are not counted.
    """

    grid: SketchGrid
    counts: Counts
    places: Floats
    exact: bool
    unknown: int

    @property
    def known(self) -> int:
        """How many numbers were counted."""
        return int(self.counts.sum())

    @property
    def spread(self) -> float:
        """The standard deviation, of places in cells."""
        if not self.known:
            return 0.0
        away = self.places - self.counts @ self.places / self.known
        return math.sqrt(float(self.counts @ away**2) / self.known)


def sketch_column(values: Floats) -> ColumnSketch | None:
    """Return the sketch of a reference ``[n]``, NaN where unknown; ``None`` if all are unknown."""
    known = _known(values)
    if not known.size:
        return None
    low, high = float(known.min()), float(known.max())
    short = low.is_integer() and 0 < high - low < CELLS
    whole = short and np.array_equal(known, np.floor(known))
    if not whole and CELLS * sys.float_info.min < high - low < math.inf:
        even = _count(known, SketchGrid(np.linspace(low, high, CELLS + 1), even=True), len(values))
        if even.counts.max() <= CROWDED * known.size:
            return even
    if whole:
        edges = _closed(np.arange(low, high + 1))
    else:
        distinct = np.unique(known)
        if distinct.size > CELLS:
            ordered = np.sort(known)
            ranks = np.append(np.arange(CELLS) * known.size // CELLS, known.size - 1)
            distinct = np.unique(ordered[ranks])
        edges = _closed(distinct)
    return _count(known, SketchGrid(edges, even=whole), len(values))


def sketch_on_grid(values: Floats, grid: SketchGrid) -> ColumnSketch:
    """Return the sketch of another sample ``[n]`` on the grid of a reference."""
    return _count(_known(values), grid, len(values))


def _known(values: Floats) -> Floats:
    unknown = np.isnan(values)
    return values[~unknown] if unknown.any() else values


def _closed(left: Floats) -> Floats:
    """Return edges of which the highest number has a cell of its own, as narrow as can be."""
    return np.append(left, np.nextafter(left[-1], np.inf))


def _count(known: Floats, grid: SketchGrid, rows: int) -> ColumnSketch:
    low, high = float(grid.edges[0]), float(grid.edges[-1])
    counts, middles, exact = (_narrow if grid.even else _wide)(known, grid)
    below = known[known < low] if counts[0] else known[:0]
    above = known[known > high] if counts[-1] else known[:0]
    counts[-2] += counts[-1] - above.size  # the highest edge belongs to the cell below it
    counts[-1] = above.size
    ends = (float(part.mean()) if part.size else at for part, at in ((below, low), (above, high)))
    places = np.concatenate([[next(ends)], middles, [next(ends)]])
    return ColumnSketch(grid, counts, places, exact, rows - known.size)


def _narrow(known: Floats, grid: SketchGrid) -> tuple[Counts, Floats, bool]:
    """Count in even cells, a chunk at a time, so that all of it stays in the cache."""
    cells, low, high = grid.cells, grid.edges[0], grid.edges[-1]
    whole = grid.edges[1] - low == 1
    scale = 1.0 if whole else cells / (high - low)
    counts = np.zeros(cells + 2, dtype=np.int64)
    for start in range(0, known.size, CHUNK):
        scaled = (known[start : start + CHUNK] - low) * scale
        placed = (np.clip(scaled, -1.0, cells) + 1.0).astype(np.int64)
        counts += np.bincount(placed, minlength=cells + 2)
    if whole:
        return counts, grid.edges[:-1], np.array_equal(known, np.floor(known))
    return counts, (grid.edges[:-1] + grid.edges[1:]) / 2, False


def _wide(known: Floats, grid: SketchGrid) -> tuple[Counts, Floats, bool]:
    """Count in cells of any width, and say where the numbers in each lie on average."""
    left = grid.edges[:-1]
    placed = np.searchsorted(grid.edges, known, side="right")
    counts = np.bincount(placed, minlength=grid.cells + 2).astype(np.int64)
    sums = np.bincount(placed, weights=known, minlength=grid.cells + 2)[1:-1]
    filled = counts[1:-1]
    middles = np.where(filled > 0, sums / np.maximum(filled, 1), left)
    inside = (placed > 0) & (placed <= grid.cells)
    return counts, middles, np.array_equal(known[inside], left[placed[inside] - 1])
