"""Losses of probabilities, row by row."""

import numpy as np
from numpy.typing import NDArray

from auditor.domain.tasks import Floats

FLOOR = 1e-7
"""Probabilities are kept this far from 0 and 1: float32 resolves no finer near one."""
BINARY = 2


def clip(probabilities: Floats) -> Floats:
    """Keep probabilities within ``[FLOOR, 1 - FLOOR]``, so that logarithms stay finite."""
    return np.clip(probabilities, FLOOR, 1 - FLOOR)


def count_clipped(probabilities: Floats) -> int:
    """Return how many entries ``clip`` changes."""
    return int(np.count_nonzero((probabilities < FLOOR) | (probabilities > 1 - FLOOR)))


def log_losses(probabilities: Floats, labels: NDArray[np.int64]) -> tuple[Floats, float]:
    """Return ``[n]`` minus log probabilities (nats) of the labels, and the worst possible one.

    The worst is what these very scores ``[n, classes]`` would have cost under the unluckiest
    labels. Probabilities are clipped first.
    """
    kept = clip(probabilities)
    return -np.log(kept[np.arange(len(labels)), labels]), float(-np.log(kept.min()))


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
