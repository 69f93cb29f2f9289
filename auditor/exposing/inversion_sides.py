"""Who has which rows: the attacker, the judge, and members and others that a find may be near."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from auditor.domain.absences import without_labels
from auditor.domain.datasets import TEXT, Dataset, Role
from auditor.domain.readings import Gap, Reason
from auditor.domain.subjects import Subject, permutation
from auditor.domain.tasks import Array
from auditor.exposing.unseen import unseen

FEWEST = 2
"""Rows of a class below which the attacker, or the judge, does not know it."""
MOST_PUBLIC, MOST_ROWS = 2000, 20_000
MOST_VALUES = 30_000_000
"""Input values of one sample, so that it fits into memory in full precision."""
Places = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """Rows ``[n, ...]`` with their labels ``[n]`` and names."""

    inputs: Array
    labels: Places
    ids: NDArray[np.str_]

    def take(self, places: Places) -> "Sample":
        """Return some of the rows."""
        return Sample(self.inputs[places], self.labels[places], self.ids[places])

    def counts(self, classes: int) -> Places:
        """Return how many rows each class has."""
        return np.bincount(self.labels, minlength=classes).astype(np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class Sides:
    """Rows that nobody trained the target on, for the attacker, for the judge, and as ``others``;
    and its ``members``. The last two are empty where there are no training data. ``public`` is the
    data that the attacker's rows are of.
    """

    attacker: Sample
    judge: Sample
    others: Sample
    members: Sample
    clustered: bool
    public: Role = Role.EVALUATION

    def classes(self, count: int) -> Places:
        """Return the classes that both attacker and judge know."""
        known = [side.counts(count) >= FEWEST for side in (self.attacker, self.judge)]
        return np.flatnonzero(known[0] & known[1])


def sides(subject: Subject) -> Sides | Gap:
    """Split the data: reference rows are the attacker's and the judge's, evaluation rows others.

    Without reference data the evaluation rows are split in three, or, without training data, in
    two. Rows that stand in the training data are members, whatever their file says.
    """
    roles = (Role.EVALUATION, Role.TRAINING, Role.REFERENCE)
    evaluation, training, reference = (subject.datasets.get(role) for role in roles)
    if evaluation is None or evaluation.inputs is None or evaluation.inputs.dtype.kind == TEXT:
        return NO_NUMBERS
    if evaluation.labels is None:
        return without_labels(Role.EVALUATION)
    usable = [it for it in (training, reference) if it is not None and _fits(it, evaluation)]
    members = next((_sample(subject, it) for it in usable if it.role is Role.TRAINING), None)
    public = next((_sample(subject, it) for it in usable if it.role is Role.REFERENCE), None)
    taught = None if members is None or training is None else training.inputs
    here = _fresh(_sample(subject, evaluation), taught)
    none = here.take(np.arange(0))
    if public is not None:
        one, other = _parts(_fresh(public, taught), 2)
        others = none if members is None else here
    elif members is not None:
        one, other, others = _parts(here, 3)
    else:
        (one, other), others = _parts(here, 2), none
    clustered = any(it.clustered for it in (evaluation, *usable))
    first = np.arange(MOST_PUBLIC)
    one, other = (it.take(first[: len(it.labels)]) for it in (one, other))
    source = Role.EVALUATION if public is None else Role.REFERENCE
    return Sides(one, other, others, none if members is None else members, clustered, source)


def _fits(dataset: Dataset, evaluation: Dataset) -> bool:
    ours, theirs = dataset.inputs, evaluation.inputs
    if ours is None or theirs is None or dataset.labels is None:
        return False
    return ours.shape[1:] == theirs.shape[1:] and ours.dtype.kind != TEXT


def _sample(subject: Subject, dataset: Dataset) -> Sample:
    """Return labelled rows of a dataset, the first in the audit's order."""
    order = permutation(subject.audit_seed, dataset.rows)
    labels = np.asarray(dataset.labels)
    inputs = np.asarray(dataset.inputs)
    room = max(1, MOST_VALUES // max(1, int(np.prod(inputs.shape[1:]))))
    order = order[labels[order] >= 0][: min(MOST_ROWS, room)]
    return Sample(inputs[order], labels[order], np.asarray(dataset.ids)[order])


def _fresh(sample: Sample, taught: Array | None) -> Sample:
    if taught is None:
        return sample
    return sample.take(np.flatnonzero(unseen(sample.inputs, taught)))


def _parts(sample: Sample, count: int) -> list[Sample]:
    return [sample.take(np.arange(at, len(sample.labels), count)) for at in range(count)]


NO_NUMBERS = Gap(
    reason=Reason.NEEDS_NUMERIC_INPUT,
    detail="The model's inputs are texts, which no attack here makes up.",
    cure="Leave privacy.inversion out: it inverts models of numbers.",
)
NO_CLASSES = Gap(
    reason=Reason.TOO_FEW_ROWS,
    detail=f"No class has {FEWEST} rows for the attacker and {FEWEST} for the judge.",
    cure="Give more labelled evaluation rows, or name reference data.",
)
NO_MEMBERS = Gap(
    reason=Reason.NEEDS_TRAINING_DATA,
    detail="Without labelled training data nobody can say whether a reconstruction is near to a "
    "member.",
    cure="Name the sample that the model was trained on under data.training in the audit file.",
)
FEW_MEMBERS = Gap(
    reason=Reason.TOO_FEW_ROWS,
    detail="No class has two members and two others to compare a reconstruction with.",
    cure="Give more rows of each class in the training and the evaluation data.",
)
