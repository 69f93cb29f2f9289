"""The smallest change inside a box that reaches a plane, in the norms that have one."""

from collections.abc import Callable, Mapping

import numpy as np

from auditor.attacks.norms import TINY, Norm
from auditor.domain.tasks import Floats

NEWTON_STEPS = 100
SETTLED = 1e-13


def reach_plane(gap: Floats, slope: Floats, low: Floats, high: Floats, norm: Norm) -> Floats:
    """Return each row's smallest change ``v`` with ``slope . v = gap`` and ``low <= v <= high``.

    ``gap`` is ``[n]``, all others ``[n, d]``; each box holds 0. Where no change in the box reaches
    the plane, the one that comes nearest is returned; coordinates that do not count for the plane
    stay 0. ``norm`` is ``linf``, ``l2`` or ``l1`` (Croce & Hein 2020, arXiv 1907.02044, section
    2.2: the sign of each coordinate is that of its slope, which leaves a problem of one number).
    """
    way = np.sign(gap)[:, None] * np.sign(slope)
    room = np.maximum(way * np.where(way > 0, high, low), 0.0)
    # The steepest coordinate counts 1, and no more is asked than the box can give.
    steepest = np.maximum(np.abs(slope).max(axis=1, initial=0.0), TINY)
    steep = np.abs(slope) / steepest[:, None]
    most = (steep * room).sum(axis=1)
    wanted = np.minimum(np.abs(gap), most * steepest) / steepest
    return way * _FILLS[norm](np.minimum(wanted, most), steep, room)


def _level(gap: Floats, slope: Floats, room: Floats, growth: Floats) -> Floats:
    """Return ``min(level * growth, room)`` at the least level where its ``slope`` sum is ``gap``.

    The sum is concave and piecewise linear in the level, so that Newton's steps from 0 never
    overshoot, and of what is left times the rise each step loses three quarters at least.
    """
    level, gain = np.zeros(len(gap)), slope * growth
    for _step in range(NEWTON_STEPS):
        ahead = level[:, None] * growth
        rise = np.einsum("ij,ij->i", gain, (ahead < room).astype(np.float64))
        left = gap - np.einsum("ij,ij->i", slope, np.minimum(ahead, room, out=ahead))
        step = np.where((rise > 0) & (left > SETTLED * gap), left / np.maximum(rise, TINY), 0.0)
        if not step.any():
            break
        level = level + step
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
    part = np.clip(gap[:, None] - before, 0.0, gain) / np.maximum(steep, TINY)
    filled = np.empty_like(room)
    np.put_along_axis(filled, order, np.minimum(part, most), axis=1)
    return filled


_FILLS: Mapping[Norm, Callable[[Floats, Floats, Floats], Floats]] = {
    Norm.LINF: _linf,
    Norm.L2: _l2,
    Norm.L1: _l1,
}
