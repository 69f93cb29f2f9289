"""Spatial and colour transformations of pictures: turned, moved, stretched and lit otherwise."""

import itertools
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from types import MappingProxyType

import numpy as np

from auditor.attacks.image_resampling import pixel_mesh, sample_bilinear
from auditor.domain.json import Json
from auditor.domain.tasks import Floats

COLOURS = 3
MOST_NAMED = 3
SLACK = 1e-9
GREY_AXIS = 3**-0.5


@dataclass(frozen=True, slots=True)
class ImageTransformation:
    """One change of view; the default changes nothing.

    ``angle`` in degrees, counter-clockwise; ``down`` and ``right`` in whole pixels; ``scale`` a
    factor; ``shear`` how many columns a row moves for each row; ``brightness`` what is added, as a
    share of the box; ``contrast`` a factor about the picture's mean; ``hue`` in turns of the
    colours about grey; ``mirrored`` left and right.
    """

    angle: float = 0.0
    down: int = 0
    right: int = 0
    scale: float = 1.0
    shear: float = 0.0
    brightness: float = 0.0
    contrast: float = 1.0
    hue: float = 0.0
    mirrored: bool = False

    @property
    def changed(self) -> dict[str, Json]:
        """What differs from changing nothing, as JSON."""
        still = asdict(STILL)
        return {name: value for name, value in asdict(self).items() if value != still[name]}

    @property
    def family(self) -> str:
        """What kind of change it is: the names of what changes, or ``mixed`` where many do."""
        named = {"down": "shift", "right": "shift", "angle": "rotation"}
        parts = dict.fromkeys(named.get(name, name) for name in self.changed)
        return " and ".join(parts) if len(parts) <= MOST_NAMED else "mixed"


STILL = ImageTransformation()


@dataclass(frozen=True, slots=True)
class TransformationLimits:
    """How far each part of a transformation may go, to both sides.

    ``angle`` in degrees; ``shift`` as a share of height and width, rounded to whole pixels (none
    of very small pictures); ``scale`` and ``contrast`` as a distance from 1; the others as in
    ``ImageTransformation``.
    """

    angle: float
    shift: float
    scale: float
    shear: float
    brightness: float
    contrast: float
    hue: float

    def pixels(self, size: tuple[int, int]) -> tuple[int, int]:
        """Return the largest shift down and to the right, in whole pixels."""
        return round(self.shift * size[0]), round(self.shift * size[1])

    def holds(self, change: ImageTransformation, size: tuple[int, int], *, flips: bool) -> bool:
        """Whether every part of a transformation is within reach."""
        down, right = self.pixels(size)
        parts = (
            (change.angle, self.angle),
            (change.down, down),
            (change.right, right),
            (change.scale - 1, self.scale),
            (change.shear, self.shear),
            (change.brightness, self.brightness),
            (change.contrast - 1, self.contrast),
            (change.hue, self.hue),
            (float(change.mirrored), float(flips)),
        )
        return all(abs(part) <= most + SLACK for part, most in parts)


BUDGETS: Mapping[str, TransformationLimits] = MappingProxyType(
    {
        "small": TransformationLimits(10.0, 0.03, 0.05, 0.05, 0.05, 0.1, 0.02),
        "medium": TransformationLimits(20.0, 0.06, 0.1, 0.1, 0.1, 0.2, 0.05),
        "large": TransformationLimits(30.0, 0.1, 0.2, 0.2, 0.2, 0.3, 0.1),
    }
)
"""By growing size. Angle and shift of ``large`` are those of Engstrom et al. 2019 (section 4)."""


@dataclass(frozen=True, slots=True)
class TransformationGrid:
    """Which transformations to try on pictures of one ``size`` (height, width)."""

    size: tuple[int, int]
    channels: int
    rotations: int
    shifts: int
    flips: bool

    def grid(self, reach: TransformationLimits) -> tuple[ImageTransformation, ...]:
        """Return every rotation with every shift, and all else alone, the farthest first.

        Engstrom et al. 2019 (arXiv 1712.02779) find a grid over rotation and shift stronger than
        climbing gradients through them.
        """
        turns = np.linspace(-reach.angle, reach.angle, self.rotations)
        downs, rights = (
            sorted({int(place) for place in np.rint(np.linspace(-most, most, self.shifts))})
            for most in reach.pixels(self.size)
        )
        mirrors = (False, True) if self.flips else (False,)
        found = [
            ImageTransformation(angle=float(angle), down=down, right=right, mirrored=mirrored)
            for mirrored, angle, down, right in itertools.product(mirrors, turns, downs, rights)
        ]
        most = reach.pixels(self.size)

        def distance(change: ImageTransformation) -> float:
            shifted = abs(change.down) / max(1, most[0]) + abs(change.right) / max(1, most[1])
            return abs(change.angle) / reach.angle + shifted

        found = sorted(found, key=distance, reverse=True)
        return tuple(change for change in (*found, *self._alone(reach)) if change != STILL)

    def draws(
        self, reach: TransformationLimits, count: int, rng: np.random.Generator
    ) -> tuple[ImageTransformation, ...]:
        """Return ``count`` transformations, every part drawn evenly from its reach."""
        down, right = reach.pixels(self.size)
        return tuple(
            ImageTransformation(
                angle=float(rng.uniform(-reach.angle, reach.angle)),
                down=int(rng.integers(-down, down + 1)),
                right=int(rng.integers(-right, right + 1)),
                scale=1.0 + float(rng.uniform(-reach.scale, reach.scale)),
                shear=float(rng.uniform(-reach.shear, reach.shear)),
                brightness=float(rng.uniform(-reach.brightness, reach.brightness)),
                contrast=1.0 + float(rng.uniform(-reach.contrast, reach.contrast)),
                hue=float(rng.uniform(-reach.hue, reach.hue)) * (self.channels == COLOURS),
                mirrored=bool(self.flips and rng.random() < 1 / 2),
            )
            for _ in range(count)
        )

    def _alone(self, reach: TransformationLimits) -> list[ImageTransformation]:
        found = []
        for side in (-1.0, 1.0):
            found += [
                ImageTransformation(scale=1.0 + side * reach.scale),
                ImageTransformation(shear=side * reach.shear),
                ImageTransformation(brightness=side * reach.brightness),
                ImageTransformation(contrast=1.0 + side * reach.contrast),
            ]
            if self.channels == COLOURS:
                found.append(ImageTransformation(hue=side * reach.hue))
        return found


def transform_images(pictures: Floats, change: ImageTransformation, fill: str) -> Floats:
    """Return ``[n, height, width, channels]`` pictures after one change, not clipped to 0..1.

    Geometry is bilinear about the middle; ``fill`` says what comes in over the border
    (``auditor.attacks.image_resampling.FILLS``).
    """
    if change.mirrored:
        pictures = pictures[:, :, ::-1]
    if (change.angle, change.down, change.right, change.scale, change.shear) != (0, 0, 0, 1, 0):
        # Where each pixel comes from: rows and columns, `[height, width]`
        size = pictures.shape[1:3]
        rows, columns = pixel_mesh(size[0], size[1])
        middle = (size[0] - 1) / 2, (size[1] - 1) / 2
        down = (rows - middle[0] - change.down) / change.scale
        right = (columns - middle[1] - change.right) / change.scale
        right = right - change.shear * down
        turn = math.radians(change.angle)
        cosine, sine = math.cos(turn), math.sin(turn)
        # Rows run downwards: a counter-clockwise turn on the screen is this one.
        sources = middle[0] + cosine * down + sine * right, middle[1] + cosine * right - sine * down
        pictures = sample_bilinear(pictures, *sources, fill)
    if change.hue and pictures.shape[3] == COLOURS:
        # The rotation of red, green and blue about the axis of greys (Rodrigues)
        angle = 2 * math.pi * change.hue
        cross = GREY_AXIS * np.array([[0.0, -1.0, 1.0], [1.0, 0.0, -1.0], [-1.0, 1.0, 0.0]])
        along = np.full((COLOURS, COLOURS), 1 / COLOURS)
        around = np.eye(COLOURS) - along
        pictures = (
            pictures @ np.asarray(along + math.cos(angle) * around + math.sin(angle) * cross).T
        )
    if change.contrast != 1:
        mean = pictures.mean(axis=(1, 2, 3), keepdims=True)
        pictures = mean + change.contrast * (pictures - mean)
    return np.asarray(pictures + change.brightness)
