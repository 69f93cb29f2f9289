"""Training-serving skew: the same rows in two feature tables, and where they differ."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from auditor.domain.datasets import Dataset, RowNames, concatenate_columns
from auditor.domain.readings import Gap, GapReason
from auditor.metrics.data.distribution_shift import (
    SharedColumn,
    list_unshared_columns,
    shared_columns,
)
from auditor.metrics.data.model_answers import Flags

NO_IDS = Gap(
    reason=GapReason.NOT_DEFINED,
    detail="Training and production data name their rows by number, which joins nothing.",
    cure="Name the column that names the rows under id of both in the audit file.",
)
NOTHING_SHARED = Gap(
    reason=GapReason.NOT_DEFINED,
    detail="No row of the production data is in the training data, or no column is in both.",
    cure="Log the same rows from both paths, under the same ids and names of columns.",
)


@dataclass(frozen=True, slots=True, eq=False)
class FeatureJoin:
    """Rows of both tables under one id, and which of them differ in a column.

    ``served`` counts the rows of production, under an id of both or not.
    """

    ids: tuple[str, ...]
    differs: dict[str, Flags]
    only_in_one: tuple[str, ...]
    served: int


def join_feature_tables(
    training: Dataset, production: Dataset, tolerance: float
) -> FeatureJoin | Gap:
    """Return the rows that both tables have, and where their features differ.

    Numbers differ by more than the share ``tolerance`` of the larger one; two unknown values are
    the same.
    """
    if all(RowNames.numbered(data.rows) == data.ids for data in (training, production)):
        return NO_IDS
    place = {name: row for row, name in enumerate(training.ids)}
    found = [(place[name], row) for row, name in enumerate(production.ids) if name in place]
    columns = shared_columns(training, production)
    if not found or not columns:
        return NOTHING_SHARED
    first, second = np.array(found, dtype=np.int64).T
    differs = dict(_differences(columns, first, second, tolerance))
    ids = tuple(production.ids[row] for row in second)
    return FeatureJoin(ids, differs, list_unshared_columns(training, production), production.rows)


def _differences(
    columns: tuple[SharedColumn, ...],
    first: NDArray[np.int64],
    second: NDArray[np.int64],
    tolerance: float,
) -> Iterator[tuple[str, Flags]]:
    for column in columns:
        if column.numbers is not None:
            one, other = column.numbers[0][first], column.numbers[1][second]
            same = np.isclose(one, other, rtol=tolerance, atol=0.0, equal_nan=True)
            yield column.name, ~(same | np.isclose(other, one, rtol=tolerance, atol=0.0))
        elif column.texts is not None:
            both = concatenate_columns(
                *(part.take(rows) for part, rows in zip(column.texts, (first, second), strict=True))
            )
            yield column.name, both.codes[: len(first)] != both.codes[len(first) :]
