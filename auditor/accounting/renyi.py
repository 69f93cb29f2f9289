"""Rényi accounting of Poisson-sampled Gaussian noise: an upper bound, and no tight one."""

import math

import numpy as np
from scipy.special import gammaln, logsumexp

from auditor.domain.tasks import Floats

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
    spent = steps * np.array([divergence(noise, rate, order) for order in orders])
    turned = spent + np.log1p(-1 / orders) - (math.log(delta) + np.log(orders)) / (orders - 1)
    return max(0.0, float(np.min(turned)))


def divergence(noise: float, rate: float, order: float) -> float:
    """Return the Rényi divergence of one step at an ``order`` above 1, in nats."""
    if rate >= 1:
        return order / (2 * noise**2)
    if float(order).is_integer():
        return _whole(noise, rate, int(order)) / (order - 1)
    return _between(noise, rate, order) / (order - 1)


def _whole(noise: float, rate: float, order: int) -> float:
    """Return log E[(P/Q)^order] by the binomial theorem (section 3.3, equation 6)."""
    taken: Floats = np.arange(order + 1, dtype=np.float64)
    ways = gammaln(order + 1) - gammaln(taken + 1) - gammaln(order - taken + 1)
    chance = taken * math.log(rate) + (order - taken) * math.log1p(-rate)
    return float(logsumexp(ways + chance + (taken**2 - taken) / (2 * noise**2)))


def _between(noise: float, rate: float, order: float) -> float:
    """Return the same of an order that is not whole, by the trapezoid rule.

    The integrand is analytic and falls like a Gaussian, for which that rule converges faster than
    any power of its step.
    """
    low, high = -REACH * noise, order + REACH * noise
    x = np.linspace(low, high, math.ceil((high - low) / noise * FINENESS) + 1)
    ratio = np.logaddexp(math.log1p(-rate), math.log(rate) + (2 * x - 1) / (2 * noise**2))
    density = -(x**2) / (2 * noise**2) - math.log(noise) - math.log(2 * math.pi) / 2
    return float(logsumexp(order * ratio + density) + math.log(x[1] - x[0]))
