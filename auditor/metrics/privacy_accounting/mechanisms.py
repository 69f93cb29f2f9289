"""Trade-off curves of mechanisms: how well two neighbouring data sets can be told apart at all."""

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

import numpy as np
from scipy.special import ndtr, ndtri

from auditor.accounting.brackets import Bracket, Steps, composition, epsilon_bracket
from auditor.accounting.gaussian import gaussian_epsilon
from auditor.domain.privacy_claims import Adjacency
from auditor.domain.tasks import Floats

LINES = 160
MOST_EPSILON = 60.0


class TradeOff(Protocol):
    """Bounds how much likelier than without a record anything may be with it."""

    def inverse(self, chance: float) -> float:
        """Return the least chance without the record of what has ``chance`` with it."""
        ...


@dataclass(frozen=True, slots=True)
class GaussianTradeOff:
    """The curve of mu-GDP. Dong, Roth and Su (2022), JRSS B 84, definition 2.6."""

    mu: float

    def inverse(self, chance: float) -> float:
        """Return the least chance without the record of what has ``chance`` with it."""
        return float(ndtr(ndtri(min(max(chance, 0.0), 1.0)) - self.mu))


@dataclass(frozen=True, slots=True, eq=False)
class Lines:
    """The curve that several pairs of epsilon and delta allow together: ``[k]`` straight lines.

    A chance p with the record needs at least ``(p - offset) * scale`` without it, line by line.
    Wasserman and Zhou (2010); Dong, Roth and Su (2022), proposition 2.12.
    """

    offsets: Floats
    scales: Floats

    @classmethod
    def of(cls, epsilons: Floats, deltas: Floats) -> "Lines":
        """Return the curve of ``deltas`` at ``epsilons`` of at least 0, seen from both sides."""
        # p <= delta + e^epsilon p', and 1 - p' <= delta + e^epsilon (1 - p).
        back = 1 - np.exp(-epsilons) * (1 - deltas)
        return cls(np.append(deltas, back), np.exp(np.append(-epsilons, epsilons)))

    def inverse(self, chance: float) -> float:
        """Return the least chance without the record of what has ``chance`` with it."""
        return max(0.0, float(((chance - self.offsets) * self.scales).max()))


class Family(Protocol):
    """Mechanisms that differ in their noise alone: the more of it, the less they leak."""

    def curve(self, noise: float) -> TradeOff:
        """Return what a mechanism of that noise multiplier allows, or a little more."""
        ...

    def bracket(self, noise: float) -> Bracket:
        """Return its epsilon."""
        ...


@dataclass(frozen=True, slots=True)
class Gaussians:
    """The Gaussian mechanism whose mean moves by ``reach`` clips, seen once."""

    reach: float
    delta: float

    def curve(self, noise: float) -> TradeOff:
        """Return the curve of (reach / noise)-GDP."""
        return GaussianTradeOff(self.reach / noise)

    def bracket(self, noise: float) -> Bracket:
        """Return its epsilon, which is exact."""
        found = gaussian_epsilon(self.reach / noise, self.delta)
        return Bracket(found, found)


@dataclass(frozen=True, slots=True)
class Sampled:
    """Steps on Poisson samples: each record enters each of ``count`` steps with chance ``rate``."""

    rate: float
    count: int
    adjacency: Adjacency
    delta: float

    def curve(self, noise: float) -> TradeOff:
        """Return the curve of all steps, from bounds on their delta at many an epsilon."""
        return _curve(Steps(noise, self.rate, self.count, self.adjacency), self.delta)

    def bracket(self, noise: float) -> Bracket:
        """Return its epsilon."""
        return _bracket(Steps(noise, self.rate, self.count, self.adjacency), self.delta)


@lru_cache(maxsize=64)
def _bracket(steps: Steps, delta: float) -> Bracket:
    return epsilon_bracket(steps, delta)


@lru_cache(maxsize=64)
def _curve(steps: Steps, delta: float) -> Lines:
    whole = composition(steps, delta, above=True)
    most = whole.epsilon(delta)
    most = MOST_EPSILON if math.isinf(most) else min(1.5 * most + 0.1, MOST_EPSILON)
    epsilons = np.linspace(0.0, most, LINES)
    return Lines.of(epsilons, whole.deltas(epsilons))
