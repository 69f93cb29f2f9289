"""Rows of a sample that are one row again and again."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from auditor.domain.columns import Column
from auditor.domain.datasets import Dataset, Role
from auditor.domain.tasks import Array
from auditor.surveying.materials import codes, first_of_each

LEAST_EFFECTIVE = 0.98
"""Copies weigh below this share of the rows: ``n`` rows in groups of ``m`` equal ones tell as much
as ``n² / Σ m²`` rows (Kish 1965, 8.2), so that above it intervals are 1 % too narrow at most. One
row in a hundred that stands twice comes to it."""


def with_copies(dataset: Dataset) -> Dataset:
    """Return evaluation data that knows which of its rows are copies, where they weigh.

    Copies are rows of equal inputs, as a model in single precision takes them, and of one label; a
    regression's, whatever their numbers are. They share a cluster, joined with the declared ones.
    """
    if dataset.role is not Role.EVALUATION or dataset.inputs is None or not dataset.rows:
        return dataset
    (found,) = codes(_as_taken(dataset.inputs))
    if dataset.labels is not None:
        _, found = np.unique(np.stack((found, dataset.labels)), axis=1, return_inverse=True)
    sizes = np.unique(found, return_counts=True)[1].astype(np.float64)
    if dataset.rows**2 >= LEAST_EFFECTIVE * dataset.rows * np.square(sizes).sum():
        return dataset
    first = first_of_each(found.astype(np.int64).ravel())
    declared = dataset.cluster
    return replace(dataset, copies=first, cluster=_joined(first, declared), declared=declared)


def _as_taken(inputs: Array) -> Array:
    """Return numbers as nearly all models take them: what differs beyond that is equal to them."""
    return inputs.astype(np.float32) if inputs.dtype.kind == "f" else inputs


def _joined(first: NDArray[np.int64], declared: Column | None) -> Column:
    """Return clusters in which copies share one, and so do rows of one declared cluster."""
    place = np.unique(first, return_inverse=True)[1].astype(np.int64)
    if declared is not None:
        count = int(place.max()) + 1
        links = coo_array(
            (np.ones(place.size, np.int8), (place, declared.codes + count)),
            shape=(count + len(declared.names),) * 2,
        )
        place = connected_components(links, directed=False)[1].astype(np.int64)[place]
    return Column.of([f"copies of row {row}" for row in first_of_each(place)])
