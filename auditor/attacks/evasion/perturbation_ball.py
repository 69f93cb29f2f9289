"""Projections of perturbed rows onto the norm ball, the input box and representable values.

Only points of a ``PerturbationBall`` count as candidates: near a clean row, inside its box and on
its value steps. Distances are in shares of each coordinate's range.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Self

import numpy as np
from numpy.typing import NDArray

from auditor.attacks.evasion.norms import (
    FORGIVEN,
    NUMBERS_AT_ONCE,
    TINY,
    N,
    Norm,
    Reals,
    broadcast_rows,
    cache_sized_slices,
    clamp,
    fast_sign,
    flatten_rows,
    is_finite,
    mark_largest,
    marked_places,
    replace_nonfinite,
    row_norms,
    slots_of_marks,
    to_double,
)
from auditor.domain.tasks import Array, Floats

STEPS = 100
SHRINK_TOLERANCE = 1e-12
HUGE = 1e200
"""What makes a limit of every change of it that is not 0."""


def nearest_in_ball(  # noqa: PLR0913, PLR0917 -- a ball and a box
    change: Floats,
    norm: Norm,
    eps: float,
    low: Floats,
    high: Floats,
    channels: int | None = None,
) -> Floats:
    """Return the nearest change, in the Euclidean sense, of norm at most ``eps`` within a box.

    ``low`` and ``high`` have the shape of ``change``; each holds 0 between its ends. For ``l0``
    the places with the largest change stay, which is nearest too.
    """
    if norm is Norm.LINF:
        return clamp(change, np.maximum(low, -eps), np.minimum(high, eps))
    wished = replace_nonfinite(change)
    inside = clamp(wished, low, high)
    over = row_norms(inside, norm, channels) > eps * (1 + FORGIVEN)
    if over.all():
        return shrink_to_radius(wished, np.full(len(over), eps), low, high, norm, channels)
    if over.any():
        radius = np.full(int(over.sum()), eps)
        inside[over] = shrink_to_radius(wished[over], radius, low[over], high[over], norm, channels)
    return inside


def shrink_to_radius(  # noqa: PLR0913, PLR0917 -- a ball and a box
    change: Floats,
    radius: Floats,
    low: Floats,
    high: Floats,
    norm: Norm,
    channels: int | None = None,
) -> Floats:
    """Return the nearest change, in the Euclidean sense, of norm ``radius`` at most within a box.

    ``change`` is ``[n, ...]`` without missing values, ``low`` and ``high`` have its shape and hold
    0 between them, ``radius`` is ``[n]``. ``channels`` is the axis of a row whose coordinates are
    one place together (for ``l0``). Some rows go at a time: what is made of them then stays in the
    processor's caches.
    """
    if change.size <= NUMBERS_AT_ONCE:
        return _shrunk(change, radius, low, high, norm, channels)
    kept = np.empty_like(change)
    for part in cache_sized_slices(change):
        kept[part] = _shrunk(change[part], radius[part], low[part], high[part], norm, channels)
    return kept


def _shrunk(  # noqa: PLR0913, PLR0917 -- as shrink
    change: Floats, radius: Floats, low: Floats, high: Floats, norm: Norm, channels: int | None
) -> Floats:
    if norm is Norm.L0:
        inside = clamp(change, low, high)
        gain = inside * inside if channels is None else (inside * inside).sum(axis=1 + channels)
        most = np.floor(radius * (1 + FORGIVEN))
        kept = mark_largest(flatten_rows(gain), most).reshape(gain.shape)
        return inside * (kept if channels is None else np.expand_dims(kept, 1 + channels))
    if norm is Norm.LINF:
        limit = radius.reshape(-1, *[1] * (change.ndim - 1))
        return clamp(change, np.maximum(low, -limit), np.minimum(high, limit))
    kept = _SHRINKS[norm](flatten_rows(change), flatten_rows(low), flatten_rows(high), radius)
    return kept.reshape(change.shape)


def _l2(change: Floats, low: Floats, high: Floats, radius: Floats) -> Floats:
    """Scale by the one factor after which the cut change is as long as the radius.

    Solving for the factor over the coordinates that are not cut yet never overshoots.
    """
    # What cannot move is no part of the sums: they are nearer their answer from the start.
    wanted = clamp(change, low * HUGE, high * HUGE)
    length = np.sqrt(_squares(wanted))
    factor = radius / np.maximum(np.maximum(length, radius), TINY)
    kept = clamp(factor[:, None] * wanted, low, high)
    # Only rows of which the box took something have to give the rest more.
    short = _squares(kept) < radius * radius * (1 - SHRINK_TOLERANCE)
    places = np.flatnonzero(short & (factor < 1))
    if len(places) == len(kept):
        return _rescaled(wanted, low, high, radius, factor)
    if len(places):
        parts = (item.take(places, axis=0) for item in (wanted, low, high, radius, factor))
        kept[places] = _rescaled(*parts)
    return kept


def _rescaled(wanted: Floats, low: Floats, high: Floats, radius: Floats, factor: Floats) -> Floats:
    """Return the changes of ``_l2`` for rows of which the box cuts something off."""
    square, target, free = wanted * wanted, radius * radius, np.empty_like(wanted)
    scaled = factor[:, None] * wanted
    kept = clamp(scaled, low, high)
    for _step in range(STEPS):
        np.equal(kept, scaled, out=free, casting="unsafe")
        moving = np.einsum("ij,ij->i", square, free)
        left = np.maximum(target - _squares(kept) + factor * factor * moving, 0.0)
        found = np.sqrt(left / np.maximum(np.maximum(moving, left), TINY))
        if (found <= factor * (1 + SHRINK_TOLERANCE)).all():
            break
        factor = np.maximum(factor, found)
        np.multiply(factor[:, None], wanted, out=scaled)
        np.minimum(np.maximum(scaled, low, out=kept), high, out=kept)
    return kept


def _squares(values: Floats) -> Floats:
    return np.asarray(np.einsum("ij,ij->i", values, values))


def _l1(change: Floats, low: Floats, high: Floats, radius: Floats) -> Floats:
    """Shorten every coordinate by the one amount after which they add up to the radius.

    Of a sparse change only what there is gets looked at: the rest stays 0.
    """
    places = np.flatnonzero(change != 0)
    rows = places // max(1, change.shape[1])
    count = np.bincount(rows, minlength=len(change))
    wished = change.reshape(-1).take(places)
    ends = (side.reshape(-1).take(places) for side in (low, high))
    room = np.maximum(*(np.copysign(1.0, wished) * end for end in ends))
    width = int(count.max(initial=1))
    slots = rows * width + slots_of_marks(rows, count)
    tight, cap = np.zeros((2, len(change), width))
    tight.reshape(-1)[slots], cap.reshape(-1)[slots] = np.abs(wished) * (room > 0), room
    cut = np.minimum(tight, cap)
    long = np.flatnonzero(cut.sum(axis=1) > radius * (1 + SHRINK_TOLERANCE))
    if len(long):
        cut[long] = _shortened(tight[long], cap[long], radius[long])
    kept = np.zeros(change.shape)
    kept.reshape(-1)[places] = np.copysign(cut.reshape(-1).take(slots), wished)
    return kept


def _shortened(wanted: Floats, room: Floats, radius: Floats) -> Floats:
    """Return the changes of ``_l1`` for rows that are too long.

    Newton's steps between two amounts, one too small and one large enough; where a step leaves
    them, their middle is tried.
    """
    least, most = np.zeros(len(wanted)), wanted.max(axis=1, initial=0.0)
    amount = least
    for _step in range(STEPS):
        short = wanted - amount[:, None]
        cut = np.minimum(np.maximum(short, 0.0), room)
        over = cut.sum(axis=1) - radius
        least, most = np.where(over > 0, amount, least), np.where(over > 0, most, amount)
        done = (np.abs(over) <= SHRINK_TOLERANCE * radius) | (
            most - least <= SHRINK_TOLERANCE * most
        )
        if done.all():
            break
        moving = ((cut > 0) & (short < room)).sum(axis=1)
        ahead = amount + over / np.maximum(moving, 1)
        inside = (moving > 0) & (ahead > least) & (ahead < most)
        amount = np.where(done, amount, np.where(inside, ahead, (least + most) / 2))
    return np.asarray(cut)


_SHRINKS: Mapping[Norm, Callable[[Floats, Floats, Floats, Floats], Floats]] = {
    Norm.L2: _l2,
    Norm.L1: _l1,
}


NEWTON_STEPS = 100
PLANE_TOLERANCE = 1e-13
WORTH = 0.6
"""The share of rows that still move at which the others are left out of the next steps."""


@dataclass(frozen=True, slots=True, eq=False)
class PlaneSlopes:
    """Slopes ``[n, d]`` as planes of one direction share them: their signs, and how steep each is.

    ``steep`` are shares of the row's ``steepest`` coordinate.
    """

    sign: Floats
    steep: Floats
    steepest: Floats

    @classmethod
    def of(cls, slope: Floats) -> "PlaneSlopes":
        """Look at ``[n, d]`` slopes."""
        steep = np.abs(slope)
        steepest = np.maximum(steep.max(axis=1, initial=0.0), TINY)
        steep /= steepest[:, None]
        return cls(np.sign(slope), steep, steepest)


def reach_plane(
    gap: Floats, slope: Floats | PlaneSlopes, low: Floats, high: Floats, norm: Norm
) -> Floats:
    """Return each row's smallest change ``v`` with ``slope . v = gap`` and ``low <= v <= high``.

    ``gap`` is ``[n]``, all others ``[n, d]``; each box holds 0. Where no change in the box reaches
    the plane, the one that comes nearest is returned; coordinates that do not count for the plane
    stay 0. ``norm`` is ``linf``, ``l2`` or ``l1`` (Croce & Hein 2020, arXiv 1907.02044, section
    2.2: the sign of each coordinate is that of its slope, which leaves a problem of one number).
    """
    seen = slope if isinstance(slope, PlaneSlopes) else PlaneSlopes.of(slope)
    way = np.sign(gap)[:, None] * seen.sign
    room = way * high
    np.maximum(room, way * low, out=room)
    np.maximum(room, 0.0, out=room)
    # The steepest coordinate counts 1, and no more is asked than the box can give.
    most = (seen.steep * room).sum(axis=1)
    wanted = np.minimum(np.abs(gap), most * seen.steepest) / seen.steepest
    way *= _FILLS[norm](np.minimum(wanted, most), seen.steep, room)
    return way


def _level(gap: Floats, slope: Floats, room: Floats, growth: Floats) -> Floats:
    """Return ``min(level * growth, room)`` at the least level where its ``slope`` sum is ``gap``.

    The sum is concave and piecewise linear in the level, so that Newton's steps from 0 never
    overshoot, and of what is left times the rise each step loses three quarters at least.
    """
    level, gain, live = np.zeros(len(gap)), slope * growth, np.arange(len(gap))
    own, parts = gap, (growth, room, gain, slope)
    for _step in range(NEWTON_STEPS):
        grown, most, risen, steep = parts
        ahead = level[live, None] * grown
        rising = np.less(ahead, most, out=np.empty_like(ahead), casting="unsafe")
        rise = np.einsum("ij,ij->i", risen, rising)
        left = own - np.einsum("ij,ij->i", steep, np.minimum(ahead, most, out=ahead))
        step = np.where(
            (rise > 0) & (left > PLANE_TOLERANCE * own), left / np.maximum(rise, TINY), 0.0
        )
        moving = step.nonzero()[0]
        if not len(moving):
            break
        level[live] += step
        if len(moving) <= len(live) * WORTH:
            # A row that has come to rest stays there.
            live, own = live[moving], own[moving]
            parts = (grown[moving], most[moving], risen[moving], steep[moving])
    return np.minimum(level[:, None] * growth, room)


def _linf(gap: Floats, slope: Floats, room: Floats) -> Floats:
    return _level(gap, slope, room, (slope > 0).astype(np.float64))


def _l2_hyperplanes(gap: Floats, slope: Floats, room: Floats) -> Floats:
    return _level(gap, slope, room, slope)


def _l1_hyperplanes(gap: Floats, slope: Floats, room: Floats) -> Floats:
    """Move the steepest coordinates as far as they go, the last one of them in part."""
    order = np.argsort(-slope, axis=1, kind="stable")
    steep, most = (np.take_along_axis(values, order, axis=1) for values in (slope, room))
    gain = steep * most
    before = np.cumsum(gain, axis=1) - gain
    part = clamp(gap[:, None] - before, np.zeros(1), gain) / np.maximum(steep, TINY)
    filled = np.empty_like(room)
    np.put_along_axis(filled, order, np.minimum(part, most), axis=1)
    return filled


_FILLS: Mapping[Norm, Callable[[Floats, Floats, Floats], Floats]] = {
    Norm.LINF: _linf,
    Norm.L2: _l2_hyperplanes,
    Norm.L1: _l1_hyperplanes,
}


Places = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class CoordinateLimits:
    """``[n, ...]`` clean rows, and what each of their coordinates can reach alone.

    ``exact`` are the rows in double precision, as are ``lower`` and ``upper``; ``least`` and
    ``most`` are the same limits in the rows' own type.
    """

    clean: Array
    exact: Floats
    lower: Floats
    upper: Floats
    least: Array
    most: Array


@dataclass(frozen=True, eq=False)
class CoordinateLimitsSubset:
    """Limits of the rows at some places of ``whole`` (``None``: of all), each taken when asked for.

    Attacks leave rows out all the time, and most of them look at two or three of the arrays.
    """

    whole: CoordinateLimits
    places: Places | None = None

    def take(self, rows: Places) -> Self:
        """Return the part for some of the rows."""
        return type(self)(self.whole, rows if self.places is None else self.places.take(rows))

    @cached_property
    def clean(self) -> Array:
        """The clean rows."""
        return self._own(self.whole.clean)

    @cached_property
    def lower(self) -> Floats:
        """The least that each coordinate can reach alone."""
        return self._own(self.whole.lower)

    @cached_property
    def upper(self) -> Floats:
        """The largest that each coordinate can reach alone."""
        return self._own(self.whole.upper)

    @cached_property
    def least(self) -> Array:
        """The least in the rows' own type."""
        return self._own(self.whole.least)

    @cached_property
    def most(self) -> Array:
        """The largest in the rows' own type."""
        return self._own(self.whole.most)

    @cached_property
    def exact(self) -> Floats:
        """The clean rows in double precision."""
        return self._own(self.whole.exact)

    def _own(self, values: NDArray[N]) -> NDArray[N]:
        return values if self.places is None else values.take(self.places, axis=0)


SLACK = 1e-6
"""Rounding error that is forgiven, as a share of a coordinate's range or of its quantum."""
STEP_SLACK = 1e-3
"""How far a value may stand from its step, in steps, beside its own type's resolution: float32
pixels are not exact multiples of 1/255."""

Repair = Callable[[Array, Array], Array]


@dataclass(frozen=True, eq=False, kw_only=True)
class PerturbationBall:
    """All candidates for ``[n, ...]`` clean rows under one threat.

    ``limits`` are what each coordinate can reach alone; ``scale`` is its range, 0 where it may not
    move. ``repair`` brings candidates to where they could be real rows. ``unit`` is what changes
    are divided by (``None``: 1 everywhere), ``scaled`` whether any range is not 1, ``stepped``
    whether any coordinate moves in steps, ``single`` whether single precision does for climbs:
    candidates have no more, and each coordinate has limits of its own.
    """

    limits: CoordinateLimitsSubset
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

    def take(self, keep: NDArray[np.generic]) -> "PerturbationBall":
        """Return the part for some rows."""
        part = object.__new__(PerturbationBall)
        part.__dict__.update(self.__dict__, limits=self.limits.take(marked_places(keep)))
        return part

    def narrow(self, points: Floats) -> Reals:
        """Return points of the ball in single precision, where that does for climbs."""
        return self.hold(points.astype(np.float32)) if self.single else points

    def hold(self, points: Reals) -> Reals:
        """Return the nearest points of the ball in the points' own precision, as ``project``."""
        if self.single and points.dtype == np.float32:
            return clamp(points, self.limits.least, self.limits.most)
        return self.project(to_double(points))

    def project(self, points: Floats) -> Floats:
        """Return the nearest points of the ball, not rounded; a missing value stays."""
        inside = clamp(points, self.lower, self.upper)
        if self.norm is Norm.LINF:
            return inside
        if not is_finite(inside):
            inside = np.where(np.isnan(inside), self.exact, inside)
        over = row_norms(self.change(inside), self.norm, self.channels) > self.eps * (1 + FORGIVEN)
        if over.all():
            return self._nearest(points)
        if over.any():
            inside[over] = self.take(over)._nearest(points[over])  # noqa: SLF001 -- some of its own rows
        return inside

    def _nearest(self, points: Floats) -> Floats:
        change, reach = self.change(points), self.reach()
        return self.at(nearest_in_ball(change, self.norm, self.eps, *reach, self.channels))

    def change(self, points: Floats) -> Floats:
        """Return the change from the clean rows in ranges, 0 where a value is missing."""
        moved = points - self.exact
        return replace_nonfinite(
            moved if self.unit is None else np.divide(moved, self.unit, out=moved)
        )

    def at(self, change: Reals) -> Floats:
        """Return the points that lie ``change`` ranges away from the clean rows."""
        moved: Floats = change * self.scale if self.scaled else to_double(change)
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
            points = self._on_steps(to_double(points), self.exact)
        if not is_finite(points):
            points = np.where(np.isnan(points), self.exact, points)
        if not real and np.issubdtype(self.clean.dtype, np.integer):
            points = np.rint(points)
        typed: Array = points
        if points.dtype != np.float32 or not self.single:
            # A narrower type may round across a limit.
            typed = clamp(points.astype(self.clean.dtype), self.limits.least, self.limits.most)
        return typed if self.repair is None else self.repair(self.clean, typed)

    def _on_steps(self, points: Floats, exact: Floats) -> Floats:
        stepped = np.where(self.quantum > 0, self._stepped(points, exact, np.rint), points)
        if self.norm in {Norm.LINF, Norm.L0}:
            return stepped
        over = row_norms(self.change(stepped), self.norm) > self.eps * (1 + SLACK)
        if not over.any():
            return stepped
        # Rounding went past the budget: round these rows towards the clean one instead.
        back = np.where(self.quantum > 0, self._stepped(points, exact, None), points)
        return np.asarray(np.where(broadcast_rows(over, stepped), back, stepped))

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


def representable_limits(
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


def steepest_steps(gradient: Reals, ball: PerturbationBall) -> Reals:
    """Return, in ranges, the change of norm 1 that climbs ``gradient`` fastest in the ball's norm.

    ``gradient`` is that in the rows' own units; where ``scale`` is 0 the change means nothing. For
    ``l1`` and ``l0`` it is the Euclidean one: these balls have corners, and their attacks choose
    coordinates by themselves.
    """
    if ball.norm is Norm.LINF:
        return fast_sign(gradient)
    slope = gradient * ball.scale
    slope /= broadcast_rows(np.maximum(row_norms(slope, Norm.L2), TINY), slope)
    return slope


def number_spacing(values: Array) -> Floats:
    """Return how far apart neighbouring numbers of the values' type are; 0 for integers."""
    if not np.issubdtype(values.dtype, np.floating):
        return np.zeros(values.shape)
    apart: Floats = np.spacing(np.abs(values)).astype(np.float64)
    return apart
