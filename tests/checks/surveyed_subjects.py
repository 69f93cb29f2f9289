"""Subjects of predictions-only audits with datasets of one or several roles."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scored_subjects import FILE, scored

from auditor.domain.check_subject import Subject
from auditor.domain.datasets import Dataset, DatasetRole, TextColumn
from auditor.domain.tasks import RegressionTask

Texts = Mapping[str, Sequence[str]]


def part(
    role: DatasetRole,
    scores: ArrayLike | None,
    labels: ArrayLike | None = None,
    *,
    groups: Texts | None = None,
    slices: Texts | None = None,
    cluster: Sequence[str] | None = None,
    **fields: Any,  # noqa: ANN401 -- of Dataset
) -> Dataset:
    """A dataset of one role, without inputs; one column of scores is P(class 1)."""
    table = None if scores is None else np.asarray(scores, dtype=np.float64)
    if table is not None and table.ndim == 1:
        table = np.stack([1 - table, table], axis=1)
    people, things = (
        {name: TextColumn.of(texts) for name, texts in (columns or {}).items()}
        for columns in (groups, slices)
    )
    sized = (table, labels, *people.values(), *things.values(), *fields.values())
    rows = len(next(item for item in sized if item is not None))
    given = {
        "inputs": None,
        "ids": tuple(f"{role.value}-{row}" for row in range(rows)),
        **fields,
    }
    return Dataset(
        role=role,
        files=(FILE,),
        labels=None if labels is None else np.asarray(labels, dtype=np.int64),
        groups=people,
        slices=things,
        cluster=None if cluster is None else TextColumn.of(cluster),
        scores=table,
        **given,
    )


def sample(
    inputs: ArrayLike,
    labels: ArrayLike | None = None,
    *,
    role: DatasetRole = DatasetRole.EVALUATION,
    targets: ArrayLike | None = None,
    scores: ArrayLike | None = None,
    **columns: Any,  # noqa: ANN401 -- of part
) -> Dataset:
    """A dataset with inputs, whose rows are named ``e0``, ``e1``, ... or ``t0``, ``t1``, ..."""
    values = np.asarray(inputs)
    width = values.shape[1] if values.ndim == 2 else 0
    return part(
        role,
        scores,
        labels,
        inputs=values,
        features=tuple(f"x{column}" for column in range(width)),
        ids=tuple(f"{role.value[0]}{row}" for row in range(len(values))),
        targets=None if targets is None else np.asarray(targets, dtype=np.float64),
        **columns,
    )


def surveyed(*datasets: Dataset, classes: int = 2, **fields: Any) -> Subject:  # noqa: ANN401 -- of Subject
    """A subject of a classification with these datasets, each of its own role."""
    subject = scored(np.full((1, classes), 1 / classes), [0])
    known = {dataset.role: dataset for dataset in datasets}
    return replace(subject, datasets=known, clean={}, **fields)


def regressed(*datasets: Dataset, tolerance: float = 0.1, **fields: Any) -> Subject:  # noqa: ANN401 -- of Subject
    """A subject of a regression."""
    return surveyed(*datasets, task=RegressionTask(tolerance), **fields)
