"""Whether the rows of a dataset keep the relations and one-hot groups of their schema."""

import math

import numpy as np
from numpy.typing import NDArray

from auditor.datasets.schemas import Schema
from auditor.datasets.sources import Source
from auditor.domain.relations import columns_of, kept
from auditor.domain.tasks import Array
from auditor.errors import DatasetError


def refuse_broken_relations(source: Source, inputs: Array, schema: Schema) -> None:
    """Raise ``DatasetError`` where rows of ``[n, features]`` break more than ``holds`` leaves them.

    It names the relation, the first row that breaks it with its values, and how many do.
    """
    rows = inputs.astype(np.float64)
    columns = {feature.name: rows[:, index] for index, feature in enumerate(schema.features)}
    for group in dict.fromkeys(feature.one_hot for feature in schema.features):
        if group is not None:
            _refuse_group(source, rows, schema, group)
    for relation in schema.relations:
        broken = np.flatnonzero(~kept(relation.formula, columns))
        if broken.size > math.floor((1 - relation.holds) * len(rows) + 1e-9):
            row = int(broken[0])
            values = ", ".join(
                f"{name} {columns[name][row]:g}" for name in sorted(columns_of(relation.formula))
            )
            share = math.floor(1000 * (1 - broken.size / len(rows))) / 1000
            raise DatasetError(
                f"{source.name}: {source.row(row)} ({values}) breaks the relation "
                f"`{relation.text}`{_count(broken)}",
                cure=f"Mend the rows or the relation; or give it a tolerance, or holds: {share:g}, "
                "in the schema.",
            )


def _refuse_group(source: Source, rows: NDArray[np.float64], schema: Schema, group: str) -> None:
    members = [index for index, item in enumerate(schema.features) if item.one_hot == group]
    total = rows[:, members].sum(axis=1)
    wrong = np.flatnonzero((total != 1) & ~np.isnan(total))
    if wrong.size:
        row = int(wrong[0])
        raise DatasetError(
            f"{source.name}: {source.row(row)} has {total[row]:g} ones in the one-hot group "
            f"{group!r}{_count(wrong)}",
            cure="Give exactly one of its columns a 1, adding a column for what is none of them, "
            "or remove one_hot from the schema.",
        )


def _count(rows: NDArray[np.int64]) -> str:
    return f"; so do {rows.size - 1:,} other rows" if rows.size > 1 else ""
