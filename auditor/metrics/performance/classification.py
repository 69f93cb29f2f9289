"""What scores say of a classifier: how often it is right, and what its wrong answers cost."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray

from auditor.comparing.clipped import CUT, count_lost, doubt_losses, read_chances
from auditor.comparing.orders import other_order
from auditor.domain.canonical import Json
from auditor.domain.clusters import read_clusters
from auditor.domain.evidence import Evidence
from auditor.domain.gaps import too_few
from auditor.domain.intervals import Interval
from auditor.domain.readings import Astray, Gap, Measurement, Reading, Reason, Unit
from auditor.domain.rows import RowFigures
from auditor.domain.tasks import Floats
from auditor.stats.clusters import clustered_mean_of_proportions
from auditor.stats.differences import share
from auditor.stats.losses import (
    FLOOR,
    brier_scores,
    count_clipped,
    exact_losses,
    log_losses,
    log_odds,
)
from auditor.stats.means import LEAST, clustered_loss, mean_loss
from auditor.stats.proportions import mean_of_proportions
from auditor.stats.ranking import auc, macro_auc

MOST_WORST_ROWS = 10


@dataclass(frozen=True, slots=True, eq=False)
class Scored:
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
    def of(cls, evidence: Evidence) -> "Scored":
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
            read_chances(evidence),
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
        interval = share(right, self.clusters, confidence)
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
        found = other_order(self.labels, self.decided, len(self.classes))
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
            return one_cluster("balanced_accuracy")
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
            yield from (too_few(metric, LEAST) for metric in ("nll", "brier"))
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
        lost = count_lost(self.probabilities, self.labels) if self.cut else 0
        return Measurement.of(
            self.mean(*self.log_losses(), confidence),
            "nll",
            Unit.NAT,
            doubted=lost > 0,
            astray=Astray.TOO_LOW if lost else None,
            details={**details, "doubt": doubt_losses(lost)} if lost else details,
        )

    def log_losses(self) -> tuple[Floats, float]:
        """Return the log loss ``[n]`` of each row, and the worst possible one."""
        if self.chances is not None:
            return exact_losses(self.chances, self.labels)
        return log_losses(self.probabilities, self.labels)

    @property
    def ranked(self) -> Floats:
        """What rows ``[n, classes]`` are ordered by: log odds where probabilities would tie."""
        return self.probabilities if self.chances is None else log_odds(self.chances)

    def scarce(self, clusters: NDArray[np.int64]) -> bool:
        """Whether all rows of some class are of one cluster."""
        pairs = np.unique(np.stack([self.labels, clusters]), axis=1)[0]
        return bool(np.bincount(pairs, minlength=len(self.classes)).min() < LEAST)

    def mean(self, losses: Floats, worst: float, confidence: float) -> Interval:
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
            reason=Reason.NOT_DEFINED,
            detail=f"{metric} is not defined: no evaluation row has the class "
            f"{', '.join(missing)}.",
            cure="Evaluate on data that hold every class, or leave the class out of task.classes.",
            metric=metric,
        )


def one_cluster(metric: str) -> Gap:
    """Say why rows of one cluster have no interval."""
    return Gap(
        reason=Reason.TOO_FEW_ROWS,
        detail=f"{metric} has no interval: its rows are all of one cluster, which says nothing of "
        "others.",
        cure=f"Evaluate on rows of at least {LEAST} clusters, of each class.",
        metric=metric,
    )
