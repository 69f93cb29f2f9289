"""P-values of rows that lie beyond a whole reference sample, by how its upper tail falls off."""

import numpy as np

from auditor.domain.tasks import Floats
from auditor.stats.conformal import conformal_p_values

TAIL_SHARE = 0.1
LEAST_TAIL = 5
LEAST_VALUE = 1e-100


def tail_p_values(scores: Floats, reference: Floats) -> Floats:
    """Return ``[n]``: conformal p-values, carried on beyond the greatest of ``reference``.

    Conformal p-values end at 1 / (1 + m), so that among many rows none could be told. The upper
    tenth of the reference is taken for exponential beyond its limit, or, where its excesses scatter
    more than such ones, for a generalised Pareto law (Pickands 1975, Annals of Statistics 3). The
    mean of k excesses is itself uncertain, and a new excess over it follows an F law with 2 and 2k
    degrees of freedom, which is what is used: (1 + f / k) ** -k. Up to the greatest reference score
    the values are the conformal ones. Beyond it they rest on the tail's law: of a lognormal one,
    rows come at 0.001 twice and at 0.0002 three times as often as the values say. Raises
    ``ValueError`` for an empty reference.
    """
    found = conformal_p_values(scores, reference)
    count = max(LEAST_TAIL, int(TAIL_SHARE * reference.size))
    if reference.size <= count:
        return found
    ordered = np.sort(reference)
    limit, excesses = ordered[-count - 1], ordered[-count:] - ordered[-count - 1]
    mean = float(excesses.mean())
    if not mean > 0:
        return found
    power = min(float(count), _power(excesses, mean))
    beyond = np.maximum(scores - limit, 0.0) / mean
    width = power - 1 if power < count else power
    carried = (count + 1) / (reference.size + 1) * (1 + beyond / width) ** -power
    carried = np.maximum(carried, LEAST_VALUE)
    return np.where(scores > ordered[-1], np.minimum(found, carried), found)


def _power(excesses: Floats, mean: float) -> float:
    """Return the power at which the tail falls off: infinity of an exponential or lighter one."""
    scatter = float(excesses.var())
    shape = 0.5 * (1 - mean**2 / scatter) if scatter > 0 else 0.0
    return np.inf if shape <= 0 else 1 / shape
