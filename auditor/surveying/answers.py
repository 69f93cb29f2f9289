"""What the model answered to the rows of a dataset of any role, and which answers were right."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np
from numpy.typing import NDArray

from auditor.domain.absences import ABSENT, without_labels
from auditor.domain.clusters import KEY
from auditor.domain.columns import Column, appended
from auditor.domain.datasets import UNLABELLED, Dataset, Role
from auditor.domain.evidence import Item
from auditor.domain.readings import Gap, Reason
from auditor.domain.subjects import Subject
from auditor.domain.tasks import Classification, Floats, Regression

Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """Which rows ``[n]`` of a dataset are ``labelled``, and which of them were answered ``right``.

    Right is the decision for the label, or a number within the tolerance of the truth. ``scores``
    are those of the model.
    """

    data: Dataset
    scores: Floats
    labelled: Flags
    right: Flags


def answers(subject: Subject, role: Role) -> Answers | Gap:
    """Return the answers to a dataset, labelled or not; a Gap where nobody gave any."""
    if role not in subject.datasets:
        return ABSENT[role]
    data = subject.datasets[role]
    missing = _unanswered(subject, data)
    if missing is not None:
        return missing
    scores = subject.probabilities(role)
    labelled = _labelled(subject, data)
    right = subject.right(role) if labelled.any() else labelled
    return Answers(data, scores, labelled, right)


def labelled_answers(subject: Subject, role: Role) -> Answers | Gap:
    """Return the answers to a dataset of which at least one row is labelled, or the Gap."""
    found = answers(subject, role)
    if isinstance(found, Answers) and not found.labelled.any():
        return without_labels(role)
    return found


def right_rows(subject: Subject, role: Role) -> Flags | Gap:
    """Return which rows ``[n]`` of a dataset were answered rightly, or why nobody knows."""
    found = labelled_answers(subject, role)
    return found if isinstance(found, Gap) else found.right


def came_true(subject: Subject, given: Answers) -> tuple[Floats, Flags]:
    """Return the probability that was stated of each row ``[n]``, and whether it came true.

    Of two classes that of the positive one; of more that of the decision. A regression states none.
    """
    task, data = subject.task, given.data
    if not isinstance(task, Classification):
        return np.zeros(data.rows), given.right
    if task.binary:
        labels = np.full(data.rows, UNLABELLED) if data.labels is None else data.labels
        stated = np.ascontiguousarray(given.scores[:, task.positive_index])
        return stated, labels == task.positive_index
    decided = subject.decisions(data.role)
    return given.scores[np.arange(data.rows), decided], given.right


def shared_clusters(given: Sequence[Answers], rows: Flags | None = None) -> dict[str, Item]:
    """Return the evidence of which rows hang together over all datasets; nothing if none do.

    A name is one cluster in all datasets; a row of a dataset that names none is alone. Of all rows
    those are kept that ``rows`` ``[n]`` says.
    """
    if all(item.data.cluster is None for item in given):
        return {}
    column = reduce(appended, [_cluster(item.data) for item in given])
    kept = column.codes if rows is None else column.codes[rows]
    return {} if len(column.names) == len(column) else {KEY: kept}


def _cluster(data: Dataset) -> Column:
    alone = f"\0{data.role.value}\0"
    return data.cluster or Column.of([f"{alone}{row}" for row in range(data.rows)])


def _labelled(subject: Subject, data: Dataset) -> Flags:
    """Return of which rows ``[n]`` the truth is known."""
    if isinstance(subject.task, Classification) and data.labels is not None:
        told: Flags = data.labels != UNLABELLED
        return told
    if isinstance(subject.task, Regression) and data.targets is not None:
        known: Flags = np.isfinite(data.targets)
        return known
    return np.zeros(data.rows, dtype=np.bool_)


def _unanswered(subject: Subject, data: Dataset) -> Gap | None:
    if subject.predictions_only:
        return None if data.answered else _unscored(data.role)
    return subject.model if isinstance(subject.model, Gap) else None


def _unscored(role: Role) -> Gap:
    return Gap(
        reason=Reason.NEEDS_SCORES,
        detail=f"There is no model to ask, and the {role.value} data does not say what one "
        "answered.",
        cure=f"Name its columns under data.{role.value}.scores or predictions in the audit file.",
    )
