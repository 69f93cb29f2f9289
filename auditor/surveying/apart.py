"""Rows of which no two hang together."""

import numpy as np
from numpy.typing import NDArray

from auditor.domain.datasets import Dataset
from auditor.domain.subjects import Subject

Rows = NDArray[np.int64]
HELD = "one row of each cluster, chosen by the audit's seed, stands for it"


def apart(subject: Subject, dataset: Dataset) -> Rows:
    """Return all rows, or, where some hang together, the first of each cluster as they are drawn.

    They come in the order of the audit's permutation. What is computed from them takes rows for
    independent and may do so, at the price of the rows that are left out.
    """
    order = subject.sample(dataset.role, dataset.rows)
    if dataset.cluster is None or not dataset.clustered:
        return order
    _, first = np.unique(dataset.cluster.codes[order], return_index=True)
    return order[np.sort(first)]


def held(clustered: object) -> dict[str, str]:
    """Return what the details of a figure say, where one row stands for its cluster."""
    return {"rows_are": HELD} if clustered else {}
