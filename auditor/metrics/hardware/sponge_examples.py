"""Search for sponge examples: inputs on which a model takes longest, by timing alone.

The search is the genetic one of Shumailov et al. 2021 (Sponge Examples, arXiv 2006.03463), here
within the declared input space: the slowest rows are mixed and changed, again and again.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from auditor.domain.tasks import Array, Floats, InputSpace

KEEP = 0.25
CHANGED = 0.1
FRESH = 0.2
EVEN = 0.5
Time = Callable[[Array], Floats]
"""Returns the time of each row (s)."""


@dataclass(frozen=True, slots=True)
class SearchSpace:
    """Where candidates may lie: ``low`` to ``high`` in steps of ``quantum``; ``mutable`` parts."""

    low: Floats
    high: Floats
    quantum: Floats
    mutable: NDArray[np.bool_]
    dtype: np.dtype[np.generic]

    @classmethod
    def of(cls, space: InputSpace, rows: Array) -> "SearchSpace":
        """Return the space of rows like ``rows`` ``[n, ...]``."""
        shape = rows.shape[1:]
        low, high, quantum = (
            np.broadcast_to(end, shape) for end in (space.low, space.high, space.quantum)
        )
        return cls(low, high, quantum, np.broadcast_to(space.mutable, shape), rows.dtype)

    def settle(self, wanted: Floats, base: Array) -> Array:
        """Return ``wanted`` on the grid of the space; where it may not move, as in ``base``."""
        steps = np.where(self.quantum > 0, self.quantum, 1.0)
        on_grid = self.low + np.round((wanted - self.low) / steps) * steps
        placed = np.where(self.quantum > 0, on_grid, wanted)
        inside = np.clip(placed, self.low, self.high)
        settled: Array = np.where(self.mutable, inside, base).astype(self.dtype)
        return settled

    def corners(self, base: Array) -> Array:
        """Return rows that lie at the low end, at the high end, between, and nearest to 0."""
        nearest = np.clip(np.zeros_like(self.low), self.low, self.high)
        tiny = np.clip(np.full_like(self.low, 1e-42), self.low, self.high)  # not a normal number
        ends = [self.low, self.high, (self.low + self.high) / 2, nearest, tiny]
        return np.stack([self.settle(end, base) for end in ends])

    def scattered(self, count: int, base: Array, generator: np.random.Generator) -> Array:
        """Return ``count`` rows uniformly at random, each where ``base`` ``[n, ...]`` may move."""
        shape = (count, *self.low.shape)
        wanted = self.low + generator.random(shape) * (self.high - self.low)
        return self.settle(wanted, base[generator.integers(len(base), size=count)])


@dataclass(frozen=True, slots=True)
class SpongeSearchBudget:
    """How many rows are looked at in a round, and how many rounds there are after the first."""

    population: int
    rounds: int


def search_slow_inputs(
    base: Array,
    space: SearchSpace | None,
    take: Time,
    effort: SpongeSearchBudget,
    generator: np.random.Generator,
) -> Array:
    """Return rows that were slow, the slowest first: of ``base`` alone where there is no space.

    Times in a search flatter what they choose, so the winner has to be timed again.
    """
    if space is None:
        return _slowest(base, take)
    known = base[: max(1, effort.population // 2)]
    corners = space.corners(base[0])
    rest = max(0, effort.population - len(known) - len(corners))
    crowd = np.concatenate([known, corners, space.scattered(rest, base, generator)])
    for _ in range(effort.rounds):
        best = _slowest(crowd, take)[: max(2, int(KEEP * effort.population))]
        fresh = space.scattered(max(1, int(FRESH * effort.population)), base, generator)
        count = max(1, effort.population - len(best) - len(fresh))
        # Mix pairs of rows place by place, and set a tenth of the places anew
        mothers, fathers = (best[generator.integers(len(best), size=count)] for _ in range(2))
        shape = (count, *space.low.shape)
        mixed = np.where(generator.random(shape) < EVEN, mothers, fathers).astype(np.float64)
        ends = np.where(generator.random(shape) < EVEN, space.low, space.high)
        anew = space.low + generator.random(shape) * (space.high - space.low)
        anew = np.where(generator.random(shape) < EVEN, anew, ends)
        wanted = np.where(generator.random(shape) < CHANGED, anew, mixed)
        children = np.stack(
            [space.settle(row, base) for row, base in zip(wanted, mothers, strict=True)]
        )
        crowd = np.concatenate([best, children, fresh])
    return _slowest(crowd, take)


def _slowest(crowd: Array, take: Time) -> Array:
    return crowd[np.argsort(-take(crowd), kind="stable")]
