"""Links between rows that are alike, and the groups that they make."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from auditor.domain.tasks import Floats
from auditor.surveying.materials import Rows

NO_LINKS: Rows = np.empty((0, 2), dtype=np.int64)


@dataclass(frozen=True, slots=True)
class Pool:
    """Rows that are compared: ``ours`` with ``theirs``, or with each other (``theirs`` is None)."""

    ours: Floats
    theirs: Floats | None = None

    @property
    def corpus(self) -> Floats:
        """What each of ours is looked up in."""
        return self.ours if self.theirs is None else self.theirs


def by_key(ours: NDArray[np.integer], theirs: NDArray[np.integer] | None) -> Rows:
    """Return a link ``[m, 2]`` of each row to the first other row that has the same key.

    ``theirs`` are the keys to look ours up in; ``None``: ours, in which no row is its own other.
    """
    keys = ours if theirs is None else theirs
    distinct, first = np.unique(keys, return_index=True)
    place = np.minimum(np.searchsorted(distinct, ours), distinct.size - 1)
    there = first[place]
    found = distinct[place] == ours
    if theirs is None:
        found &= there != np.arange(ours.size)
    rows = np.flatnonzero(found)
    return np.stack((rows, there[rows]), axis=1).astype(np.int64)


def by_distance(pool: Pool, radius: float, norm: float, neighbours: int = 1) -> Rows:
    """Return links ``[m, 2]`` of each row to its nearest others within ``radius``, nearest first.

    ``norm`` is 2 for Euclid's distance, infinity for the largest difference of a coordinate.
    """
    itself = pool.theirs is None
    count = min(neighbours + itself, len(pool.corpus))
    tree = cKDTree(pool.corpus, balanced_tree=False, compact_nodes=False)
    # The tree looks for what is strictly nearer.
    bound = np.nextafter(radius, np.inf)
    ranks = np.arange(1, count + 1)
    answers = tree.query(pool.ours, k=ranks, p=norm, distance_upper_bound=bound)
    away, there = (np.asarray(answer) for answer in answers)
    found = np.isfinite(away)
    if itself:
        found &= there != np.arange(len(there))[:, None]
    rows = np.nonzero(found)[0]
    return np.stack((rows, there[found]), axis=1).astype(np.int64)


def chained(links: Rows, rows: int) -> Rows:
    """Return ``[rows]`` codes: rows have the same one where a chain of links joins them."""
    ones = np.ones(len(links), dtype=np.int8)
    graph = coo_array((ones, (links[:, 0], links[:, 1])), shape=(rows, rows))
    return np.asarray(connected_components(graph, directed=False)[1], dtype=np.int64)


def together(coded: Rows) -> Rows:
    """Return ``[m, 2]``, row and group, of the rows that share their code with another one.

    Groups are numbered in the order of their first rows.
    """
    _, first, place, counts = np.unique(
        coded, return_index=True, return_inverse=True, return_counts=True
    )
    rows = np.flatnonzero(counts[place] > 1)
    _, groups = np.unique(first[place[rows]], return_inverse=True)
    return np.stack((rows, groups), axis=1).astype(np.int64)
