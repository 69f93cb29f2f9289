"""The history of a model's predictions and their true outcomes, beside its present ones."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from auditor.domain.check_subject import Subject
from auditor.domain.datasets import DatasetRole
from auditor.domain.evidence import Evidence
from auditor.domain.gaps import write_gap
from auditor.domain.readings import Gap, GapReason
from auditor.domain.tasks import ClassificationTask, Floats
from auditor.metrics.data.distribution_shift import (
    NO_CURRENT,
    SharedColumn,
    current_role,
    scores_column,
    shared_columns,
)
from auditor.metrics.data.model_answers import (
    DatasetAnswers,
    Flags,
    find_dataset_answers,
    stated_outcomes,
)
from auditor.metrics.data.two_sample_classifier import density_ratios
from auditor.metrics.stats.drift import jackknife_groups

Rows = NDArray[np.int64]
TOO_DIFFERENT = Gap(
    reason=GapReason.TOO_FEW_ROWS,
    detail="So few reference rows are like the current ones that they say nothing of them.",
    cure="Name a larger reference, or label a random sample of current rows.",
)
NO_CLASSES = Gap(
    reason=GapReason.NEEDS_CLASSIFICATION,
    detail="Only stated probabilities can be recalibrated, and a regression states none.",
    cure="Label a random sample of current rows, and watch its errors.",
)


@dataclass(frozen=True, slots=True, eq=False)
class PredictionHistory:
    """Answers to current data, and to the labelled data before it, if there are any; ``columns``
    are those of some rows of both, of which ``rows`` are the ones of the data before.
    """

    subject: Subject
    now: DatasetAnswers
    before: DatasetAnswers | None
    columns: tuple[SharedColumn, ...] = ()
    rows: Rows | None = None

    def to_evidence(self) -> Evidence:
        """Return all that an estimate without labels needs, or why there is none."""
        data = [self.now.data, *([] if self.before is None else [self.before.data])]
        task = {"clustered": any(at.clustered for at in data), "current": self.now.data.role.value}
        gap = self.lacking()
        if gap is not None or self.before is None:
            return {"task": task, "no_estimate": write_gap(gap or self.no_before())}
        stated, happened = stated_outcomes(self.subject, self.before)
        labelled = self.before.labelled
        clusters = self.before.data.cluster
        codes = None if clusters is None else clusters.codes[labelled]
        count = int(labelled.sum())
        rows, weights = self.weights(labelled)
        return {
            "task": task,
            "stated": stated[labelled],
            "happened": happened[labelled],
            "groups": jackknife_groups(count, codes, self.subject.seed),
            "rows": rows,
            "weights": weights,
            **_states(self.subject, self.now),
        }

    def lacking(self) -> Gap | None:
        """Return why nothing can be estimated, if so."""
        if not isinstance(self.subject.task, ClassificationTask):
            return NO_CLASSES
        sides = [self.now, *([] if self.before is None else [self.before])]
        if any(self.subject.labels_only(at.data.role) for at in sides):
            return no_stated_gap("scores")
        return None

    def no_before(self) -> Gap:
        """Say that nothing labelled came before the current data, and which data could have."""
        current = self.now.data.role
        earlier = _earlier(current)
        there = " and ".join(at.value for at in earlier if at in self.subject.datasets)
        named = " or ".join(at.value for at in earlier)
        lacks = (
            f"the {there} data have no rows with a label and scores"
            if there
            else f"the audit names no {named} data"
        )
        return Gap(
            reason=GapReason.NEEDS_LABELS,
            detail=f"An estimate for the {current} data rests on labels of earlier data, and "
            f"{lacks}.",
            cure="Name an earlier sample with its labels under data.reference in the audit file.",
        )

    def no_errors(self) -> Gap:
        """Say that the current data have no labels, so that no error in them is seen."""
        current = self.now.data.role
        return Gap(
            reason=GapReason.NEEDS_LABELS,
            detail=f"The {current} data have no labels, so that no error in them is seen.",
            cure=f"Name their column under data.{current}.labels in the audit file.",
        )

    def weights(self, labelled: Flags) -> tuple[Rows, Floats]:
        """Return which labelled reference rows are weighted, as places among them, and how."""
        if self.rows is None:
            return np.empty(0, dtype=np.int64), np.empty(0)
        ratios = density_ratios(self.columns, len(self.rows))
        known = labelled[self.rows]
        return (np.cumsum(labelled) - 1)[self.rows[known]].astype(np.int64), ratios[known]


def collect_history(subject: Subject, rows: int) -> PredictionHistory | Gap:
    """Return what is known of current data and of labelled data before it.

    ``rows`` of each are compared. Before production is the reference, else the evaluation; before
    the evaluation the reference.
    """
    role = current_role(subject)
    now = NO_CURRENT if role is None else find_dataset_answers(subject, role)
    if isinstance(now, Gap):
        return now
    earlier = _earlier(now.data.role)
    found = (find_dataset_answers(subject, at) for at in earlier if at in subject.datasets)
    known = (item for item in found if isinstance(item, DatasetAnswers) and item.labelled.any())
    before = next(known, None)
    if before is None:
        return PredictionHistory(subject, now, None)
    columns = [
        *shared_columns(before.data, now.data),
        *scores_column(subject, (before, now)),
    ]
    taken = [subject.sample(at.data.role, rows) for at in (before, now)]
    some = tuple(column.take(taken[0], taken[1]) for column in columns)
    return PredictionHistory(subject, now, before, some, taken[0])


def _earlier(current: DatasetRole) -> tuple[DatasetRole, ...]:
    """Return the roles of data that may come before the current ones."""
    if current is DatasetRole.PRODUCTION:
        return (DatasetRole.REFERENCE, DatasetRole.EVALUATION)
    return (DatasetRole.REFERENCE,)


def no_stated_gap(what: str, metric: str = "") -> Gap:
    """Say that current data or those before lack labels, or scores."""
    labels = what == "labels"
    return Gap(
        reason=GapReason.NEEDS_LABELS if labels else GapReason.NEEDS_SCORES,
        detail="The data that this rests on have no labels."
        if labels
        else "The data give decisions and no scores, which an estimate rests on.",
        cure=f"Name their columns under {what} of reference, evaluation and production data.",
        metric=metric,
    )


def _states(subject: Subject, now: DatasetAnswers) -> Evidence:
    """Return what is stated of current rows, and whether the answer is that it happens."""
    task = subject.task
    decided = np.ones(now.data.rows, dtype=np.bool_)
    if isinstance(task, ClassificationTask) and task.binary:
        decided = subject.decisions(now.data.role) == task.positive_index
    return {"now_stated": stated_outcomes(subject, now)[0], "now_decided": decided}
