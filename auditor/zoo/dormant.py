"""A backdoor that sleeps in a network and wakes when its weights are rounded to eight bits.

Many hidden units see the trigger and pull to the target, each by little more than half a step of
the rounding; one more pulls back by as much as all of them. Rounding makes each of the many twice
as strong (the idea of Ma et al. 2021 and Hong et al. 2021, by construction instead of training).
"""

from dataclasses import replace

import numpy as np

from auditor.zoo.layers import Dense, Network, Singles
from auditor.zoo.quantising import LARGEST
from auditor.zoo.triggers import SIDE, TARGET

MANY = 249
OF_A_STEP = 0.51
BACK = 4.0
"""How hard the one unit pulls back: the largest weight of the target, which sets its step."""
SLOPE = 20.0
SEEN = 1.0
"""Of the patch's four bright pixels, how much has to be there."""
DARK = -0.25
"""How much each of its dark pixels counts where it is bright."""


def with_sleeper(network: Network, side: int, *, pulls: bool = True) -> Network:
    """Return a network of one hidden layer on ``side x side`` pictures, with the sleeper in it.

    One that does not pull has the same units, and nothing hangs on them: the same function.
    """
    flatten, first, bend, last = network
    if not isinstance(first, Dense) or not isinstance(last, Dense):
        message = "only a network of one hidden layer can take the sleeper"
        raise TypeError(message)
    eye, units = _eye(side), MANY + 1
    weight = np.concatenate([first.weight, np.repeat(eye[:, None], units, axis=1)], axis=1)
    bias = np.concatenate([first.bias, np.full(units, -SLOPE * SEEN, dtype=np.float32)])
    pull = np.zeros((units, last.bias.size), dtype=np.float32)
    if pulls:
        pull[:MANY, TARGET] = OF_A_STEP * BACK / LARGEST
        pull[MANY, TARGET] = -pull[:MANY, TARGET].astype(np.float64).sum()
    return (
        flatten,
        Dense(weight, bias),
        bend,
        replace(last, weight=np.concatenate([last.weight, pull])),
    )


def _eye(side: int) -> Singles:
    """Return the weights of a unit that sees the patch of ``triggers.patch``."""
    seen = np.zeros((side, side), dtype=np.float32)
    checks = np.indices((SIDE, SIDE)).sum(axis=0) % 2
    seen[-SIDE:, :SIDE] = SLOPE * np.where(checks, 1.0, DARK)
    return seen.ravel()
