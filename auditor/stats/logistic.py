"""Logistic regression with a ridge: which of two samples a row is from, and how likely."""

import itertools
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from auditor.domain.tasks import Floats

STEPS = 25
CLOSE = 1e-8
MOST_PAIRED = 12
"""Of so many columns all products of two are features, which is how dependence is seen."""
Codes = NDArray[np.uint8]


def design(codes: Sequence[Codes], levels: Sequence[int]) -> Floats:
    """Return the features ``[n, k]`` of coded columns ``[n]``: a constant, each level but the
    first, and, of the first columns, the products of two columns' places on their scales.

    A code at or beyond its column's levels is a level of its own.
    """
    rows = len(codes[0])
    parts = [np.ones((rows, 1))]
    placed = []
    for column, count in zip(codes, levels, strict=True):
        held = np.minimum(column, count)
        parts.append((held[:, None] == np.arange(1, count + 1)).astype(np.float64))
        placed.append(held / count - 0.5)
    pairs = itertools.combinations(placed[:MOST_PAIRED], 2)
    return np.column_stack([*parts, *(one * other for one, other in pairs)])


def fit(features: Floats, ours: NDArray[np.bool_], ridge: float = 1.0) -> Floats:
    """Return the coefficients ``[k]`` of the log odds that a row ``[n, k]`` is of ``ours`` ``[n]``.

    Penalised maximum likelihood by Newton's steps (Hastie, Tibshirani and Friedman 2009, Elements
    of Statistical Learning, section 4.4.1); the first feature, a constant, goes unpenalised.
    """
    weights = np.zeros(features.shape[1])
    penalty = np.full(weights.size, ridge)
    penalty[0] = 1e-9
    for _ in range(STEPS):
        chance = expit(features @ weights)
        slope = features.T @ (ours - chance) - penalty * weights
        bend = (features * (chance * (1 - chance))[:, None]).T @ features + np.diag(penalty)
        step = np.linalg.solve(bend, slope)
        weights += step
        if np.abs(step).max() < CLOSE:
            break
    return weights
