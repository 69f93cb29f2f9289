"""Rows in clusters of what a model makes of them, as columns of codes."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from auditor.domain.canonical import Json
from auditor.stats.kmeans import Centres
from auditor.stats.principal import Directions, Narrow

COLUMN = "embedding cluster"
MOST_AXES = 32

Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Clusters:
    """Codes ``[columns, n]`` of uint8, one column a number of clusters, and distances likewise.

    ``counts`` is how many clusters a column has; ``axes`` along how many directions rows were
    compared.
    """

    counts: tuple[int, ...]
    codes: NDArray[np.uint8]
    distances: NDArray[np.float32]
    axes: int

    @classmethod
    def of(cls, rows: Narrow, searched: Flags, counts: Sequence[int], seed: int) -> "Clusters":
        """Cluster rows ``[n, d]`` around centres that only those ``searched`` ``[n]`` choose.

        Columns are standardised and projected on their first ``MOST_AXES`` principal axes, both as
        the rows searched have them. Rows that are all alike have no axes, and no clusters. A
        cluster's number is its place by size, the largest first.
        """
        directions = Directions.of(rows[searched], MOST_AXES, seed)
        places = directions.project(rows)
        axes = places.shape[1]
        fitting = tuple(sorted(set(counts))) if axes else ()
        codes = np.zeros((len(fitting), len(rows)), dtype=np.uint8)
        distances = np.zeros((len(fitting), len(rows)), dtype=np.float32)
        for at, count in enumerate(fitting):
            nearest, distances[at] = Centres.of(places[searched], count, seed).assign(places)
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
