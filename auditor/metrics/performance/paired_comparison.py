"""Paired comparison of two models on the same rows."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import cast

import numpy as np
from numpy.typing import NDArray

from auditor.domain.check_subject import Subject
from auditor.domain.checks import Metric
from auditor.domain.datasets import Dataset, DatasetRole
from auditor.domain.evidence import Evidence
from auditor.domain.gaps import too_few_rows_gap
from auditor.domain.json import Json
from auditor.domain.models import Model
from auditor.domain.readings import (
    BiasDirection,
    Gap,
    GapReason,
    Measurement,
    Reading,
    Scalar,
    Unit,
)
from auditor.domain.tasks import ClassificationTask, Floats
from auditor.errors import ModelFailedError
from auditor.metrics.performance.log_probabilities import (
    CUT,
    count_clipped_labels,
    explain_log_loss_doubt,
)
from auditor.metrics.stats.group_gaps import widest_gap_change
from auditor.metrics.stats.means import (
    BINARY,
    LEAST_PAIRS,
    brier_scores,
    count_clipped,
    exact_log_losses,
    log_losses,
    log_probabilities,
    mean_difference,
    paired_difference,
)
from auditor.metrics.stats.proportions import clopper_pearson
from auditor.metrics.stats.smooth_calibration import smooth_calibration_change


def share_reading(
    metric: str,
    happened: NDArray[np.bool_],
    confidence: float,
    *,
    params: Mapping[str, Scalar] | None = None,
    details: Mapping[str, Json] | None = None,
) -> Measurement:
    """Return the share of ``[n]`` rows, at least one, with the interval of Clopper and Pearson."""
    interval = clopper_pearson(int(happened.sum()), len(happened), confidence)
    return Measurement.of(interval, metric, Unit.SHARE, params=params, details=details)


GROUP = "group:"
MOST_WORST_ROWS = 10
FLIPS: Mapping[str, Metric] = {
    "flip_rate": Metric("Decisions that differ", Unit.SHARE, higher_is_better=False),
    "class_flip_rate": Metric(
        "Decisions for a class that differ", Unit.SHARE, higher_is_better=False
    ),
    "group_flip_rate": Metric(
        "Decisions about a group that differ", Unit.SHARE, higher_is_better=False
    ),
    "right_to_wrong": Metric(
        "Rows that changed from right to wrong", Unit.SHARE, higher_is_better=False
    ),
    "accuracy_change": Metric("Change of accuracy", Unit.NONE, higher_is_better=True),
    "max_logit_diff": Metric(
        "Largest difference of a score", Unit.NONE, higher_is_better=False, exact=True, number=True
    ),
    "mean_logit_diff": Metric(
        "Mean difference of a score", Unit.NONE, higher_is_better=False, exact=True, number=True
    ),
}
"""What a comparison of two runs emits."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class PairedRuns:
    """Two decisions and two rows of scores for each row; the second run is the one in question.

    ``before`` and ``after`` are ``[n, classes]`` scores, ``expected`` and ``decided`` the
    decisions that they come to; ``groups`` maps a column to one group a row. ``stated`` are the
    probabilities of both, while they are at hand: evidence leaves them out.
    """

    classes: tuple[str, ...]
    ids: NDArray[np.str_]
    before: Floats
    after: Floats
    expected: NDArray[np.int64]
    decided: NDArray[np.int64]
    labels: NDArray[np.int64] | None = None
    stated: tuple[Floats, Floats] | None = None
    groups: Mapping[str, NDArray[np.str_]] = field(default_factory=dict)

    @property
    def flipped(self) -> NDArray[np.bool_]:
        """Rows that are decided otherwise."""
        flipped: NDArray[np.bool_] = self.decided != self.expected
        return flipped

    @property
    def difference(self) -> Floats:
        """How far each score moved, ``[n, classes]``."""
        moved: Floats = np.abs(self.after - self.before)
        return moved

    def figures(self, confidence: float) -> tuple[Reading, ...]:
        """Return every reading of ``FLIPS``; joint rates over classes and over groups."""
        return (
            self.rate(confidence),
            *self.by_class(confidence),
            *self.by_group(confidence),
            *self.truth(confidence),
            *self.scores(),
        )

    def rate(self, confidence: float) -> Measurement:
        """Return the share of rows that flip, with the rows that flip hardest."""
        details: dict[str, Json] = {
            "flips": int(self.flipped.sum()),
            "to": self._counted(self.decided[self.flipped]),
            "from": self._counted(self.expected[self.flipped]),
            "worst_rows": self.worst(),
        }
        return share_reading("flip_rate", self.flipped, confidence, details=details)

    def by_class(self, confidence: float) -> Iterator[Measurement]:
        """Return the flip rate among the rows that the first run gives each class."""
        present = [index for index in range(len(self.classes)) if (self.expected == index).any()]
        level = 1 - (1 - confidence) / max(1, len(present))
        for index in present:
            part = self.flipped[self.expected == index]
            yield share_reading(
                "class_flip_rate", part, level, params={"class": self.classes[index]}
            )

    def by_group(self, confidence: float) -> Iterator[Measurement]:
        """Return the flip rate of each group of each column."""
        cells = [(name, group) for name, held in self.groups.items() for group in np.unique(held)]
        level = 1 - (1 - confidence) / max(1, len(cells))
        for name, group in cells:
            part = self.flipped[self.groups[name] == group]
            where: dict[str, Scalar] = {"column": name, "group": str(group)}
            yield share_reading("group_flip_rate", part, level, params=where)

    def truth(self, confidence: float) -> Iterator[Reading]:
        """Return what the flips do to accuracy, where the truth is known."""
        if self.labels is None:
            yield from (
                unlabelled_metric_gap("right_to_wrong"),
                unlabelled_metric_gap("accuracy_change"),
            )
            return
        was, now = self.expected == self.labels, self.decided == self.labels
        lost, gained = was & ~now, now & ~was
        yield share_reading("right_to_wrong", lost, confidence)
        change = paired_difference(int(gained.sum()), int(lost.sum()), len(was), confidence)
        details: dict[str, Json] = {
            "before": float(was.mean()),
            "after": float(now.mean()),
            "gained": int(gained.sum()),
            "lost": int(lost.sum()),
        }
        yield Measurement.of(change, "accuracy_change", Unit.NONE, details=details)

    def scores(self) -> Iterator[Measurement]:
        """Return how far scores are apart, and how many rows are equal to the last bit."""
        moved = self.difference
        equal = float((moved == 0).all(axis=1).mean())
        for metric, value in (
            ("max_logit_diff", float(moved.max())),
            ("mean_logit_diff", float(moved.mean())),
        ):
            yield Measurement(
                metric=metric,
                value=value,
                method="comparison of scores",
                n=len(moved),
                details={"bit_equal_rows": equal},
            )

    def worst(self) -> list[Json]:
        """Return the flipped rows whose scores moved most."""
        moved = self.difference.max(axis=1)
        order = [int(row) for row in np.argsort(-moved, kind="stable") if self.flipped[row]]
        return [
            {
                "id": str(self.ids[row]),
                "before": self.classes[self.expected[row]],
                "after": self.classes[self.decided[row]],
                "moved": float(moved[row]),
            }
            for row in order[:MOST_WORST_ROWS]
        ]

    def _counted(self, decisions: NDArray[np.int64]) -> dict[str, Json]:
        counts = np.bincount(decisions, minlength=len(self.classes))
        return {name: int(count) for name, count in zip(self.classes, counts, strict=True) if count}


def write_paired_runs(pairs: PairedRuns) -> Evidence:
    """Return the evidence form of two runs."""
    labels: Evidence = {} if pairs.labels is None else {"labels": pairs.labels}
    return {
        "ids": pairs.ids,
        "before": pairs.before,
        "after": pairs.after,
        "expected": pairs.expected,
        "decided": pairs.decided,
        "classes": list(pairs.classes),
        **labels,
        **{f"{GROUP}{name}": held for name, held in pairs.groups.items()},
    }


def read_paired_runs(evidence: Evidence) -> PairedRuns:
    """Read two runs back from evidence."""
    return PairedRuns(
        classes=tuple(cast("list[str]", evidence["classes"])),
        ids=cast("NDArray[np.str_]", evidence["ids"]),
        before=cast("Floats", evidence["before"]),
        after=cast("Floats", evidence["after"]),
        expected=cast("NDArray[np.int64]", evidence["expected"]),
        decided=cast("NDArray[np.int64]", evidence["decided"]),
        labels=cast("NDArray[np.int64] | None", evidence.get("labels")),
        groups={
            name.removeprefix(GROUP): cast("NDArray[np.str_]", item)
            for name, item in evidence.items()
            if name.startswith(GROUP)
        },
    )


def select_row_groups(dataset: Dataset, rows: NDArray[np.int64]) -> dict[str, NDArray[np.str_]]:
    """Return the groups of some rows, by column."""
    return {name: np.array(held.names)[held.codes[rows]] for name, held in dataset.groups.items()}


def unlabelled_metric_gap(metric: str) -> Gap:
    """Return the gap of a figure that needs the truth, where nobody told it."""
    return Gap(
        reason=GapReason.NEEDS_LABELS,
        detail=f"{metric} needs the truth, and the evaluation data have no labels.",
        cure="Name the label column under data.evaluation.labels in the audit file.",
        metric=metric,
    )


LOGITS = "logits"


def observe_clipping(pairs: PairedRuns, *, logits: bool) -> dict[str, Json]:
    """Say of both runs whether clipped probabilities say less, and whether there are logits.

    ``logits`` are the scores of both runs, or of neither.
    """
    if pairs.stated is None or not any(count_clipped(stated) for stated in pairs.stated):
        return {}
    return {LOGITS: True} if logits else {CUT: True}


def calibration_changes(
    pairs: PairedRuns, before: Floats, after: Floats, confidence: float, about: Mapping[str, Json]
) -> Iterator[Reading]:
    """Return how log loss and Brier score change, row by row.

    ``before`` and ``after`` are ``[n, classes]`` probabilities. Both scores are proper, so that a
    model which states its certainty worse scores worse. ``about`` holds what ``observe_clipping``
    said.
    """
    labels = pairs.labels
    for metric, unit in (("nll_change", Unit.NAT), ("brier_change", Unit.NONE)):
        if labels is None or len(labels) < LEAST_PAIRS:
            yield (
                unlabelled_metric_gap(metric)
                if labels is None
                else too_few_rows_gap(metric, LEAST_PAIRS)
            )
            continue
        if metric == "nll_change":
            stated = (before, after)
            if about.get(LOGITS) is True:
                was, now = (
                    exact_log_losses(log_probabilities(it), labels)[0]
                    for it in (pairs.before, pairs.after)
                )
            else:
                was, now = (log_losses(it, labels)[0] for it in stated)
            lost = (
                max(count_clipped_labels(it, labels) for it in stated)
                if about.get(CUT) is True
                else 0
            )
            yield Measurement.of(
                mean_difference(now - was, confidence),
                "nll_change",
                Unit.NAT,
                doubted=lost > 0,
                astray=BiasDirection.EITHER if lost else None,
                details={"doubt": explain_log_loss_doubt(lost)} if lost else {},
            )
            continue
        moved = brier_scores(after, labels)[0] - brier_scores(before, labels)[0]
        yield Measurement.of(mean_difference(moved, confidence), metric, unit)


def read_smooth_calibration_change(
    pairs: PairedRuns, before: Floats, after: Floats, confidence: float, seed: int
) -> Reading:
    """Return how the smooth calibration error changes, of the same rows.

    Of two classes either one's probability has it, of more the answer's.
    """
    labels, metric = pairs.labels, "smece_change"
    if labels is None or len(labels) < LEAST_PAIRS:
        return (
            unlabelled_metric_gap(metric)
            if labels is None
            else too_few_rows_gap(metric, LEAST_PAIRS)
        )
    runs = []
    for stated in (before, after):
        if stated.shape[1] == BINARY:
            runs.append((stated[:, 1], labels == 1))
        else:
            runs.append((stated.max(axis=1), stated.argmax(axis=1) == labels))
    found = smooth_calibration_change(runs[0], runs[1], confidence, seed)
    return Measurement.of(found, metric, Unit.NONE, details={"seed": seed})


def group_gap_changes(pairs: PairedRuns, favourable: int, confidence: float) -> Iterator[Reading]:
    """Return how the widest gap in selection rates of each grouping changes.

    All groupings hold jointly (Bonferroni).
    """
    level = 1 - (1 - confidence) / max(1, len(pairs.groups))
    first, second = pairs.expected == favourable, pairs.decided == favourable
    for name, held in pairs.groups.items():
        codes = np.unique(held, return_inverse=True)[1]
        if codes.max() == 0:
            yield Gap(
                reason=GapReason.NEEDS_GROUPS,
                detail=f"All rows are of one group of {name!r}, so that there is no gap.",
                cure="Evaluate on rows of all groups.",
                metric="selection_change_gap",
                params={"column": name},
            )
            continue
        yield Measurement.of(
            widest_gap_change(first, second, codes, level),
            "selection_change_gap",
            Unit.NONE,
            params={"column": name},
            details={"before": _gap(first, codes), "after": _gap(second, codes)},
        )


def _gap(selected: NDArray[np.bool_], codes: NDArray[np.int64]) -> float:
    return float(np.ptp(np.bincount(codes, weights=selected) / np.bincount(codes)))


def score_both_models(subject: Subject, first: Model, rows: int) -> PairedRuns:
    """Score rows of the evaluation data by ``first``, and by the subject's own model.

    Raises ``TypeError`` where a need is not met (the frame asks for needs first),
    ``ModelFailedError`` for two models whose scores do not go together, and what
    ``Model.predict`` raises.
    """
    task, dataset, second = subject.task, subject.datasets[DatasetRole.EVALUATION], subject.model
    if (
        isinstance(second, Gap)
        or not isinstance(task, ClassificationTask)
        or dataset.inputs is None
    ):
        message = "there is no classifier to compare: the frame asks `needs` first"
        raise TypeError(message)
    taken = np.sort(subject.sample(DatasetRole.EVALUATION, rows))
    before = first.predict(dataset.inputs[taken])
    after = second.predict(dataset.inputs[taken])
    if after.shape != before.shape:
        raise ModelFailedError(
            f"the two models give scores of shapes {before.shape} and {after.shape}",
            cure="Compare models that have the same outputs.",
        )
    if len(taken) == dataset.rows:
        # A slow target is not asked for the same scores again by the next check.
        subject.remember(DatasetRole.EVALUATION, after)
    stated, expected = second.probabilities(after), first.probabilities(before)
    if _kind(first) != _kind(second):  # logits and probabilities cannot be compared as they are
        before, after = expected, stated
    return PairedRuns(
        classes=task.classes,
        ids=np.asarray(dataset.ids)[taken],
        before=before,
        after=after,
        expected=task.decide(expected),
        decided=task.decide(stated),
        labels=None if dataset.labels is None else dataset.labels[taken],
        stated=(expected, stated),
        groups=select_row_groups(dataset, taken),
    )


def _kind(model: Model) -> str:
    """Return what a model's scores are, where that is known."""
    interface = model.fingerprint.interface
    return "" if interface is None else interface.scores
