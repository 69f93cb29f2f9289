"""Light, colour, shape and coding, on pictures ``[n, height, width, channels]`` in 0..1."""

import io

import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter

from auditor.attacks.corruptions.sampling import mesh, sample
from auditor.attacks.corruptions.strengths import Five, between, side_of
from auditor.domain.tasks import Floats

BRIGHTNESS: tuple[Five, Five] = (0.05, 0.1, 0.15, 0.2, 0.3), (0.1, 0.2, 0.3, 0.4, 0.5)
CONTRAST: tuple[Five, Five] = (0.75, 0.5, 0.4, 0.3, 0.15), (0.4, 0.3, 0.2, 0.1, 0.05)
SATURATE: tuple[Five, Five] = (0.3, 0.1, 1.5, 2.0, 2.5), (0.3, 0.1, 2, 5, 20)
SATURATE_MORE: tuple[Five, Five] = (0, 0, 0, 0.1, 0.2), (0, 0, 0, 0.1, 0.2)
PIXELATE: tuple[Five, Five] = (0.95, 0.9, 0.85, 0.75, 0.65), (0.6, 0.5, 0.4, 0.3, 0.25)
JPEG: tuple[Five, Five] = (80, 65, 58, 50, 40), (25, 18, 15, 10, 7)
ELASTIC: tuple[Five, Five] = (0, 0.05, 0.08, 0.1, 0.1), (2.2, 2.2, 0.054, 0.076, 0.13)
ELASTIC_BLUR: tuple[Five, Five] = (0, 0.2, 0.06, 0.04, 0.03), (0.76, 0.087, 0.011, 0.011, 0.011)
ELASTIC_TILT: tuple[Five, Five] = (0.08, 0.07, 0.06, 0.05, 0.03), (0.11, 0.22, 0.022, 0.022, 0.022)
WIDEST_BLUR = 0.125
COVERED: Five = (0.02, 0.05, 0.1, 0.15, 0.25)
COLOURS = 3
BRIGHTEST = 255


def brightness(pictures: Floats, severity: int) -> Floats:
    """Add ``BRIGHTNESS`` to the value of each pixel (its greatest channel), keeping its hue."""
    more = between(*BRIGHTNESS, severity, side_of(pictures))
    if pictures.shape[3] != COLOURS:
        return np.asarray(pictures + more)
    value = pictures.max(axis=3, keepdims=True)
    lifted = np.clip(value + more, 0.0, 1.0)
    times = lifted / np.where(value > 0, value, 1.0)
    return np.asarray(np.where(value > 0, pictures * times, lifted))


def contrast(pictures: Floats, severity: int) -> Floats:
    """Draw all values towards the channel's mean, to a share ``CONTRAST`` of their distance."""
    mean = pictures.mean(axis=(1, 2), keepdims=True)
    kept: Floats = mean + between(*CONTRAST, severity, side_of(pictures)) * (pictures - mean)
    return kept


def saturate(pictures: Floats, severity: int) -> Floats:
    """Multiply the saturation of colours by ``SATURATE`` and add ``SATURATE_MORE``.

    Of colour pictures only. Pixels without any colour stay grey: they have no hue to show.
    """
    side = side_of(pictures)
    value = pictures.max(axis=3, keepdims=True)
    depth = value - pictures.min(axis=3, keepdims=True)
    coloured = (value > 0) & (depth > 0)
    before = np.where(coloured, depth / np.where(value > 0, value, 1.0), 1.0)
    after = before * between(*SATURATE, severity, side) + between(*SATURATE_MORE, severity, side)
    times = np.where(coloured, np.clip(after, 0.0, 1.0) / before, 1.0)
    return np.asarray(value - (value - pictures) * times)


def pixelate(pictures: Floats, severity: int) -> Floats:
    """Average over boxes, so that a share ``PIXELATE`` of the pixels is left a side."""
    share = between(*PIXELATE, severity, side_of(pictures))
    down = _boxes(pictures.shape[1], share)
    across = _boxes(pictures.shape[2], share)
    rows = np.tensordot(down, pictures, axes=(1, 1))
    found: Floats = np.moveaxis(np.tensordot(across, rows, axes=(1, 2)), (0, 1), (2, 1))
    return found


def jpeg(pictures: Floats, severity: int) -> Floats:
    """Compress to JPEG of quality ``JPEG`` and back, by pillow; single channels as grey."""
    quality = round(between(*JPEG, severity, side_of(pictures)))
    levels = np.rint(np.clip(pictures, 0.0, 1.0) * BRIGHTEST).astype(np.uint8)
    if pictures.shape[3] == COLOURS:
        coded = np.stack([_coded(picture, quality) for picture in levels])
    else:
        planes = np.moveaxis(levels, 3, 1)
        coded = np.moveaxis(
            np.stack([[_coded(plane, quality) for plane in picture] for picture in planes]), 1, 3
        )
    return coded.astype(np.float64) / BRIGHTEST


def elastic(pictures: Floats, severity: int, rng: np.random.Generator) -> Floats:
    """Tilt the picture and push its pixels about.

    Three points move by up to ``ELASTIC_TILT``; pixels move by noise of amplitude ``ELASTIC``,
    blurred over ``ELASTIC_BLUR``. All three are shares of the side.
    """
    side = side_of(pictures)
    count, height, width, _ = pictures.shape
    rows, columns = _tilted(pictures, side * between(*ELASTIC_TILT, severity, side), rng)
    blur = between(*ELASTIC_BLUR, severity, side)
    push = side * between(*ELASTIC, severity, side)
    if blur > WIDEST_BLUR:
        # Wider kernels cost more and say nothing else; the mean push stays what it was.
        push, blur = push * WIDEST_BLUR / blur, WIDEST_BLUR
    noise = rng.uniform(-1.0, 1.0, (2, count, height, width))
    spread = (0, 0, side * blur, side * blur)
    down, across = push * gaussian_filter(noise, spread, mode="reflect", truncate=3.0)
    return sample(pictures, rows + down, columns + across)


def occlusion(pictures: Floats, severity: int, rng: np.random.Generator) -> Floats:
    """Hide a random square of ``COVERED`` of the picture's area behind grey; not in ImageNet-C."""
    count, height, width, _ = pictures.shape
    share = np.sqrt(COVERED[severity - 1])
    tall, wide = max(1, round(share * height)), max(1, round(share * width))
    top, left = rng.random((2, count, 1, 1))
    rows, columns = mesh(height, width)
    down = rows - np.floor(top * (height - tall + 1))
    across = columns - np.floor(left * (width - wide + 1))
    hidden = (down >= 0) & (down < tall) & (across >= 0) & (across < wide)
    return np.where(hidden[..., None], 0.5, pictures)


def _boxes(side: int, share: float) -> Floats:
    """Return ``[side, side]``: averages over ``share * side`` boxes, spread out again."""
    count = max(1, int(side * share))
    edges = np.linspace(0.0, side, count + 1)
    pixels = np.arange(side)
    overlap = np.minimum(edges[1:, None], pixels + 1) - np.maximum(edges[:-1, None], pixels)
    average = np.clip(overlap, 0.0, None) * count / side
    spread = np.minimum((pixels + 0.5) * count / side, count - 1).astype(np.intp)
    found: Floats = average[spread]
    return found


def _coded(picture: "np.ndarray[tuple[int, ...], np.dtype[np.uint8]]", quality: int) -> Floats:
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, format="JPEG", quality=quality)
    with Image.open(buffer) as image:
        return np.asarray(image, dtype=np.float64)


def _tilted(pictures: Floats, reach: float, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Return where each pixel is looked up after three points moved, ``[n, height, width]``."""
    count, height, width, _ = pictures.shape
    middle, third = np.array([height - 1, width - 1]) / 2, min(height, width) / 3
    points = middle + third * np.array([[1.0, 1.0], [1.0, -1.0], [-1.0, -1.0]])
    moved = points + rng.uniform(-reach, reach, (count, 3, 2))
    maps = np.linalg.inv(np.column_stack([points, np.ones(3)])) @ moved
    rows, columns = mesh(height, width)
    pixels = np.stack([rows, columns, np.ones_like(rows)], axis=-1).reshape(-1, 3)
    places = (pixels @ maps).reshape(count, height, width, 2)
    return places[..., 0], places[..., 1]
