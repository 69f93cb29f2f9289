"""What an attacker may do to a row, and the only points that count as candidates."""

from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from auditor.domain.tasks import Array, FeatureKind, Floats, InputSpace

SLACK = 1e-6
"""Rounding error that is forgiven, as a share of a coordinate's range or of its quantum."""
STEP_SLACK = 1e-3
"""How far a value may stand from its step, in steps, beside its own type's resolution: float32
pixels are not exact multiples of 1/255."""

Mask = NDArray[np.bool_]


class Norm(StrEnum):
    """How the size of a change is measured."""

    LINF = "linf"


@dataclass(frozen=True, slots=True, eq=False)
class Threat:
    """The right to move each coordinate of a row by at most ``eps`` of its range.

    ``radius`` is that in the coordinate's own units, 0 where it is not mutable or one quantum is
    already too far; ``low``, ``high`` and ``quantum`` are those of the input space. All have the
    shape of one row.
    """

    norm: Norm
    eps: float
    low: Floats
    high: Floats
    quantum: Floats
    radius: Floats

    @property
    def width(self) -> Floats:
        """The range of each coordinate, of which ``eps`` is a share."""
        return self.high - self.low

    @property
    def movable(self) -> Mask:
        """Which coordinates the threat can change at all."""
        return self.radius > 0

    def around(self, clean: Array) -> "Ball":
        """Return the candidates that the threat allows for ``[n, ...]`` clean rows.

        The box is widened to a clean value that lies outside it, and a missing one (NaN) stays.
        """
        exact = clean.astype(np.float64)
        lower = np.maximum(exact - self.radius, np.minimum(self.low, exact))
        upper = np.minimum(exact + self.radius, np.maximum(self.high, exact))
        return Ball(clean, lower, upper, self.quantum, self.low)

    def permits(self, clean: Array, crafted: Array) -> Mask:
        """Return for each row whether ``crafted`` keeps norm, box, quantum and immutability."""
        exact, found = clean.astype(np.float64), crafted.astype(np.float64)
        moved = (found != exact) & ~(np.isnan(found) & np.isnan(exact))
        slack = SLACK * np.maximum(self.width, self.quantum)
        near = np.abs(found - exact) <= self.radius + slack
        low, high = np.minimum(self.low, exact), np.maximum(self.high, exact)
        boxed = (found >= low - slack) & (found <= high + slack)
        steps = (found - self.low) / np.where(self.quantum > 0, self.quantum, 1.0)
        blur = STEP_SLACK + _resolution(crafted) / np.where(self.quantum > 0, self.quantum, 1.0)
        stepped = (self.quantum == 0) | (np.abs(steps - np.rint(steps)) <= blur)
        allowed = ~moved | (near & boxed & stepped & (self.radius > 0))
        kept: Mask = allowed.reshape(len(clean), -1).all(axis=1)
        return kept

    def distance(self, clean: Array, crafted: Array) -> Floats:
        """Return each row's largest change, as a share of the coordinate's range."""
        change = np.abs(crafted.astype(np.float64) - clean.astype(np.float64))
        width = self.width
        share = np.where(change > 0, change / np.where(width > 0, width, 1.0), 0.0)
        found: Floats = share.reshape(len(clean), -1).max(axis=1, initial=0.0)
        return found


def linf_threat(
    space: InputSpace, eps: float, row: tuple[int, ...], *, whole: bool = False
) -> Threat:
    """Return the L-infinity threat of ``eps`` (a share of each range) for rows of shape ``row``.

    Features that are immutable, whose codes are no quantities (binary, categorical), or that have
    no finite range stay as they are; integers, and all numbers where ``whole``, move in steps of 1.
    """
    low, high = np.broadcast_to(space.low, row), np.broadcast_to(space.high, row)
    width = high - low
    mutable = np.broadcast_to(space.mutable, row) & np.isfinite(width)
    quantum = np.broadcast_to(space.quantum, row).astype(np.float64)
    if space.features and row[-1:] == (len(space.features),):
        kinds = [feature.kind for feature in space.features]
        ordered = [kind in {FeatureKind.NUMERIC, FeatureKind.INTEGER} for kind in kinds]
        fixed = [feature.immutable for feature in space.features]
        mutable = mutable & np.array(ordered) & ~np.array(fixed)
        steps = np.array([float(kind is FeatureKind.INTEGER) for kind in kinds])
        quantum = np.maximum(quantum, steps)
    quantum = np.maximum(quantum, 1.0) if whole else quantum
    radius = np.where(mutable, eps * np.where(mutable, width, 0.0), 0.0)
    radius = np.where(radius < quantum * (1 - SLACK), 0.0, radius)
    return Threat(Norm.LINF, eps, low, high, quantum, radius)


@dataclass(frozen=True, slots=True, eq=False)
class Ball:
    """All candidates for some rows, between ``lower`` and ``upper`` in steps of ``quantum``."""

    clean: Array
    lower: Floats
    upper: Floats
    quantum: Floats
    origin: Floats

    def take(self, keep: NDArray[np.generic]) -> "Ball":
        """Return the part for some rows."""
        return replace(
            self,
            clean=self.clean[keep],
            lower=self.lower[keep],
            upper=self.upper[keep],
        )

    def project(self, points: Floats) -> Floats:
        """Return the nearest points between the limits, not rounded; a missing value stays."""
        inside: Floats = np.clip(points, self.lower, self.upper)
        return inside

    def settle(self, points: Floats) -> Array:
        """Return the nearest candidates: inside the limits, on a step, in the rows' own type.

        Settling twice changes nothing. A coordinate with no step in reach keeps its clean value.
        """
        exact = self.clean.astype(np.float64)
        points = self.project(points)
        if (self.quantum > 0).any():
            points = np.where(self.quantum > 0, self._stepped(points, exact), points)
        points = np.where(np.isnan(points), exact, points)
        if np.issubdtype(self.clean.dtype, np.integer):
            points = np.rint(points)
        return self._typed(points)

    def _stepped(self, points: Floats, exact: Floats) -> Floats:
        quantum = np.where(self.quantum > 0, self.quantum, 1.0)
        first = np.ceil((self.lower - self.origin) / quantum - SLACK)
        last = np.floor((self.upper - self.origin) / quantum + SLACK)
        nearest = np.clip(np.rint((points - self.origin) / quantum), first, last)
        own = np.rint((exact - self.origin) / quantum)
        # The clean value itself is kept as the file spells it, not recomputed from its step.
        still = (first > last) | (nearest == own)
        return np.where(still, exact, self.origin + nearest * quantum)

    def _typed(self, points: Floats) -> Array:
        typed = points.astype(self.clean.dtype)
        wide = typed.astype(np.float64)
        # A narrower type may round across a limit: step back towards the clean value.
        margin = SLACK * self.quantum
        across = (wide > self.upper + margin) | (wide < self.lower - margin)
        if across.any() and np.issubdtype(self.clean.dtype, np.floating):
            back = np.nextafter(typed, self.clean.astype(typed.dtype))
            typed = np.where(across, back, typed)
        return typed


def _resolution(values: Array) -> Floats:
    """Return how far apart neighbouring numbers of the values' type are; 0 for integers."""
    if not np.issubdtype(values.dtype, np.floating):
        return np.zeros(values.shape)
    apart: Floats = np.spacing(np.abs(values)).astype(np.float64)
    return apart
