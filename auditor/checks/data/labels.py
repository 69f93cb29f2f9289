"""Check for label errors: how many labels are wrong, and which ones most likely."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, cast

import numpy as np
from numpy.typing import NDArray

from auditor.domain.budgets import AuditSize, CheckCost
from auditor.domain.check_subject import CheckShard, Subject
from auditor.domain.checks import Check, Metric, Need
from auditor.domain.datasets import Dataset, DatasetRole
from auditor.domain.evidence import Evidence, explain_dependence
from auditor.domain.gaps import missing_labels_gap, read_gap, write_gap
from auditor.domain.json import Json
from auditor.domain.number_text import format_measurement
from auditor.domain.policies import FrameworkControl
from auditor.domain.readings import BiasDirection, Gap, GapReason, Measurement, Reading, Unit
from auditor.domain.report_blocks import BlockPlace, Reads, ReportBlock, ReportSection
from auditor.domain.report_panels import (
    BlockPanel,
    count_hidden_rows,
    list_detail_rows,
    name_sample,
)
from auditor.domain.tasks import ClassificationTask, Floats
from auditor.metrics.stats.learners import (
    confident_classes,
    confident_joint,
    label_margins,
    label_noise_share,
)
from auditor.metrics.stats.proportions import clopper_pearson

METRIC = "noise_share"
MOST_CLASSES = 20
PLAUSIBLE = 0.05
ASSUMED = (
    "where the model is confident it is right more often than not; a model that is confidently "
    "wrong accuses right labels, and one that has learnt the mistakes of its teachers sees none"
)
Codes = NDArray[np.int64]
MOST_SHOWN = 12
SUSPECT = ("id", "label", "suggested", "margin")
SUSPECTS = (
    "The model confidently contradicts these labels. Either the label or the model is "
    "wrong: review the rows. The margin is the probability of the label minus that of "
    "the most probable other class. Estimated share of wrong labels, which may be too high where "
    "outcomes are uncertain: "
)


@dataclass(frozen=True, slots=True)
class LabelErrorCheck(Check):
    """Estimates the share of wrong labels by confident learning (Northcutt, Jiang and Chuang 2021)
    from the model's own scores, and lists the most doubtful rows.

    Evaluation rows are new to the model, so its scores are evidence about their labels. Scores of
    training rows are evidence only if they are out of sample: set ``held_out`` if your file's
    scores come from cross-validation.

    The interval covers sampling alone. The method assumes that confident answers are right and
    cannot separate a wrong label from a confident mistake of the model. The share is therefore
    doubted, and no rule passes on it. Review the listed rows.
    """

    held_out: bool = False
    listed: int = 50

    id: ClassVar[str] = "data.labels"
    version: ClassVar[int] = 1
    title: ClassVar[str] = "Wrong labels"
    needs: ClassVar[frozenset[Need]] = frozenset(
        {Need.EVALUATION, Need.LABELS, Need.SCORES, Need.CLASSIFICATION}
    )
    wants: ClassVar[frozenset[Need]] = frozenset({Need.TRAINING})
    coordinates: ClassVar[frozenset[str]] = frozenset({"data"})
    emits: ClassVar[Mapping[str, Metric]] = {
        METRIC: Metric("Estimated share of wrong labels", Unit.SHARE, higher_is_better=False)
    }
    controls: ClassVar[tuple[FrameworkControl, ...]] = (
        FrameworkControl("eu-ai-act", "10(3)"),
        FrameworkControl("nist-ai-rmf", "MEASURE 2.5"),
        FrameworkControl("iso-42001", "A.7.4"),
    )
    place: ClassVar[BlockPlace] = BlockPlace(ReportSection.DATA, 2)

    def cost(self, size: AuditSize) -> CheckCost:
        """Score every row once; other checks of the same audit share the scores."""
        return CheckCost(queries=size.rows, clean=size.rows)

    def precision(self, size: AuditSize, confidence: float) -> Mapping[str, float]:
        """Half width if one label in twenty is wrong and the model is confident of half of all."""
        if not size.rows:
            return {}
        sure = max(1, size.rows // 2)
        found = clopper_pearson(round(PLAUSIBLE * sure), sure, confidence)
        return {METRIC: (found.high - found.low) / 2}

    def observe(self, subject: Subject, shard: CheckShard) -> Evidence:
        """Score the rows; keep the labels and scores."""
        task = subject.task
        if not isinstance(task, ClassificationTask):
            message = "labels need a classification, and the frame asks for one"
            raise TypeError(message)
        evaluation = subject.datasets[DatasetRole.EVALUATION]
        training = subject.datasets.get(DatasetRole.TRAINING)
        seen = {
            "classes": list(task.classes),
            **_kept(evaluation, subject.probabilities(DatasetRole.EVALUATION)),
        }
        return seen if training is None else {**seen, **self._training(training)}

    def _training(self, training: Dataset) -> Evidence:
        role = DatasetRole.TRAINING
        if training.labels is None:
            return {role.value: {"gap": write_gap(missing_labels_gap(role))}}
        if training.scores is None or not self.held_out:
            return {role.value: {"gap": write_gap(_LEARNT)}}
        return _kept(training, training.scores)

    def figures(self, evidence: Evidence, confidence: float) -> tuple[Reading, ...]:
        """Count which labels are confidently contradicted."""
        found: list[Reading] = []
        for role in (DatasetRole.EVALUATION.value, DatasetRole.TRAINING.value):
            about = cast("Mapping[str, Json] | None", evidence.get(role))
            if about is None:
                continue
            if "gap" in about:
                found.append(read_gap(about["gap"], METRIC, {"data": role}))
            else:
                found.append(self._noise(evidence, role, confidence))
        return tuple(found)

    def _noise(self, evidence: Evidence, role: str, confidence: float) -> Measurement:
        classes = tuple(cast("Sequence[str]", evidence["classes"]))
        labels = cast("Codes", evidence[f"{role}_labels"])
        probabilities = cast("Floats", evidence[f"{role}_probabilities"])
        clustered = bool(cast("Mapping[str, Json]", evidence[role])["clustered"])
        found = confident_classes(probabilities, labels)
        table = confident_joint(labels, found.taken, len(classes))
        rows = np.bincount(labels, minlength=len(classes))
        suspects = self._suspects(evidence, role, found.taken)
        details: dict[str, Json] = {
            "confident": int(table.sum()),
            "contradicted": int(table.sum() - np.trace(table)),
            "disagreeing": int(np.count_nonzero(probabilities.argmax(axis=1) != labels)),
            "by_label": _by_label(classes, table, rows),
            "suspects": suspects,
            "worst_rows": [row["id"] for row in suspects],
            "doubt": f"{ASSUMED}; {explain_dependence()}" if clustered else ASSUMED,
        }
        return Measurement.of(
            label_noise_share(table, rows, confidence),
            METRIC,
            Unit.SHARE,
            params={"data": role},
            doubted=True,
            astray=BiasDirection.EITHER,
            details=details,
        )

    def _suspects(self, evidence: Evidence, role: str, taken: Codes) -> list[dict[str, Json]]:
        """Name the contradicted rows, those first whose label has the least to say for itself."""
        classes = tuple(cast("Sequence[str]", evidence["classes"]))
        labels = cast("Codes", evidence[f"{role}_labels"])
        ids = cast("NDArray[np.str_]", evidence[f"{role}_ids"])
        margin = label_margins(cast("Floats", evidence[f"{role}_probabilities"]), labels)
        contradicted = np.flatnonzero((taken >= 0) & (taken != labels))
        worst = contradicted[np.argsort(margin[contradicted], kind="stable")[: self.listed]]
        return [
            {
                "id": str(ids[row]),
                "label": classes[labels[row]],
                "suggested": classes[taken[row]],
                "margin": round(float(margin[row]), 6),
            }
            for row in worst
        ]

    @classmethod
    def block(cls, measurements: Sequence[Measurement], evidence: Reads) -> ReportBlock:
        """Show the rows whose labels are the most doubtful."""
        return ReportBlock(
            parts=tuple(
                BlockPanel(
                    title=f"Labels to review, {name_sample(m)}",
                    caption=f"{SUSPECTS}{format_measurement(m).whole}.",
                    header=("Row", "Label", "Prediction", "Margin"),
                    rows=rows[:MOST_SHOWN],
                    notes=count_hidden_rows(len(rows), MOST_SHOWN),
                )
                for m in measurements
                if (rows := list_detail_rows(m.details.get("suspects"), SUSPECT))
            )
        )


def _kept(dataset: Dataset, probabilities: Floats) -> Evidence:
    role = dataset.role.value
    if dataset.labels is None:
        message = "wrong labels need labels, and the frame asks for them"
        raise TypeError(message)
    return {
        role: {"clustered": dataset.clustered},
        f"{role}_ids": np.asarray(dataset.ids),
        f"{role}_labels": dataset.labels,
        f"{role}_probabilities": probabilities,
    }


def _by_label(classes: Sequence[str], table: Codes, rows: Codes) -> Json:
    """Say for the labels most often contradicted how often, and what they were taken for."""
    wrong = table.sum(axis=1) - np.diagonal(table)
    most = np.argsort(-wrong, kind="stable")[:MOST_CLASSES]
    told: list[Json] = []
    for at in np.sort(most):
        others = table[at].copy()
        others[at] = 0
        told.append(
            {
                "label": classes[at],
                "rows": int(rows[at]),
                "confident": int(table[at].sum()),
                "contradicted": int(wrong[at]),
                "mostly": classes[int(others.argmax())] if wrong[at] else None,
            }
        )
    return told


_LEARNT = Gap(
    reason=GapReason.NEEDS_SCORES,
    detail="A model that has learnt the labels of its training rows does not contradict them.",
    cure="Bring scores from cross-validation in the columns of data.training.scores, and set "
    "held_out for data.labels.",
)
CHECK: type[Check] = LabelErrorCheck
