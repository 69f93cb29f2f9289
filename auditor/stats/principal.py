"""Wide tables in few columns: those directions along which rows differ most."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Narrow = NDArray[np.float32]
SPARE = 8
"""Directions that are drawn beyond those kept: Halko, Martinsson and Tropp ask for 5 to 10."""
TURNS = 2
"""Power iterations, which sharpen directions that fall off slowly."""


@dataclass(frozen=True, slots=True, eq=False)
class Directions:
    """Where rows ``[n, d]`` lie: each column less ``mean``, over ``scale``, along ``axes``."""

    mean: Narrow
    scale: Narrow
    axes: Narrow

    @classmethod
    def of(cls, rows: Narrow, most: int, seed: int) -> "Directions":
        """Find at most ``most`` principal axes of standardised rows, the widest first.

        By a random sketch of the rows and power iterations (Halko, Martinsson and Tropp 2011, SIAM
        Review 53, "Finding structure with randomness"): the same seed gives the same axes. A column
        that says the same of all rows, up to rounding, counts for nothing, and a number that is
        none for the column's mean.
        """
        known = np.isfinite(rows)
        filled = np.where(known, rows, 0).astype(np.float64)
        counts = np.maximum(known.sum(axis=0), 1)
        mean = filled.sum(axis=0) / counts
        spread = np.sqrt((np.where(known, filled - mean, 0) ** 2).sum(axis=0) / counts)
        same = spread <= np.finfo(np.float32).eps * np.maximum(np.abs(mean), 1e-30)
        scale = np.where(same, np.inf, spread)
        flat = cls(mean.astype(np.float32), scale.astype(np.float32), np.zeros((0, 0), np.float32))
        return cls(flat.mean, flat.scale, _axes(flat.standardised(rows), most, seed))

    def standardised(self, rows: Narrow) -> Narrow:
        """Return rows with columns of mean 0 and deviation 1; what is no number is the mean."""
        with np.errstate(invalid="ignore"):
            found = (rows - self.mean) / self.scale
        return np.where(np.isfinite(found), found, np.float32(0)).astype(np.float32)

    def project(self, rows: Narrow) -> Narrow:
        """Return ``[n, k]``: where rows lie along the axes."""
        found: Narrow = self.standardised(rows) @ self.axes
        return found


def _axes(rows: Narrow, most: int, seed: int) -> Narrow:
    width = min(most + SPARE, *rows.shape)
    sketch = np.random.default_rng(seed).standard_normal((rows.shape[1], width)).astype(np.float32)
    basis = np.linalg.qr(rows @ sketch)[0]
    for _ in range(TURNS):
        basis = np.linalg.qr(rows @ np.linalg.qr(rows.T @ basis)[0])[0]
    _, sizes, axes = np.linalg.svd(basis.T @ rows, full_matrices=False)
    kept = min(most, int((sizes > np.finfo(np.float32).eps * max(rows.shape) * sizes[0]).sum()))
    found: Narrow = np.ascontiguousarray(axes[:kept].T)
    return found
