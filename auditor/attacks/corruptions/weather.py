"""Weather before the lens, on pictures ``[n, height, width, channels]`` in 0..1 of their box.

Nothing is photographed: fog and frost are clouds of random waves, snow and spatter are noise.
"""

import math

import numpy as np
from scipy.ndimage import gaussian_filter
from scipy.special import ndtri

from auditor.attacks.corruptions.blurs import trailed
from auditor.attacks.corruptions.sampling import zoomed
from auditor.attacks.corruptions.strengths import Five, between, length, side_of
from auditor.domain.tasks import Floats

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
    side = side_of(pictures)
    thick = between(*FOG, severity, side)
    cloud = clouds(pictures, between(*FOG_DECAY, severity, side), rng)
    brightest = pictures.max(axis=(1, 2, 3), keepdims=True)
    dimmed: Floats = (pictures + thick * cloud) * brightest / (brightest + thick)
    return dimmed


def frost(pictures: Floats, severity: int, rng: np.random.Generator) -> Floats:
    """Mix the picture with ridges of pale ice: ``FROST_KEPT`` of it and ``FROST`` of them.

    The original pastes photographs of frosted windows; the ridges here are synthetic.
    """
    side = side_of(pictures)
    ridges = 1 - np.abs(2 * clouds(pictures, FROST_DECAY, rng) - 1)
    ice: Floats = FROST_LEAST + (1 - FROST_LEAST) * ridges**2
    kept = between(*FROST_KEPT, severity, side)
    return kept * pictures + between(*FROST, severity, side) * ice * tint(pictures, ICE)


def snow(pictures: Floats, severity: int, rng: np.random.Generator) -> Floats:
    """Whiten the picture and let flakes fall through it, down and up."""
    side = side_of(pictures)
    shape = (*pictures.shape[:3], 1)
    mean, spread = between(*SNOW_MEAN, severity, side), between(*SNOW_SPREAD, severity, side)
    flakes = mean + spread * rng.normal(size=shape)
    flakes = zoomed(flakes, max(1.0, length(*SNOW_SIZE, severity, side)))
    flakes = np.where(flakes < between(*SNOW_LEAST, severity, side), 0.0, np.clip(flakes, 0, 1))
    angles = np.deg2rad(rng.uniform(*FALL, len(pictures)))
    fade, end = length(*SNOW_TRAIL, severity, side), length(*SNOW_END, severity, side)
    flakes = trailed(flakes, angles, fade, end)
    kept = between(*SNOW_KEPT, severity, side)
    pale = np.maximum(pictures, _grey(pictures) * 1.5 + 0.5)
    whitened: Floats = kept * pictures + (1 - kept) * pale
    return whitened + flakes + flakes[:, ::-1, ::-1]


def spatter(pictures: Floats, severity: int, rng: np.random.Generator) -> Floats:
    """Put drops of water, at severity 4 and 5 of mud, over a share ``SPATTER`` of the picture.

    ``DROP`` are standard deviations of the blur that makes drops, in pixels. Simpler than the
    original, which shades the rims of the drops.
    """
    side = side_of(pictures)
    size = length(*DROP, severity, side)
    liquid = gaussian_filter(rng.normal(size=pictures.shape[:3]), (0, size, size), mode="wrap")
    liquid = liquid / liquid.std(axis=(1, 2), keepdims=True)
    over = liquid - float(ndtri(1 - between(*SPATTER, severity, side)))
    if severity >= MUDDY:
        thick = np.clip(4 * over, 0.0, 1.0)[..., None]
        return np.asarray(pictures * (1 - thick) + thick * tint(pictures, MUD))
    wet = WET * np.where(over > 0, np.clip(0.4 + over, 0.0, 1.0), 0.0)[..., None]
    return np.asarray(pictures + wet * tint(pictures, WATER))


def clouds(pictures: Floats, decay: float, rng: np.random.Generator) -> Floats:
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


def tint(pictures: Floats, colour: tuple[float, float, float]) -> Floats:
    """Return a colour ``[3]`` for colour pictures, and its brightness ``[1]`` for others."""
    if pictures.shape[3] == len(colour):
        return np.array(colour)
    return np.array([float(np.dot(colour, LUMINANCE))])


def _grey(pictures: Floats) -> Floats:
    if pictures.shape[3] == len(LUMINANCE):
        return np.asarray((pictures @ np.array(LUMINANCE))[..., None])
    return np.asarray(pictures.mean(axis=3, keepdims=True))
