"""How often the model is right on its target, and what its wrong answers cost."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar, cast

import numpy as np
from numpy.typing import NDArray

from auditor.comparing.orders import other_order
from auditor.domain.budgets import Budget, Cost, Size
from auditor.domain.canonical import Json
from auditor.domain.checks import Check, Metric, Need
from auditor.domain.datasets import Role
from auditor.domain.evidence import Evidence
from auditor.domain.intervals import Interval
from auditor.domain.policies import Control
from auditor.domain.readings import Gap, Measurement, Reading, Reason, Unit
from auditor.domain.subjects import Shard, Subject
from auditor.domain.tasks import Classification, Floats
from auditor.stats.losses import FLOOR, brier_scores, count_clipped, log_losses
from auditor.stats.means import LEAST, mean_loss
from auditor.stats.proportions import clopper_pearson, mean_of_proportions
from auditor.stats.ranking import auc, macro_auc

MOST_WORST_ROWS = 10
PLAUSIBLE = 0.9
DOUBT = "rows of one cluster are not independent, and the interval takes them as if they were"


@dataclass(frozen=True, slots=True)
class Accuracy:
    """Accuracy, balanced accuracy, AUC, log loss and Brier score of the deployed model."""

    id: ClassVar[str] = "quality.accuracy"
    version: ClassVar[int] = 1
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
    controls: ClassVar[tuple[Control, ...]] = (
        Control("eu-ai-act", "15(1)"),
        Control("eu-ai-act", "15(3)"),
        Control("eu-ai-act", "13(3)(b)(ii)"),
        Control("nist-ai-rmf", "MEASURE 2.3"),
        Control("nist-ai-rmf", "MEASURE 2.5"),
        Control("iso-42001", "A.6.2.4"),
    )
    presets: ClassVar[Mapping[Budget, Mapping[str, Json]]] = {}
    grid: ClassVar[Mapping[str, str]] = {}

    def cost(self, size: Size) -> Cost:
        """Score every row once; other checks of the same audit share the scores."""
        return Cost(queries=size.rows)

    def precision(self, size: Size, confidence: float) -> Mapping[str, float]:
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

    def observe(self, subject: Subject, shard: Shard) -> Evidence:
        """Score the evaluation data."""
        task, dataset = subject.task, subject.datasets[Role.EVALUATION]
        if not isinstance(task, Classification) or dataset.labels is None:
            message = "accuracy needs a classification and labels, and the frame asks for both"
            raise TypeError(message)
        probabilities = subject.probabilities(Role.EVALUATION)
        return {
            "ids": np.array(dataset.ids),
            "labels": dataset.labels,
            "probabilities": probabilities,
            "decided": subject.decisions(Role.EVALUATION),
            "task": {
                "classes": list(task.classes),
                "positive": task.positive_index,
                "clusters": None if dataset.cluster is None else len(dataset.cluster.names),
            },
        }

    def figures(self, evidence: Evidence, confidence: float) -> tuple[Reading, ...]:
        """Compute each metric from the scores alone."""
        seen = _Scored.of(evidence)
        return (
            seen.accuracy(confidence),
            seen.balanced(confidence),
            seen.auc(confidence),
            *seen.losses(confidence),
        )


@dataclass(frozen=True, slots=True, eq=False)
class _Scored:
    """The evidence, typed: ids ``[n]``, labels and decisions ``[n]``, scores ``[n, classes]``."""

    ids: NDArray[np.str_]
    labels: NDArray[np.int64]
    probabilities: Floats
    decided: NDArray[np.int64]
    classes: tuple[str, ...]
    positive: int
    clustered: bool

    @classmethod
    def of(cls, evidence: Evidence) -> "_Scored":
        """Read evidence back."""
        task = cast("Mapping[str, Json]", evidence["task"])
        labels = cast("NDArray[np.int64]", evidence["labels"])
        clusters = cast("int | None", task["clusters"])
        return cls(
            cast("NDArray[np.str_]", evidence["ids"]),
            labels,
            cast("Floats", evidence["probabilities"]),
            cast("NDArray[np.int64]", evidence["decided"]),
            tuple(cast("list[str]", task["classes"])),
            cast("int", task["positive"]),
            clusters is not None and clusters < len(labels),
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
        }
        interval = clopper_pearson(int(right.sum()), len(right), confidence)
        return self.measurement(interval, "accuracy", Unit.SHARE, details)

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
        right = np.bincount(self.labels[self.decided == self.labels], minlength=len(self.classes))
        interval = mean_of_proportions(right, self.counts, confidence)
        recalls: dict[str, Json] = {
            name: float(hits / rows)
            for name, hits, rows in zip(self.classes, right, self.counts, strict=True)
        }
        details: dict[str, Json] = {"recall": recalls}
        return self.measurement(interval, "balanced_accuracy", Unit.SHARE, details)

    def auc(self, confidence: float) -> Reading:
        """Return the area of the positive class, or the mean one-vs-rest area of many classes."""
        absent = self.absent("auc")
        if absent is not None:
            return absent
        if len(self.classes) == 2:  # noqa: PLR2004 -- binary
            scores, positive = self.probabilities[:, self.positive], self.labels == self.positive
            interval = auc(scores, positive, confidence)
            details: dict[str, Json] = {"positive": self.classes[self.positive]}
            return self.measurement(interval, "auc", Unit.SHARE, details)
        interval = macro_auc(self.probabilities, self.labels, confidence)
        return self.measurement(interval, "auc", Unit.SHARE, {"average": "one-vs-rest, unweighted"})

    def losses(self, confidence: float) -> Iterator[Reading]:
        """Return log loss and Brier score."""
        if len(self.labels) < LEAST:
            yield from (_too_few("nll"), _too_few("brier"))
            return
        logs = mean_loss(*log_losses(self.probabilities, self.labels), confidence)
        details: dict[str, Json] = {"floor": FLOOR, "clipped": count_clipped(self.probabilities)}
        yield self.measurement(logs, "nll", Unit.NAT, details)
        squares = mean_loss(*brier_scores(self.probabilities, self.labels), confidence)
        most = 1 if len(self.classes) == 2 else 2  # noqa: PLR2004 -- binary
        yield self.measurement(squares, "brier", Unit.NONE, {"range": [0, most]})

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

    def measurement(
        self, interval: Interval, metric: str, unit: Unit, details: Mapping[str, Json]
    ) -> Measurement:
        """Make a reading; rows that come in clusters make it doubted."""
        doubt: dict[str, Json] = {"doubt": DOUBT} if self.clustered else {}
        return Measurement.of(
            interval, metric, unit, doubted=self.clustered, details={**details, **doubt}
        )


def _too_few(metric: str) -> Gap:
    return Gap(
        reason=Reason.TOO_FEW_ROWS,
        detail=f"{metric} has no interval from fewer than {LEAST} rows.",
        cure="Evaluate on more rows.",
        metric=metric,
    )


def _half(interval: Interval) -> float:
    return (interval.high - interval.low) / 2


CHECK: type[Check] = Accuracy
