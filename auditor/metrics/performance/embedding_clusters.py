"""Clusters of rows by model embedding, and contact sheets of the confirmed clusters."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from auditor.domain.datasets import TABLE_AXES, TEXT
from auditor.domain.evidence import Evidence
from auditor.domain.json import Json, write_fields
from auditor.domain.tasks import Array
from auditor.metrics.performance.error_slices import SliceSearchOutcome
from auditor.metrics.stats.learners import ClusterCentres, Narrow, PrincipalDirections

COLUMN = "embedding cluster"
MOST_AXES = 32

Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class RowClusters:
    """Codes ``[columns, n]`` of uint8, one column a number of clusters, and distances likewise.

    ``counts`` is how many clusters a column has; ``axes`` along how many directions rows were
    compared.
    """

    counts: tuple[int, ...]
    codes: NDArray[np.uint8]
    distances: NDArray[np.float32]
    axes: int

    @classmethod
    def of(cls, rows: Narrow, searched: Flags, counts: Sequence[int], seed: int) -> "RowClusters":
        """Cluster rows ``[n, d]`` around centres that only those ``searched`` ``[n]`` choose.

        Columns are standardised and projected on their first ``MOST_AXES`` principal axes, both as
        the rows searched have them. Rows that are all alike have no axes, and no clusters. A
        cluster's number is its place by size, the largest first.
        """
        directions = PrincipalDirections.of(rows[searched], MOST_AXES, seed)
        places = directions.project(rows)
        axes = places.shape[1]
        fitting = tuple(sorted(set(counts))) if axes else ()
        codes = np.zeros((len(fitting), len(rows)), dtype=np.uint8)
        distances = np.zeros((len(fitting), len(rows)), dtype=np.float32)
        for at, count in enumerate(fitting):
            nearest, distances[at] = ClusterCentres.of(places[searched], count, seed).assign(places)
            sizes = np.bincount(nearest[searched], minlength=count)
            ranks = np.empty(count, dtype=np.uint8)
            ranks[np.argsort(-sizes, kind="stable")] = np.arange(count)
            codes[at] = ranks[nearest]
        return cls(fitting, codes, distances, axes)

    def columns(self) -> list[Json]:
        """Return the evidence form of the columns' names and levels."""
        return [
            {"name": COLUMN, "levels": [f"{at + 1} of {count}" for at in range(count)]}
            for count in self.counts
        ]

    def nearest(self, column: int, level: int, most: int) -> NDArray[np.intp]:
        """Return the rows of a cluster, those nearest to its centre first, ``most`` at most."""
        inside = np.flatnonzero(self.codes[column] == level)
        order = np.argsort(self.distances[column][inside], kind="stable")
        return inside[order[:most]]


MOST_SHEETS = 8
MOST_LETTERS = 160
"""Of a text that a sheet shows: its opening."""
"""Axes of inputs that are no pictures."""


@dataclass(frozen=True, slots=True)
class ContactSheetEntry:
    """A row of a sheet: the row's ``place`` in the sample, and how far from the centre it lies."""

    cluster: str
    place: int
    distance: float
    wrong: bool

    to_json = write_fields


def build_contact_sheets(
    outcome: SliceSearchOutcome, found: RowClusters, wrong: NDArray[np.bool_], most: int
) -> tuple[ContactSheetEntry, ...]:
    """Return, for each confirmed cluster, the ``most`` rows nearest to its centre."""
    entries = list[ContactSheetEntry]()
    for item in outcome.confirmed[:MOST_SHEETS]:
        ((column, level),) = item.conditions
        name, apart = outcome.names.levels[column][level], found.distances[column]
        entries += [
            ContactSheetEntry(name, int(at), float(apart[at]), bool(wrong[at]))
            for at in found.nearest(column, level, most)
        ]
    return tuple(entries)


def excerpt_rows(rows: Array) -> Evidence:
    """Return pictures as they are and texts by their openings; a table's rows stay away."""
    if rows.dtype.kind == TEXT:
        return {"sheet_texts": [str(text)[:MOST_LETTERS] for text in rows.reshape(-1).tolist()]}
    return {"sheet_inputs": rows} if rows.ndim > TABLE_AXES else {}
