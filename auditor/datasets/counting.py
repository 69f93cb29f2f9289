"""Count what there is to audit, without a model."""

import numpy as np

from auditor.domain.budgets import Size
from auditor.domain.datasets import Dataset
from auditor.domain.tasks import Classification, Task
from auditor.stats.cells import tabulate


def count(dataset: Dataset, task: Task) -> Size:
    """Return the rows of a dataset by label, and by group and label; none without labels.

    A regression counts as one class: its model gives one score a row.
    """
    if not isinstance(task, Classification):
        return Size(rows=dataset.rows, classes=1)
    if dataset.labels is None:
        return Size(rows=dataset.rows, classes=len(task.classes))
    groups: dict[str, dict[str, dict[str, int]]] = {}
    for column, members in dataset.groups.items():
        table = tabulate((members.codes, dataset.labels), (len(members.names), len(task.classes)))
        groups[column] = {
            group: {
                label: int(rows)
                for label, rows in sorted(zip(task.classes, row, strict=True))
                if rows
            }
            for group, row in zip(members.names, table, strict=True)
        }
    totals = dict(
        zip(
            task.classes,
            np.bincount(dataset.labels, minlength=len(task.classes)).tolist(),
            strict=True,
        )
    )
    return Size(
        rows=dataset.rows,
        classes=len(task.classes),
        labels={label: totals[label] for label in task.classes},
        groups=groups,
        favourable=task.favourable,
    )
