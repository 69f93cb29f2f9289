"""Many steps of one privacy loss together, by the fast Fourier transform."""

import math
from dataclasses import dataclass

import numpy as np
from scipy.fft import irfft, next_fast_len, rfft
from scipy.special import logsumexp

from auditor.accounting.losses import OnGrid
from auditor.domain.tasks import Floats

TILTS = np.geomspace(1e-2, 1e2, 25)
ROUNDING = 2.0**-48
"""What the transforms may err by in a sum of masses, a step: 16 units in the last place."""


@dataclass(frozen=True, slots=True, eq=False)
class Composed:
    """The loss of all steps together on a grid, of which at most ``unsure`` mass is misplaced."""

    loss: OnGrid
    unsure: float

    def deltas(self, epsilons: Floats) -> Floats:
        """Return the delta at each epsilon, all of them at least 0."""
        losses, (mass, scaled) = self._tails()
        above = np.searchsorted(losses, epsilons, side="right")
        return np.maximum(0.0, mass[above] - np.exp(epsilons) * scaled[above]) + self.loss.infinite

    def epsilon(self, delta: float) -> float:
        """Return the least epsilon, at least 0, with at most ``delta``; infinity if none has."""
        if delta <= self.loss.infinite:
            return math.inf
        losses, (mass, scaled) = self._tails()
        kept = delta - self.loss.infinite
        # At a loss of the grid only what lies above it counts.
        with np.errstate(divide="ignore"):
            at_points = mass[1:] - np.exp(losses + np.log(scaled[1:]))
        below = int(np.argmax(at_points <= kept)) if (at_points <= kept).any() else len(losses)
        if mass[below] <= kept:
            return 0.0
        if scaled[below] <= 0:  # e^-loss is too small a number
            return float(losses[below - 1])
        return max(0.0, math.log(mass[below] - kept) - math.log(scaled[below]))

    def _tails(self) -> tuple[Floats, tuple[Floats, Floats]]:
        positive = self.loss.losses > 0
        losses, mass = self.loss.losses[positive], np.maximum(self.loss.mass[positive], 0.0)
        sums = (
            np.append(np.cumsum(item[::-1])[::-1], 0.0) for item in (mass, mass * np.exp(-losses))
        )
        first, second = sums
        return losses, (first, second)


def compose(loss: OnGrid, steps: int, tail: float) -> Composed:
    """Return the loss of ``steps`` steps; at most ``tail`` lies outside of the window on a side.

    The window is found by Chernoff's bound, as in Koskela, Jälkö and Honkela (2020), AISTATS.
    """
    low, high = _window(loss, steps, tail)
    size = next_fast_len(max(high - low, len(loss.mass)) + 1, real=True)
    powered = irfft(rfft(loss.mass, size) ** steps, size)
    # The transform wraps around: index k stands for all losses that differ by a whole window.
    start = loss.first * steps
    mass = np.roll(powered, -((low - start) % size))
    infinite = -math.expm1(steps * math.log1p(-min(loss.infinite, 0.5)))
    whole = OnGrid(loss.step, low, mass, infinite, steps * loss.offset)
    return Composed(whole, 2 * tail + steps * ROUNDING)


def _window(loss: OnGrid, steps: int, tail: float) -> tuple[int, int]:
    kept = loss.mass > 0
    losses = (loss.first + np.arange(len(loss.mass))[kept]) * loss.step
    weights = np.log(loss.mass[kept])
    ends = []
    for side in (-1.0, 1.0):
        tilts = TILTS / max(loss.step, float(np.sqrt(np.exp(weights) @ losses**2 * steps)))
        spread = [float(logsumexp(weights + side * tilt * losses)) for tilt in tilts]
        reach = (steps * np.array(spread) - math.log(tail)) / tilts
        ends.append(side * float(np.min(reach)) / loss.step)
    low = max(math.floor(ends[0]), loss.first * steps)
    high = min(math.ceil(ends[1]), (loss.first + len(loss.mass) - 1) * steps)
    return low, max(high, low)
