"""Whether decisions would be right far more often if the classes stood in another order."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from auditor.domain.canonical import Json
from auditor.stats.proportions import clopper_pearson

Counts = NDArray[np.int64]
HALVES = 2
SURE = 0.999
BETTER, BEYOND_CHANCE = 0.2, 0.1
"""By how much another order must gain, and how near to chance the stated one must be."""


@dataclass(frozen=True, slots=True)
class OtherOrder:
    """Another order of the classes, and how often decisions would be right under it.

    The score in column ``j`` would be that of the class ``places[j]`` of the stated order.
    """

    places: tuple[int, ...]
    accuracy: float

    def to_json(self, classes: tuple[str, ...]) -> dict[str, Json]:
        """Return the form that a reading's details have."""
        return {"classes": [classes[at] for at in self.places], "accuracy": self.accuracy}


def other_order(labels: Counts, decided: Counts, classes: int) -> OtherOrder | None:
    """Return an order under which decisions are far better than as stated, if there is one.

    ``labels`` and ``decided`` ``[n]`` index the classes. The order is the best assignment on the
    table of labels and decisions (Kuhn 1955, the Hungarian method). Among many classes some order
    always looks good, so that its accuracy is counted on rows that did not choose it: each half of
    a class's rows is scored by the assignment of the other half, and must be more than chance
    gives (Clopper and Pearson's interval at 99.9 %). A model that guesses, or always gives one
    answer, is wrong in every order and gives ``None``.
    """
    right = labels == decided
    if not len(labels) or _far(float(right.mean()), classes):
        return None
    halves = _halves(labels)
    decided_then = np.empty_like(decided)
    for half in range(HALVES):
        learnt = halves != half
        places = _assignment(_table(labels[learnt], decided[learnt], classes))
        decided_then[halves == half] = places[decided[halves == half]]
    then = labels == decided_then
    better = float(then.mean() - right.mean()) >= BETTER and _no_luck(then, classes)
    if not better or not _far(_balanced(labels, then, classes), classes):
        return None
    places = _assignment(_table(labels, decided, classes))
    return OtherOrder(tuple(int(at) for at in places), float(then.mean()))


def _far(accuracy: float, classes: int) -> bool:
    return accuracy >= 1 / classes + BEYOND_CHANCE


def _no_luck(right: NDArray[np.bool_], classes: int) -> bool:
    return clopper_pearson(int(right.sum()), len(right), SURE).low > 1 / classes


def _halves(labels: Counts) -> Counts:
    """Return 0 or 1 for each row, so that each class has as many of both as can be."""
    order = np.argsort(labels, kind="stable")
    starts = np.searchsorted(labels[order], labels[order], side="left")
    halves = np.empty_like(labels)
    halves[order] = (np.arange(len(labels)) - starts) % HALVES
    return halves


def _table(labels: Counts, decided: Counts, classes: int) -> Counts:
    pairs = np.bincount(decided * classes + labels, minlength=classes * classes)
    table: Counts = pairs.reshape(classes, classes)
    return table


def _assignment(table: Counts) -> Counts:
    """Return the label that each decision stands for, one to one."""
    _, columns = linear_sum_assignment(table, maximize=True)
    places: Counts = columns.astype(np.int64)
    return places


def _balanced(labels: Counts, right: NDArray[np.bool_], classes: int) -> float:
    rows = np.bincount(labels, minlength=classes)
    hits = np.bincount(labels[right], minlength=classes)
    return float((hits[rows > 0] / rows[rows > 0]).mean())
