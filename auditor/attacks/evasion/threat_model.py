"""The threat model of an attack: norm, budget, box, steps, and constraints that must hold."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from auditor.attacks.evasion.norms import Norm, row_norms
from auditor.attacks.evasion.perturbation_ball import (
    SLACK,
    STEP_SLACK,
    CoordinateLimits,
    CoordinateLimitsSubset,
    PerturbationBall,
    number_spacing,
    representable_limits,
)
from auditor.domain.evidence import find_image_axes
from auditor.domain.tasks import Array, FeatureKind, Floats, InputSpace

Mask = NDArray[np.bool_]


class PerturbationConstraint(Protocol):
    """What must stay true of a row whatever an attacker does to it, beside box and steps."""

    def holds(self, clean: Array, crafted: Array) -> Mask:
        """Return for each of ``[n, ...]`` rows whether ``crafted`` could be a real row."""
        ...

    def repair(self, clean: Array, crafted: Array) -> Array:
        """Return near rows for which ``holds``, the clean ones where none is found."""
        ...


@dataclass(frozen=True, eq=False)
class ThreatModel:
    """The right to change a row by at most ``eps`` in a norm, each coordinate counted in ranges.

    ``scale`` is the range of each coordinate, 0 where it may not move; ``radius`` the most that it
    can move alone, 0 where one quantum is already too far. ``low``, ``high`` and ``quantum`` are
    those of the input space. All have the shape of one row; ``channels`` is the axis of a row
    whose coordinates count as one place in ``l0``. ``constraints`` join what a candidate keeps.
    """

    norm: Norm
    eps: float
    low: Floats
    high: Floats
    quantum: Floats
    scale: Floats
    radius: Floats
    channels: int | None = None
    constraints: PerturbationConstraint | None = field(default=None)

    @cached_property
    def width(self) -> Floats:
        """The range of each coordinate, of which changes are shares."""
        return self.high - self.low

    @cached_property
    def movable(self) -> Mask:
        """Which coordinates the threat can change at all."""
        return self.radius > 0

    @cached_property
    def unit(self) -> Floats | None:
        """What changes are divided by to count in ranges (``None``: 1 everywhere)."""
        unit = np.where(self.width > 0, self.width, 1.0)
        return None if (unit == 1).all() else unit

    @cached_property
    def forgiven(self) -> Floats:
        """The rounding error that is forgiven at each coordinate."""
        return SLACK * np.maximum(self.width, self.quantum)

    @cached_property
    def box(self) -> tuple[Floats, Floats, Floats]:
        """The least and the largest value of each coordinate and its longest way, all forgiven."""
        slack = self.forgiven
        return self.low - slack, self.high + slack, self.radius + slack

    @cached_property
    def stepped(self) -> bool:
        """Whether any coordinate moves in steps."""
        return bool(self.quantum.any())

    def around(self, clean: Array) -> PerturbationBall:
        """Return the candidates that the threat allows for ``[n, ...]`` clean rows.

        The box is widened to a clean value that lies outside it, and a missing one (NaN) stays.
        """
        exact = clean.astype(np.float64)
        lower, upper = exact - self.radius, exact + self.radius
        np.maximum(lower, np.minimum(self.low, exact), out=lower)
        np.minimum(upper, np.maximum(self.high, exact), out=upper)
        least, most = representable_limits(clean, lower, upper, self.quantum)
        limits = CoordinateLimits(
            clean=clean, exact=exact, lower=lower, upper=upper, least=least, most=most
        )
        return PerturbationBall(
            limits=CoordinateLimitsSubset(limits),
            quantum=self.quantum,
            origin=self.low,
            norm=self.norm,
            eps=self.eps,
            scale=self.scale,
            channels=self.channels,
            repair=None if self.constraints is None else self.constraints.repair,
        )

    def permits(self, clean: Array, crafted: Array) -> Mask:
        """Return for each row whether ``crafted`` keeps norm, box, quantum and constraints."""
        return self.judge(clean, crafted)[0]

    def judge(self, clean: Array, crafted: Array) -> tuple[Mask, Floats]:
        """Return what ``permits`` and ``distance`` do."""
        exact, found = clean.astype(np.float64), crafted.astype(np.float64)
        change = found - exact
        # Which coordinates can move, moved no further than alone they may, and in the box. A clean
        # value outside the box widens it.
        low, high, most = self.box
        above, below = found >= low, found <= high
        if not _whole(above):
            above |= found >= exact - self.forgiven
        if not _whole(below):
            below |= found <= exact + self.forgiven
        allowed: Mask = np.abs(change) <= most
        allowed &= above
        allowed &= below
        allowed &= self.movable
        if self.stepped:
            quantum = np.where(self.quantum > 0, self.quantum, 1.0)
            steps = (found - self.low) / quantum
            blur = STEP_SLACK + number_spacing(crafted) / quantum
            allowed &= np.asarray((self.quantum == 0) | (np.abs(steps - np.rint(steps)) <= blur))
        distance = self._length(change)
        kept = is_within_budget(distance, self.eps)
        if not _whole(allowed):
            # What did not move may stand where nothing could move to.
            allowed |= (found == exact) | (np.isnan(found) & np.isnan(exact))
            kept &= allowed.reshape(len(clean), -1).all(axis=1)
        if self.constraints is not None and kept.any():
            kept[kept] = self.constraints.holds(clean[kept], crafted[kept])
        return kept, distance

    def distance(self, clean: Array, crafted: Array) -> Floats:
        """Return the norm of each row's change, each coordinate counted in ranges."""
        return self._length(crafted.astype(np.float64) - clean.astype(np.float64))

    def _length(self, change: Floats) -> Floats:
        ranges = change if self.unit is None else change / self.unit
        return row_norms(ranges, self.norm, self.channels)


def _whole(mask: Mask) -> bool:
    """Return whether a mask marks everything: counting takes a quarter of the time of ``all``."""
    return int(np.count_nonzero(mask)) == mask.size


def is_within_budget(distance: Floats, eps: float) -> Mask:
    """Return whether a measured distance keeps a budget, rounding error forgiven."""
    near: Mask = distance <= eps + SLACK * max(1.0, eps)
    return near


def lp_threat(  # noqa: PLR0913 -- a threat's own parts
    space: InputSpace,
    norm: Norm,
    eps: float,
    row: tuple[int, ...],
    *,
    whole: bool = False,
    constraints: PerturbationConstraint | None = None,
) -> ThreatModel:
    """Return the threat of budget ``eps`` in a norm for rows of shape ``row``.

    Features that are immutable, whose codes are no quantities (binary, categorical), or that have
    no finite range stay as they are; integers, and all numbers where ``whole``, move in steps of 1.
    """
    low, high = np.broadcast_to(space.low, row), np.broadcast_to(space.high, row)
    mutable, quantum = _freedom(space, row, whole=whole)
    scale = np.where(mutable, np.where(mutable, high - low, 0.0), 0.0)
    radius = scale if norm is Norm.L0 else min(eps, 1.0) * scale
    radius = np.where(radius < quantum * (1 - SLACK), 0.0, radius)
    axes = find_image_axes(row)
    return ThreatModel(
        norm=norm,
        eps=eps,
        low=low,
        high=high,
        quantum=quantum,
        scale=np.where(radius > 0, scale, 0.0),
        radius=radius,
        channels=None if axes is None else axes[2],
        constraints=constraints,
    )


def _freedom(space: InputSpace, row: tuple[int, ...], *, whole: bool) -> tuple[Mask, Floats]:
    """Return which coordinates are quantities that may change, and the steps that they take."""
    width = np.broadcast_to(space.high - space.low, row)
    mutable = np.broadcast_to(space.mutable, row) & np.isfinite(width)
    quantum = np.broadcast_to(space.quantum, row).astype(np.float64)
    if space.features and row[-1:] == (len(space.features),):
        kinds = [feature.kind for feature in space.features]
        ordered = [kind in {FeatureKind.NUMERIC, FeatureKind.INTEGER} for kind in kinds]
        fixed = [feature.immutable for feature in space.features]
        mutable = mutable & np.array(ordered) & ~np.array(fixed)
        steps = np.array([float(kind is FeatureKind.INTEGER) for kind in kinds])
        quantum = np.maximum(quantum, steps)
    return mutable, np.maximum(quantum, 1.0) if whole else quantum


def linf_threat(
    space: InputSpace, eps: float, row: tuple[int, ...], *, whole: bool = False
) -> ThreatModel:
    """Return the L-infinity threat of ``eps``, a share of each coordinate's range."""
    return lp_threat(space, Norm.LINF, eps, row, whole=whole)
