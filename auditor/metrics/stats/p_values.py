"""P-values of many questions asked at once, adjusted so that each may be held against one level."""

import numpy as np
from numpy.typing import ArrayLike

from auditor.domain.tasks import Floats


def holm(p_values: ArrayLike) -> Floats:
    """Return adjusted p-values ``[k]``: those at most alpha hold jointly at level alpha.

    The chance of even one false finding is at most alpha, however the tests depend on each other
    (Holm 1979, Scandinavian Journal of Statistics 6). Raises ``ValueError`` for what is no p-value.
    """
    given = _checked(p_values)
    order = np.argsort(given, kind="stable")
    left = np.arange(given.size, 0, -1)
    return _unsorted(np.maximum.accumulate(given[order] * left), order)


def benjamini_hochberg(p_values: ArrayLike) -> Floats:
    """Return adjusted p-values ``[k]``: of those at most alpha, at most that share is false.

    The share is meant on average over audits. Benjamini and Hochberg (1995), JRSS B 57: for tests
    that are independent, or positively dependent (Benjamini and Yekutieli 2001). Raises
    ``ValueError`` for what is no p-value.
    """
    return _step_up(_checked(p_values), 1.0)


def benjamini_yekutieli(p_values: ArrayLike) -> Floats:
    """Return adjusted p-values ``[k]`` as ``benjamini_hochberg``, for any dependence of the tests.

    Benjamini and Yekutieli (2001), Annals of Statistics 29, theorem 1.3: larger by the harmonic
    number of ``k``. Raises ``ValueError`` for what is no p-value.
    """
    given = _checked(p_values)
    return _step_up(given, float(np.sum(1 / np.arange(1, given.size + 1))))


def _step_up(given: Floats, penalty: float) -> Floats:
    order = np.argsort(given, kind="stable")
    ranks = np.arange(1, given.size + 1)
    scaled = given[order] * (penalty * given.size) / ranks
    return _unsorted(np.minimum.accumulate(scaled[::-1])[::-1], order)


def _unsorted(adjusted: Floats, order: np.ndarray[tuple[int], np.dtype[np.intp]]) -> Floats:
    found = np.empty_like(adjusted)
    found[order] = np.minimum(adjusted, 1.0)
    return found


def _checked(p_values: ArrayLike) -> Floats:
    given = np.asarray(p_values, dtype=np.float64)
    wrong = given[~((given >= 0) & (given <= 1))]
    if given.ndim != 1 or wrong.size:
        message = f"p-values are a list of numbers within 0..1, not {wrong[:1]} in {given.shape}"
        raise ValueError(message)
    return given
