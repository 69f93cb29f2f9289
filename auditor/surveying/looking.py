"""Columns of a dataset as such: constant ones, those that name rows, and what is missing."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from auditor.domain.datasets import UNKNOWN, Dataset

NAMING = 0.99
"""From which share of distinct values on a column of codes or texts names rows."""
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Looked:
    """A column: how many values it has, whether they are measured, and where it has none."""

    name: str
    distinct: int
    measured: bool
    missing: Flags

    @property
    def constant(self) -> bool:
        """Whether all known values are the same."""
        return self.distinct <= 1

    @property
    def naming(self) -> bool:
        """Whether nearly every row has a value of its own, and values are no measurements."""
        known = int(np.count_nonzero(~self.missing))
        return not self.measured and known > 1 and self.distinct >= NAMING * known


def look(dataset: Dataset) -> Iterator[Looked]:
    """Yield the columns that the model reads, if they are a table, then groups and slices."""
    values = dataset.inputs
    if values is not None and dataset.tabular:
        for at, name in enumerate(dataset.features):
            column = values[:, at].astype(np.float64)
            known = column[~np.isnan(column)]
            whole = bool(np.all(known == np.round(known)))
            yield Looked(name, len(np.unique(known)), not whole, np.isnan(column))
    for name, texts in {**dataset.slices, **dataset.groups}.items():
        if name in dataset.features:
            continue
        missing = np.array([level == UNKNOWN for level in texts.names])[texts.codes]
        distinct = len(texts.names) - (UNKNOWN in texts.names)
        measured = any("." in level for level in texts.names)
        yield Looked(name, distinct, measured, missing)
