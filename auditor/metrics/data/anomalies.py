"""Anomaly scores of rows: their distance from known rows."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from auditor.domain.datasets import TABLE_AXES, TEXT
from auditor.domain.evidence import find_image_axes
from auditor.domain.tasks import Array, FeatureKind, Floats, InputFeature
from auditor.metrics.data.near_duplicates import grey_values, grid_means, robust_spread

BLOCK = 8192
LEAST_SPREAD = 1e-9


@dataclass(frozen=True, slots=True, eq=False)
class ColumnScale:
    """How to put the columns of a table on one scale: numbers by middle and spread, categories by
    how rare they are. A missing number lies in the middle, and is as far off as it is rare.

    What never occurred counts as half of a row.
    """

    coded: NDArray[np.bool_]
    middle: Floats
    spread: Floats
    gone: Floats
    unseen: float
    rarity: tuple[tuple[Floats, Floats], ...]

    @classmethod
    def of(cls, known: Floats, features: tuple[InputFeature, ...]) -> "ColumnScale":
        """Take the scale from rows ``[n, columns]`` that are known."""
        fits = len(features) == known.shape[1]
        coded = np.array(
            [fits and features[at].kind is FeatureKind.CATEGORICAL for at in range(known.shape[1])]
        )
        gone = np.isnan(known)
        columns = [column[~lost] for column, lost in zip(known.T, gone.T, strict=True)]
        middle = np.array([np.median(column) if column.size else 0.0 for column in columns])
        width = np.array([max(robust_spread(column), LEAST_SPREAD) for column in columns])
        rarity = tuple(
            _rarity(column) if code else (np.empty(0), np.empty(0))
            for column, code in zip(columns, coded, strict=True)
        )
        unseen = float(np.log(2 * len(known)))
        lost = -np.log(np.maximum(gone.mean(axis=0), np.exp(-unseen)))
        return cls(coded, middle, width, lost, unseen, rarity)

    def points(self, rows: Floats) -> Floats:
        """Return rows as points whose coordinates can be compared."""
        lost = np.isnan(rows)
        found = (np.where(lost, self.middle, rows) - self.middle) / self.spread
        for at in np.flatnonzero(self.coded):
            levels, surprise = self.rarity[at]
            place = np.minimum(np.searchsorted(levels, rows[:, at]), len(levels) - 1)
            seen = levels[place] == rows[:, at] if levels.size else np.zeros(len(rows), np.bool_)
            found[:, at] = np.where(seen, surprise[place], np.where(lost[:, at], 0, self.unseen))
        return np.concatenate((found, (lost * self.gone)[:, lost.any(axis=0)]), axis=1)


def _rarity(column: Floats) -> tuple[Floats, Floats]:
    levels, counts = np.unique(column, return_counts=True)
    return levels, -np.log(counts / counts.sum())


def comparable_points(values: Array) -> Floats | None:
    """Return rows of a table as they are, pictures by their means over a grid; else ``None``."""
    if values.dtype.kind == TEXT:
        return None
    if values.ndim == TABLE_AXES:
        return values.astype(np.float64)
    return None if find_image_axes(values.shape[1:]) is None else grid_means(grey_values(values))


def neighbour_distances(rows: Floats, known: Floats, neighbours: int) -> Floats:
    """Return ``[n]``: the distance of each row to its ``neighbours``-th nearest known one."""
    squares = np.sum(known**2, axis=1)
    found = np.empty(len(rows))
    for start in range(0, len(rows), BLOCK):
        part = rows[start : start + BLOCK]
        away = squares - 2 * part @ known.T
        nearest = np.partition(away, min(neighbours, len(known)) - 1, axis=1)
        reach = nearest[:, min(neighbours, len(known)) - 1] + np.sum(part**2, axis=1)
        found[start : start + BLOCK] = np.sqrt(np.maximum(reach, 0.0))
    return found
