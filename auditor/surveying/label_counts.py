"""What a model decided and scored, before and now: what label shift is estimated from."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import cast

import numpy as np

from auditor.domain.canonical import Json
from auditor.domain.evidence import Evidence
from auditor.domain.readings import Gap, Measurement, Reading, Reason, Unit
from auditor.domain.subjects import Subject
from auditor.domain.tasks import Classification, class_names
from auditor.stats.label_shift import Counts, label_share_changes
from auditor.surveying.answers import Answers
from auditor.surveying.shared_columns import Shared

SCORE = "score of the model"
ASSUMED = "every class still looks as it did in the reference; only how many of each has changed"


def scores_column(subject: Subject, said: Sequence[Answers | Gap]) -> Iterator[Shared]:
    """Yield the model's score of both as one more column, where it scored both."""
    known = [at.scores for at in said if isinstance(at, Answers)]
    if len(known) < len(said):
        return
    task = subject.task
    if isinstance(task, Classification) and task.binary:
        before, now = (scores[:, task.positive_index] for scores in known)
    else:
        before, now = (scores.max(axis=1) for scores in known)
    yield Shared(SCORE, numbers=(before, now))


def decided_by_label(subject: Subject, said: Sequence[Answers | Gap]) -> Evidence:
    """Count the reference's decisions by label, and the current decisions."""
    before, now = said
    size = len(class_names(subject.task))
    if isinstance(before, Gap) or isinstance(now, Gap) or not before.labelled.any() or not size:
        return {"confusion": np.zeros((0, 0), np.int64), "decided": np.zeros(0, np.int64)}
    first, second = (subject.decisions(at.data.role) for at in (before, now))
    confusion = np.zeros((size, size), dtype=np.int64)
    labels = cast("Counts", before.data.labels)[before.labelled]
    np.add.at(confusion, (first[before.labelled], labels), 1)
    return {"confusion": confusion, "decided": np.bincount(second, minlength=size)}


def label_readings(evidence: Evidence, confidence: float) -> Iterator[Reading]:
    """Yield how the share of each class has changed, doubted, or why nobody can say."""
    confusion = cast("Counts", evidence["confusion"])
    names = cast("Mapping[str, list[str]]", evidence["task"])["classes"]
    metric = "label_share_change"
    if not confusion.size:
        yield replace(NO_DECISIONS, metric=metric)
        return
    found = label_share_changes(confusion, cast("Counts", evidence["decided"]), confidence)
    if found is None:
        yield replace(BLURRED, metric=metric)
        return
    details: dict[str, Json] = {"doubt": f"an estimate without labels, if {ASSUMED}"}
    for name, interval in zip(names, found, strict=True):
        yield Measurement.of(
            interval, metric, Unit.NONE, params={"class": name}, doubted=True, details=details
        )


NO_DECISIONS = Gap(
    reason=Reason.NEEDS_LABELS,
    detail="How many there are of each class is estimated from decisions for both, and labels of "
    "the reference, which are not all there.",
    cure="Name labels and, without a model, predictions of the reference data in the audit file.",
)
BLURRED = Gap(
    reason=Reason.NOT_DEFINED,
    detail="The model's decisions tell some classes of the reference too badly apart to say how "
    "many there are of each now.",
    cure="Name a reference that holds every class.",
)
