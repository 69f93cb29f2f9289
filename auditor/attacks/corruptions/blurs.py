"""Blur of optics and motion, on pictures ``[n, height, width, channels]`` in 0..1 of their box."""

import math

import numpy as np
from scipy.ndimage import gaussian_filter

from auditor.attacks.corruptions.sampling import convolve, mesh, nearest, zoomed
from auditor.attacks.corruptions.strengths import Five, between, length, side_of
from auditor.domain.tasks import Floats

GAUSSIAN: tuple[Five, Five] = (0.4, 0.6, 0.7, 0.8, 1.0), (1, 2, 3, 4, 6)
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
    """Blur by a normal kernel; ``GAUSSIAN`` are its standard deviations in pixels."""
    return _blurred(pictures, length(*GAUSSIAN, severity, side_of(pictures)))


def defocus_blur(pictures: Floats, severity: int) -> Floats:
    """Blur by a disc with a soft border; ``DISC`` are its radii in pixels.

    CIFAR-10-C's discs are smaller than a pixel and blurred; ``DISC`` holds the radii of discs
    that spread light as far.
    """
    radius = length(*DISC, severity, side_of(pictures))
    reach = math.ceil(radius + 0.5)
    rows, columns = mesh(2 * reach + 1, 2 * reach + 1)
    distance = np.hypot(rows - reach, columns - reach)
    disc = np.clip(radius + 0.5 - distance, 0.0, 1.0)
    return convolve(pictures, disc[None] / disc.sum())


def motion_blur(pictures: Floats, severity: int, rng: np.random.Generator) -> Floats:
    """Draw each pixel out along a line, at most 45 degrees from level, its own in each picture.

    The trail fades as a half normal curve; ``TRAIL`` are its standard deviations in pixels.
    """
    angles = rng.uniform(-STEEPEST, STEEPEST, len(pictures))
    side = side_of(pictures)
    fade = length(*TRAIL, severity, side)
    return trailed(pictures, np.deg2rad(angles), fade, length(*TRAIL_END, severity, side))


def trailed(pictures: Floats, angles: Floats, fade: float, end: float) -> Floats:
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
    most = between(*ZOOM, severity, side_of(pictures))
    total = 2 * pictures  # as published: the still picture counts twice
    for factor in np.linspace(1.0, most, ZOOMS)[1:]:
        total = total + zoomed(pictures, float(factor))
    return total / (ZOOMS + 1)


def glass_blur(pictures: Floats, severity: int, rng: np.random.Generator) -> Floats:
    """Blur, let each pixel look at a random neighbour, and blur again.

    The published code swaps pixels one after the other; here all look at once, which has the
    same reach and needs no loop over pixels. Where that reach, ``GLASS_REACH``, is less than a
    pixel, only that share of the pixels looks elsewhere.
    """
    side = side_of(pictures)
    blur = length(*GLASS_BLUR, severity, side)
    far = length(*GLASS_REACH, severity, side)
    reach = max(1, round(far))
    rows, columns = mesh(*pictures.shape[1:3])
    shape = pictures.shape[:3]
    pictures = _blurred(pictures, blur)
    for _ in range(round(between(*GLASS_ROUNDS, severity, side))):
        moving = rng.random(shape) < far
        down, across = moving * rng.integers(-reach, reach, (2, *shape))
        pictures = nearest(pictures, rows + down, columns + across)
    return _blurred(pictures, blur)


def _blurred(pictures: Floats, spread: float) -> Floats:
    blurred: Floats = gaussian_filter(pictures, (0, spread, spread, 0), mode="nearest")
    return blurred
