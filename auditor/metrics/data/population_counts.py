"""Counts of rows by the levels of a declared population."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from auditor.domain.datasets import (
    JOINED,
    UNKNOWN,
    Dataset,
    DatasetRole,
    TextColumn,
    find_joined_columns,
    intersect_columns,
)
from auditor.domain.readings import Gap, GapReason


@dataclass(frozen=True, slots=True)
class PopulationCounts:
    """Rows of each level of a population, of levels that it does not have, and of unknown level."""

    counts: tuple[int, ...]
    strangers: Mapping[str, int]
    unknown: int


def column_levels(dataset: Dataset, name: str) -> TextColumn | None:
    """Return the level of each row in a column of a population, or ``None`` if it is not there.

    A name that is no column but joins several is joined level by level; a row of which one part is
    unknown is unknown. Groups, slice columns and the columns that the model reads are looked up, in
    this order.
    """
    whole = _column(dataset, name)
    if whole is not None:
        return whole
    parts = [_column(dataset, part) for part in find_joined_columns(name)]
    found = [part for part in parts if part is not None]
    if len(found) < len(parts):
        return None
    return intersect_columns(found, UNKNOWN)


def count_levels(column: TextColumn, levels: tuple[str, ...]) -> PopulationCounts:
    """Count a column by the ``levels`` of a population; a level it names is never unknown."""
    rows = dict(
        zip(column.names, np.bincount(column.codes, minlength=len(column.names)), strict=True)
    )
    known = {_spelled(level) for level in levels}
    counted = {_spelled(name): int(count) for name, count in rows.items()}
    strangers = {
        name: count
        for name, count in counted.items()
        if name not in known and name != UNKNOWN and count
    }
    unknown = 0 if UNKNOWN in known else counted.get(UNKNOWN, 0)
    return PopulationCounts(
        tuple(counted.get(_spelled(level), 0) for level in levels), strangers, unknown
    )


def no_column_gap(role: DatasetRole, name: str) -> Gap:
    """Return the Gap of a column that the population names and the data lack."""
    return Gap(
        reason=GapReason.NOT_DEFINED,
        detail=f"The {role.value} data has no column {name!r}, of which the population speaks.",
        cure=f"Name it under data.{role.value}.groups or slices, or leave it out of population.",
    )


def no_rows_gap(role: DatasetRole, name: str, shares: Mapping[str, float]) -> Gap:
    """Return the Gap of a column none of whose levels are the population's."""
    return Gap(
        reason=GapReason.NOT_DEFINED,
        detail=f"No {role.value} row has a level of {name} that the population names: "
        f"{', '.join(shares)}.",
        cure="Spell the levels of the population as the data do.",
    )


def _column(dataset: Dataset, name: str) -> TextColumn | None:
    for columns in (dataset.groups, dataset.slices):
        if name in columns:
            return columns[name]
    values = dataset.inputs
    if values is None or not dataset.tabular or name not in dataset.features:
        return None
    column = values[:, dataset.features.index(name)].astype(np.float64)
    return TextColumn.of([UNKNOWN if np.isnan(value) else f"{value:.12g}" for value in column])


def _spelled(level: str) -> str:
    return JOINED.join(find_joined_columns(level))
