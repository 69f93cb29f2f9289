"""The input space of reconstructed rows in model inversion, so that the target accepts them."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from auditor.domain.readings import Gap
from auditor.domain.tasks import Array, FeatureKind, Floats, InputFeature, InputSpace

AT_ONCE = 2_000_000
"""Input values that are sent at once."""


@dataclass(frozen=True, slots=True, eq=False)
class ReconstructionSpace:
    """The shape and type of a row, and of its ``d`` coordinates the ranges and steps ``[d]``."""

    shape: tuple[int, ...]
    dtype: "np.dtype[np.generic]"
    low: Floats
    high: Floats
    quantum: Floats
    features: tuple[InputFeature, ...]

    @classmethod
    def of(cls, space: InputSpace | Gap, known: Array) -> "ReconstructionSpace":
        """Take ranges from the declared space, or else from rows ``[n, ...]`` that are known."""
        shape = known.shape[1:]
        if isinstance(space, InputSpace):
            parts = (space.low, space.high, space.quantum)
            low, high, quantum = (np.broadcast_to(it, shape).ravel().astype(float) for it in parts)
            return cls(shape, known.dtype, low, high, quantum, space.features)
        flat = flatten_rows(known)
        low, high = flat.min(axis=0), flat.max(axis=0)
        whole = float(np.issubdtype(known.dtype, np.integer))
        return cls(shape, known.dtype, low, high, np.full(low.shape, whole), ())

    @property
    def width(self) -> Floats:
        """The range of each coordinate."""
        return self.high - self.low

    def rows(self, flat: Floats) -> Array:
        """Return points ``[n, d]`` as rows ``[n, ...]`` within the ranges."""
        inside = np.clip(flat, self.low, self.high)
        if np.issubdtype(self.dtype, np.integer):
            inside = np.rint(inside)
        made: Array = inside.reshape(len(flat), *self.shape).astype(self.dtype)
        return made

    def settle(self, flat: Floats) -> Array:
        """Return rows that the data could hold: on their steps, with codes that there are."""
        inside = np.clip(flat, self.low, self.high)
        steps = np.where(self.quantum > 0, self.quantum, 1.0)
        on_steps = self.low + np.rint((inside - self.low) / steps) * steps
        inside = np.where(self.quantum > 0, on_steps, inside)
        for at, feature in enumerate(self.features):
            inside[:, at] = _coded(inside[:, at], feature)
        for group in {it.one_hot for it in self.features} - {None}:
            places = [at for at, it in enumerate(self.features) if it.one_hot == group]
            best = np.clip(flat, self.low, self.high)[:, places].argmax(axis=1)
            inside[:, places] = np.eye(len(places))[best]
        return self.rows(inside)

    def ask(self, score: Callable[[Array], Floats], flat: Floats) -> Floats:
        """Return the target's ``[n, classes]`` probabilities of settled points ``[n, d]``."""
        size = max(1, AT_ONCE // max(1, flat.shape[1]))
        parts = range(0, len(flat), size)
        return np.concatenate([score(self.settle(flat[at : at + size])) for at in parts])


def _coded(column: Floats, feature: InputFeature) -> Floats:
    if feature.categories:
        codes = np.sort(np.array(feature.categories, dtype=np.float64))
        found: Floats = codes[np.abs(column[:, None] - codes).argmin(axis=1)]
        return found
    whole = feature.kind in {FeatureKind.INTEGER, FeatureKind.BINARY}
    return np.rint(column) if whole else column


def flatten_rows(rows: Array) -> Floats:
    """Return rows ``[n, ...]`` as ``[n, d]``; a missing number is the column's mean."""
    flat = rows.reshape(len(rows), -1).astype(np.float64)
    lost = ~np.isfinite(flat)
    if lost.any():
        counts = np.maximum((~lost).sum(axis=0), 1)
        flat = np.where(lost, np.where(lost, 0.0, flat).sum(axis=0) / counts, flat)
    return flat
