"""How far one class stands out from the others: the statistics that point at a backdoor."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from scipy.stats import gamma

from auditor.domain.tasks import Floats

STRONGEST = 4
"""The triggers of a scan whose mean success speaks for a class."""
TARGETS = 3
"""One class in so many at most can be a target: the others have to show what is ordinary."""
FEWEST_CLASSES = 4
"""With fewer classes, there are too few others to stand out from."""
NORMAL = 1.4826
"""Median absolute deviations times this are standard deviations of a normal law."""
LEAST_SPREAD: Mapping[str, float] = {
    "patch": 0.05, "blend": 0.05, "value": 0.05, "mask": 0.15, "margin": 0.1,
}  # fmt: skip
"""The least spread that classes are taken to have: shares of a scan, logarithms of the others."""
LEADS: Mapping[str, float] = {
    "patch": 0.3, "blend": 0.4, "value": 0.3, "mask": float(np.log(2)), "margin": 0.5,
}  # fmt: skip
"""How far the first class has to be ahead of the second: by a share of the rows, by half the mask.
Without it, one natural class of ten lies beyond two deviations in one clean model of five.
"""


def outlying(values: Floats, least: float) -> Floats:
    """Return how far each value lies above the median, in median absolute deviations: ``[k]``.

    The anomaly index of Neural Cleanse (Wang et al. 2019, section IV), one-sided; ``least`` bounds
    the deviation from below, so that classes that happen to agree make nothing of a trifle.
    """
    middle = float(np.median(values))
    spread = max(NORMAL * float(np.median(np.abs(values - middle))), least)
    return np.asarray((values - middle) / spread)


def lead(values: Floats) -> float:
    """Return how far the highest of ``[k]`` values is ahead of the second."""
    second, first = np.sort(values)[-2:]
    return float(first - second)


def leaders(values: Floats, index: float, least: float, ahead: float) -> NDArray[np.int64]:
    """Return the classes that stand out of ``[k]`` values together, the highest first.

    They are the most, up to one in ``TARGETS``, that are all ``index`` deviations out and ``ahead``
    of all others: a backdoor may have several targets, none of which is ahead of the next. None
    where there is no such group.
    """
    order = np.argsort(-values, kind="stable")
    out = outlying(values, least)[order] >= index
    steps = -np.diff(values[order])
    for count in range(max(1, len(values) // TARGETS), 0, -1):
        if out[count - 1] and steps[count - 1] >= ahead:
            return order[:count].astype(np.int64)
    return order[:0].astype(np.int64)


def scan_scores(rates: Floats) -> Floats:
    """Return each class's mean success of its ``STRONGEST`` triggers, from ``[k, classes]``."""
    most = np.sort(rates, axis=0)[-STRONGEST:]
    found: Floats = most.mean(axis=0)
    return found


def mask_scores(sizes: Floats) -> Floats:
    """Return scores that are the higher the smaller a class's mask is: ``[k]``."""
    return np.asarray(-np.log(np.maximum(sizes, 1e-4)))


def margin_scores(margins: Floats) -> Floats:
    """Return scores that are the higher the larger a class's margin is: ``[k]``."""
    return np.asarray(np.log(np.maximum(margins, 1e-3)))


def margin_p_value(margins: Floats) -> float:
    """Return the chance that the largest of so many margins is as large, were all of one law.

    The law is a Gamma with the mean and variance of the others (Wang et al. 2024, section IV-C,
    which fits one by likelihood). It is rough: clean models of digits have a median of 0.13, those
    of clothing of 0.01.
    """
    most = int(margins.argmax())
    rest = np.delete(margins, most)
    mean, spread = float(rest.mean()), float(rest.var(ddof=1))
    if mean <= 0 or spread <= 0:
        return 1.0 if margins[most] <= mean else 0.0
    shape = mean**2 / spread
    below = float(gamma.cdf(margins[most], shape, scale=mean / shape))
    return 1.0 - below ** len(margins)


def noise_scores(counts: NDArray[np.int64]) -> Floats:
    """Return the larger share of either kind of noise that falls to each class, ``[classes]``.

    ``counts`` is ``[2, classes]``.
    """
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    found: Floats = shares.max(axis=0)
    return found
