"""Mass on 0..1 spread by a Gaussian that is reflected at both ends."""

from collections.abc import Callable

import numpy as np
from scipy.fft import dct, idct

from auditor.domain.tasks import Floats

CELLS = 2048
STEPS = 14
GUESS = 0.05


def waves(mass: Floats) -> Floats:
    """Return the cosines ``[..., cells]`` of mass in cells of equal width on ``[0, 1]``."""
    return np.asarray(dct(mass, axis=-1), dtype=np.float64)


def spread(of: Floats, width: float | Floats) -> Floats:
    """Spread mass by a reflected Gaussian: cosines are its eigenfunctions on ``[0, 1]``."""
    damped = np.exp(-0.5 * (np.pi * np.arange(of.shape[-1]) * np.asarray(width)[..., None]) ** 2)
    return np.asarray(idct(of * damped, axis=-1), dtype=np.float64)


def norms(of: Floats, width: float | Floats) -> Floats:
    """Return the sums of absolute mass ``[...]`` of waves ``[..., cells]`` after spreading."""
    return np.asarray(np.abs(spread(of, width)).sum(axis=-1))


def meeting(falling: Callable[[Floats], Floats], near: float | Floats) -> Floats:
    """Return where a function that falls meets its own argument, from a guess within 0..1.

    An argument and its value always lie on both sides of that place.
    """
    at = np.asarray(near, dtype=np.float64)
    low, high = np.zeros_like(at), np.ones_like(at)
    for _ in range(STEPS):
        value = falling(at)
        low = np.maximum(low, np.minimum(at, value))
        high = np.minimum(high, np.maximum(at, value))
        at = (low + high) / 2
    return at
