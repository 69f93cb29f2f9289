"""How the shares of labels have changed, from decisions alone, if the classes look as before."""

import math

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from auditor.domain.intervals import Interval
from auditor.domain.tasks import Floats

METHOD = "black-box shift estimation (lipton, wang and smola), delta method"
BLURRED = 0.05
"""A confusion matrix whose least singular value is below it tells classes too badly apart."""
Counts = NDArray[np.int64]


def label_share_changes(
    confusion: Counts, decided: Counts, confidence: float
) -> tuple[Interval, ...] | None:
    """Return how much the share of each class ``[k]`` has changed, all jointly.

    ``confusion`` ``[k, k]`` counts a reference by decision and label, ``decided`` ``[k]`` the
    current decisions. Lipton, Wang and Smola (2018, ICML), black-box shift estimation: the current
    decisions are the reference's classes in other proportions, as long as every class looks as it
    did. The error is that of the delta method, with the classes' intervals joint by Bonferroni.
    ``None`` where a class has no reference row, or decisions tell classes too badly apart.
    """
    labelled, rows = confusion.sum(axis=0), int(decided.sum())
    if not rows or labelled.min() < 1:
        return None
    looks = confusion / labelled
    if float(np.linalg.svd(looks, compute_uv=False)[-1]) < BLURRED:
        return None
    inverse = np.linalg.inv(looks)
    seen = decided / rows
    now, before = inverse @ seen, labelled / labelled.sum()
    noise = _spread(seen) / rows
    for label, share in enumerate(now):
        noise += share**2 * _spread(looks[:, label]) / labelled[label]
    error = np.sqrt(np.diag(inverse @ noise @ inverse.T) + before * (1 - before) / labelled.sum())
    z = float(ndtri(1 - (1 - confidence) / (2 * len(now))))
    n = rows + int(labelled.sum())
    return tuple(
        Interval(value, value - z * off, value + z * off, confidence, METHOD, n)
        for value, off in zip((now - before).tolist(), error.tolist(), strict=True)
        if math.isfinite(off)
    )


def _spread(shares: Floats) -> Floats:
    return np.asarray(np.diag(shares) - np.outer(shares, shares))
