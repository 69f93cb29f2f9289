"""Check of accuracy: how often the model is right on its target, and what its errors cost."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from auditor.attacks.counterexamples.proof_and_accuracy_claims import SHARE
from auditor.domain.budgets import AuditSize, CheckCost
from auditor.domain.challenges import CounterexampleClaims
from auditor.domain.check_subject import CheckShard, Subject
from auditor.domain.checks import Check, Metric, Need
from auditor.domain.datasets import DatasetRole
from auditor.domain.evidence import Evidence, write_clusters
from auditor.domain.policies import FrameworkControl
from auditor.domain.readings import ConfidenceInterval, Reading, Unit
from auditor.domain.report_blocks import Headline, HeadlineKind, ReportTopic
from auditor.domain.row_evidence import RowEvidence
from auditor.domain.tasks import ClassificationTask
from auditor.metrics.performance.classification import ClassifierScores, explain_single_cluster
from auditor.metrics.performance.log_probabilities import (
    CHANCES,
    observe_cutoff,
    observe_log_probabilities,
)
from auditor.metrics.stats.proportions import clopper_pearson, mean_of_proportions

PLAUSIBLE = 0.9


@dataclass(frozen=True, slots=True)
class AccuracyCheck(Check):
    """Measures accuracy, balanced accuracy, AUC, log loss and Brier score of your deployed model.

    If your rows come in clusters, every interval uses cluster-robust errors. Log loss and AUC use
    the logits if the target gives them. A log loss from probabilities that are cut off at the
    labels is doubted.
    """

    id: ClassVar[str] = "quality.accuracy"
    version: ClassVar[int] = 2
    title: ClassVar[str] = "Accuracy on the target"
    needs: ClassVar[frozenset[Need]] = frozenset(
        {Need.EVALUATION, Need.LABELS, Need.SCORES, Need.CLASSIFICATION}
    )
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
    by_example: ClassVar[CounterexampleClaims] = SHARE
    by_row: ClassVar[RowEvidence] = RowEvidence(
        each=frozenset({"clusters", "decided", "ids", "labels", CHANCES, "probabilities"}),
        apart=frozenset({"task"}),
        counted=frozenset({"accuracy"}),
        adds=lambda evidence: ClassifierScores.of(evidence).adds(),
    )
    headlines: ClassVar[Mapping[str, Headline]] = {
        "accuracy": Headline(HeadlineKind.QUALITY, "Accuracy"),
    }
    topics: ClassVar[frozenset[ReportTopic]] = frozenset({ReportTopic.PERFORMANCE})

    def cost(self, size: AuditSize) -> CheckCost:
        """Score every row once; other checks of the same audit share the scores."""
        return CheckCost(queries=size.rows, clean=size.rows)

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
        # Count the rows whose decision is not that which their scores make
        return {
            "ids": np.asarray(dataset.ids),
            "labels": dataset.labels,
            "probabilities": probabilities,
            "decided": decided,
            "task": {
                "classes": list(task.classes),
                "positive": task.positive_index,
                "decided_otherwise": int(np.count_nonzero(task.decide(probabilities) != decided)),
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


def _half(interval: ConfidenceInterval) -> float:
    return (interval.high - interval.low) / 2


CHECK: type[Check] = AccuracyCheck
