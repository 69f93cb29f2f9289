"""Metrics that an owner may claim of a model, measured on labelled answers."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from auditor.domain.intervals import Interval
from auditor.domain.readings import Gap, Reason
from auditor.domain.tasks import Floats
from auditor.stats.clusters import clustered_mean_of_proportions
from auditor.stats.differences import share
from auditor.stats.errors import mean_error
from auditor.stats.losses import brier_scores, exact_losses, log_losses, log_odds
from auditor.stats.means import clustered_loss, mean_loss
from auditor.stats.proportions import mean_of_proportions
from auditor.stats.ranking import auc, macro_auc

TWO = 2
Labels = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Answered:
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
class Kind:
    """How a metric is measured, as the check of its own does, and what is better."""

    measure: Callable[[Answered, float], Interval | Gap]
    higher_is_better: bool


def measure(name: str, answered: Answered, confidence: float) -> Interval | Gap:
    """Return a metric's interval, or why there is none. Raises ``KeyError`` for another name."""
    try:
        return KINDS[name].measure(answered, confidence)
    except ValueError as error:
        return undefined(f"{name} has no interval on these rows: {error}.")


def undefined(why: str) -> Gap:
    """Say that a metric has no meaning here."""
    return Gap(
        reason=Reason.NOT_DEFINED,
        detail=why,
        cure="Claim what the task and the data can show, or evaluate on rows that show it.",
    )


def _accuracy(given: Answered, confidence: float) -> Interval | Gap:
    return share(given.right, given.clusters, confidence)


def _balanced(given: Answered, confidence: float) -> Interval | Gap:
    if given.labels is None:
        return undefined("balanced_accuracy is of classes, and the task is a regression.")
    if given.clusters is not None:
        return clustered_mean_of_proportions(given.right, given.labels, given.clusters, confidence)
    count = given.scores.shape[1]
    rows = np.bincount(given.labels, minlength=count)
    return mean_of_proportions(
        np.bincount(given.labels[given.right], minlength=count), rows, confidence
    )


def _auc(given: Answered, confidence: float) -> Interval | Gap:
    if given.labels is None:
        return undefined("auc is of classes, and the task is a regression.")
    ranked = given.scores if given.chances is None else log_odds(given.chances)
    if given.binary:
        positive = given.labels == given.positive
        return auc(ranked[:, given.positive], positive, confidence, given.clusters)
    return macro_auc(ranked, given.labels, confidence, given.clusters)


def _losses(
    score: Callable[[Floats, Labels], tuple[Floats, float]],
    exact: Callable[[Floats, Labels], tuple[Floats, float]] | None = None,
) -> Callable[[Answered, float], Interval | Gap]:
    def measure_loss(given: Answered, confidence: float) -> Interval | Gap:
        if given.labels is None:
            return undefined("log loss and Brier score are of classes; the task is a regression.")
        losses, worst = score(given.scores, given.labels)
        if exact is not None and given.chances is not None:
            losses, worst = exact(given.chances, given.labels)
        if given.clusters is not None:
            return clustered_loss(losses, worst, given.clusters, confidence)
        return mean_loss(losses, worst, confidence)

    return measure_loss


def _rate(*, of_label: bool, among: bool) -> Callable[[Answered, float], Interval | Gap]:
    """Return the share decided for the positive class among rows of a label, or the reverse."""

    def measure_rate(given: Answered, confidence: float) -> Interval | Gap:
        if not given.binary or given.labels is None or given.decided is None:
            return undefined("tpr, fpr and ppv are of two classes, and the task has not two.")
        labels, decided = given.labels == given.positive, given.decided == given.positive
        rows = (labels == among) if of_label else decided
        if not rows.any():
            return undefined("No row counts for this rate.")
        hits = decided if of_label else labels
        clusters = None if given.clusters is None else given.clusters[rows]
        return share(hits[rows], clusters, confidence)

    return measure_rate


def _mae(given: Answered, confidence: float) -> Interval | Gap:
    if given.targets is None:
        return undefined("mae is of a regression, and the task is a classification.")
    return mean_error(np.abs(given.scores[:, 0] - given.targets), confidence, given.clusters)


KINDS: Mapping[str, Kind] = MappingProxyType(
    {
        "accuracy": Kind(_accuracy, higher_is_better=True),
        "balanced_accuracy": Kind(_balanced, higher_is_better=True),
        "auc": Kind(_auc, higher_is_better=True),
        "nll": Kind(_losses(log_losses, exact_losses), higher_is_better=False),
        "brier": Kind(_losses(brier_scores), higher_is_better=False),
        "tpr": Kind(_rate(of_label=True, among=True), higher_is_better=True),
        "fpr": Kind(_rate(of_label=True, among=False), higher_is_better=False),
        "ppv": Kind(_rate(of_label=False, among=True), higher_is_better=True),
        "mae": Kind(_mae, higher_is_better=False),
    }
)
"""What may be claimed, by name."""
