"""Subjects of predictions-only audits with datasets of several roles."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scored_subjects import FILE, scored

from auditor.domain.columns import Column
from auditor.domain.datasets import Dataset, Role
from auditor.domain.subjects import Subject
from auditor.domain.tasks import Regression


def part(
    role: Role,
    scores: ArrayLike | None,
    labels: ArrayLike | None = None,
    *,
    slices: Mapping[str, Sequence[str]] | None = None,
    cluster: Sequence[str] | None = None,
    **fields: Any,  # noqa: ANN401 -- of Dataset
) -> Dataset:
    """A dataset of one role; one column of scores is P(class 1)."""
    table = None if scores is None else np.asarray(scores, dtype=np.float64)
    if table is not None and table.ndim == 1:
        table = np.stack([1 - table, table], axis=1)
    named = {name: Column.of(texts) for name, texts in (slices or {}).items()}
    rows = len(next(x for x in (table, labels, *named.values(), *fields.values()) if x is not None))
    given = {"ids": tuple(f"{role.value}-{row}" for row in range(rows)), **fields}
    return Dataset(
        role=role,
        files=(FILE,),
        inputs=None,
        labels=None if labels is None else np.asarray(labels, dtype=np.int64),
        slices=named,
        cluster=None if cluster is None else Column.of(cluster),
        scores=table,
        **given,
    )


def surveyed(*parts: Dataset, **fields: Any) -> Subject:  # noqa: ANN401 -- of Subject
    """A subject of these datasets."""
    subject = scored([0.5], [1])
    subject = replace(subject, clean={}, **fields)
    subject.datasets = {data.role: data for data in parts}
    return subject


def regressed(*parts: Dataset, tolerance: float = 0.1, **fields: Any) -> Subject:  # noqa: ANN401 -- of Subject
    """A subject of a regression."""
    return surveyed(*parts, task=Regression(tolerance), **fields)
