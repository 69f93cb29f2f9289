"""Rows that are pictures, of any size, range and layout, and the corruptions of them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from auditor.attacks.corruptions import blurs, digital, noises, weather
from auditor.attacks.corruptions.media import Rng, settle
from auditor.domain.images import image_axes
from auditor.domain.tasks import Array, Floats, InputSpace

Corruption = Callable[[Floats, int, Rng], Floats]


def _fixed(change: Callable[[Floats, int], Floats]) -> Corruption:
    """Give a corruption without chance the form of the others."""

    def changed(pictures: Floats, severity: int, _: Rng) -> Floats:
        return change(pictures, severity)

    return changed


KINDS: Mapping[str, Corruption] = MappingProxyType(
    {
        "gaussian_noise": noises.gaussian_noise,
        "shot_noise": noises.shot_noise,
        "impulse_noise": noises.impulse_noise,
        "speckle_noise": noises.speckle_noise,
        "defocus_blur": _fixed(blurs.defocus_blur),
        "gaussian_blur": _fixed(blurs.gaussian_blur),
        "motion_blur": blurs.motion_blur,
        "zoom_blur": _fixed(blurs.zoom_blur),
        "glass_blur": blurs.glass_blur,
        "fog": weather.fog,
        "frost": weather.frost,
        "snow": weather.snow,
        "spatter": weather.spatter,
        "brightness": _fixed(digital.brightness),
        "contrast": _fixed(digital.contrast),
        "saturate": _fixed(digital.saturate),
        "elastic": digital.elastic,
        "pixelate": _fixed(digital.pixelate),
        "jpeg": _fixed(digital.jpeg),
        "occlusion": digital.occlusion,
    }
)
"""Every kind for pictures, in the order of Hendrycks & Dietterich 2019 (section 3)."""

SHORTEST_SIDE = 4
MOST_VALUES = 2**21
"""Of how many numbers a batch holds: 16 MiB, and a few times that while it is corrupted."""


@dataclass(frozen=True, slots=True, eq=False)
class Canvas:
    """How rows are pictures: ``row`` is their shape as data, ``shape`` theirs as pictures.

    ``axes`` are height, width and channels of ``shape``, counted without the batch. A flat row
    may be a picture too, where the model itself takes one.
    """

    row: tuple[int, ...]
    shape: tuple[int, ...]
    axes: tuple[int, int, int | None]
    space: InputSpace
    whole: bool = False

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.shape[self.axes[0]], self.shape[self.axes[1]]

    @property
    def channels(self) -> int:
        """How many channels; 1 for grey."""
        return 1 if self.axes[2] is None else self.shape[self.axes[2]]

    @property
    def batch(self) -> int:
        """How many rows to change at a time."""
        return max(1, MOST_VALUES // int(np.prod(self.shape)))

    def spread(self, rows: Array) -> Floats:
        """Return ``[n, height, width, channels]`` in 0..1 of the box."""
        low, width = self._box()
        shares = (rows.astype(np.float64) - low) / np.where(width > 0, width, 1.0)
        pictures = shares.reshape(len(rows), *self.shape)
        if self.axes[2] is None:
            return pictures[..., None]
        # One order in memory, so that sums, too, come out the same for both layouts.
        return np.ascontiguousarray(np.moveaxis(pictures, 1 + self.axes[2], 3))

    def settled(self, pictures: Floats, rows: Array, before: Floats) -> Array:
        """Return inputs near ``pictures``; values that did not change since ``before`` are kept."""
        low, width = self._box()
        points = low + width * self._gathered(pictures)
        changed = self._gathered(pictures - before) != 0
        exact = rows.astype(np.float64)
        quantum = np.maximum(self.space.quantum, float(self.whole))
        return settle(np.where(changed, points, exact), rows, self.space, quantum)

    def _gathered(self, pictures: Floats) -> Floats:
        if self.axes[2] is None:
            pictures = pictures[..., 0]
        else:
            pictures = np.moveaxis(pictures, 3, 1 + self.axes[2])
        return pictures.reshape(len(pictures), *self.row)

    def _box(self) -> tuple[Floats, Floats]:
        low = np.broadcast_to(self.space.low, self.row)
        return low, np.broadcast_to(self.space.width, self.row)


def canvas(
    row: tuple[int, ...],
    space: InputSpace,
    model_takes: tuple[int, ...] | None = None,
    *,
    whole: bool = False,
) -> Canvas | None:
    """Return how rows of shape ``row`` are pictures, or ``None`` where they are none.

    Declared features are a table. A flat row is a picture where ``model_takes``, the shape of
    the model's own input, is one of as many numbers. ``whole`` says that only whole numbers fit.
    """
    if space.features:
        return None
    shapes = [row]
    if model_takes is not None and len(row) == 1 and np.prod(model_takes) == row[0]:
        shapes.append(model_takes)
    for shape in shapes:
        axes = image_axes(shape)
        if axes is not None and min(shape[axes[0]], shape[axes[1]]) >= SHORTEST_SIDE:
            return Canvas(row, shape, axes, space, whole)
    return None


@dataclass(frozen=True, slots=True, eq=False)
class Pictures:
    """Rows that are pictures, as a medium of corruptions."""

    canvas: Canvas

    @property
    def batch(self) -> int:
        """How many rows to corrupt at a time."""
        return self.canvas.batch

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one picture."""
        return self.canvas.shape

    def objection(self, kind: str) -> str:
        """Say why a kind has no meaning for these pictures."""
        if kind not in KINDS:
            return "it is for tables, and the inputs are pictures"
        if kind == "saturate" and self.canvas.channels != digital.COLOURS:
            return f"it needs three channels of colour, and there are {self.canvas.channels}"
        return ""

    def corrupt(self, rows: Array, kind: str, severity: int, rng: Rng) -> Array:
        """Return corrupted rows; severity 0 leaves them as they are."""
        if severity == 0:
            return rows.copy()
        before = self.canvas.spread(rows)
        return self.canvas.settled(KINDS[kind](before, severity, rng), rows, before)
