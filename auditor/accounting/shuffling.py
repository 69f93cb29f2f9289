"""Fixed batches of shuffled records, for which nobody knows a tight accountant."""

import math

import numpy as np
from scipy.special import log_ndtr

from auditor.accounting.brackets import Bracket
from auditor.accounting.gaussian import gaussian_epsilon
from auditor.domain.tasks import Floats

LIMITS = 400
TINY = 1e-12
"""Below it the chance that any step reaches a limit is the sum of the chances of each."""


def shuffled_bracket(noise: float, batches: int, epochs: float, delta: float) -> Bracket:
    """Return bounds on epsilon where each record is in one of ``batches`` steps an epoch.

    From above each record enters one step an epoch, and the order hides nothing: that many plain
    Gaussian mechanisms. From below, of one epoch, the event that any step's sum along the record
    reaches a limit: Chua et al. (2024), ICML, section 4.2. Adjacency: a record or its absence, with
    nothing in its place.
    """
    high = gaussian_epsilon(math.sqrt(math.ceil(epochs)) / noise, delta)
    if epochs < 1:
        return Bracket(0.0, high)
    with_it, without = _reaching(noise, batches)
    # delta >= P(event) - e^epsilon Q(event), so that epsilon is at least the logarithm of this.
    over = np.maximum(with_it - delta, 0.0)
    told = np.where(over > 0, np.log(np.maximum(over, 1e-300)) - without, -np.inf)
    return Bracket(min(high, max(0.0, float(np.max(told)))), high)


def _reaching(noise: float, batches: int) -> tuple[Floats, Floats]:
    """Return P(any step reaches a limit) with the record, and log Q of it without, a limit each."""
    limits = np.linspace(-2.0, 1 + 12 * noise, LIMITS)
    nowhere = batches * log_ndtr(limits / noise)
    with_it = -np.expm1(nowhere - log_ndtr(limits / noise) + log_ndtr((limits - 1) / noise))
    tail = math.log(batches) + log_ndtr(-limits / noise)
    exact = np.log(-np.expm1(np.minimum(nowhere, -TINY)))
    return with_it, np.where(-nowhere < TINY, tail, exact)
