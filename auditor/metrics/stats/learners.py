"""Confident learning: which labels a model contradicts, and how many of them are wrong."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from auditor.domain.intervals import Interval
from auditor.domain.tasks import Floats
from auditor.stats.proportions import exact_limits

Counts = NDArray[np.int64]
METHOD = "confident joint; mover of clopper-pearson limits over the given labels"


@dataclass(frozen=True, slots=True, eq=False)
class Confidence:
    """What a model is confident of: ``taken`` ``[n]`` is a class, or -1 where it is of none."""

    thresholds: Floats
    taken: Counts


def confident(probabilities: Floats, labels: Counts) -> Confidence:
    """Return the class that each row ``[n, classes]`` is confidently of.

    A row may be of the classes whose probability reaches its mean over the rows that bear that
    class as their label, and is of the likeliest of these (Northcutt, Jiang and Chuang 2021,
    Journal of Artificial Intelligence Research 70, section 3.1). A class without rows is never
    taken. The probabilities have to be of rows that the model has not learnt from.
    """
    classes = probabilities.shape[1]
    counts = np.bincount(labels, minlength=classes)
    own = probabilities[np.arange(len(labels)), labels]
    sums = np.bincount(labels, own, classes)
    thresholds = np.where(counts > 0, sums / np.maximum(counts, 1), np.inf)
    possible = np.where(probabilities >= thresholds, probabilities, -1.0)
    best = possible.argmax(axis=1)
    sure = possible[np.arange(len(labels)), best] >= 0
    return Confidence(thresholds, np.where(sure, best, -1))


def joint(labels: Counts, taken: Counts, classes: int) -> Counts:
    """Return ``[classes, classes]``: rows by their label, and by the class they confidently are."""
    sure = taken >= 0
    packed = labels[sure] * classes + taken[sure]
    return np.bincount(packed, minlength=classes * classes).reshape(classes, classes)


def noise(table: Counts, rows: Counts, confidence: float) -> Interval:
    """Return the share of wrong labels, from the confident ``joint`` and the ``rows`` of a label.

    Each label's share of confident rows that are of another class, weighted by the label's rows:
    the trace of the calibrated joint, taken from one (section 3.1 of the paper). Each label's
    share has its exact interval, and they are joined by variance recovery (Zou and Donner 2008,
    Statistics in Medicine 27) with the error of the weights. A label without confident rows may
    be wrong always or never. The interval is of sampling alone: a model that is confidently wrong
    accuses right labels. Raises ``ValueError`` for no rows.
    """
    total = int(rows.sum())
    if total == 0:
        message = "a share of wrong labels needs rows"
        raise ValueError(message)
    sure = table.sum(axis=1)
    wrong = sure - np.diagonal(table)
    shares = np.where(sure > 0, wrong / np.maximum(sure, 1), 0.0)
    low, high = exact_limits(wrong, sure, (1 - confidence) / 2)
    weights = rows / total
    value = float(weights @ shares)
    between = float(weights @ (shares - value) ** 2) * float(ndtri((1 + confidence) / 2)) ** 2
    down = math.sqrt(float(np.sum((weights * (shares - low)) ** 2)) + between / total)
    up = math.sqrt(float(np.sum((weights * (high - shares)) ** 2)) + between / total)
    ends = max(0.0, value - down), min(1.0, value + up)
    return Interval(value, *ends, confidence, METHOD, total)


def margins(probabilities: Floats, labels: Counts) -> Floats:
    """Return ``[n]``: the probability of the label less the greatest one of another class."""
    rows = np.arange(len(labels))
    others = probabilities.copy()
    others[rows, labels] = -np.inf
    return np.asarray(probabilities[rows, labels] - others.max(axis=1))
