"""How evenly the data are spread over classes, and what their columns give away or lack."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, cast

import numpy as np

from auditor.domain.budgets import AuditSize, Budget, CheckCost
from auditor.domain.checks import Check, Metric, Need
from auditor.domain.datasets import Dataset, DatasetRole
from auditor.domain.evidence import Evidence
from auditor.domain.json import Json
from auditor.domain.policies import FrameworkControl
from auditor.domain.readings import Reading, Unit
from auditor.domain.subjects import CheckShard, Subject
from auditor.domain.tasks import ClassificationTask
from auditor.metrics.data.balance import (
    BalanceSurvey,
    ColumnSummary,
    count_missing_by_group,
    summarize_columns,
)
from auditor.metrics.data.label_leakage import find_predictors, predictors_to_json
from auditor.metrics.stats.group_gaps import gap_half_width

SECONDS_A_ROW = 5e-6


@dataclass(frozen=True, slots=True)
class BalanceCheck:
    """Shares of the classes, constant and naming columns, columns that give the label away, and
    what is missing, by column and by group.

    `column_auc` is the area under the ROC curve of the label by one column alone: the ``listed``
    columns that tell most of it on one random half of the rows are measured on the other half,
    with intervals that hold jointly. An area near 1 is a column that stands for the label. The
    target of a regression is taken as below or above its median. A column names rows where nearly
    every row has a whole number or a text of its own.
    """

    listed: int = 10

    id: ClassVar[str] = "data.balance"
    version: ClassVar[int] = 1
    title: ClassVar[str] = "Balance and completeness of the data"
    needs: ClassVar[frozenset[Need]] = frozenset({Need.EVALUATION})
    wants: ClassVar[frozenset[Need]] = frozenset({Need.LABELS, Need.GROUPS, Need.TRAINING})
    uses: ClassVar[tuple[str, ...]] = ()
    coordinates: ClassVar[frozenset[str]] = frozenset({"class", "column", "data"})
    emits: ClassVar[Mapping[str, Metric]] = {
        "class_share": Metric("Share of a class", Unit.SHARE),
        "imbalance_ratio": Metric(
            "Rows of the most frequent class for one of the rarest",
            Unit.NONE,
            higher_is_better=False,
        ),
        "effective_classes": Metric(
            "Effective number of classes", Unit.NONE, higher_is_better=True
        ),
        "constant_columns": Metric(
            "Columns of one value", Unit.COUNT, higher_is_better=False, exact=True
        ),
        "identifier_columns": Metric(
            "Columns that name rows", Unit.COUNT, higher_is_better=False, exact=True
        ),
        "column_auc": Metric("Area under the ROC curve of the label by one column", Unit.SHARE),
        "missing_share": Metric(
            "Rows in which something is missing", Unit.SHARE, higher_is_better=False
        ),
        "missing_gap": Metric(
            "Largest gap between groups in how much is missing", Unit.SHARE, higher_is_better=False
        ),
    }
    controls: ClassVar[tuple[FrameworkControl, ...]] = (
        FrameworkControl("eu-ai-act", "10(3)"),
        FrameworkControl("eu-ai-act", "10(2)(f)"),
        FrameworkControl("nist-ai-rmf", "MEASURE 2.1"),
        FrameworkControl("iso-42001", "A.7.4"),
    )
    presets: ClassVar[Mapping[Budget, Mapping[str, Json]]] = {}
    grid: ClassVar[Mapping[str, str]] = {}

    def cost(self, size: AuditSize) -> CheckCost:
        """Ask the model nothing."""
        rows = size.rows + size.beside.get(DatasetRole.TRAINING.value, 0)
        return CheckCost(seconds=SECONDS_A_ROW * rows)

    def precision(self, size: AuditSize, confidence: float) -> Mapping[str, float]:
        """Half width of a gap if one column lacks half of its values."""
        widths = [
            gap_half_width(
                np.array([sum(labels.values()) for labels in groups.values()], dtype=np.float64),
                confidence,
                len(size.groups),
            )
            for groups in size.groups.values()
        ]
        return {"missing_gap": max(widths)} if widths else {}

    def observe(self, subject: Subject, shard: CheckShard) -> Evidence:
        """Count rows by class, by column and by group."""
        return {
            "samples": {
                role.value: self._survey(subject, dataset)
                for role in (DatasetRole.EVALUATION, DatasetRole.TRAINING)
                if (dataset := subject.datasets.get(role)) is not None
            }
        }

    def _survey(self, subject: Subject, dataset: Dataset) -> Json:
        columns = list(summarize_columns(dataset))
        truth, task = _truth(subject, dataset), subject.task
        found = [] if truth is None else find_predictors(dataset, truth, self.listed, subject.seed)
        classes = list(task.classes) if isinstance(task, ClassificationTask) else None
        counted: Json = None
        if classes is not None and dataset.labels is not None:
            counted = np.bincount(dataset.labels, minlength=len(classes)).tolist()
        return {
            "rows": dataset.rows,
            "clustered": dataset.clustered,
            "classes": cast("Json", classes),
            "labels": counted,
            "labelled": truth is not None,
            "columns": len(columns),
            "constant": [column.name for column in columns if column.constant],
            "naming": [column.name for column in columns if column.naming],
            "predictors": cast("Json", predictors_to_json(found)),
            "incomplete": _incomplete(columns, dataset.rows),
            "missing": {
                column.name: int(column.missing.sum()) for column in columns if column.missing.any()
            },
            "groups": count_missing_by_group(dataset, columns),
        }

    def figures(self, evidence: Evidence, confidence: float) -> tuple[Reading, ...]:
        """Compute the readings of each sample."""
        return tuple(self._figures(evidence, confidence))

    def _figures(self, evidence: Evidence, confidence: float) -> Iterator[Reading]:
        samples = cast("Mapping[str, Mapping[str, Json]]", evidence["samples"])
        family = sum(len(cast("list[Json]", sample["groups"])) for sample in samples.values())
        for role, sample in samples.items():
            seen = BalanceSurvey(role, sample, confidence, family)
            yield from seen.classes()
            yield from seen.columns()
            yield from seen.predictors()
            yield from seen.missing()


def _truth(subject: Subject, dataset: Dataset) -> np.ndarray[tuple[int], np.dtype[np.int64]] | None:
    """Return the class of each row; of a regression, whether its target is above the median."""
    if isinstance(subject.task, ClassificationTask):
        return dataset.labels
    targets = dataset.targets
    return None if targets is None else (targets > np.median(targets)).astype(np.int64)


def _incomplete(columns: Sequence[ColumnSummary], rows: int) -> int:
    anything = np.zeros(rows, dtype=np.bool_)
    for column in columns:
        anything |= column.missing
    return int(anything.sum())


CHECK: type[Check] = BalanceCheck
