"""The Gaussian mechanism: its privacy in closed form, and the limit that many small steps near."""

import math

import numpy as np
from scipy.optimize import brentq
from scipy.special import log_ndtr, ndtr

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


def limit_mu(noise: float, rate: float, steps: int) -> float:
    """Return the mu that the central limit theorem gives for Poisson-sampled steps.

    ``noise`` is the noise multiplier, ``rate`` the sampling rate. It is an approximation, not a
    bound, and mostly says less than is true. Bu, Dong, Long and Su (2020), Harvard Data Science
    Review 2(3), section 3.2.
    """
    with np.errstate(over="ignore"):
        return rate * math.sqrt(steps) * float(np.sqrt(np.expm1(noise**-2.0)))
