"""Subjects that declare all that an audit without a model can declare, of every kind of task."""

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
from privacy_claims import claimed
from scored_subjects import FILE
from supply_papers import CARD, GIVEN, bom, dumped, slsa_v1
from surveyed_subjects import surveyed

from auditor.domain.artifacts import FileDigest
from auditor.domain.check_subject import Subject
from auditor.domain.datasets import Dataset, DatasetRole, TextColumn
from auditor.domain.privacy_claims import NO_PRIVACY_CLAIM, PrivacyClaimFile
from auditor.domain.supply_chain import ModelSupply, SupplyDocument
from auditor.domain.tasks import ClassificationTask, RegressionTask, Task

ROWS = 240
POPULATION = {"sex": {"f": 0.5, "m": 0.5}}
PAPERS = {"slsa.json": dumped(slsa_v1()), "bom.json": dumped(bom()), "README.md": CARD}
SUPPLY = ModelSupply(
    tuple(
        SupplyDocument(FileDigest(name, len(raw), "0" * 64), raw) for name, raw in PAPERS.items()
    ),
    GIVEN,
)


def binary() -> Subject:
    """Two classes, groups, slices, clusters and times; training, reference and production too."""
    return _subject(ClassificationTask(("0", "1"), "1", "1"), ROWS)


def many_classes() -> Subject:
    """Three classes."""
    return _subject(ClassificationTask(("a", "b", "c"), "c", "c"), ROWS)


def numbers() -> Subject:
    """A regression."""
    return _subject(RegressionTask(0.5), ROWS)


def few_rows() -> Subject:
    """Two classes in six rows."""
    return _subject(ClassificationTask(("0", "1"), "1", "1"), 6)


def decisions_alone() -> Subject:
    """Two classes, of which the file says the decision and no score."""
    subject = binary()
    subject.datasets = {role: replace(data, scores=None) for role, data in subject.datasets.items()}
    return subject


def nothing() -> Subject:
    """An audit that names no data at all."""
    subject = binary()
    subject.datasets, subject.claims, subject.population = {}, {}, {}
    subject.privacy_claim, subject.supply = NO_PRIVACY_CLAIM, ModelSupply()
    return subject


SUBJECTS: Mapping[str, Callable[[], Subject]] = {
    made.__name__: made
    for made in (binary, many_classes, numbers, few_rows, decisions_alone, nothing)
}


def _subject(task: Task, rows: int) -> Subject:
    datasets = (_dataset(role, task, rows, at) for at, role in enumerate(DatasetRole))
    subject = surveyed(*datasets, task=task, claims={"accuracy": 0.9}, population=POPULATION)
    subject.privacy_claim, subject.supply = PrivacyClaimFile(claimed(), FILE), SUPPLY
    return subject


def _dataset(role: DatasetRole, task: Task, rows: int, at: int) -> Dataset:
    rng = np.random.default_rng([3, at])
    classes = len(task.classes) if isinstance(task, ClassificationTask) else 1
    labels = np.arange(rows) % max(classes, 2)
    scores = rng.dirichlet(np.ones(classes), rows) if classes > 1 else rng.normal(size=(rows, 1))
    classified = isinstance(task, ClassificationTask)
    if classified:
        scores = (scores + np.eye(classes)[labels]) / 2
    sexes = [("f", "m")[row] for row in rng.integers(0, 2, rows)]
    ages = [str(age) for age in rng.integers(18, 90, rows)]
    return Dataset(
        role=role,
        files=(FILE,),
        inputs=None,
        labels=labels if classified else None,
        ids=tuple(f"{role.value}-{row}" for row in range(rows)),
        groups={"sex": TextColumn.of(sexes)},
        slices={"age": TextColumn.of(ages)},
        cluster=TextColumn.of([f"p{row // 2}" for row in range(rows)]),
        scores=scores,
        targets=None if classified else rng.normal(size=rows),
        decisions=scores.argmax(axis=1).astype(np.int64) if classified else None,
        times=np.arange(rows, dtype=np.float64),
        as_of=np.arange(rows, dtype=np.float64) - 1,
    )
