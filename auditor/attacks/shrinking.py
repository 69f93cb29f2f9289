"""The nearest change inside a box and a ball, of one radius or of one a row."""

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from auditor.attacks.norms import (
    FORGIVEN,
    NUMBERS_AT_ONCE,
    TINY,
    Norm,
    flat,
    in_parts,
    known,
    size,
)
from auditor.domain.tasks import Floats

Mask = NDArray[np.bool_]
STEPS = 100
SETTLED = 1e-12


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
        return np.asarray(np.clip(change, np.maximum(low, -eps), np.minimum(high, eps)))
    wished = known(change)
    inside = np.clip(wished, low, high)
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
        inside = np.clip(change, low, high)
        gain = inside * inside if channels is None else (inside * inside).sum(axis=1 + channels)
        most = np.floor(radius * (1 + FORGIVEN))
        kept = largest(flat(gain), most).reshape(gain.shape)
        return inside * (kept if channels is None else np.expand_dims(kept, 1 + channels))
    if norm is Norm.LINF:
        limit = radius.reshape(-1, *[1] * (change.ndim - 1))
        return np.asarray(np.clip(change, np.maximum(low, -limit), np.minimum(high, limit)))
    wanted = flat(change)
    room = np.where(wanted > 0, flat(high), -flat(low))
    # What cannot move is no part of the sums: they are nearer their answer from the start.
    kept = _SHRINKS[norm](np.abs(wanted) * (room > 0), room, radius)
    return np.copysign(kept, wanted, out=kept).reshape(change.shape)


def largest(values: Floats, counts: Floats) -> Mask:
    """Mark the ``counts`` largest of each row of ``[n, d]`` values; of equals the first ones."""
    wanted = np.clip(np.ceil(counts), 0, values.shape[1]).astype(np.int64)
    ranked = np.sort(values, axis=1)
    place = np.minimum(values.shape[1] - wanted, values.shape[1] - 1)
    least = np.take_along_axis(ranked, place[:, None], axis=1)
    at_least: Mask = values >= least
    if (np.count_nonzero(at_least, axis=1) == wanted).all():
        return at_least
    marked, equal = values > least, values == least
    left = wanted - np.count_nonzero(marked, axis=1)
    crowded = np.count_nonzero(equal, axis=1) > left
    if crowded.any():
        among = equal[crowded]
        equal[crowded] = among & (np.cumsum(among, axis=1) <= left[crowded, None])
    return np.asarray(marked | equal)


def _l2(wanted: Floats, room: Floats, radius: Floats) -> Floats:
    """Scale by the one factor after which the cut change is as long as the radius.

    Solving for the factor over the coordinates that are not cut yet never overshoots.
    """
    length = np.sqrt(_squares(wanted))
    factor = radius / np.maximum(np.maximum(length, radius), TINY)
    kept = np.minimum(factor[:, None] * wanted, room)
    # Only rows of which the box took something have to give the rest more.
    short = _squares(kept) < radius * radius * (1 - SETTLED)
    places = np.flatnonzero(short & (factor < 1))
    if len(places):
        kept[places] = _rescaled(*(item[places] for item in (wanted, room, radius, factor)))
    return kept


def _rescaled(wanted: Floats, room: Floats, radius: Floats, factor: Floats) -> Floats:
    """Return the changes of ``_l2`` for rows of which the box cuts something off."""
    square, target = wanted * wanted, radius * radius
    kept = np.minimum(factor[:, None] * wanted, room)
    for _step in range(STEPS):
        moving = np.einsum("ij,ij->i", square, (kept < room).astype(np.float64))
        left = np.maximum(target - _squares(kept) + factor * factor * moving, 0.0)
        found = np.sqrt(left / np.maximum(np.maximum(moving, left), TINY))
        if (found <= factor * (1 + SETTLED)).all():
            break
        factor = np.maximum(factor, found)
        np.minimum(np.multiply(factor[:, None], wanted, out=kept), room, out=kept)
    return kept


def _squares(values: Floats) -> Floats:
    return np.asarray(np.einsum("ij,ij->i", values, values))


def _l1(wanted: Floats, room: Floats, radius: Floats) -> Floats:
    """Shorten every coordinate by the one amount after which they add up to the radius."""
    kept = np.minimum(wanted, room)
    places = np.flatnonzero(kept.sum(axis=1) > radius * (1 + SETTLED))
    if not len(places):
        return kept
    if len(places) < len(kept):
        wanted, room, radius = wanted[places], room[places], radius[places]
    # Of a sparse change, only what there is: the rest stays 0.
    rows, columns = np.nonzero(wanted)
    count = np.bincount(rows, minlength=len(wanted))
    slots = np.arange(len(rows)) - np.repeat(np.cumsum(count) - count, count)
    tight, cap = np.zeros((2, len(wanted), count.max(initial=1)))
    tight[rows, slots], cap[rows, slots] = wanted[rows, columns], room[rows, columns]
    kept[places[rows], columns] = _shortened(tight, cap, radius)[rows, slots]
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


_SHRINKS: Mapping[Norm, Callable[[Floats, Floats, Floats], Floats]] = {Norm.L2: _l2, Norm.L1: _l1}
