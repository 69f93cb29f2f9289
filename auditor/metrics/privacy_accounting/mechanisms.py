"""Differential privacy of mechanisms: Gaussian, Rényi and shuffled accounting, trade-off curves.

Rényi accounting of Poisson-sampled Gaussian noise gives an upper bound that is not tight. For fixed
batches of shuffled records no tight accountant is known.
"""

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

import numpy as np
from scipy.optimize import brentq
from scipy.special import gammaln, log_ndtr, logsumexp, ndtr, ndtri

from auditor.domain.privacy_claims import AdjacencyRelation
from auditor.domain.tasks import Floats
from auditor.metrics.privacy_accounting.privacy_loss_distribution import (
    DpSgdSteps,
    EpsilonBounds,
    compose_steps,
    epsilon_bounds,
)

WHOLE = (*range(2, 65), *range(68, 129, 4), *range(144, 513, 16), 768, 1024, 2048)
BETWEEN = (
    *(1 + part / 20 for part in range(1, 60) if part % 20),
    *(4 + part / 10 for part in range(1, 80) if part % 10),
)
REACH = 12.0
"""Standard deviations beyond the outermost peak at which an integral is cut off."""
FINENESS = 12
"""Points of the sum a standard deviation: beyond 6 the sum is exact to the last digits."""


def renyi_epsilon(noise: float, rate: float, steps: int, delta: float) -> float:
    """Return an epsilon that ``steps`` steps keep at ``delta``: add or remove one record.

    ``noise`` is the noise multiplier, ``rate`` the chance with which each record enters a step.
    Mironov, Talwar and Zhang (2019), arXiv 1908.10530, section 3; turned into an epsilon by
    Canonne, Kamath and Steinke (2020), proposition 12 (Balle et al. 2020, theorem 21).
    """
    orders = np.array([*BETWEEN, *(float(order) for order in WHOLE)])
    spent = steps * np.array([renyi_divergence(noise, rate, order) for order in orders])
    turned = spent + np.log1p(-1 / orders) - (math.log(delta) + np.log(orders)) / (orders - 1)
    return max(0.0, float(np.min(turned)))


def renyi_divergence(noise: float, rate: float, order: float) -> float:
    """Return the Rényi divergence of one step at an ``order`` above 1, in nats."""
    if rate >= 1:
        return order / (2 * noise**2)
    if float(order).is_integer():
        return _whole(noise, rate, int(order)) / (order - 1)
    # The same of an order that is not whole, by the trapezoid rule. The integrand is analytic and
    # falls like a Gaussian, for which that rule converges faster than any power of its step.
    low, high = -REACH * noise, order + REACH * noise
    x = np.linspace(low, high, math.ceil((high - low) / noise * FINENESS) + 1)
    ratio = np.logaddexp(math.log1p(-rate), math.log(rate) + (2 * x - 1) / (2 * noise**2))
    density = -(x**2) / (2 * noise**2) - math.log(noise) - math.log(2 * math.pi) / 2
    return float(logsumexp(order * ratio + density) + math.log(x[1] - x[0])) / (order - 1)


def _whole(noise: float, rate: float, order: int) -> float:
    """Return log E[(P/Q)^order] by the binomial theorem (section 3.3, equation 6)."""
    taken: Floats = np.arange(order + 1, dtype=np.float64)
    ways = gammaln(order + 1) - gammaln(taken + 1) - gammaln(order - taken + 1)
    chance = taken * math.log(rate) + (order - taken) * math.log1p(-rate)
    return float(logsumexp(ways + chance + (taken**2 - taken) / (2 * noise**2)))


MOST_EPSILON = 1e6
"""Above this an epsilon is called infinite: it promises nothing."""


def gaussian_delta(mu: float, epsilon: float) -> float:
    """Return the delta at which a mean shifted by ``mu`` standard deviations is private.

    Balle and Wang (2018), ICML, theorem 8; also the delta of mu-GDP (Dong, Roth and Su 2022,
    JRSS B 84, corollary 2.13).
    """
    if mu <= 0:
        return 0.0
    first = float(ndtr(mu / 2 - epsilon / mu))
    # In logarithms, since e^epsilon alone may not fit into a number.
    second = math.exp(min(0.0, epsilon + float(log_ndtr(-mu / 2 - epsilon / mu))))
    return max(0.0, first - second)


def gaussian_epsilon(mu: float, delta: float) -> float:
    """Return the least epsilon, at least 0, at which ``mu``-GDP has at most ``delta``."""
    if gaussian_delta(mu, 0.0) <= delta:
        return 0.0
    high = 1.0
    while gaussian_delta(mu, high) > delta:
        high *= 2
        if high > MOST_EPSILON:
            return math.inf
    return float(brentq(lambda epsilon: gaussian_delta(mu, epsilon) - delta, 0.0, high))


def central_limit_mu(noise: float, rate: float, steps: int) -> float:
    """Return the mu that the central limit theorem gives for Poisson-sampled steps.

    ``noise`` is the noise multiplier, ``rate`` the sampling rate. It is an approximation, not a
    bound, and mostly says less than is true. Bu, Dong, Long and Su (2020), Harvard Data Science
    Review 2(3), section 3.2.
    """
    with np.errstate(over="ignore"):
        return rate * math.sqrt(steps) * float(np.sqrt(np.expm1(noise**-2.0)))


LINES = 160
MOST_FAMILY_EPSILON = 60.0


class TradeoffCurve(Protocol):
    """Bounds how much likelier than without a record anything may be with it."""

    def inverse(self, chance: float) -> float:
        """Return the least chance without the record of what has ``chance`` with it."""
        ...


@dataclass(frozen=True, slots=True)
class GaussianTradeoffCurve:
    """The curve of mu-GDP. Dong, Roth and Su (2022), JRSS B 84, definition 2.6."""

    mu: float

    def inverse(self, chance: float) -> float:
        """Return the least chance without the record of what has ``chance`` with it."""
        return float(ndtr(ndtri(min(max(chance, 0.0), 1.0)) - self.mu))


@dataclass(frozen=True, slots=True, eq=False)
class PiecewiseLinearTradeoff:
    """The curve that several pairs of epsilon and delta allow together: ``[k]`` straight lines.

    A chance p with the record needs at least ``(p - offset) * scale`` without it, line by line.
    Wasserman and Zhou (2010); Dong, Roth and Su (2022), proposition 2.12.
    """

    offsets: Floats
    scales: Floats

    @classmethod
    def of(cls, epsilons: Floats, deltas: Floats) -> "PiecewiseLinearTradeoff":
        """Return the curve of ``deltas`` at ``epsilons`` of at least 0, seen from both sides."""
        # p <= delta + e^epsilon p', and 1 - p' <= delta + e^epsilon (1 - p).
        back = 1 - np.exp(-epsilons) * (1 - deltas)
        return cls(np.append(deltas, back), np.exp(np.append(-epsilons, epsilons)))

    def inverse(self, chance: float) -> float:
        """Return the least chance without the record of what has ``chance`` with it."""
        return max(0.0, float(((chance - self.offsets) * self.scales).max()))


class MechanismFamily(Protocol):
    """Mechanisms that differ in their noise alone: the more of it, the less they leak."""

    def curve(self, noise: float) -> TradeoffCurve:
        """Return what a mechanism of that noise multiplier allows, or a little more."""
        ...

    def bracket(self, noise: float) -> EpsilonBounds:
        """Return its epsilon."""
        ...


@dataclass(frozen=True, slots=True)
class GaussianFamily:
    """The Gaussian mechanism whose mean moves by ``reach`` clips, seen once."""

    reach: float
    delta: float

    def curve(self, noise: float) -> TradeoffCurve:
        """Return the curve of (reach / noise)-GDP."""
        return GaussianTradeoffCurve(self.reach / noise)

    def bracket(self, noise: float) -> EpsilonBounds:
        """Return its epsilon, which is exact."""
        found = gaussian_epsilon(self.reach / noise, self.delta)
        return EpsilonBounds(found, found)


@dataclass(frozen=True, slots=True)
class SampledGaussianFamily:
    """Steps on Poisson samples: each record enters each of ``count`` steps with chance ``rate``."""

    rate: float
    count: int
    adjacency: AdjacencyRelation
    delta: float

    def curve(self, noise: float) -> TradeoffCurve:
        """Return the curve of all steps, from bounds on their delta at many an epsilon."""
        return _curve(DpSgdSteps(noise, self.rate, self.count, self.adjacency), self.delta)

    def bracket(self, noise: float) -> EpsilonBounds:
        """Return its epsilon."""
        return _bracket(DpSgdSteps(noise, self.rate, self.count, self.adjacency), self.delta)


@lru_cache(maxsize=64)
def _bracket(steps: DpSgdSteps, delta: float) -> EpsilonBounds:
    return epsilon_bounds(steps, delta)


@lru_cache(maxsize=64)
def _curve(steps: DpSgdSteps, delta: float) -> PiecewiseLinearTradeoff:
    whole = compose_steps(steps, delta, above=True)
    most = whole.epsilon(delta)
    most = MOST_FAMILY_EPSILON if math.isinf(most) else min(1.5 * most + 0.1, MOST_FAMILY_EPSILON)
    epsilons = np.linspace(0.0, most, LINES)
    return PiecewiseLinearTradeoff.of(epsilons, whole.deltas(epsilons))


LIMITS = 400
TINY = 1e-12
"""Below it the chance that any step reaches a limit is the sum of the chances of each."""


def shuffled_epsilon_bounds(
    noise: float, batches: int, epochs: float, delta: float
) -> EpsilonBounds:
    """Return bounds on epsilon where each record is in one of ``batches`` steps an epoch.

    From above each record enters one step an epoch, and the order hides nothing: that many plain
    Gaussian mechanisms. From below, of one epoch, the event that any step's sum along the record
    reaches a limit: Chua et al. (2024), ICML, section 4.2. Adjacency: a record or its absence, with
    nothing in its place.
    """
    high = gaussian_epsilon(math.sqrt(math.ceil(epochs)) / noise, delta)
    if epochs < 1:
        return EpsilonBounds(0.0, high)
    with_it, without = _reaching(noise, batches)
    # delta >= P(event) - e^epsilon Q(event), so that epsilon is at least the logarithm of this.
    over = np.maximum(with_it - delta, 0.0)
    told = np.where(over > 0, np.log(np.maximum(over, 1e-300)) - without, -np.inf)
    return EpsilonBounds(min(high, max(0.0, float(np.max(told)))), high)


def _reaching(noise: float, batches: int) -> tuple[Floats, Floats]:
    """Return P(any step reaches a limit) with the record, and log Q of it without, a limit each."""
    limits = np.linspace(-2.0, 1 + 12 * noise, LIMITS)
    nowhere = batches * log_ndtr(limits / noise)
    with_it = -np.expm1(nowhere - log_ndtr(limits / noise) + log_ndtr((limits - 1) / noise))
    tail = math.log(batches) + log_ndtr(-limits / noise)
    exact = np.log(-np.expm1(np.minimum(nowhere, -TINY)))
    return with_it, np.where(-nowhere < TINY, tail, exact)
