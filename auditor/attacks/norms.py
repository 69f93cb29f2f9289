"""Norms of changes, and the nearest change of a given size inside a box."""

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from auditor.domain.tasks import Floats

TINY = float(np.finfo(np.float64).tiny)
FORGIVEN = 5e-7
"""By how much of itself a norm may exceed its budget: single precision does not resolve less."""
NEWTON_STEPS = 60
BISECTIONS = 50

N = TypeVar("N", bound=np.generic)


class Norm(StrEnum):
    """How the size of a change is measured, each coordinate as a share of its range.

    ``l0`` counts places: coordinates, or pixels where a row is an image.
    """

    LINF = "linf"
    L2 = "l2"
    L1 = "l1"
    L0 = "l0"


def flat(values: NDArray[np.float64]) -> Floats:
    """Return ``[n, coordinates]``."""
    return values.reshape(len(values), int(np.prod(values.shape[1:])))


def wide(values: NDArray[N], like: Floats) -> NDArray[N]:
    """Return one value a row, in a shape that broadcasts against ``like``."""
    return values.reshape(-1, *[1] * (like.ndim - 1))


def size(change: Floats, norm: Norm, channels: int | None = None) -> Floats:
    """Return the norm of each row of ``[n, ...]`` changes; missing values (NaN) do not count.

    ``channels`` is the axis of a row whose coordinates are one place together (for ``l0``).
    """
    known = np.nan_to_num(change, nan=0.0)
    if norm is Norm.L0:
        moved = known != 0
        places = moved if channels is None else moved.any(axis=1 + channels)
        counts: Floats = places.reshape(len(change), -1).sum(axis=1).astype(np.float64)
        return counts
    rows = np.abs(flat(known))
    if norm is Norm.LINF:
        return np.asarray(rows.max(axis=1, initial=0.0))
    if norm is Norm.L2:
        return np.asarray(np.sqrt((rows * rows).sum(axis=1)))
    return np.asarray(rows.sum(axis=1))


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
        shrink = _SHRINKS[norm]
        inside[over] = shrink(change[over], eps, low[over], high[over], channels)
    return inside


def _l2(change: Floats, eps: float, low: Floats, high: Floats, _: int | None) -> Floats:
    """Scale by the one factor after which the clipped change has norm ``eps``.

    The minimum of ``|d - v|`` has ``d = clip(s v)`` (Karush-Kuhn-Tucker); ``|clip(s v)|`` grows
    with ``s``, and solving for ``s`` over the coordinates not clipped yet never overshoots.
    """
    wanted, lower, upper = flat(np.nan_to_num(change, nan=0.0)), flat(low), flat(high)
    length = np.sqrt((wanted * wanted).sum(axis=1))
    scale = eps / np.maximum(length, TINY)
    for _step in range(NEWTON_STEPS):
        scaled = scale[:, None] * wanted
        free = (scaled > lower) & (scaled < upper)
        fixed = np.where(free, 0.0, np.clip(scaled, lower, upper))
        left = np.maximum(eps * eps - (fixed * fixed).sum(axis=1), 0.0)
        moving = np.where(free, wanted, 0.0)
        square = (moving * moving).sum(axis=1)
        found = np.where(square > 0, np.sqrt(left / np.maximum(square, TINY)), scale)
        settled = found <= scale * (1 + 1e-12)
        scale = np.maximum(scale, found)
        if settled.all():
            break
    kept: Floats = np.clip(scale[:, None] * wanted, lower, upper).reshape(change.shape)
    return kept


def _l1(change: Floats, eps: float, low: Floats, high: Floats, _: int | None) -> Floats:
    """Shrink every coordinate by the one amount after which the sizes add up to ``eps``."""
    wanted = flat(np.nan_to_num(change, nan=0.0))
    length, sign = np.abs(wanted), np.sign(wanted)
    room = np.where(wanted > 0, flat(high), -flat(low))
    least, most = np.zeros(len(wanted)), length.max(axis=1, initial=0.0)
    for _step in range(BISECTIONS):
        middle = (least + most) / 2
        total = np.clip(length - middle[:, None], 0.0, room).sum(axis=1)
        least, most = np.where(total > eps, middle, least), np.where(total > eps, most, middle)
    kept: Floats = sign * np.clip(length - most[:, None], 0.0, room)
    return kept.reshape(change.shape)


def _l0(change: Floats, eps: float, low: Floats, high: Floats, channels: int | None) -> Floats:
    inside = np.clip(np.nan_to_num(change, nan=0.0), low, high)
    gain = inside * inside if channels is None else (inside * inside).sum(axis=1 + channels)
    ranked = gain.reshape(len(gain), -1)
    count = min(int(eps), ranked.shape[1])
    kept = np.zeros(ranked.shape, dtype=np.bool_)
    if count:
        order = np.argsort(-ranked, axis=1, kind="stable")[:, :count]
        np.put_along_axis(kept, order, values=True, axis=1)
    places = kept.reshape(gain.shape)
    if channels is not None:
        places = np.expand_dims(places, 1 + channels)
    return np.asarray(np.where(places, inside, 0.0))


_SHRINKS: Mapping[Norm, Callable[[Floats, float, Floats, Floats, int | None], Floats]] = {
    Norm.L2: _l2,
    Norm.L1: _l1,
    Norm.L0: _l0,
}
