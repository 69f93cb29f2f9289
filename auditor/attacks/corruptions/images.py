"""Image corruptions: noise, blur, weather, colour, geometry and compression, at five severities.

Kinds and severities follow ImageNet-C and CIFAR-10-C (Hendrycks & Dietterich 2019,
arXiv 1903.12261). Their published tables hold for two image sizes; ``interpolate_strength`` covers
all other sizes. Corruptions take images ``[n, height, width, channels]`` in 0..1. Weather is
synthetic: fog and frost are random waves, snow and spatter are noise; no photographs are used.
"""

import io
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter
from scipy.special import ndtri

from auditor.attacks.corruptions.input_medium import Rng, snap_inputs
from auditor.attacks.image_resampling import (
    convolve,
    pixel_mesh,
    sample_bilinear,
    sample_nearest,
    zoom_in,
)
from auditor.domain.evidence import find_image_axes
from auditor.domain.tasks import Array, Floats, InputSpace

SMALL, LARGE = 32, 224
"""Sides, in pixels, for which CIFAR-10-C and ImageNet-C were tuned."""
SEVERITIES = (1, 2, 3, 4, 5)

Five = tuple[float, float, float, float, float]
"""One number a severity, the mildest first."""


def shorter_side(pictures: Floats) -> int:
    """Return the shorter side of ``[n, height, width, channels]``, in pixels."""
    return int(min(pictures.shape[1:3]))


def interpolate_strength(small: Five, large: Five, severity: int, side: int) -> float:
    """Return the strength for pictures of ``side`` pixels.

    ``small`` is CIFAR-10-C's table and holds up to 32 pixels, ``large`` ImageNet-C's and holds
    from 224 (Hendrycks & Dietterich 2019, arXiv 1903.12261, with the code published beside it);
    between them the strength is linear in the logarithm of the side.
    """
    share = math.log(side / SMALL) / math.log(LARGE / SMALL)
    share = min(1.0, max(0.0, share))
    return (1 - share) * small[severity - 1] + share * large[severity - 1]


def scale_length(small: Five, large: Five, severity: int, side: int) -> float:
    """Return a length in pixels, as ``interpolate_strength``, which goes on to grow and shrink
    outside.

    Above 224 pixels a length grows with the side. Below 32 it shrinks with the side's square
    root: in proportion it would vanish below a pixel and corrupt nothing, and unscaled it would
    cover what the picture shows. That rule is ours; no published table is for so few pixels.
    """
    known = interpolate_strength(small, large, severity, side)
    return known * max(1.0, side / LARGE) * min(1.0, math.sqrt(side / SMALL))


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
    more = interpolate_strength(*BRIGHTNESS, severity, shorter_side(pictures))
    if pictures.shape[3] != COLOURS:
        return np.asarray(pictures + more)
    value = pictures.max(axis=3, keepdims=True)
    lifted = np.clip(value + more, 0.0, 1.0)
    times = lifted / np.where(value > 0, value, 1.0)
    return np.asarray(np.where(value > 0, pictures * times, lifted))


def contrast(pictures: Floats, severity: int) -> Floats:
    """Draw all values towards the channel's mean, to a share ``CONTRAST`` of their distance."""
    mean = pictures.mean(axis=(1, 2), keepdims=True)
    kept: Floats = mean + interpolate_strength(*CONTRAST, severity, shorter_side(pictures)) * (
        pictures - mean
    )
    return kept


def saturate(pictures: Floats, severity: int) -> Floats:
    """Multiply the saturation of colours by ``SATURATE`` and add ``SATURATE_MORE``.

    Of colour pictures only. Pixels without any colour stay grey: they have no hue to show.
    """
    side = shorter_side(pictures)
    value = pictures.max(axis=3, keepdims=True)
    depth = value - pictures.min(axis=3, keepdims=True)
    coloured = (value > 0) & (depth > 0)
    before = np.where(coloured, depth / np.where(value > 0, value, 1.0), 1.0)
    after = before * interpolate_strength(*SATURATE, severity, side) + interpolate_strength(
        *SATURATE_MORE, severity, side
    )
    times = np.where(coloured, np.clip(after, 0.0, 1.0) / before, 1.0)
    return np.asarray(value - (value - pictures) * times)


def pixelate(pictures: Floats, severity: int) -> Floats:
    """Average over boxes, so that a share ``PIXELATE`` of the pixels is left a side."""
    share = interpolate_strength(*PIXELATE, severity, shorter_side(pictures))
    down = _boxes(pictures.shape[1], share)
    across = _boxes(pictures.shape[2], share)
    rows = np.tensordot(down, pictures, axes=(1, 1))
    found: Floats = np.moveaxis(np.tensordot(across, rows, axes=(1, 2)), (0, 1), (2, 1))
    return found


def jpeg(pictures: Floats, severity: int) -> Floats:
    """Compress to JPEG of quality ``JPEG`` and back, by pillow; single channels as grey."""
    quality = round(interpolate_strength(*JPEG, severity, shorter_side(pictures)))
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
    side = shorter_side(pictures)
    count, height, width, _ = pictures.shape
    # Where each pixel is looked up after three points moved, `[n, height, width]`
    reach = side * interpolate_strength(*ELASTIC_TILT, severity, side)
    middle, third = np.array([height - 1, width - 1]) / 2, min(height, width) / 3
    points = middle + third * np.array([[1.0, 1.0], [1.0, -1.0], [-1.0, -1.0]])
    moved = points + rng.uniform(-reach, reach, (count, 3, 2))
    maps = np.linalg.inv(np.column_stack([points, np.ones(3)])) @ moved
    rows, columns = pixel_mesh(height, width)
    pixels = np.stack([rows, columns, np.ones_like(rows)], axis=-1).reshape(-1, 3)
    places = (pixels @ maps).reshape(count, height, width, 2)
    rows, columns = places[..., 0], places[..., 1]
    blur = interpolate_strength(*ELASTIC_BLUR, severity, side)
    push = side * interpolate_strength(*ELASTIC, severity, side)
    if blur > WIDEST_BLUR:
        # Wider kernels cost more and say nothing else; the mean push stays what it was.
        push, blur = push * WIDEST_BLUR / blur, WIDEST_BLUR
    noise = rng.uniform(-1.0, 1.0, (2, count, height, width))
    spread = (0, 0, side * blur, side * blur)
    down, across = push * gaussian_filter(noise, spread, mode="reflect", truncate=3.0)
    return sample_bilinear(pictures, rows + down, columns + across)


def occlusion(pictures: Floats, severity: int, rng: np.random.Generator) -> Floats:
    """Hide a random square of ``COVERED`` of the picture's area behind grey; not in ImageNet-C."""
    count, height, width, _ = pictures.shape
    share = np.sqrt(COVERED[severity - 1])
    tall, wide = max(1, round(share * height)), max(1, round(share * width))
    top, left = rng.random((2, count, 1, 1))
    rows, columns = pixel_mesh(height, width)
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


BLUR_DEVIATIONS: tuple[Five, Five] = (0.4, 0.6, 0.7, 0.8, 1.0), (1, 2, 3, 4, 6)
DISC: tuple[Five, Five] = (0.8, 1.0, 1.2, 1.3, 1.7), (3, 4, 6, 8, 10)
GLASS_BLUR: tuple[Five, Five] = (0.05, 0.25, 0.4, 0.25, 0.4), (0.7, 0.9, 1.0, 1.1, 1.5)
GLASS_REACH: tuple[Five, Five] = (1, 1, 1, 1, 1), (1, 2, 2, 3, 4)
GLASS_ROUNDS: tuple[Five, Five] = (1, 1, 1, 2, 2), (2, 1, 3, 2, 2)
TRAIL: tuple[Five, Five] = (1, 1.5, 2, 2, 2.5), (3, 5, 8, 12, 15)
TRAIL_END: tuple[Five, Five] = (12, 12, 12, 16, 18), (20, 30, 30, 30, 40)
ZOOM: tuple[Five, Five] = (1.05, 1.10, 1.15, 1.20, 1.25), (1.10, 1.15, 1.20, 1.24, 1.30)
ZOOMS = 12
STEEPEST = 45.0


def gaussian_blur(pictures: Floats, severity: int) -> Floats:
    """Blur by a normal kernel; ``BLUR_DEVIATIONS`` are its standard deviations in pixels."""
    return _blurred(pictures, scale_length(*BLUR_DEVIATIONS, severity, shorter_side(pictures)))


def defocus_blur(pictures: Floats, severity: int) -> Floats:
    """Blur by a disc with a soft border; ``DISC`` are its radii in pixels.

    CIFAR-10-C's discs are smaller than a pixel and blurred; ``DISC`` holds the radii of discs
    that spread light as far.
    """
    radius = scale_length(*DISC, severity, shorter_side(pictures))
    reach = math.ceil(radius + 0.5)
    rows, columns = pixel_mesh(2 * reach + 1, 2 * reach + 1)
    distance = np.hypot(rows - reach, columns - reach)
    disc = np.clip(radius + 0.5 - distance, 0.0, 1.0)
    return convolve(pictures, disc[None] / disc.sum())


def motion_blur(pictures: Floats, severity: int, rng: np.random.Generator) -> Floats:
    """Draw each pixel out along a line, at most 45 degrees from level, its own in each picture.

    The trail fades as a half normal curve; ``TRAIL`` are its standard deviations in pixels.
    """
    angles = rng.uniform(-STEEPEST, STEEPEST, len(pictures))
    side = shorter_side(pictures)
    fade = scale_length(*TRAIL, severity, side)
    return trail_pixels(
        pictures, np.deg2rad(angles), fade, scale_length(*TRAIL_END, severity, side)
    )


def trail_pixels(pictures: Floats, angles: Floats, fade: float, end: float) -> Floats:
    """Draw pixels out along ``angles`` ``[n]`` (radians), fading over ``fade``, up to ``end``."""
    reach = max(1, math.ceil(min(end, 4 * fade)))
    steps = np.arange(reach + 1)
    weights = np.exp(-(steps**2) / (2 * fade**2))
    down = reach + np.sin(angles)[:, None] * steps
    across = reach + np.cos(angles)[:, None] * steps
    kernels = np.zeros((len(pictures), 2 * reach + 1, 2 * reach + 1))
    which = np.arange(len(pictures))[:, None]
    top, left = np.floor(down).astype(np.intp), np.floor(across).astype(np.intp)
    for row, vertical in ((top, 1 - (down - top)), (top + 1, down - top)):
        for column, level in ((left, 1 - (across - left)), (left + 1, across - left)):
            place = (which, np.minimum(row, 2 * reach), np.minimum(column, 2 * reach))
            np.add.at(kernels, place, weights * vertical * level)
    return convolve(pictures, kernels / weights.sum())


def zoom_blur(pictures: Floats, severity: int) -> Floats:
    """Average the picture with itself, zoomed by up to ``ZOOM``."""
    most = interpolate_strength(*ZOOM, severity, shorter_side(pictures))
    total = 2 * pictures  # as published: the still picture counts twice
    for factor in np.linspace(1.0, most, ZOOMS)[1:]:
        total = total + zoom_in(pictures, float(factor))
    return total / (ZOOMS + 1)


def glass_blur(pictures: Floats, severity: int, rng: np.random.Generator) -> Floats:
    """Blur, let each pixel look at a random neighbour, and blur again.

    The published code swaps pixels one after the other; here all look at once, which has the
    same reach and needs no loop over pixels. Where that reach, ``GLASS_REACH``, is less than a
    pixel, only that share of the pixels looks elsewhere.
    """
    side = shorter_side(pictures)
    blur = scale_length(*GLASS_BLUR, severity, side)
    far = scale_length(*GLASS_REACH, severity, side)
    reach = max(1, round(far))
    rows, columns = pixel_mesh(*pictures.shape[1:3])
    shape = pictures.shape[:3]
    pictures = _blurred(pictures, blur)
    for _ in range(round(interpolate_strength(*GLASS_ROUNDS, severity, side))):
        moving = rng.random(shape) < far
        down, across = moving * rng.integers(-reach, reach, (2, *shape))
        pictures = sample_nearest(pictures, rows + down, columns + across)
    return _blurred(pictures, blur)


def _blurred(pictures: Floats, spread: float) -> Floats:
    blurred: Floats = gaussian_filter(pictures, (0, spread, spread, 0), mode="nearest")
    return blurred


FOG: tuple[Five, Five] = (0.2, 0.5, 0.75, 1, 1.5), (1.5, 2, 2.5, 2.5, 3)
FOG_DECAY: tuple[Five, Five] = (3, 3, 2.5, 2, 1.75), (2, 2, 1.7, 1.5, 1.4)
FROST_KEPT: tuple[Five, Five] = (1, 1, 0.9, 0.85, 0.75), (1, 0.8, 0.7, 0.65, 0.6)
FROST: tuple[Five, Five] = (0.2, 0.3, 0.4, 0.4, 0.45), (0.4, 0.6, 0.7, 0.7, 0.75)
FROST_DECAY, FROST_LEAST = 2.0, 0.3
SNOW_MEAN: tuple[Five, Five] = (0.1, 0.1, 0.15, 0.25, 0.3), (0.1, 0.2, 0.55, 0.55, 0.55)
SNOW_SPREAD: tuple[Five, Five] = (0.2, 0.2, 0.3, 0.3, 0.3), (0.3, 0.3, 0.3, 0.3, 0.3)
SNOW_SIZE: tuple[Five, Five] = (1, 1, 1.75, 2.25, 1.25), (3, 2, 4, 4.5, 2.5)
SNOW_LEAST: tuple[Five, Five] = (0.6, 0.5, 0.55, 0.6, 0.65), (0.5, 0.5, 0.9, 0.85, 0.85)
SNOW_TRAIL: tuple[Five, Five] = (3, 4, 4, 6, 12), (4, 4, 8, 8, 12)
SNOW_END: tuple[Five, Five] = (16, 20, 20, 24, 28), (20, 24, 24, 24, 24)
SNOW_KEPT: tuple[Five, Five] = (0.95, 0.9, 0.9, 0.85, 0.8), (0.8, 0.7, 0.7, 0.65, 0.55)
FALL = (45.0, 135.0)
SPATTER: tuple[Five, Five] = (0.02, 0.08, 0.2, 0.16, 0.25), (0.03, 0.14, 0.24, 0.24, 0.34)
DROP: tuple[Five, Five] = (0.7, 0.8, 1, 0.7, 0.7), (4, 3, 2, 2, 2)
MUDDY = 4
ICE, WATER, MUD = (0.82, 0.92, 1.0), (175 / 255, 238 / 255, 238 / 255), (63 / 255, 42 / 255, 0.08)
WET = 0.55
LUMINANCE = (0.299, 0.587, 0.114)


def fog(pictures: Floats, severity: int, rng: np.random.Generator) -> Floats:
    """Lay a bright cloud over the picture, ``FOG`` times as bright as the box, and dim both."""
    side = shorter_side(pictures)
    thick = interpolate_strength(*FOG, severity, side)
    cloud = draw_clouds(pictures, interpolate_strength(*FOG_DECAY, severity, side), rng)
    brightest = pictures.max(axis=(1, 2, 3), keepdims=True)
    dimmed: Floats = (pictures + thick * cloud) * brightest / (brightest + thick)
    return dimmed


def frost(pictures: Floats, severity: int, rng: np.random.Generator) -> Floats:
    """Mix the picture with ridges of pale ice: ``FROST_KEPT`` of it and ``FROST`` of them.

    The original pastes photographs of frosted windows; the ridges here are synthetic.
    """
    side = shorter_side(pictures)
    ridges = 1 - np.abs(2 * draw_clouds(pictures, FROST_DECAY, rng) - 1)
    ice: Floats = FROST_LEAST + (1 - FROST_LEAST) * ridges**2
    kept = interpolate_strength(*FROST_KEPT, severity, side)
    return kept * pictures + interpolate_strength(*FROST, severity, side) * ice * tint_colour(
        pictures, ICE
    )


def snow(pictures: Floats, severity: int, rng: np.random.Generator) -> Floats:
    """Whiten the picture and let flakes fall through it, down and up."""
    side = shorter_side(pictures)
    shape = (*pictures.shape[:3], 1)
    mean, spread = (
        interpolate_strength(*SNOW_MEAN, severity, side),
        interpolate_strength(*SNOW_SPREAD, severity, side),
    )
    flakes = mean + spread * rng.normal(size=shape)
    flakes = zoom_in(flakes, max(1.0, scale_length(*SNOW_SIZE, severity, side)))
    flakes = np.where(
        flakes < interpolate_strength(*SNOW_LEAST, severity, side), 0.0, np.clip(flakes, 0, 1)
    )
    angles = np.deg2rad(rng.uniform(*FALL, len(pictures)))
    fade, end = scale_length(*SNOW_TRAIL, severity, side), scale_length(*SNOW_END, severity, side)
    flakes = trail_pixels(flakes, angles, fade, end)
    kept = interpolate_strength(*SNOW_KEPT, severity, side)
    if pictures.shape[3] == len(LUMINANCE):
        grey = np.asarray((pictures @ np.array(LUMINANCE))[..., None])
    else:
        grey = np.asarray(pictures.mean(axis=3, keepdims=True))
    pale = np.maximum(pictures, grey * 1.5 + 0.5)
    whitened: Floats = kept * pictures + (1 - kept) * pale
    return whitened + flakes + flakes[:, ::-1, ::-1]


def spatter(pictures: Floats, severity: int, rng: np.random.Generator) -> Floats:
    """Put drops of water, at severity 4 and 5 of mud, over a share ``SPATTER`` of the picture.

    ``DROP`` are standard deviations of the blur that makes drops, in pixels. Simpler than the
    original, which shades the rims of the drops.
    """
    side = shorter_side(pictures)
    size = scale_length(*DROP, severity, side)
    liquid = gaussian_filter(rng.normal(size=pictures.shape[:3]), (0, size, size), mode="wrap")
    liquid = liquid / liquid.std(axis=(1, 2), keepdims=True)
    over = liquid - float(ndtri(1 - interpolate_strength(*SPATTER, severity, side)))
    if severity >= MUDDY:
        thick = np.clip(4 * over, 0.0, 1.0)[..., None]
        return np.asarray(pictures * (1 - thick) + thick * tint_colour(pictures, MUD))
    wet = WET * np.where(over > 0, np.clip(0.4 + over, 0.0, 1.0), 0.0)[..., None]
    return np.asarray(pictures + wet * tint_colour(pictures, WATER))


def draw_clouds(pictures: Floats, decay: float, rng: np.random.Generator) -> Floats:
    """Return a cloud in 0..1 for each picture, ``[n, height, width, 1]``.

    Random waves whose strength falls by ``decay`` from one octave to the next, as the original's
    diamond-square algorithm has it; drawn on twice the size, so that opposite borders differ.
    """
    count, height, width, _ = pictures.shape
    noise = rng.normal(size=(count, 2 * height, 2 * width))
    down, across = np.fft.fftfreq(2 * height), np.fft.rfftfreq(2 * width)
    frequency = np.hypot(down[:, None], across)
    frequency[0, 0] = np.inf
    # An octave of two dimensions holds waves in proportion to the square of its frequency.
    waves = np.fft.rfft2(noise) * frequency ** -(1 + math.log2(decay))
    found = np.fft.irfft2(waves, s=noise.shape[1:])[:, :height, :width]
    least = found.min(axis=(1, 2), keepdims=True)
    most = found.max(axis=(1, 2), keepdims=True)
    scaled: Floats = (found - least) / np.where(most > least, most - least, 1.0)
    return scaled[..., None]


def tint_colour(pictures: Floats, colour: tuple[float, float, float]) -> Floats:
    """Return a colour ``[3]`` for colour pictures, and its brightness ``[1]`` for others."""
    if pictures.shape[3] == len(colour):
        return np.array(colour)
    return np.array([float(np.dot(colour, LUMINANCE))])


NOISE_DEVIATIONS: tuple[Five, Five] = (0.04, 0.06, 0.08, 0.09, 0.10), (0.08, 0.12, 0.18, 0.26, 0.38)
SHOT: tuple[Five, Five] = (500, 250, 100, 75, 50), (60, 25, 12, 5, 3)
IMPULSE: tuple[Five, Five] = (0.01, 0.02, 0.03, 0.05, 0.07), (0.03, 0.06, 0.09, 0.17, 0.27)
SPECKLE: tuple[Five, Five] = (0.06, 0.10, 0.12, 0.16, 0.20), (0.15, 0.20, 0.35, 0.45, 0.60)


def gaussian_noise(pictures: Floats, severity: int, rng: np.random.Generator) -> Floats:
    """Add independent normal noise; ``NOISE_DEVIATIONS`` are its standard deviations."""
    spread = interpolate_strength(*NOISE_DEVIATIONS, severity, shorter_side(pictures))
    return pictures + spread * rng.normal(size=pictures.shape)


def shot_noise(pictures: Floats, severity: int, rng: np.random.Generator) -> Floats:
    """Count photons: Poisson noise, where full brightness is ``SHOT`` photons a pixel."""
    photons = interpolate_strength(*SHOT, severity, shorter_side(pictures))
    return rng.poisson(np.maximum(pictures, 0.0) * photons) / photons


def impulse_noise(pictures: Floats, severity: int, rng: np.random.Generator) -> Floats:
    """Turn a share ``IMPULSE`` of the values to either end of the box (salt and pepper)."""
    half = interpolate_strength(*IMPULSE, severity, shorter_side(pictures)) / 2
    chance = rng.random(pictures.shape)
    return np.where(chance < half, 0.0, np.where(chance > 1 - half, 1.0, pictures))


def speckle_noise(pictures: Floats, severity: int, rng: np.random.Generator) -> Floats:
    """Multiply by normal noise around one; ``SPECKLE`` are its standard deviations."""
    spread = interpolate_strength(*SPECKLE, severity, shorter_side(pictures))
    return pictures * (1 + spread * rng.normal(size=pictures.shape))


Corruption = Callable[[Floats, int, Rng], Floats]


def _fixed(change: Callable[[Floats, int], Floats]) -> Corruption:
    """Give a corruption without chance the form of the others."""

    def changed(pictures: Floats, severity: int, _: Rng) -> Floats:
        return change(pictures, severity)

    return changed


KINDS: Mapping[str, Corruption] = MappingProxyType(
    {
        "gaussian_noise": gaussian_noise,
        "shot_noise": shot_noise,
        "impulse_noise": impulse_noise,
        "speckle_noise": speckle_noise,
        "defocus_blur": _fixed(defocus_blur),
        "gaussian_blur": _fixed(gaussian_blur),
        "motion_blur": motion_blur,
        "zoom_blur": _fixed(zoom_blur),
        "glass_blur": glass_blur,
        "fog": fog,
        "frost": frost,
        "snow": snow,
        "spatter": spatter,
        "brightness": _fixed(brightness),
        "contrast": _fixed(contrast),
        "saturate": _fixed(saturate),
        "elastic": elastic,
        "pixelate": _fixed(pixelate),
        "jpeg": _fixed(jpeg),
        "occlusion": occlusion,
    }
)
"""Every kind for pictures, in the order of Hendrycks & Dietterich 2019 (section 3)."""

SHORTEST_SIDE = 4
MOST_VALUES = 2**21
"""Of how many numbers a batch holds: 16 MiB, and a few times that while it is corrupted."""


@dataclass(frozen=True, slots=True, eq=False)
class ImageLayout:
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
        return snap_inputs(np.where(changed, points, exact), rows, self.space, quantum)

    def _gathered(self, pictures: Floats) -> Floats:
        if self.axes[2] is None:
            pictures = pictures[..., 0]
        else:
            pictures = np.moveaxis(pictures, 3, 1 + self.axes[2])
        return pictures.reshape(len(pictures), *self.row)

    def _box(self) -> tuple[Floats, Floats]:
        low = np.broadcast_to(self.space.low, self.row)
        return low, np.broadcast_to(self.space.width, self.row)


def find_image_layout(
    row: tuple[int, ...],
    space: InputSpace,
    model_takes: tuple[int, ...] | None = None,
    *,
    whole: bool = False,
) -> ImageLayout | None:
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
        axes = find_image_axes(shape)
        if axes is not None and min(shape[axes[0]], shape[axes[1]]) >= SHORTEST_SIDE:
            return ImageLayout(row, shape, axes, space, whole)
    return None


@dataclass(frozen=True, slots=True, eq=False)
class ImageMedium:
    """Rows that are pictures, as a medium of corruptions."""

    canvas: ImageLayout

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
        if kind == "saturate" and self.canvas.channels != COLOURS:
            return f"it needs three channels of colour, and there are {self.canvas.channels}"
        return ""

    def corrupt(self, rows: Array, kind: str, severity: int, rng: Rng) -> Array:
        """Return corrupted rows; severity 0 leaves them as they are."""
        if severity == 0:
            return rows.copy()
        before = self.canvas.spread(rows)
        return self.canvas.settled(KINDS[kind](before, severity, rng), rows, before)
