"""The nearest change inside a box and a ball, of one radius or of one a row."""

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from auditor.attacks.norms import FORGIVEN, TINY, Norm, flat, size
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
    inside = np.clip(np.nan_to_num(change, nan=0.0), low, high)
    over = size(inside, norm, channels) > eps * (1 + FORGIVEN)
    if over.any():
        wished = np.nan_to_num(change[over], nan=0.0)
        radius = np.full(int(over.sum()), eps)
        inside[over] = shrink(wished, radius, low[over], high[over], norm, channels)
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
    one place together (for ``l0``).
    """
    if norm is Norm.L0:
        inside = np.clip(change, low, high)
        gain = inside * inside if channels is None else (inside * inside).sum(axis=1 + channels)
        kept = largest(flat(gain), np.floor(radius)).reshape(gain.shape)
        return inside * (kept if channels is None else np.expand_dims(kept, 1 + channels))
    if norm is Norm.LINF:
        limit = radius.reshape(-1, *[1] * (change.ndim - 1))
        return np.asarray(np.clip(change, np.maximum(low, -limit), np.minimum(high, limit)))
    wanted = flat(change)
    room = np.where(wanted > 0, flat(high), -flat(low))
    kept = _SHRINKS[norm](np.abs(wanted), room, radius)
    return np.asarray(np.copysign(kept, wanted).reshape(change.shape))


def largest(values: Floats, counts: Floats) -> Mask:
    """Mark the ``counts`` largest of each row of ``[n, d]`` values; of equals the first ones."""
    wanted = np.clip(np.ceil(counts), 0, values.shape[1]).astype(np.int64)
    ranked = np.sort(values, axis=1)
    place = np.minimum(values.shape[1] - wanted, values.shape[1] - 1)
    least = np.take_along_axis(ranked, place[:, None], axis=1)
    marked: Mask = values > least
    equal = values == least
    left = wanted - marked.sum(axis=1)
    crowded = equal.sum(axis=1) > left
    if crowded.any():
        among = equal[crowded]
        equal[crowded] = among & (np.cumsum(among, axis=1) <= left[crowded, None])
    return np.asarray(marked | equal)


def _l2(wanted: Floats, room: Floats, radius: Floats) -> Floats:
    """Scale by the one factor after which the cut change is as long as the radius.

    Solving for the factor over the coordinates that are not cut yet never overshoots.
    """
    square, cut = wanted * wanted, room * room
    target = radius * radius
    length = np.sqrt(square.sum(axis=1))
    factor = radius / np.maximum(np.maximum(length, radius), TINY)
    for _step in range(STEPS):
        free = factor[:, None] * wanted < room
        left = np.maximum(target - (cut * ~free).sum(axis=1), 0.0)
        moving = (square * free).sum(axis=1)
        found = np.sqrt(left / np.maximum(np.maximum(moving, left), TINY))
        if (found <= factor * (1 + SETTLED)).all():
            break
        factor = np.maximum(factor, found)
    return np.asarray(np.minimum(factor[:, None] * wanted, room))


def _l1(wanted: Floats, room: Floats, radius: Floats) -> Floats:
    """Shorten every coordinate by the one amount after which they add up to the radius.

    Newton's steps between two amounts, one too small and one large enough; where a step leaves
    them, their middle is tried.
    """
    kept = np.minimum(wanted, room)
    least, most = np.zeros(len(wanted)), wanted.max(axis=1, initial=0.0)
    amount = np.where(kept.sum(axis=1) > radius * (1 + SETTLED), 0.0, np.nan)
    for _step in range(STEPS):
        open_rows = np.flatnonzero(~np.isnan(amount))
        if not len(open_rows):
            break
        tried = amount[open_rows]
        short = wanted[open_rows] - tried[:, None]
        cut = np.clip(short, 0.0, room[open_rows])
        over = cut.sum(axis=1) - radius[open_rows]
        kept[open_rows] = cut
        least[open_rows] = np.where(over > 0, tried, least[open_rows])
        most[open_rows] = np.where(over > 0, most[open_rows], tried)
        moving = ((short > 0) & (short < room[open_rows])).sum(axis=1)
        ahead = tried + over / np.maximum(moving, 1)
        low, high = least[open_rows], most[open_rows]
        inside = (moving > 0) & (ahead > low) & (ahead < high)
        ahead = np.where(inside, ahead, (low + high) / 2)
        done = (np.abs(over) <= SETTLED * radius[open_rows]) | (high - low <= SETTLED * high)
        amount[open_rows] = np.where(done, np.nan, ahead)
    return kept


_SHRINKS: Mapping[Norm, Callable[[Floats, Floats, Floats], Floats]] = {Norm.L2: _l2, Norm.L1: _l1}
