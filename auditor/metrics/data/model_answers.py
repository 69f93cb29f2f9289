"""A model's answers on datasets of any role, and metrics that an owner may claim of them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from auditor.domain.check_subject import Subject
from auditor.domain.datasets import (
    UNLABELLED,
    Dataset,
    DatasetRole,
    TextColumn,
    concatenate_columns,
)
from auditor.domain.evidence import KEY, Item
from auditor.domain.gaps import ABSENT, missing_labels_gap
from auditor.domain.readings import ConfidenceInterval, Gap, GapReason
from auditor.domain.tasks import ClassificationTask, Floats, RegressionTask
from auditor.metrics.stats.cluster_robust import clustered_mean_of_proportions
from auditor.metrics.stats.means import (
    brier_scores,
    clustered_loss,
    exact_log_losses,
    log_losses,
    log_odds,
    mean_error,
    mean_loss,
)
from auditor.metrics.stats.proportions import mean_of_proportions
from auditor.metrics.stats.roc_auc import auc, macro_auc
from auditor.metrics.stats.share_differences import share_with_clusters

TWO = 2
Labels = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class LabelledAnswers:
    """Labels ``[n]``, decisions ``[n]`` and scores ``[n, classes]`` of a classification.

    A regression has its numbers as ``scores`` ``[n, 1]``, its truth as ``targets``, and ``right``
    where the two are near; ``clusters`` ``[n]`` says which rows hang together. Log ``chances``
    ``[n, classes]`` are there where scores say less.
    """

    right: NDArray[np.bool_]
    scores: Floats
    labels: Labels | None
    decided: Labels | None
    targets: Floats | None
    positive: int
    clusters: Labels | None
    chances: Floats | None = None

    @property
    def binary(self) -> bool:
        """Whether there are two classes."""
        return self.labels is not None and self.scores.shape[1] == TWO


@dataclass(frozen=True, slots=True)
class ClaimableMetric:
    """How a metric is measured, as the check of its own does, and what is better."""

    measure: Callable[[LabelledAnswers, float], ConfidenceInterval | Gap]
    higher_is_better: bool


def measure_claimed_metric(
    name: str, answered: LabelledAnswers, confidence: float
) -> ConfidenceInterval | Gap:
    """Return a metric's interval, or why there is none. Raises ``KeyError`` for another name."""
    try:
        return KINDS[name].measure(answered, confidence)
    except ValueError as error:
        return undefined_metric_gap(f"{name} has no interval on these rows: {error}.")


def undefined_metric_gap(why: str) -> Gap:
    """Say that a metric has no meaning here."""
    return Gap(
        reason=GapReason.NOT_DEFINED,
        detail=why,
        cure="Claim what the task and the data can show, or evaluate on rows that show it.",
    )


def _accuracy(given: LabelledAnswers, confidence: float) -> ConfidenceInterval | Gap:
    return share_with_clusters(given.right, given.clusters, confidence)


def _balanced(given: LabelledAnswers, confidence: float) -> ConfidenceInterval | Gap:
    if given.labels is None:
        return undefined_metric_gap(
            "balanced_accuracy is of classes, and the task is a regression."
        )
    if given.clusters is not None:
        return clustered_mean_of_proportions(given.right, given.labels, given.clusters, confidence)
    count = given.scores.shape[1]
    rows = np.bincount(given.labels, minlength=count)
    return mean_of_proportions(
        np.bincount(given.labels[given.right], minlength=count), rows, confidence
    )


def _auc(given: LabelledAnswers, confidence: float) -> ConfidenceInterval | Gap:
    if given.labels is None:
        return undefined_metric_gap("auc is of classes, and the task is a regression.")
    ranked = given.scores if given.chances is None else log_odds(given.chances)
    if given.binary:
        positive = given.labels == given.positive
        return auc(ranked[:, given.positive], positive, confidence, given.clusters)
    return macro_auc(ranked, given.labels, confidence, given.clusters)


def _losses(
    score: Callable[[Floats, Labels], tuple[Floats, float]],
    exact: Callable[[Floats, Labels], tuple[Floats, float]] | None = None,
) -> Callable[[LabelledAnswers, float], ConfidenceInterval | Gap]:
    def measure_loss(given: LabelledAnswers, confidence: float) -> ConfidenceInterval | Gap:
        if given.labels is None:
            return undefined_metric_gap(
                "log loss and Brier score are of classes; the task is a regression."
            )
        losses, worst = score(given.scores, given.labels)
        if exact is not None and given.chances is not None:
            losses, worst = exact(given.chances, given.labels)
        if given.clusters is not None:
            return clustered_loss(losses, worst, given.clusters, confidence)
        return mean_loss(losses, worst, confidence)

    return measure_loss


def _rate(
    *, of_label: bool, among: bool
) -> Callable[[LabelledAnswers, float], ConfidenceInterval | Gap]:
    """Return the share decided for the positive class among rows of a label, or the reverse."""

    def measure_rate(given: LabelledAnswers, confidence: float) -> ConfidenceInterval | Gap:
        if not given.binary or given.labels is None or given.decided is None:
            return undefined_metric_gap(
                "tpr, fpr and ppv are of two classes, and the task has not two."
            )
        labels, decided = given.labels == given.positive, given.decided == given.positive
        rows = (labels == among) if of_label else decided
        if not rows.any():
            return undefined_metric_gap("No row counts for this rate.")
        hits = decided if of_label else labels
        clusters = None if given.clusters is None else given.clusters[rows]
        return share_with_clusters(hits[rows], clusters, confidence)

    return measure_rate


def _mae(given: LabelledAnswers, confidence: float) -> ConfidenceInterval | Gap:
    if given.targets is None:
        return undefined_metric_gap("mae is of a regression, and the task is a classification.")
    return mean_error(np.abs(given.scores[:, 0] - given.targets), confidence, given.clusters)


KINDS: Mapping[str, ClaimableMetric] = MappingProxyType(
    {
        "accuracy": ClaimableMetric(_accuracy, higher_is_better=True),
        "balanced_accuracy": ClaimableMetric(_balanced, higher_is_better=True),
        "auc": ClaimableMetric(_auc, higher_is_better=True),
        "nll": ClaimableMetric(_losses(log_losses, exact_log_losses), higher_is_better=False),
        "brier": ClaimableMetric(_losses(brier_scores), higher_is_better=False),
        "tpr": ClaimableMetric(_rate(of_label=True, among=True), higher_is_better=True),
        "fpr": ClaimableMetric(_rate(of_label=True, among=False), higher_is_better=False),
        "ppv": ClaimableMetric(_rate(of_label=False, among=True), higher_is_better=True),
        "mae": ClaimableMetric(_mae, higher_is_better=False),
    }
)
"""What may be claimed, by name."""


Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class DatasetAnswers:
    """Which rows ``[n]`` of a dataset are ``labelled``, and which of them were answered ``right``.

    Right is the decision for the label, or a number within the tolerance of the truth. ``scores``
    are those of the model.
    """

    data: Dataset
    scores: Floats
    labelled: Flags
    right: Flags


def find_dataset_answers(subject: Subject, role: DatasetRole) -> DatasetAnswers | Gap:
    """Return the answers to a dataset, labelled or not; a Gap where nobody gave any."""
    if role not in subject.datasets:
        return ABSENT[role]
    data = subject.datasets[role]
    if subject.predictions_only:
        missing = None if data.answered else _unscored(data.role)
    else:
        missing = subject.model if isinstance(subject.model, Gap) else None
    if missing is not None:
        return missing
    scores = subject.probabilities(role)
    labelled = _labelled(subject, data)
    right = subject.right(role) if labelled.any() else labelled
    return DatasetAnswers(data, scores, labelled, right)


def labelled_answers(subject: Subject, role: DatasetRole) -> DatasetAnswers | Gap:
    """Return the answers to a dataset of which at least one row is labelled, or the Gap."""
    found = find_dataset_answers(subject, role)
    if isinstance(found, DatasetAnswers) and not found.labelled.any():
        return missing_labels_gap(role)
    return found


def find_right_rows(subject: Subject, role: DatasetRole) -> Flags | Gap:
    """Return which rows ``[n]`` of a dataset were answered rightly, or why nobody knows."""
    found = labelled_answers(subject, role)
    return found if isinstance(found, Gap) else found.right


def stated_outcomes(subject: Subject, given: DatasetAnswers) -> tuple[Floats, Flags]:
    """Return the probability that was stated of each row ``[n]``, and whether it came true.

    Of two classes that of the positive one; of more that of the decision. A regression states none.
    """
    task, data = subject.task, given.data
    if not isinstance(task, ClassificationTask):
        return np.zeros(data.rows), given.right
    if task.binary:
        labels = np.full(data.rows, UNLABELLED) if data.labels is None else data.labels
        stated = np.ascontiguousarray(given.scores[:, task.positive_index])
        return stated, labels == task.positive_index
    decided = subject.decisions(data.role)
    return given.scores[np.arange(data.rows), decided], given.right


def shared_cluster_evidence(
    given: Sequence[DatasetAnswers], rows: Flags | None = None
) -> dict[str, Item]:
    """Return the evidence of which rows hang together over all datasets; nothing if none do.

    A name is one cluster in all datasets; a row of a dataset that names none is alone. Of all rows
    those are kept that ``rows`` ``[n]`` says.
    """
    if all(item.data.cluster is None for item in given):
        return {}
    column = reduce(concatenate_columns, [_cluster(item.data) for item in given])
    kept = column.codes if rows is None else column.codes[rows]
    return {} if len(column.names) == len(column) else {KEY: kept}


def _cluster(data: Dataset) -> TextColumn:
    alone = f"\0{data.role.value}\0"
    return data.cluster or TextColumn.of([f"{alone}{row}" for row in range(data.rows)])


def _labelled(subject: Subject, data: Dataset) -> Flags:
    """Return of which rows ``[n]`` the truth is known."""
    if isinstance(subject.task, ClassificationTask) and data.labels is not None:
        told: Flags = data.labels != UNLABELLED
        return told
    if isinstance(subject.task, RegressionTask) and data.targets is not None:
        known: Flags = np.isfinite(data.targets)
        return known
    return np.zeros(data.rows, dtype=np.bool_)


def _unscored(role: DatasetRole) -> Gap:
    return Gap(
        reason=GapReason.NEEDS_SCORES,
        detail=f"There is no model to ask, and the {role.value} data does not say what one "
        "answered.",
        cure=f"Name its columns under data.{role.value}.scores or predictions in the audit file.",
    )
