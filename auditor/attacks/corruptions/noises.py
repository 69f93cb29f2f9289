"""Noise of sensors, on pictures ``[n, height, width, channels]`` in 0..1 of their box."""

import numpy as np

from auditor.attacks.corruptions.strengths import Five, between, side_of
from auditor.domain.tasks import Floats

GAUSSIAN: tuple[Five, Five] = (0.04, 0.06, 0.08, 0.09, 0.10), (0.08, 0.12, 0.18, 0.26, 0.38)
SHOT: tuple[Five, Five] = (500, 250, 100, 75, 50), (60, 25, 12, 5, 3)
IMPULSE: tuple[Five, Five] = (0.01, 0.02, 0.03, 0.05, 0.07), (0.03, 0.06, 0.09, 0.17, 0.27)
SPECKLE: tuple[Five, Five] = (0.06, 0.10, 0.12, 0.16, 0.20), (0.15, 0.20, 0.35, 0.45, 0.60)


def gaussian_noise(pictures: Floats, severity: int, rng: np.random.Generator) -> Floats:
    """Add independent normal noise; ``GAUSSIAN`` are its standard deviations."""
    spread = between(*GAUSSIAN, severity, side_of(pictures))
    return pictures + spread * rng.normal(size=pictures.shape)


def shot_noise(pictures: Floats, severity: int, rng: np.random.Generator) -> Floats:
    """Count photons: Poisson noise, where full brightness is ``SHOT`` photons a pixel."""
    photons = between(*SHOT, severity, side_of(pictures))
    return rng.poisson(np.maximum(pictures, 0.0) * photons) / photons


def impulse_noise(pictures: Floats, severity: int, rng: np.random.Generator) -> Floats:
    """Turn a share ``IMPULSE`` of the values to either end of the box (salt and pepper)."""
    half = between(*IMPULSE, severity, side_of(pictures)) / 2
    chance = rng.random(pictures.shape)
    return np.where(chance < half, 0.0, np.where(chance > 1 - half, 1.0, pictures))


def speckle_noise(pictures: Floats, severity: int, rng: np.random.Generator) -> Floats:
    """Multiply by normal noise around one; ``SPECKLE`` are its standard deviations."""
    spread = between(*SPECKLE, severity, side_of(pictures))
    return pictures * (1 + spread * rng.normal(size=pictures.shape))
