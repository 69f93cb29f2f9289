"""The same rows in two feature tables, and where they differ."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from auditor.domain.columns import appended
from auditor.domain.datasets import Dataset
from auditor.domain.readings import Gap, Reason
from auditor.domain.row_names import RowNames
from auditor.surveying.answers import Flags
from auditor.surveying.shared_columns import Shared, only_in_one, shared_columns

NO_IDS = Gap(
    reason=Reason.NOT_DEFINED,
    detail="Training and production data name their rows by number, which joins nothing.",
    cure="Name the column that names the rows under id of both in the audit file.",
)
NOTHING_SHARED = Gap(
    reason=Reason.NOT_DEFINED,
    detail="No row of the production data is in the training data, or no column is in both.",
    cure="Log the same rows from both paths, under the same ids and names of columns.",
)


@dataclass(frozen=True, slots=True, eq=False)
class Joined:
    """Rows of both tables under one id, and which of them differ in a column.

    ``served`` counts the rows of production, under an id of both or not.
    """

    ids: tuple[str, ...]
    differs: dict[str, Flags]
    only_in_one: tuple[str, ...]
    served: int


def join(training: Dataset, production: Dataset, tolerance: float) -> Joined | Gap:
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
    return Joined(ids, differs, only_in_one(training, production), production.rows)


def _differences(
    columns: tuple[Shared, ...],
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
            both = appended(
                *(part.take(rows) for part, rows in zip(column.texts, (first, second), strict=True))
            )
            yield column.name, both.codes[: len(first)] != both.codes[len(first) :]
