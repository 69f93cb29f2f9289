"""Rows as ART sees them: single precision, every coordinate scaled to 0..1."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from auditor.attacks.threats import Threat
from auditor.domain.images import image_axes
from auditor.domain.tasks import Array, Floats, InputSpace

Mask = NDArray[np.bool_]
Shown = NDArray[np.float32]
"""Rows as ART sees and returns them: ``[n, *Lens.shape]``."""
MISSING = 0.5
"""What ART sees where a value is missing; the model gets the missing value all the same."""


@dataclass(frozen=True, slots=True, eq=False)
class Lens:
    """Shows rows so that a budget of ART's, in its numbers, is one of ours, in ranges.

    A coordinate ``x`` is shown as ``(x - low) / unit``; ``moves`` says which may change. ``clean``
    are the rows, ``[n, ...]``; where a lens is for one row alone, whatever comes back through it
    keeps that row's values where nothing may move. Grey pictures get an axis of channels.
    """

    clean: Array
    low: Floats
    unit: Floats
    moves: Mask
    shape: tuple[int, ...]
    channels_first: bool

    @property
    def picture(self) -> bool:
        """Whether rows are pictures."""
        return image_axes(self.clean.shape[1:]) is not None

    @property
    def shown(self) -> Shown:
        """The clean rows, shown."""
        return self.show(self.clean)

    def show(self, rows: Array) -> Shown:
        """Return any rows ``[m, ...]`` of the same form, shown."""
        exact = np.nan_to_num((rows.astype(np.float64) - self.low) / self.unit, nan=MISSING)
        return exact.astype(np.float32).reshape(len(exact), *self.shape)

    @property
    def mask(self) -> Shown:
        """1 where a shown row may change, and 0 elsewhere."""
        return self.moves.astype(np.float32).reshape(self.shape)

    def real(self, shown: NDArray[np.floating]) -> Array:
        """Return ``[m, *shape]`` shown rows as the model takes them, of any number of rows.

        Raises ``ValueError`` for what is no number, which no model is asked about.
        """
        if not np.isfinite(shown).all():
            raise ValueError("it asked about rows with values that are no numbers")
        exact = self.exact(shown)
        if np.issubdtype(self.clean.dtype, np.integer):
            exact = np.rint(exact)
        return exact.astype(self.clean.dtype)

    def exact(self, shown: NDArray[np.floating]) -> Floats:
        """Return shown rows in the rows' own units, not rounded to their type."""
        rows = shown.astype(np.float64).reshape(len(shown), *self.clean.shape[1:])
        found: Floats = self.low + rows * self.unit
        if self.moves.all():
            return found
        return np.where(self.moves, found, self.clean.astype(np.float64))

    def returned(self, shown: NDArray[np.floating]) -> Floats:
        """Return rows that ART made of the clean ones; where it changed nothing, nothing changes.

        What is no number was not changed either.
        """
        before = self.shown
        same = (shown.astype(np.float32) == before) | ~np.isfinite(shown)
        exact = self.exact(np.where(same, before, shown))
        kept: Floats = np.where(same.reshape(exact.shape), self.clean.astype(np.float64), exact)
        return kept

    def slope(self, gradient: Floats) -> Shown:
        """Return a gradient in the rows' own units as one in shown coordinates."""
        scaled = gradient * np.where(self.moves, self.unit, 0.0)
        return scaled.reshape(len(gradient), *self.shape).astype(np.float32)


def lens_over(clean: Array, threat: Threat) -> Lens:
    """Return the lens for ``[n, ...]`` clean rows under a threat."""
    moves = threat.movable & ~(np.isnan(clean.astype(np.float64)).any(axis=0))
    return _lens(clean, threat.low, threat.high, moves)


def lens_within(rows: Array, space: InputSpace | None) -> Lens:
    """Return the lens for any rows like ``[n, ...]`` ones, all of whose coordinates may change."""
    shape = rows.shape[1:]
    nowhere = np.full(shape, np.nan)
    ends = (nowhere, nowhere) if space is None else (space.low, space.high)
    low, high = (np.broadcast_to(end, shape).astype(np.float64) for end in ends)
    return _lens(rows, low, high, np.ones(shape, dtype=np.bool_))


def _lens(clean: Array, lowest: Floats, highest: Floats, moves: Mask) -> Lens:
    """Return a lens of a box.

    Where a row lies outside of it, or a coordinate has no finite range, the range is widened to
    what the rows hold: nothing shown is outside of 0..1.
    """
    exact = clean.astype(np.float64)
    finite = np.isfinite(exact)
    least = np.where(finite, exact, np.inf).min(axis=0, initial=np.inf)
    most = np.where(finite, exact, -np.inf).max(axis=0, initial=-np.inf)
    low = np.minimum(np.where(np.isfinite(lowest), lowest, np.inf), least)
    high = np.maximum(np.where(np.isfinite(highest), highest, -np.inf), most)
    low = np.where(np.isfinite(low), low, 0.0)
    unit = np.where(np.isfinite(high) & (high > low), high - low, 1.0)
    axes = image_axes(clean.shape[1:])
    grey = axes is not None and axes[2] is None
    return Lens(
        clean=clean,
        low=low,
        unit=unit,
        moves=moves,
        shape=(1, *clean.shape[1:]) if grey else clean.shape[1:],
        channels_first=axes is None or axes[2] in {None, 0},
    )
