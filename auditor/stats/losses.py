"""Losses of probabilities, row by row."""

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax, logsumexp

from auditor.domain.tasks import Floats

FLOOR = 1e-7
"""Probabilities are kept this far from 0 and 1: float32 resolves no finer near one."""
CURE = "export the model with its logits as scores"
"""What helps where probabilities end nearer to 0 or 1 than they are told apart."""
BINARY = 2


DEEPER = FLOOR**2
"""Another floor, twice as far in logarithms: a figure that it moves hangs on where one clips."""


def clip(probabilities: Floats, floor: float = FLOOR) -> Floats:
    """Keep probabilities within ``[floor, 1 - floor]``, so that logarithms stay finite."""
    return np.clip(probabilities, floor, 1 - floor)


def count_clipped(probabilities: Floats) -> int:
    """Return how many entries ``clip`` changes."""
    return int(np.count_nonzero((probabilities < FLOOR) | (probabilities > 1 - FLOOR)))


def log_chances(logits: Floats) -> Floats:
    """Return the log probabilities ``[n, classes]`` that logits stand for, however small."""
    return np.asarray(log_softmax(logits, axis=1), dtype=np.float64)


def log_odds(chances: Floats) -> Floats:
    """Return the log odds ``[n, classes]`` of log probabilities, however near they are to one.

    ``log(1 - p)`` of the likeliest class is added up from the others', of which each is exact.
    """
    rows, top = np.arange(len(chances)), chances.argmax(axis=1)
    others = chances.copy()
    others[rows, top] = -np.inf
    against = np.log1p(-np.exp(others))
    against[rows, top] = logsumexp(others, axis=1)
    return chances - against


def log_losses(probabilities: Floats, labels: NDArray[np.int64]) -> tuple[Floats, float]:
    """Return ``[n]`` minus log probabilities (nats) of the labels, and the worst possible one.

    The worst is what these very scores ``[n, classes]`` would have cost under the unluckiest
    labels. Probabilities are clipped first.
    """
    kept = clip(probabilities)
    return -np.log(kept[np.arange(len(labels)), labels]), float(-np.log(kept.min()))


def exact_losses(chances: Floats, labels: NDArray[np.int64]) -> tuple[Floats, float]:
    """Return what ``log_losses`` does, of log probabilities ``[n, classes]``, unclipped."""
    return -chances[np.arange(len(labels)), labels], float(-chances.min())


def brier_scores(probabilities: Floats, labels: NDArray[np.int64]) -> tuple[Floats, float]:
    """Return ``[n]`` squared errors of ``[n, classes]`` probabilities, and the worst possible one.

    Brier (1950). For two classes the error of one column, within ``[0, 1]``; for more the sum over
    the classes, within ``[0, 2]``, as scikit-learn has it.
    """
    rows = np.arange(len(labels))
    if probabilities.shape[1] == BINARY:
        return (1 - probabilities[rows, labels]) ** 2, float(np.max(probabilities) ** 2)
    squares = np.sum(probabilities**2, axis=1)
    losses = squares - 2 * probabilities[rows, labels] + 1
    return losses, float(np.max(squares - 2 * probabilities.min(axis=1) + 1))
