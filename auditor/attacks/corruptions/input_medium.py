"""The medium of the inputs that a corruption changes: pictures, or rows of a table."""

from typing import Protocol

import numpy as np

from auditor.domain.tasks import Array, Floats, InputSpace

Rng = np.random.Generator
SLACK = 1e-6
"""Of a step, how far the end of the box may miss one and still count as one."""


class CorruptionMedium(Protocol):
    """Rows that corruptions of some kinds can be done to."""

    @property
    def batch(self) -> int:
        """How many rows to corrupt at a time, so that memory stays small."""
        ...

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape in which one row is shown."""
        ...

    def objection(self, kind: str) -> str:
        """Say why a kind has no meaning for these rows; empty where it has one."""
        ...

    def corrupt(self, rows: Array, kind: str, severity: int, rng: Rng) -> Array:
        """Return corrupted rows: inside the box, on the inputs' steps, in their type.

        ``severity`` is 1..5; 0 returns the rows as they are.
        """
        ...


def snap_inputs(points: Floats, clean: Array, space: InputSpace, quantum: Floats) -> Array:
    """Return the nearest inputs to ``points``: in the box, on a step of ``quantum``, in type.

    The box is widened to a clean value outside it. A point that is missing, or that has no step
    in the box, keeps its clean value; one that is nearest to the step of its clean value is given
    that value as the file spells it.
    """
    exact = clean.astype(np.float64)
    row = clean.shape[1:]
    low = np.broadcast_to(space.low, row)
    lower = np.fmin(low, exact)
    upper = np.fmax(np.broadcast_to(space.high, row), exact)
    inside = np.clip(points, lower, upper)
    step = np.where(quantum > 0, quantum, 1.0)
    first = np.ceil((lower - low) / step - SLACK)
    last = np.floor((upper - low) / step + SLACK)
    nearest = np.clip(np.rint((inside - low) / step), first, last)
    still = (first > last) | (nearest == np.rint((exact - low) / step))
    # The last step may miss the end of the box by a rounding error.
    stepped = np.where(still, exact, np.clip(low + nearest * step, lower, upper))
    found = np.where(quantum > 0, stepped, inside)
    found = np.where(np.isnan(found), exact, found)
    if clean.dtype.kind in "iub":
        return np.rint(found).astype(clean.dtype)
    typed = found.astype(clean.dtype)
    typed_exact = typed.astype(np.float64)
    # A narrower type may round across a limit: step back towards the clean value.
    across = (typed_exact > upper) | (typed_exact < lower)
    if across.any():
        typed = np.where(across, np.nextafter(typed, clean), typed)
    return typed
