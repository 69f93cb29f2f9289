"""Single columns that give the label away: found on one half of the rows, measured on the other."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import xlogy

from auditor.domain.datasets import Dataset
from auditor.domain.readings import ConfidenceInterval
from auditor.domain.tasks import Floats
from auditor.metrics.stats.group_gaps import tabulate
from auditor.metrics.stats.ks_distance import first_half
from auditor.metrics.stats.roc_auc import auc, macro_auc
from auditor.metrics.stats.slice_lattices import ColumnCoding, code_columns

BINS, CATEGORIES = 20, 100
BINARY = 2
Counts = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class LabelPredictor:
    """A column by its levels (bins of numbers, categories): rows ``[levels, classes]`` of the half
    on which it was chosen, and of the half on which it is measured.
    """

    name: str
    chosen: Counts
    measured: Counts

    def area(self, confidence: float, family: int) -> ConfidenceInterval | None:
        """Return the area under the ROC curve of the label by this column alone.

        The classes' rates by level come from the first half, their area from the second (the mean
        one-vs-rest area of many classes), jointly over a family of columns. ``None`` where fewer
        than two classes have rows there.
        """
        kept = np.flatnonzero((self.measured.sum(axis=0) > 0) & (self.chosen.sum(axis=0) > 0))
        if kept.size < BINARY:
            return None
        seen, rows = self.chosen[:, kept], self.measured[:, kept]
        prior = seen.sum(axis=0) / seen.sum()
        rates = (seen + prior) / (seen.sum(axis=1, keepdims=True) + 1)
        level, label = (part.ravel() for part in np.indices(rows.shape))
        levels, labels = np.repeat(level, rows.ravel()), np.repeat(label, rows.ravel())
        each = 1 - (1 - confidence) / family
        scores: Floats = rates[levels]
        if kept.size == BINARY:
            found = auc(scores[:, 1], labels == 1, each)
        else:
            found = macro_auc(scores, labels, each)
        return replace(found, confidence=confidence)


def find_predictors(
    dataset: Dataset, labels: Counts, most: int, seed: int
) -> Sequence[LabelPredictor]:
    """Return the ``most`` columns that tell most of ``labels`` ``[n]`` on one half of the rows.

    The halves are random; rows of one cluster stay on one side.
    """
    order = np.random.default_rng(seed).permutation(dataset.units).astype(np.int64)
    seen = first_half(order, dataset.cluster)
    columns = code_columns(dataset, ColumnCoding(seen, BINS, CATEGORIES), inputs=True)
    classes = int(labels.max(initial=0)) + 1
    told: dict[str, float] = {}
    halves: dict[str, tuple[Counts, Counts]] = {}
    for name, column in columns.items():
        size = (int(column.codes.max()) + 1, classes)
        one, other = (tabulate((column.codes[half], labels[half]), size) for half in (seen, ~seen))
        halves[name], told[name] = (one, other), mutual_information(one)
    best = sorted(told, key=lambda name: -told[name])[:most]
    return [LabelPredictor(name, *halves[name]) for name in best]


def mutual_information(table: Counts) -> float:
    """Return the mutual information, in nats, of the rows and columns of a table of counts."""
    total = max(int(table.sum()), 1)
    joint = xlogy(table, table / total).sum()
    margins = sum(
        xlogy(part, part / total).sum() for part in (table.sum(axis=0), table.sum(axis=1))
    )
    return float((joint - margins) / total)


def predictors_to_json(found: Sequence[LabelPredictor]) -> list[Mapping[str, object]]:
    """Return the counts of each column, without its levels' values."""
    return [
        {"column": it.name, "chosen": it.chosen.tolist(), "measured": it.measured.tolist()}
        for it in found
    ]
