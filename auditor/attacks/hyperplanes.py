"""The smallest change inside a box that reaches a plane, in the norms that have one."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from auditor.attacks.norms import TINY, Norm, between
from auditor.domain.tasks import Floats

NEWTON_STEPS = 100
SETTLED = 1e-13
WORTH = 0.6
"""The share of rows that still move at which the others are left out of the next steps."""


@dataclass(frozen=True, slots=True, eq=False)
class Slopes:
    """Slopes ``[n, d]`` as planes of one direction share them: their signs, and how steep each is.

    ``steep`` are shares of the row's ``steepest`` coordinate.
    """

    sign: Floats
    steep: Floats
    steepest: Floats

    @classmethod
    def of(cls, slope: Floats) -> "Slopes":
        """Look at ``[n, d]`` slopes."""
        steep = np.abs(slope)
        steepest = np.maximum(steep.max(axis=1, initial=0.0), TINY)
        steep /= steepest[:, None]
        return cls(np.sign(slope), steep, steepest)


def reach_plane(
    gap: Floats, slope: Floats | Slopes, low: Floats, high: Floats, norm: Norm
) -> Floats:
    """Return each row's smallest change ``v`` with ``slope . v = gap`` and ``low <= v <= high``.

    ``gap`` is ``[n]``, all others ``[n, d]``; each box holds 0. Where no change in the box reaches
    the plane, the one that comes nearest is returned; coordinates that do not count for the plane
    stay 0. ``norm`` is ``linf``, ``l2`` or ``l1`` (Croce & Hein 2020, arXiv 1907.02044, section
    2.2: the sign of each coordinate is that of its slope, which leaves a problem of one number).
    """
    seen = slope if isinstance(slope, Slopes) else Slopes.of(slope)
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
        step = np.where((rise > 0) & (left > SETTLED * own), left / np.maximum(rise, TINY), 0.0)
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


def _l2(gap: Floats, slope: Floats, room: Floats) -> Floats:
    return _level(gap, slope, room, slope)


def _l1(gap: Floats, slope: Floats, room: Floats) -> Floats:
    """Move the steepest coordinates as far as they go, the last one of them in part."""
    order = np.argsort(-slope, axis=1, kind="stable")
    steep, most = (np.take_along_axis(values, order, axis=1) for values in (slope, room))
    gain = steep * most
    before = np.cumsum(gain, axis=1) - gain
    part = between(gap[:, None] - before, np.zeros(1), gain) / np.maximum(steep, TINY)
    filled = np.empty_like(room)
    np.put_along_axis(filled, order, np.minimum(part, most), axis=1)
    return filled


_FILLS: Mapping[Norm, Callable[[Floats, Floats, Floats], Floats]] = {
    Norm.LINF: _linf,
    Norm.L2: _l2,
    Norm.L1: _l1,
}
