"""Check of data balance: class shares, completeness, and columns that give the label away."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, cast

import numpy as np

from auditor.domain.budgets import AuditSize, CheckCost
from auditor.domain.check_subject import CheckShard, Subject
from auditor.domain.checks import Check, Metric, Need
from auditor.domain.datasets import Dataset, DatasetRole
from auditor.domain.evidence import Evidence
from auditor.domain.json import Json
from auditor.domain.policies import FrameworkControl
from auditor.domain.readings import Measurement, Reading, Unit
from auditor.domain.report_blocks import BlockPlace, Reads, ReportBlock, ReportSection
from auditor.domain.report_panels import (
    BlockPanel,
    build_interval_panels,
    interval_ends,
    name_sample,
)
from auditor.domain.tasks import ClassificationTask
from auditor.metrics.data.balance import (
    BalanceSurvey,
    count_missing_by_group,
    summarize_columns,
)
from auditor.metrics.data.label_leakage import find_predictors, predictors_to_json
from auditor.metrics.stats.group_gaps import gap_half_width

SECONDS_A_ROW = 5e-6
AREAS = (
    "How well each column alone predicts the label: 50 % is chance, 100 % is a column "
    "that determines the label. Chosen on one half of the rows and measured on the "
    "other; the intervals hold jointly."
)


@dataclass(frozen=True, slots=True)
class BalanceCheck(Check):
    """Measures class shares, finds constant, identifying and label-revealing columns, and counts
    missing values by column and by group.

    ``column_auc`` is the area under the ROC curve when one column alone predicts the label. The
    ``listed`` most predictive columns are chosen on a random half of the rows and measured on the
    other half; their intervals hold jointly. An area near 1 means that the column stands for the
    label. A regression's target is split at its median.

    A column identifies rows if nearly every row has its own whole number or text.
    """

    listed: int = 10

    id: ClassVar[str] = "data.balance"
    version: ClassVar[int] = 1
    title: ClassVar[str] = "Class balance and completeness of the data"
    needs: ClassVar[frozenset[Need]] = frozenset({Need.EVALUATION})
    wants: ClassVar[frozenset[Need]] = frozenset({Need.LABELS, Need.GROUPS, Need.TRAINING})
    coordinates: ClassVar[frozenset[str]] = frozenset({"class", "column", "data"})
    emits: ClassVar[Mapping[str, Metric]] = {
        "class_share": Metric("Share of a class", Unit.SHARE),
        "imbalance_ratio": Metric(
            "Rows of the most frequent class per row of the rarest",
            Unit.NONE,
            higher_is_better=False,
        ),
        "effective_classes": Metric(
            "Effective number of classes", Unit.NONE, higher_is_better=True
        ),
        "constant_columns": Metric(
            "Columns with a single value", Unit.COUNT, higher_is_better=False, exact=True
        ),
        "identifier_columns": Metric(
            "Columns that identify rows", Unit.COUNT, higher_is_better=False, exact=True
        ),
        "column_auc": Metric(
            "Area under the ROC curve for predicting the label from one column", Unit.SHARE
        ),
        "missing_share": Metric("Rows with missing values", Unit.SHARE, higher_is_better=False),
        "missing_gap": Metric(
            "Largest gap between groups in missing values", Unit.SHARE, higher_is_better=False
        ),
    }
    controls: ClassVar[tuple[FrameworkControl, ...]] = (
        FrameworkControl("eu-ai-act", "10(3)"),
        FrameworkControl("eu-ai-act", "10(2)(f)"),
        FrameworkControl("nist-ai-rmf", "MEASURE 2.1"),
        FrameworkControl("iso-42001", "A.7.4"),
    )
    place: ClassVar[BlockPlace] = BlockPlace(ReportSection.DATA, 6, once=True)

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
        anything = np.zeros(dataset.rows, dtype=np.bool_)
        for column in columns:
            anything |= column.missing
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
            "incomplete": int(anything.sum()),
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

    @classmethod
    def block(cls, measurements: Sequence[Measurement], evidence: Reads) -> ReportBlock:
        """Show how well single columns tell the label."""
        areas = [m for m in measurements if m.metric == "column_auc"]
        areas.sort(key=lambda m: -(interval_ends(m) or (0.0,))[0])
        panels: list[BlockPanel] = []
        for sample in dict.fromkeys(name_sample(m) for m in measurements):
            panels += build_interval_panels(
                [m for m in areas if name_sample(m) == sample],
                lambda m: str(m.params.get("column", "")),
                title=f"How well single columns predict the label, {sample}",
                caption=AREAS if not panels else "The same for other rows.",
                header=("Column", "Area under the ROC curve", "Interval", "How sure"),
                unit=Unit.SHARE,
            )
        return ReportBlock(parts=tuple(panels))


def _truth(subject: Subject, dataset: Dataset) -> np.ndarray[tuple[int], np.dtype[np.int64]] | None:
    """Return the class of each row; of a regression, whether its target is above the median."""
    if isinstance(subject.task, ClassificationTask):
        return dataset.labels
    targets = dataset.targets
    return None if targets is None else (targets > np.median(targets)).astype(np.int64)


CHECK: type[Check] = BalanceCheck
