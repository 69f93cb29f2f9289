"""How often the model is right on its target, and what its wrong answers cost."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from auditor.attacks.counterexamples.claims import CounterexampleClaims
from auditor.attacks.counterexamples.proofs import SHARE
from auditor.domain.budgets import AuditSize, Budget, CheckCost
from auditor.domain.checks import Check, Metric, Need
from auditor.domain.datasets import DatasetRole
from auditor.domain.evidence import Evidence, write_clusters
from auditor.domain.json import Json
from auditor.domain.policies import FrameworkControl
from auditor.domain.readings import ConfidenceInterval, Reading, Unit
from auditor.domain.row_evidence import RowEvidence
from auditor.domain.subjects import CheckShard, Subject
from auditor.domain.tasks import ClassificationTask, Floats
from auditor.metrics.performance.classification import ClassifierScores, explain_single_cluster
from auditor.metrics.performance.clipped_probabilities import (
    CHANCES,
    observe_cutoff,
    observe_log_probabilities,
)
from auditor.metrics.stats.proportions import clopper_pearson, mean_of_proportions

PLAUSIBLE = 0.9


@dataclass(frozen=True, slots=True)
class AccuracyCheck:
    """Accuracy, balanced accuracy, AUC, log loss and Brier score of the deployed model.

    Where rows come in clusters, every interval is one of cluster-robust errors. Log loss and AUC
    are those of the logits, where the target gives them; a log loss of probabilities that are cut
    off at the labels is doubted.
    """

    id: ClassVar[str] = "quality.accuracy"
    version: ClassVar[int] = 2
    title: ClassVar[str] = "Accuracy on the target"
    needs: ClassVar[frozenset[Need]] = frozenset(
        {Need.EVALUATION, Need.LABELS, Need.SCORES, Need.CLASSIFICATION}
    )
    uses: ClassVar[tuple[str, ...]] = ()
    emits: ClassVar[Mapping[str, Metric]] = {
        "accuracy": Metric("Accuracy", Unit.SHARE, higher_is_better=True),
        "balanced_accuracy": Metric("Balanced accuracy", Unit.SHARE, higher_is_better=True),
        "auc": Metric("Area under the ROC curve", Unit.SHARE, higher_is_better=True),
        "nll": Metric("Log loss", Unit.NAT, higher_is_better=False),
        "brier": Metric("Brier score", Unit.NONE, higher_is_better=False),
    }
    controls: ClassVar[tuple[FrameworkControl, ...]] = (
        FrameworkControl("eu-ai-act", "15(1)"),
        FrameworkControl("eu-ai-act", "15(3)"),
        FrameworkControl("eu-ai-act", "13(3)(b)(ii)"),
        FrameworkControl("nist-ai-rmf", "MEASURE 2.3"),
        FrameworkControl("nist-ai-rmf", "MEASURE 2.5"),
        FrameworkControl("iso-42001", "A.6.2.4"),
    )
    presets: ClassVar[Mapping[Budget, Mapping[str, Json]]] = {}
    grid: ClassVar[Mapping[str, str]] = {}
    by_example: ClassVar[CounterexampleClaims] = SHARE
    by_row: ClassVar[RowEvidence] = RowEvidence(
        each=frozenset({"clusters", "decided", "ids", "labels", CHANCES, "probabilities"}),
        apart=frozenset({"task"}),
        counted=frozenset({"accuracy"}),
        adds=lambda evidence: ClassifierScores.of(evidence).adds(),
    )

    def cost(self, size: AuditSize) -> CheckCost:
        """Score every row once; other checks of the same audit share the scores."""
        return CheckCost(queries=size.rows)

    def precision(self, size: AuditSize, confidence: float) -> Mapping[str, float]:
        """Half widths if nine in ten rows of each class are right."""
        found: dict[str, float] = {}
        if size.rows:
            right = round(PLAUSIBLE * size.rows)
            found["accuracy"] = _half(clopper_pearson(right, size.rows, confidence))
        counts = np.array(list(size.labels.values()), dtype=np.float64)
        if counts.size and counts.min() > 0:
            likely = mean_of_proportions(PLAUSIBLE * counts, counts, confidence)
            found["balanced_accuracy"] = _half(likely)
        return found

    def observe(self, subject: Subject, shard: CheckShard) -> Evidence:
        """Score the evaluation data."""
        task, dataset = subject.task, subject.datasets[DatasetRole.EVALUATION]
        if not isinstance(task, ClassificationTask) or dataset.labels is None:
            message = "accuracy needs a classification and labels, and the frame asks for both"
            raise TypeError(message)
        probabilities, logits = subject.scores(DatasetRole.EVALUATION)
        decided = subject.decisions(DatasetRole.EVALUATION)
        return {
            "ids": np.asarray(dataset.ids),
            "labels": dataset.labels,
            "probabilities": probabilities,
            "decided": decided,
            "task": {
                "classes": list(task.classes),
                "positive": task.positive_index,
                "decided_otherwise": _decided_otherwise(task, probabilities, decided),
                **observe_cutoff(probabilities, logits),
            },
            **observe_log_probabilities(probabilities, logits),
            **write_clusters(dataset),
        }

    def figures(self, evidence: Evidence, confidence: float) -> tuple[Reading, ...]:
        """Compute each metric from the scores alone."""
        seen = ClassifierScores.of(evidence)
        if seen.clusters is not None and not seen.clusters.any():
            return tuple(explain_single_cluster(metric) for metric in self.emits)
        return (
            seen.accuracy(confidence),
            seen.balanced(confidence),
            seen.auc(confidence),
            *seen.losses(confidence),
        )


def _decided_otherwise(
    task: ClassificationTask, probabilities: Floats, decided: NDArray[np.int64]
) -> int:
    """Count the rows whose decision is not that which their scores make."""
    return int(np.count_nonzero(task.decide(probabilities) != decided))


def _half(interval: ConfidenceInterval) -> float:
    return (interval.high - interval.low) / 2


CHECK: type[Check] = AccuracyCheck
