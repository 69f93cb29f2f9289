"""Whether a generator makes rows such as the model takes: of their shape, and in their range."""

import numpy as np

from auditor.domain.readings import Gap
from auditor.domain.tasks import Array, Floats, InputSpace
from auditor.errors import ArtifactError

MARGIN = 0.05
"""Of a coordinate's range, how far a made value may lie beyond it: an attack cuts it off there."""
MOST_OUTSIDE = 0.25
LEAST_SPREAD = 0.02
"""Of how rows of the data vary, how much made rows must: those of another unit, or a generator that
makes always the same, vary less. Pixels of 0 to 1 among such of 0 to 255 vary by 0.004."""
AS_THE_DATA = "Export it so that it makes rows as the data hold them, in the units of the model's "
AS_THE_DATA += "input."


def refuse_other_shape(made: tuple[int, ...], row: tuple[int, ...]) -> None:
    """Refuse rows that are neither of the data's shape nor flat; axes of size 1 do not count.

    Raises ``ArtifactError`` that names both shapes.
    """
    flat = (int(np.prod(row)),)
    if _long(made) in {_long(row), flat}:
        return
    raise ArtifactError(
        f"the generator makes rows of shape {list(made)}, and a row of the data has the shape "
        f"{list(row)}",
        cure=f"Export it to make rows of shape {list(row)}, or flat ones of {flat[0]} numbers.",
    )


def refuse_other_range(made: Floats, space: InputSpace | Gap, sample: Array) -> None:
    """Refuse rows ``[n, ...]`` out of the input's range, or that hardly vary beside the data's.

    Raises ``ArtifactError`` that names both ranges.
    """
    if not np.isfinite(made).all():
        raise ArtifactError(
            "the generator makes rows that hold NaN or infinities", cure=AS_THE_DATA
        )
    known = sample.astype(np.float64)
    low, high = _range(space, known)
    widest = float(np.nanmax(high) - np.nanmin(low))
    room = MARGIN * np.where(high > low, high - low, widest)
    outside = float(((made < low - room) | (made > high + room)).mean())
    ends = f"from {made.min():g} to {made.max():g}"
    if outside > MOST_OUTSIDE:
        raise ArtifactError(
            f"the generator makes values {ends}, of which {outside:.0%} lie out of the input's "
            f"range from {np.nanmin(low):g} to {np.nanmax(high):g}",
            cure=AS_THE_DATA,
        )
    spread, usual = made.std(axis=0), np.nanstd(known, axis=0)
    varying = usual > 0
    if varying.any() and float(np.median(spread[varying] / usual[varying])) < LEAST_SPREAD:
        raise ArtifactError(
            f"the generator makes values {ends} that hardly vary from row to row, where the data "
            f"go from {np.nanmin(known):g} to {np.nanmax(known):g}",
            cure=AS_THE_DATA,
        )


def _range(space: InputSpace | Gap, known: Floats) -> tuple[Floats, Floats]:
    low, high = np.nanmin(known, axis=0), np.nanmax(known, axis=0)
    if isinstance(space, Gap):
        return low, high
    declared = [np.broadcast_to(it, known.shape[1:]) for it in (space.low, space.high)]
    return (
        np.where(np.isfinite(declared[0]), declared[0], low),
        np.where(np.isfinite(declared[1]), declared[1], high),
    )


def _long(shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(size for size in shape if size != 1) or (1,)
