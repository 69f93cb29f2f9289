"""The columns that two datasets have in common, as numbers or as texts."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from auditor.domain.columns import Column, appended
from auditor.domain.datasets import UNKNOWN, Dataset
from auditor.domain.tasks import Floats
from auditor.stats.coding import Coded, Coding, as_number, code_texts, code_values

Rows = NDArray[np.int64]
FEW = 20
"""Texts that are numbers count as such from more than so many different ones."""


@dataclass(frozen=True, slots=True, eq=False)
class Shared:
    """A column of two datasets: ``numbers`` (NaN where unknown) or ``texts``, of each."""

    name: str
    numbers: tuple[Floats, Floats] | None = None
    texts: tuple[Column, Column] | None = None

    def take(self, before: Rows, now: Rows) -> "Shared":
        """Return the column of some rows of each."""
        if self.numbers is not None:
            one, other = self.numbers
            return Shared(self.name, numbers=(one[before], other[now]))
        first, second = self.texts or (Column.of(()), Column.of(()))
        return Shared(self.name, texts=(first.take(before), second.take(now)))

    def coded(self, coding: Coding) -> Coded:
        """Return codes of both, one after the other."""
        if self.numbers is not None:
            return code_values(np.concatenate(self.numbers), coding, category=False)
        one, other = self.texts or (Column.of(()), Column.of(()))
        return code_texts(appended(one, other), coding)


def shared_columns(reference: Dataset, current: Dataset) -> tuple[Shared, ...]:
    """Return groups, slice columns and inputs that are in both, in the order of the reference."""
    texts = (_texts(reference), _texts(current))
    found = [
        _of_texts(name, column, texts[1][name])
        for name, column in texts[0].items()
        if name in texts[1]
    ]
    values = (_values(reference), _values(current))
    known = {column.name for column in found}
    found += [
        Shared(name, numbers=(column, values[1][name]))
        for name, column in values[0].items()
        if name in values[1] and name not in known
    ]
    return tuple(found)


def only_in_one(reference: Dataset, current: Dataset) -> tuple[str, ...]:
    """Return the names of columns that only one of both has."""
    one, other = ({*_texts(data), *_names(data)} for data in (reference, current))
    return tuple(sorted(one ^ other))


def _texts(data: Dataset) -> Mapping[str, Column]:
    return {**data.slices, **data.groups}


def _names(data: Dataset) -> tuple[str, ...]:
    return data.features if data.tabular else ()


def _values(data: Dataset) -> Mapping[str, Floats]:
    names = _names(data)
    if data.inputs is None or not names:
        return {}
    columns = np.ascontiguousarray(data.inputs.T)
    return {name: columns[at].astype(np.float64, copy=False) for at, name in enumerate(names)}


def _of_texts(name: str, one: Column, other: Column) -> Shared:
    values = [np.array([as_number(text) for text in column.names]) for column in (one, other)]
    known = [text for column in (one, other) for text in column.names if text != UNKNOWN]
    distinct = np.unique(np.concatenate(values))
    finite = sum(int(np.isfinite(part).sum()) for part in values)
    if finite == len(known) and np.isfinite(distinct).sum() > FEW:
        return Shared(name, numbers=(values[0][one.codes], values[1][other.codes]))
    return Shared(name, texts=(one, other))
