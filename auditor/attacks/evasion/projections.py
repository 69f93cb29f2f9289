"""The only points that count as candidates: near a clean row, in its box, on its steps."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from auditor.attacks.limits import Within
from auditor.attacks.norms import (
    FORGIVEN,
    TINY,
    Norm,
    Reals,
    between,
    double,
    finite,
    known,
    places_of,
    signs,
    size,
    wide,
)
from auditor.attacks.shrinking import nearest
from auditor.domain.tasks import Array, Floats

SLACK = 1e-6
"""Rounding error that is forgiven, as a share of a coordinate's range or of its quantum."""
STEP_SLACK = 1e-3
"""How far a value may stand from its step, in steps, beside its own type's resolution: float32
pixels are not exact multiples of 1/255."""

Repair = Callable[[Array, Array], Array]


@dataclass(frozen=True, eq=False, kw_only=True)
class Ball:
    """All candidates for ``[n, ...]`` clean rows under one threat.

    ``limits`` are what each coordinate can reach alone; ``scale`` is its range, 0 where it may not
    move. ``repair`` brings candidates to where they could be real rows. ``unit`` is what changes
    are divided by (``None``: 1 everywhere), ``scaled`` whether any range is not 1, ``stepped``
    whether any coordinate moves in steps, ``single`` whether single precision does for climbs:
    candidates have no more, and each coordinate has limits of its own.
    """

    limits: Within
    quantum: Floats
    origin: Floats
    norm: Norm
    eps: float
    scale: Floats
    channels: int | None = None
    repair: Repair | None = None
    unit: Floats | None = field(init=False)
    scaled: bool = field(init=False)
    stepped: bool = field(init=False)
    single: bool = field(init=False)

    def __post_init__(self) -> None:
        """Keep what every step asks for again: ranges that are not 1, and what they are for."""
        unit = np.where(self.scale > 0, self.scale, 1.0)
        object.__setattr__(self, "unit", None if (unit == 1).all() else unit)
        object.__setattr__(self, "scaled", bool((self.scale != 1).any()))
        object.__setattr__(self, "stepped", bool((self.quantum > 0).any()))
        alone = self.norm is Norm.LINF and self.limits.whole.clean.dtype == np.float32
        object.__setattr__(self, "single", alone)

    @property
    def clean(self) -> Array:
        """The clean rows."""
        return self.limits.clean

    @property
    def exact(self) -> Floats:
        """The clean rows in double precision."""
        return self.limits.exact

    @property
    def lower(self) -> Floats:
        """The least that each coordinate can reach alone."""
        return self.limits.lower

    @property
    def upper(self) -> Floats:
        """The largest that each coordinate can reach alone."""
        return self.limits.upper

    def take(self, keep: NDArray[np.generic]) -> "Ball":
        """Return the part for some rows."""
        part = object.__new__(Ball)
        part.__dict__.update(self.__dict__, limits=self.limits.take(places_of(keep)))
        return part

    def narrow(self, points: Floats) -> Reals:
        """Return points of the ball in single precision, where that does for climbs."""
        return self.hold(points.astype(np.float32)) if self.single else points

    def hold(self, points: Reals) -> Reals:
        """Return the nearest points of the ball in the points' own precision, as ``project``."""
        if self.single and points.dtype == np.float32:
            return between(points, self.limits.least, self.limits.most)
        return self.project(double(points))

    def project(self, points: Floats) -> Floats:
        """Return the nearest points of the ball, not rounded; a missing value stays."""
        inside = between(points, self.lower, self.upper)
        if self.norm is Norm.LINF:
            return inside
        if not finite(inside):
            inside = np.where(np.isnan(inside), self.exact, inside)
        over = size(self.change(inside), self.norm, self.channels) > self.eps * (1 + FORGIVEN)
        if over.all():
            return self._nearest(points)
        if over.any():
            inside[over] = self.take(over)._nearest(points[over])  # noqa: SLF001 -- some of its own rows
        return inside

    def _nearest(self, points: Floats) -> Floats:
        change, reach = self.change(points), self.reach()
        return self.at(nearest(change, self.norm, self.eps, *reach, self.channels))

    def change(self, points: Floats) -> Floats:
        """Return the change from the clean rows in ranges, 0 where a value is missing."""
        moved = points - self.exact
        return known(moved if self.unit is None else np.divide(moved, self.unit, out=moved))

    def at(self, change: Reals) -> Floats:
        """Return the points that lie ``change`` ranges away from the clean rows."""
        moved: Floats = change * self.scale if self.scaled else double(change)
        return np.asarray(self.exact + moved)

    def in_ranges(self, gradient: Floats) -> Floats:
        """Return the slope in ranges of a gradient in the rows' own units; not to be changed."""
        return gradient * self.scale if self.scaled else gradient

    def reach(self) -> tuple[Floats, Floats]:
        """Return the least and the largest change of each coordinate, in ranges."""
        return self.change(self.lower), self.change(self.upper)

    def settle(self, points: Reals, *, held: bool = False) -> Array:
        """Return the nearest candidates: inside the ball, on a step, in the rows' own type.

        Settling twice changes nothing. A coordinate with no step in reach keeps its clean value.
        ``held`` says that the points keep the budget, and, in single precision, each coordinate's
        limits as well.
        """
        real = self.clean.dtype.kind == "f"
        if not (held and real and not self.stepped):
            points = self.hold(points)
        elif self.single and points.dtype == np.float32:
            return points if self.repair is None else self.repair(self.clean, points)
        if self.stepped:
            points = self._on_steps(double(points), self.exact)
        if not finite(points):
            points = np.where(np.isnan(points), self.exact, points)
        if not real and np.issubdtype(self.clean.dtype, np.integer):
            points = np.rint(points)
        typed: Array = points
        if points.dtype != np.float32 or not self.single:
            # A narrower type may round across a limit.
            typed = between(points.astype(self.clean.dtype), self.limits.least, self.limits.most)
        return typed if self.repair is None else self.repair(self.clean, typed)

    def _on_steps(self, points: Floats, exact: Floats) -> Floats:
        stepped = np.where(self.quantum > 0, self._stepped(points, exact, np.rint), points)
        if self.norm in {Norm.LINF, Norm.L0}:
            return stepped
        over = size(self.change(stepped), self.norm) > self.eps * (1 + SLACK)
        if not over.any():
            return stepped
        # Rounding went past the budget: round these rows towards the clean one instead.
        back = np.where(self.quantum > 0, self._stepped(points, exact, None), points)
        return np.asarray(np.where(wide(over, stepped), back, stepped))

    def _stepped(
        self, points: Floats, exact: Floats, way: Callable[[Floats], Floats] | None
    ) -> Floats:
        quantum = np.where(self.quantum > 0, self.quantum, 1.0)
        first = np.ceil((self.lower - self.origin) / quantum - SLACK)
        last = np.floor((self.upper - self.origin) / quantum + SLACK)
        places, own = (points - self.origin) / quantum, (exact - self.origin) / quantum
        if way is None:
            back = np.where(points > exact, np.floor(places + SLACK), np.ceil(places - SLACK))
            chosen = np.where(points == exact, np.rint(own), back)
        else:
            chosen = way(places)
        chosen = np.clip(chosen, first, last)
        # The clean value itself is kept as the file spells it, not recomputed from its step.
        still = (first > last) | (chosen == np.rint(own))
        return np.where(still, exact, self.origin + chosen * quantum)


def typed_limits(
    clean: Array, lower: Floats, upper: Floats, quantum: Floats
) -> tuple[Array, Array]:
    """Return the least and the largest numbers of the rows' type between two limits.

    A step may lie past a limit by rounding error, which is forgiven.
    """
    if not np.issubdtype(clean.dtype, np.floating):
        slack = np.where(quantum > 0, SLACK * quantum, SLACK)
        first, last = np.ceil(lower - slack), np.floor(upper + slack)
        return first.astype(clean.dtype), last.astype(clean.dtype)
    kind = clean.dtype.type
    if quantum.any():
        lower, upper = lower - SLACK * quantum, upper + SLACK * quantum
    least, most = lower.astype(kind), upper.astype(kind)
    if kind is np.float64:
        return least, most
    low, high = np.less(least, lower), np.greater(most, upper)
    least[low] = np.nextafter(least[low], kind(np.inf))
    most[high] = np.nextafter(most[high], kind(-np.inf))
    return least, most


def unit_steps(gradient: Reals, ball: Ball) -> Reals:
    """Return, in ranges, the change of norm 1 that climbs ``gradient`` fastest in the ball's norm.

    ``gradient`` is that in the rows' own units; where ``scale`` is 0 the change means nothing. For
    ``l1`` and ``l0`` it is the Euclidean one: these balls have corners, and their attacks choose
    coordinates by themselves.
    """
    if ball.norm is Norm.LINF:
        return signs(gradient)
    slope = gradient * ball.scale
    slope /= wide(np.maximum(size(slope, Norm.L2), TINY), slope)
    return slope


def resolution(values: Array) -> Floats:
    """Return how far apart neighbouring numbers of the values' type are; 0 for integers."""
    if not np.issubdtype(values.dtype, np.floating):
        return np.zeros(values.shape)
    apart: Floats = np.spacing(np.abs(values)).astype(np.float64)
    return apart
