"""Count what there is to audit, without a model."""

from collections import Counter

from auditor.domain.budgets import Size
from auditor.domain.datasets import Dataset
from auditor.domain.tasks import Classification, Task


def count(dataset: Dataset, task: Task) -> Size:
    """Return the rows of a dataset by label, and by group and label; none without labels.

    A regression counts as one class: its model gives one score a row.
    """
    if not isinstance(task, Classification):
        return Size(rows=dataset.rows, classes=1)
    if dataset.labels is None:
        return Size(rows=dataset.rows, classes=len(task.classes))
    labels = [task.classes[index] for index in dataset.labels.tolist()]
    groups: dict[str, dict[str, dict[str, int]]] = {}
    for column, members in dataset.groups.items():
        counted: dict[str, dict[str, int]] = {}
        for (group, label), rows in sorted(Counter(zip(members, labels, strict=True)).items()):
            counted.setdefault(group, {})[label] = rows
        groups[column] = counted
    totals = Counter(labels)
    return Size(
        rows=dataset.rows,
        classes=len(task.classes),
        labels={label: totals[label] for label in task.classes},
        groups=groups,
        favourable=task.favourable,
    )
