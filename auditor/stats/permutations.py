"""Permutation tests: how often chance alone would do what was seen."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from auditor.domain.tasks import Floats


def p_value(seen: float, by_chance: Floats) -> float:
    """Return the share of chances at least as large as ``seen``, itself counted as one.

    Phipson and Smyth (2010), Statistical Applications in Genetics 9: never 0, and valid.
    """
    return float((1 + np.count_nonzero(by_chance >= seen)) / (1 + by_chance.size))


def shuffled(
    statistic: Callable[[NDArray[np.int64]], float],
    labels: NDArray[np.int64],
    rounds: int,
    generator: np.random.Generator,
) -> Floats:
    """Return a statistic of labels ``[n]`` under ``rounds`` random orders of them."""
    return np.array([statistic(generator.permutation(labels)) for _ in range(rounds)])


def swapped_within(pairs: Floats, rounds: int, generator: np.random.Generator) -> Floats:
    """Return the mean difference of ``pairs`` ``[n, 2]`` when members of each change at random."""
    signs = generator.choice(np.array([-1.0, 1.0]), size=(rounds, len(pairs)))
    chances: Floats = signs @ (pairs[:, 0] - pairs[:, 1]) / len(pairs)
    return chances
