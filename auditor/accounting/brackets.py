"""The epsilon of many sampled steps, held between two bounds that are worked out."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from auditor.accounting.composing import Composed, compose
from auditor.accounting.losses import (
    MOST_LOSS,
    Cells,
    cells_of_removal,
    cells_of_replacement,
    from_above,
    from_below,
)
from auditor.domain.privacy_claims import Adjacency
from auditor.domain.tasks import Floats

NARROW = 0.002
"""The width at which a bracket is left as it is, as a share of epsilon."""
MOST_CELLS = 1 << 18
MOST_HALVINGS = 6
FINENESS, COARSEST = 16, 0.01
"""Points of the first grid a standard deviation of one step's loss, and its largest step."""
LEFT_OUT = 1e-6
"""The share of delta that may lie outside of what is worked out."""


@dataclass(frozen=True, slots=True)
class Steps:
    """A mechanism: ``count`` steps of Gaussian noise, of ``noise`` clips, each on a Poisson sample.

    A record enters a step with chance ``rate``. Raises ``ValueError`` for what is none.
    """

    noise: float
    rate: float
    count: int
    adjacency: Adjacency = Adjacency.ADD_REMOVE

    def __post_init__(self) -> None:
        """Refuse what is no mechanism."""
        if not (self.noise > 0 and 0 < self.rate <= 1 and self.count >= 1):
            message = "noise must be positive, a rate within 0 and 1, and there must be a step"
            raise ValueError(message)


@dataclass(frozen=True, slots=True)
class Bracket:
    """Two epsilons between which the true one lies; ``high`` may be infinite."""

    low: float
    high: float

    @property
    def width(self) -> float:
        """How far the bounds lie apart, as a share of the upper one."""
        return math.inf if math.isinf(self.high) else (self.high - self.low) / max(self.high, 1e-9)


@dataclass(frozen=True, slots=True, eq=False)
class Composition:
    """All steps together, as seen when a record comes in and when it goes, from above or below."""

    sides: tuple[Composed, ...]
    above: bool

    def epsilon(self, delta: float) -> float:
        """Return the bound on epsilon: the larger of both sides. Beyond ``MOST_LOSS`` none is
        worked out.
        """
        found = max(side.epsilon(self._moved(delta, side)) for side in self.sides)
        if found > MOST_LOSS:
            return math.inf if self.above else MOST_LOSS
        return found

    def deltas(self, epsilons: Floats) -> Floats:
        """Return the bounds on delta at each epsilon of at least 0."""
        found = np.max([side.deltas(epsilons) for side in self.sides], axis=0)
        unsure = max(side.unsure for side in self.sides)
        bounds: Floats = np.clip(found + (unsure if self.above else -unsure), 0.0, 1.0)
        return bounds

    def _moved(self, delta: float, side: Composed) -> float:
        return delta - side.unsure if self.above else delta + side.unsure


def epsilon_bracket(steps: Steps, delta: float) -> Bracket:
    """Return bounds on the least epsilon that the steps keep at ``delta``.

    The grid is made finer until both agree within ``NARROW``, or would grow too large.
    """
    step = first_step(steps)
    best = Bracket(0.0, math.inf)
    for _ in range(MOST_HALVINGS):
        tail = delta * LEFT_OUT / steps.count
        cells = _cells(steps, step, tail)
        low = composed(_centred(steps, cells, tail), steps, delta, above=False).epsilon(delta)
        high = composed(cells, steps, delta, above=True).epsilon(delta)
        best = Bracket(max(best.low, low), min(best.high, high))
        if math.isinf(high):  # delta is below what can be resolved, however fine the grid
            break
        if best.width <= NARROW or 2 * max(len(item.p) for item in cells) > MOST_CELLS:
            break
        step /= 2
    return best


def composition(steps: Steps, delta: float, *, above: bool) -> Composition:
    """Return all steps together on a grid that is fine enough for epsilons near ``delta``."""
    tail = delta * LEFT_OUT / steps.count
    cells = _cells(steps, first_step(steps) / 2, tail)
    cells = cells if above else _centred(steps, cells, tail)
    return composed(cells, steps, delta, above=above)


def composed(cells: tuple[Cells, ...], steps: Steps, delta: float, *, above: bool) -> Composition:
    """Put one step's cells onto the grid, from above or below, and compose them."""
    put = from_above if above else from_below
    tail = delta * LEFT_OUT
    return Composition(tuple(compose(put(item), steps.count, tail) for item in cells), above)


def first_step(steps: Steps) -> float:
    """Return a grid's step: a part of one step's spread, and not more cells than can be held."""
    with np.errstate(over="ignore"):
        spread = steps.rate * float(np.sqrt(np.expm1(steps.noise**-2.0)))
    # About the loss beyond which hardly anything lies: seven standard deviations out.
    reach = max(1.0, (1 + 14 * steps.noise) / (2 * steps.noise**2) + math.log(steps.rate))
    return max(min(spread / FINENESS, COARSEST), reach / (MOST_CELLS / 4))


def _cells(steps: Steps, step: float, tail: float) -> tuple[Cells, ...]:
    cut = _cut_of(steps, step, tail)(0.0)
    return (cut,) if steps.adjacency is Adjacency.REPLACE else (cut, cut.turned())


def _centred(steps: Steps, cells: tuple[Cells, ...], tail: float) -> tuple[Cells, ...]:
    """Cut again so that most of the mass lies about a point of the grid, and little is rounded."""
    cut = _cut_of(steps, cells[0].step, tail)
    first, *others = cells
    return (cut(first.fullest), *(cut(-other.fullest).turned() for other in others))


def _cut_of(steps: Steps, step: float, tail: float) -> Callable[[float], Cells]:
    replaced = steps.adjacency is Adjacency.REPLACE
    cut = cells_of_replacement if replaced else cells_of_removal
    return partial(cut, steps.noise, steps.rate, step, max(tail, 1e-250))
