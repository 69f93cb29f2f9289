"""How much what someone is lets one conclude about what they get, over all intersections."""

import numpy as np
from numpy.typing import ArrayLike

SMOOTHING = 0.5
"""Pseudo-counts of each of the two outcomes, as in the paper's estimator with concentration 1."""


def differential_fairness(successes: ArrayLike, trials: ArrayLike) -> float:
    """Return the smoothed empirical differential fairness of groups ``[k]``, in nats.

    The largest log ratio of the probability of either outcome between any two groups, each
    probability smoothed (Foulds, Islam, Keya and Pan 2020, An intersectional definition of
    fairness, ICDE). 0 is fair; it is a point figure, biased upwards by small groups. Groups
    without trials do not count. Raises ``ValueError`` when fewer than two have trials.
    """
    hits, total = np.asarray(successes, dtype=np.float64), np.asarray(trials, dtype=np.float64)
    hits, total = hits[total > 0], total[total > 0]
    if total.size < 2:  # noqa: PLR2004 -- a pair
        message = "differential fairness needs two groups that have trials"
        raise ValueError(message)
    rates = (hits + SMOOTHING) / (total + 2 * SMOOTHING)
    return max(float(np.ptp(np.log(rates))), float(np.ptp(np.log1p(-rates))))
