"""Classification metrics from scores, and a test for a wrong order of the classes."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from auditor.domain.evidence import Evidence, read_clusters
from auditor.domain.gaps import too_few_rows_gap
from auditor.domain.json import Json
from auditor.domain.readings import (
    BiasDirection,
    ConfidenceInterval,
    Gap,
    GapReason,
    Measurement,
    Reading,
    Unit,
)
from auditor.domain.row_evidence import RowFigures
from auditor.domain.tasks import Floats
from auditor.metrics.performance.log_probabilities import (
    CUT,
    count_clipped_labels,
    explain_log_loss_doubt,
    read_log_probabilities,
)
from auditor.metrics.stats.cluster_robust import clustered_mean_of_proportions
from auditor.metrics.stats.means import (
    FLOOR,
    LEAST,
    brier_scores,
    clustered_loss,
    count_clipped,
    exact_log_losses,
    log_losses,
    log_odds,
    mean_loss,
)
from auditor.metrics.stats.proportions import clopper_pearson, mean_of_proportions
from auditor.metrics.stats.roc_auc import auc, macro_auc
from auditor.metrics.stats.share_differences import share_with_clusters

Counts = NDArray[np.int64]
HALVES = 2
SURE = 0.999
BETTER, BEYOND_CHANCE = 0.2, 0.1
"""By how much another order must gain, and how near to chance the stated one must be."""


@dataclass(frozen=True, slots=True)
class AlternativeClassOrder:
    """Another order of the classes, and how often decisions would be right under it.

    The score in column ``j`` would be that of the class ``places[j]`` of the stated order.
    """

    places: tuple[int, ...]
    accuracy: float

    def to_json(self, classes: tuple[str, ...]) -> dict[str, Json]:
        """Return the form that a reading's details have."""
        return {"classes": [classes[at] for at in self.places], "accuracy": self.accuracy}


def find_better_class_order(
    labels: Counts, decided: Counts, classes: int
) -> AlternativeClassOrder | None:
    """Return an order under which decisions are far better than as stated, if there is one.

    ``labels`` and ``decided`` ``[n]`` index the classes. The order is the best assignment on the
    table of labels and decisions (Kuhn 1955, the Hungarian method). Among many classes some order
    always looks good, so that its accuracy is counted on rows that did not choose it: each half of
    a class's rows is scored by the assignment of the other half, and must be more than chance
    gives (Clopper and Pearson's interval at 99.9 %). A model that guesses, or always gives one
    answer, is wrong in every order and gives ``None``; so do decisions none of which is a label,
    because they need other names and no other order.
    """
    right = labels == decided
    if not np.isin(decided, labels).any() or _far(float(right.mean()), classes):
        return None
    # 0 or 1 for each row, so that each class has as many of both as can be
    order = np.argsort(labels, kind="stable")
    starts = np.searchsorted(labels[order], labels[order], side="left")
    halves = np.empty_like(labels)
    halves[order] = (np.arange(len(labels)) - starts) % HALVES
    decided_then = np.empty_like(decided)
    for half in range(HALVES):
        learnt = halves != half
        places = _assignment(_table(labels[learnt], decided[learnt], classes))
        decided_then[halves == half] = places[decided[halves == half]]
    then = labels == decided_then
    better = (
        float(then.mean() - right.mean()) >= BETTER
        and clopper_pearson(int(then.sum()), len(then), SURE).low > 1 / classes
    )
    if not better or not _far(_balanced(labels, then, classes), classes):
        return None
    places = _assignment(_table(labels, decided, classes))
    return AlternativeClassOrder(tuple(int(at) for at in places), float(then.mean()))


def _far(accuracy: float, classes: int) -> bool:
    return accuracy >= 1 / classes + BEYOND_CHANCE


def _table(labels: Counts, decided: Counts, classes: int) -> Counts:
    pairs = np.bincount(decided * classes + labels, minlength=classes * classes)
    table: Counts = pairs.reshape(classes, classes)
    return table


def _assignment(table: Counts) -> Counts:
    """Return the label that each decision stands for, one to one."""
    _, columns = linear_sum_assignment(table, maximize=True)
    places: Counts = columns.astype(np.int64)
    return places


def _balanced(labels: Counts, right: NDArray[np.bool_], classes: int) -> float:
    rows = np.bincount(labels, minlength=classes)
    hits = np.bincount(labels[right], minlength=classes)
    return float((hits[rows > 0] / rows[rows > 0]).mean())


MOST_WORST_ROWS = 10


@dataclass(frozen=True, slots=True, eq=False)
class ClassifierScores:
    """Rows with what is true of them and what a model said.

    Ids, labels and decisions are ``[n]``, probabilities ``[n, classes]``; ``clusters`` ``[n]`` are
    there where some rows hang together, log ``chances`` ``[n, classes]`` where probabilities say
    less. Probabilities that are ``cut`` off end where the target's resolution does.
    """

    ids: NDArray[np.str_]
    labels: NDArray[np.int64]
    probabilities: Floats
    decided: NDArray[np.int64]
    classes: tuple[str, ...]
    positive: int
    clusters: NDArray[np.int64] | None
    decided_otherwise: int = 0
    chances: Floats | None = None
    cut: bool = False

    @classmethod
    def of(cls, evidence: Evidence) -> "ClassifierScores":
        """Read evidence back."""
        task = cast("Mapping[str, Json]", evidence["task"])
        return cls(
            cast("NDArray[np.str_]", evidence["ids"]),
            cast("NDArray[np.int64]", evidence["labels"]),
            cast("Floats", evidence["probabilities"]),
            cast("NDArray[np.int64]", evidence["decided"]),
            tuple(cast("list[str]", task["classes"])),
            cast("int", task["positive"]),
            read_clusters(evidence),
            cast("int", task.get("decided_otherwise", 0)),
            read_log_probabilities(evidence),
            task.get(CUT) is True,
        )

    @property
    def counts(self) -> NDArray[np.int64]:
        """Rows of each class."""
        return np.bincount(self.labels, minlength=len(self.classes))

    def accuracy(self, confidence: float) -> Reading:
        """Return the share of right decisions."""
        right = self.decided == self.labels
        counts = self.counts
        details: dict[str, Json] = {
            "right": int(right.sum()),
            "majority_class": self.classes[int(counts.argmax())],
            "majority_accuracy": float(counts.max() / counts.sum()),
            "worst_rows": self.worst_rows(),
            **self.other_order(),
            **({"decided_otherwise": self.decided_otherwise} if self.decided_otherwise else {}),
        }
        interval = share_with_clusters(right, self.clusters, confidence)
        return Measurement.of(interval, "accuracy", Unit.SHARE, details=details)

    def adds(self) -> tuple[RowFigures, ...]:
        """Return what each row adds to accuracy, log loss and Brier score."""
        return (
            RowFigures("accuracy", self.decided == self.labels),
            RowFigures("nll", self.log_losses()[0]),
            RowFigures("brier", brier_scores(self.probabilities, self.labels)[0]),
        )

    def other_order(self) -> Mapping[str, Json]:
        """Return the order of classes under which decisions are far better, if there is one."""
        found = find_better_class_order(self.labels, self.decided, len(self.classes))
        return {} if found is None else {"other_order": found.to_json(self.classes)}

    def worst_rows(self) -> list[str]:
        """Return the ids of the wrong rows of which the model was most sure."""
        sure = self.probabilities[np.arange(len(self.labels)), self.decided]
        order = np.argsort(-sure, kind="stable")
        wrong = order[self.decided[order] != self.labels[order]]
        return [str(name) for name in self.ids[wrong[:MOST_WORST_ROWS]]]

    def balanced(self, confidence: float) -> Reading:
        """Return the mean over classes of the share of right decisions."""
        absent = self.absent("balanced_accuracy")
        if absent is not None:
            return absent
        if self.clusters is not None and self.scarce(self.clusters):
            return explain_single_cluster("balanced_accuracy")
        hits = self.decided == self.labels
        right = np.bincount(self.labels[hits], minlength=len(self.classes))
        if self.clusters is None:
            interval = mean_of_proportions(right, self.counts, confidence)
        else:
            interval = clustered_mean_of_proportions(hits, self.labels, self.clusters, confidence)
        recalls: dict[str, Json] = {
            name: float(hits / rows)
            for name, hits, rows in zip(self.classes, right, self.counts, strict=True)
        }
        details: dict[str, Json] = {"recall": recalls}
        return Measurement.of(interval, "balanced_accuracy", Unit.SHARE, details=details)

    def auc(self, confidence: float) -> Reading:
        """Return the area of the positive class, or the mean one-vs-rest area of many classes."""
        absent = self.absent("auc")
        if absent is not None:
            return absent
        if len(self.classes) == 2:  # noqa: PLR2004 -- binary
            scores, positive = self.ranked[:, self.positive], self.labels == self.positive
            interval = auc(scores, positive, confidence, self.clusters)
            details: dict[str, Json] = {"positive": self.classes[self.positive]}
            return Measurement.of(interval, "auc", Unit.SHARE, details=details)
        interval = macro_auc(self.ranked, self.labels, confidence, self.clusters)
        details = {"average": "one-vs-rest, unweighted"}
        return Measurement.of(interval, "auc", Unit.SHARE, details=details)

    def losses(self, confidence: float) -> Iterator[Reading]:
        """Return log loss and Brier score."""
        if len(self.labels) < LEAST:
            yield from (too_few_rows_gap(metric, LEAST) for metric in ("nll", "brier"))
            return
        yield self.log_loss(confidence)
        squares = self.mean(*brier_scores(self.probabilities, self.labels), confidence)
        most = 1 if len(self.classes) == 2 else 2  # noqa: PLR2004 -- binary
        yield Measurement.of(squares, "brier", Unit.NONE, details={"range": [0, most]})

    def log_loss(self, confidence: float) -> Measurement:
        """Return the log loss; one that is cut off at labels is less than it is."""
        details: dict[str, Json] = {"floor": FLOOR, "clipped": count_clipped(self.probabilities)}
        if self.chances is not None:
            details = {"of": "logits"}
        lost = count_clipped_labels(self.probabilities, self.labels) if self.cut else 0
        return Measurement.of(
            self.mean(*self.log_losses(), confidence),
            "nll",
            Unit.NAT,
            doubted=lost > 0,
            astray=BiasDirection.TOO_LOW if lost else None,
            details={**details, "doubt": explain_log_loss_doubt(lost)} if lost else details,
        )

    def log_losses(self) -> tuple[Floats, float]:
        """Return the log loss ``[n]`` of each row, and the worst possible one."""
        if self.chances is not None:
            return exact_log_losses(self.chances, self.labels)
        return log_losses(self.probabilities, self.labels)

    @property
    def ranked(self) -> Floats:
        """What rows ``[n, classes]`` are ordered by: log odds where probabilities would tie."""
        return self.probabilities if self.chances is None else log_odds(self.chances)

    def scarce(self, clusters: NDArray[np.int64]) -> bool:
        """Whether all rows of some class are of one cluster."""
        pairs = np.unique(np.stack([self.labels, clusters]), axis=1)[0]
        return bool(np.bincount(pairs, minlength=len(self.classes)).min() < LEAST)

    def mean(self, losses: Floats, worst: float, confidence: float) -> ConfidenceInterval:
        """Return the interval of the mean loss."""
        if self.clusters is None:
            return mean_loss(losses, worst, confidence)
        return clustered_loss(losses, worst, self.clusters, confidence)

    def absent(self, metric: str) -> Gap | None:
        """Say which classes have no rows, where some have none."""
        missing = [name for name, rows in zip(self.classes, self.counts, strict=True) if not rows]
        if not missing:
            return None
        return Gap(
            reason=GapReason.NOT_DEFINED,
            detail=f"{metric} is not defined: no evaluation row has the class "
            f"{', '.join(missing)}.",
            cure="Evaluate on data that hold every class, or leave the class out of task.classes.",
            metric=metric,
        )


def explain_single_cluster(metric: str) -> Gap:
    """Say why rows of one cluster have no interval."""
    return Gap(
        reason=GapReason.TOO_FEW_ROWS,
        detail=f"{metric} has no interval: its rows are all of one cluster, which says nothing of "
        "others.",
        cure=f"Evaluate on rows of at least {LEAST} clusters, of each class.",
        metric=metric,
    )
