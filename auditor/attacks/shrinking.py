"""The nearest change inside a box and a ball, of one radius or of one a row."""

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from auditor.attacks.norms import (
    FORGIVEN,
    NUMBERS_AT_ONCE,
    TINY,
    Norm,
    between,
    flat,
    in_parts,
    known,
    size,
)
from auditor.attacks.ranking import largest, slots_of
from auditor.domain.tasks import Floats

Mask = NDArray[np.bool_]
STEPS = 100
SETTLED = 1e-12
HUGE = 1e200
"""What makes a limit of every change of it that is not 0."""


def nearest(  # noqa: PLR0913, PLR0917 -- a ball and a box
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
        return between(change, np.maximum(low, -eps), np.minimum(high, eps))
    wished = known(change)
    inside = between(wished, low, high)
    over = size(inside, norm, channels) > eps * (1 + FORGIVEN)
    if over.all():
        return shrink(wished, np.full(len(over), eps), low, high, norm, channels)
    if over.any():
        radius = np.full(int(over.sum()), eps)
        inside[over] = shrink(wished[over], radius, low[over], high[over], norm, channels)
    return inside


def shrink(  # noqa: PLR0913, PLR0917 -- a ball and a box
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
    for part in in_parts(change):
        kept[part] = _shrunk(change[part], radius[part], low[part], high[part], norm, channels)
    return kept


def _shrunk(  # noqa: PLR0913, PLR0917 -- as shrink
    change: Floats, radius: Floats, low: Floats, high: Floats, norm: Norm, channels: int | None
) -> Floats:
    if norm is Norm.L0:
        inside = between(change, low, high)
        gain = inside * inside if channels is None else (inside * inside).sum(axis=1 + channels)
        most = np.floor(radius * (1 + FORGIVEN))
        kept = largest(flat(gain), most).reshape(gain.shape)
        return inside * (kept if channels is None else np.expand_dims(kept, 1 + channels))
    if norm is Norm.LINF:
        limit = radius.reshape(-1, *[1] * (change.ndim - 1))
        return between(change, np.maximum(low, -limit), np.minimum(high, limit))
    kept = _SHRINKS[norm](flat(change), flat(low), flat(high), radius)
    return kept.reshape(change.shape)


def _l2(change: Floats, low: Floats, high: Floats, radius: Floats) -> Floats:
    """Scale by the one factor after which the cut change is as long as the radius.

    Solving for the factor over the coordinates that are not cut yet never overshoots.
    """
    # What cannot move is no part of the sums: they are nearer their answer from the start.
    wanted = between(change, low * HUGE, high * HUGE)
    length = np.sqrt(_squares(wanted))
    factor = radius / np.maximum(np.maximum(length, radius), TINY)
    kept = between(factor[:, None] * wanted, low, high)
    # Only rows of which the box took something have to give the rest more.
    short = _squares(kept) < radius * radius * (1 - SETTLED)
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
    kept = between(scaled, low, high)
    for _step in range(STEPS):
        np.equal(kept, scaled, out=free, casting="unsafe")
        moving = np.einsum("ij,ij->i", square, free)
        left = np.maximum(target - _squares(kept) + factor * factor * moving, 0.0)
        found = np.sqrt(left / np.maximum(np.maximum(moving, left), TINY))
        if (found <= factor * (1 + SETTLED)).all():
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
    slots = rows * width + slots_of(rows, count)
    tight, cap = np.zeros((2, len(change), width))
    tight.reshape(-1)[slots], cap.reshape(-1)[slots] = np.abs(wished) * (room > 0), room
    cut = np.minimum(tight, cap)
    long = np.flatnonzero(cut.sum(axis=1) > radius * (1 + SETTLED))
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
        done = (np.abs(over) <= SETTLED * radius) | (most - least <= SETTLED * most)
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
