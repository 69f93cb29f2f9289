"""How alike rows of one cluster are, and what a share's error would be from that alone."""

import numpy as np
from numpy.typing import NDArray

from auditor.domain.tasks import Floats


def intraclass_correlation(rows: Floats, hits: Floats) -> Floats:
    """Return the intraclass correlation of each kind ``[k]``, from 0 to 1.

    ``rows`` and ``hits`` ``[clusters, k]`` count a cluster's rows of each kind and the hits among
    them. The estimator by analysis of variance (Ridout, Demetrio and Firth 1999, Biometrics 55,
    section 2.1), which sees that clusters of two rows are of one mind where their share alone says
    little. 0 where no cluster has two rows of the kind.
    """
    clusters, count = np.count_nonzero(rows, axis=0), rows.sum(axis=0)
    share = hits.sum(axis=0) / count
    there = np.where(rows > 0, rows, 1.0)
    within = _over(np.sum(hits - hits**2 / there, axis=0), count - clusters)
    between = _over(np.sum(rows * (hits / there - share) ** 2, axis=0), clusters - 1)
    size = _over(count - np.sum(rows**2, axis=0) / count, clusters - 1)
    found = _over(between - within, between + (size - 1) * within)
    return np.where(count > clusters, np.clip(found, 0.0, 1.0), 0.0)


def design_variance(weight: Floats, square: Floats, correlation: Floats) -> Floats:
    """Return by kind ``[k]`` the variance of a weighted mean, for rows of variance one.

    ``weight`` and ``square`` ``[clusters, k]`` are the sums of weights and of their squares; rows
    of a cluster are correlated by ``correlation`` ``[k]`` (Kish 1965, Survey Sampling, 5.4).
    """
    own = square.sum(axis=0)
    shared = np.sum(weight**2, axis=0) - own
    return np.asarray((own + correlation * shared) / weight.sum(axis=0) ** 2)


def _over(above: Floats, below: Floats | NDArray[np.signedinteger]) -> Floats:
    return np.asarray(np.where(below > 0, above / np.where(below > 0, below, 1.0), 0.0))
