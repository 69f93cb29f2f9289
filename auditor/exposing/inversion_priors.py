"""What an attacker knows of how rows look, before he asks a model."""

from dataclasses import dataclass

import numpy as np

from auditor.domain.generators import DifferentiableGenerator, Generator
from auditor.domain.tasks import Floats
from auditor.exposing.inversion_ground import Ground

NONE, PUBLIC, GENERATOR = "none", "public", "generator"
PRIORS = (NONE, PUBLIC)
"""What is always there to be tried; the owner's generator joins where there is one."""
MOST_KNOWN = 500
"""Public rows that principal axes are found from."""
FEWEST_KNOWN = 3
ENDS = 2.0
"""Deviations from the middle of a range to its ends."""
TRUNCATED = 3.0
"""Latent coordinates beyond so many deviations are cut off, so that rows stay plausible."""


@dataclass(frozen=True, slots=True, eq=False)
class Plain:
    """No idea at all: every coordinate for itself, around the middle of its range."""

    middle: Floats
    spread: Floats

    @classmethod
    def of(cls, ground: Ground) -> "Plain":
        """Let two deviations reach the ends of each range."""
        return cls((ground.low + ground.high) / 2, ground.width / (2 * ENDS))

    @property
    def size(self) -> int:
        """One latent coordinate for each of the row's."""
        return len(self.middle)

    def make(self, latents: Floats) -> Floats:
        """Return flat rows."""
        return self.middle + latents * self.spread

    def pull(self, latents: Floats, slopes: Floats) -> Floats:
        """Pull slopes back; beyond the ends of a range there is none."""
        inside = np.abs(latents) * self.spread <= self.spread * ENDS
        found: Floats = slopes * self.spread * inside
        return found


@dataclass(frozen=True, slots=True, eq=False)
class Principal:
    """Rows along the principal axes of public rows; ``axes`` ``[size, d]`` are of one deviation."""

    mean: Floats
    axes: Floats

    @classmethod
    def of(cls, known: Floats, most: int) -> "Principal":
        """Find at most ``most`` axes of public rows ``[n, d]``.

        Raises ``ValueError`` for fewer than three rows.
        """
        if len(known) < FEWEST_KNOWN:
            message = f"{len(known)} rows have no principal axes"
            raise ValueError(message)
        rows = known[:MOST_KNOWN]
        mean = rows.mean(axis=0)
        _, sizes, axes = np.linalg.svd(rows - mean, full_matrices=False)
        kept = min(most, int((sizes > sizes[0] * 1e-6).sum()) if sizes[0] > 0 else 1)
        return cls(mean, axes[:kept] * sizes[:kept, None] / np.sqrt(len(rows) - 1))

    @property
    def size(self) -> int:
        """How many axes there are."""
        return len(self.axes)

    def make(self, latents: Floats) -> Floats:
        """Return flat rows."""
        cut = np.clip(latents, -TRUNCATED, TRUNCATED)
        found: Floats = self.mean + cut @ self.axes
        return found

    def pull(self, latents: Floats, slopes: Floats) -> Floats:
        """Pull slopes back; beyond the cut there is none."""
        inside = np.abs(latents) <= TRUNCATED
        found: Floats = (slopes @ self.axes.T) * inside
        return found


def plausible(given: Generator) -> Generator:
    """Return a generator whose latent points are cut off, as those of principal axes are."""
    if isinstance(given, DifferentiableGenerator):
        return CutWithSlopes(given)
    return Cut(given)


@dataclass(frozen=True, slots=True)
class Cut:
    """A generator that is never asked far out, where nobody knows what it makes."""

    given: Generator

    @property
    def size(self) -> int:
        """How many coordinates a latent point has."""
        return self.given.size

    def make(self, latents: Floats) -> Floats:
        """Return flat rows."""
        return self.given.make(np.clip(latents, -TRUNCATED, TRUNCATED))


@dataclass(frozen=True, slots=True)
class CutWithSlopes:
    """The same of one that pulls slopes back: beyond the cut there is none."""

    given: DifferentiableGenerator

    @property
    def size(self) -> int:
        """How many coordinates a latent point has."""
        return self.given.size

    def make(self, latents: Floats) -> Floats:
        """Return flat rows."""
        return self.given.make(np.clip(latents, -TRUNCATED, TRUNCATED))

    def pull(self, latents: Floats, slopes: Floats) -> Floats:
        """Pull slopes back."""
        cut = np.clip(latents, -TRUNCATED, TRUNCATED)
        found: Floats = self.given.pull(cut, slopes) * (np.abs(latents) <= TRUNCATED)
        return found
