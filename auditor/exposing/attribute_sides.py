"""Who is asked about: members, others whom the model never saw, and whom anybody may know."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from auditor.domain.absences import without_labels
from auditor.domain.columns import Column, appended
from auditor.domain.datasets import Dataset, Role
from auditor.domain.readings import Gap
from auditor.domain.subjects import Subject, permutation
from auditor.domain.tasks import Array
from auditor.exposing.attribute_attack import Rows
from auditor.exposing.attribute_gaps import FEWEST_KNOWN, NO_TABLE, other_columns, too_few_known
from auditor.exposing.unseen import unseen
from auditor.stats.halving import first_half

MOST_KNOWN = 5000
"""Rows that an imputer is taught, so that its features fit into memory."""
Places = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Sides:
    """Rows that the attacker knows, and those that are asked about: members first.

    ``clusters`` ``[n]`` are those of the rows that are asked about, where there are any; ``copies``
    counts rows that stand in the training data too, and so are no others.
    """

    known: Rows
    asked: Rows
    members: NDArray[np.bool_]
    ids: tuple[str, ...]
    clusters: NDArray[np.int32] | None
    copies: int


def sides(subject: Subject, most: int) -> Sides | Gap:
    """Take at most ``most`` members, and as many others; a Gap where there are not enough.

    What the attacker knows is the reference data, or else one half of the evaluation data; whole
    clusters stay on one side.
    """
    training, evaluation = subject.datasets[Role.TRAINING], subject.datasets[Role.EVALUATION]
    reference = subject.datasets.get(Role.REFERENCE)
    lacking = _lacking(training, evaluation)
    if lacking is not None:
        return lacking
    taught = np.asarray(training.inputs)
    order = permutation(subject.audit_seed, evaluation.rows)
    fresh = order[_fresh(evaluation, taught)[order]]
    apart = first_half(permutation(subject.audit_seed, evaluation.units), evaluation.cluster)
    others, copies = fresh[~apart[fresh]][:most], evaluation.rows - len(fresh)
    known = _rows(evaluation, fresh[apart[fresh]][:MOST_KNOWN])
    if reference is not None and _lacking(training, reference) is None:
        there = np.flatnonzero(_fresh(reference, taught))
        known, others = _rows(reference, there[:MOST_KNOWN]), fresh[:most]
    members = subject.sample(Role.TRAINING, most)
    members = members[_labels(training)[members] >= 0]
    if len(known.labels) < FEWEST_KNOWN:
        return too_few_known(len(known.labels))
    asked = (_rows(training, members), _rows(evaluation, others))
    return Sides(
        known,
        Rows(
            np.concatenate([it.inputs for it in asked]), np.concatenate([it.labels for it in asked])
        ),
        np.arange(len(members) + len(others)) < len(members),
        (*(training.ids[at] for at in members), *(evaluation.ids[at] for at in others)),
        _clusters((training, members), (evaluation, others)),
        copies,
    )


def _labels(dataset: Dataset) -> Places:
    return np.asarray(dataset.labels)


def _rows(dataset: Dataset, places: Places) -> Rows:
    return Rows(np.asarray(dataset.inputs)[places], _labels(dataset)[places])


def _fresh(dataset: Dataset, taught: Array) -> NDArray[np.bool_]:
    return unseen(np.asarray(dataset.inputs), taught) & (_labels(dataset) >= 0)


def _clusters(*sides: tuple[Dataset, Places]) -> NDArray[np.int32] | None:
    """Return which rows hang together across both samples, ``None`` where none do."""
    if not any(dataset.clustered for dataset, _ in sides):
        return None
    one, other = (
        dataset.cluster.take(places)
        if dataset.cluster is not None
        else Column.of([f"{dataset.role.value} {dataset.ids[at]}" for at in places])
        for dataset, places in sides
    )
    return appended(one, other).codes


def _lacking(training: Dataset, other: Dataset) -> Gap | None:
    for dataset in (training, other):
        if not dataset.tabular or dataset.inputs is None:
            return NO_TABLE
        if dataset.labels is None:
            return without_labels(dataset.role)
    ours, theirs = (np.asarray(it.inputs).shape[1] for it in (training, other))
    return None if ours == theirs else other_columns(training, other)
