"""Contact sheets of confirmed clusters: the rows nearest to each centre."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from auditor.comparing.clustering import Clusters
from auditor.comparing.slices import Outcome
from auditor.domain.canonical import Json
from auditor.domain.datasets import TABLE_AXES, TEXT
from auditor.domain.evidence import Evidence
from auditor.domain.tasks import Array

MOST_SHEETS = 8
MOST_LETTERS = 160
"""Of a text that a sheet shows: its opening."""
"""Axes of inputs that are no pictures."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A row of a sheet: the row's ``place`` in the sample, and how far from the centre it lies."""

    cluster: str
    place: int
    distance: float
    wrong: bool

    def to_json(self) -> dict[str, Json]:
        """Return the evidence form."""
        return {
            "cluster": self.cluster,
            "place": self.place,
            "distance": self.distance,
            "wrong": self.wrong,
        }


def sheet(
    outcome: Outcome, found: Clusters, wrong: NDArray[np.bool_], most: int
) -> tuple[Entry, ...]:
    """Return, for each confirmed cluster, the ``most`` rows nearest to its centre."""
    entries = list[Entry]()
    for item in outcome.confirmed[:MOST_SHEETS]:
        ((column, level),) = item.conditions
        name, apart = outcome.names.levels[column][level], found.distances[column]
        entries += [
            Entry(name, int(at), float(apart[at]), bool(wrong[at]))
            for at in found.nearest(column, level, most)
        ]
    return tuple(entries)


def as_shown(rows: Array) -> Evidence:
    """Return pictures as they are and texts by their openings; a table's rows stay away."""
    if rows.dtype.kind == TEXT:
        return {"sheet_texts": [str(text)[:MOST_LETTERS] for text in rows.reshape(-1).tolist()]}
    return {"sheet_inputs": rows} if rows.ndim > TABLE_AXES else {}
