"""Subjects whose data are to be surveyed: inputs, truths and, where given, a model's scores."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike
from scored_subjects import ABSENT, FILE, scored

from auditor.domain.columns import Column
from auditor.domain.datasets import Dataset, Role
from auditor.domain.subjects import Subject
from auditor.domain.tasks import Regression


def sample(
    inputs: ArrayLike,
    labels: ArrayLike | None = None,
    *,
    role: Role = Role.EVALUATION,
    targets: ArrayLike | None = None,
    scores: ArrayLike | None = None,
    cluster: Sequence[str] | None = None,
    groups: Mapping[str, Sequence[str]] | None = None,
    slices: Mapping[str, Sequence[str]] | None = None,
) -> Dataset:
    """A dataset whose rows are named ``e0``, ``e1``, ... or ``t0``, ``t1``, ..."""
    values = np.asarray(inputs)
    columns = values.shape[1] if values.ndim == 2 else 0
    return Dataset(
        role=role,
        files=(FILE,),
        inputs=values,
        labels=None if labels is None else np.asarray(labels, dtype=np.int64),
        ids=tuple(f"{role.value[0]}{row}" for row in range(len(values))),
        features=tuple(f"x{column}" for column in range(columns)),
        groups={name: Column.of(members) for name, members in (groups or {}).items()},
        slices={name: Column.of(members) for name, members in (slices or {}).items()},
        cluster=None if cluster is None else Column.of(cluster),
        scores=None if scores is None else np.asarray(scores, dtype=np.float64),
        targets=None if targets is None else np.asarray(targets, dtype=np.float64),
    )


def surveyed(*datasets: Dataset, classes: int = 2, tolerance: float | None = None) -> Subject:
    """A subject of predictions only, of a classification or, with a tolerance, a regression."""
    subject = scored(np.full((1, classes), 1 / classes), [0])
    known = {dataset.role: dataset for dataset in datasets}
    if tolerance is None:
        return replace(subject, datasets=known, clean={})
    return replace(subject, datasets=known, task=Regression(tolerance), space=ABSENT, clean={})
