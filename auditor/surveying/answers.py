"""Which rows a model answers rightly."""

import numpy as np
from numpy.typing import NDArray

from auditor.domain.datasets import Role
from auditor.domain.readings import Gap, Reason
from auditor.domain.subjects import Subject
from auditor.domain.tasks import Classification

Flags = NDArray[np.bool_]


def right_rows(subject: Subject, role: Role) -> Flags | Gap:
    """Return ``[n]``: whether a row's answer is its label, or within the tolerance of its target.

    Returns a Gap where there is no truth, or neither a model nor scores.
    """
    dataset, task = subject.datasets[role], subject.task
    brought = dataset.scores is not None or dataset.decisions is not None
    if isinstance(subject.model, Gap) and not (subject.predictions_only and brought):
        return subject.model
    if isinstance(task, Classification):
        if dataset.labels is None:
            return without_labels(role)
        return np.asarray(subject.decisions(role) == dataset.labels)
    if dataset.targets is None:
        return without_labels(role)
    away = np.abs(subject.probabilities(role)[:, 0] - dataset.targets)
    return np.asarray(away <= task.tolerance)


def without_labels(role: Role, metric: str = "") -> Gap:
    """Return the Gap of what needs the truth of each row."""
    return Gap(
        reason=Reason.NEEDS_LABELS,
        detail=f"The {role.value} data has no labels.",
        cure=f"Name the label column under data.{role.value}.labels in the audit file.",
        metric=metric,
        params={"data": role.value} if metric else {},
    )
