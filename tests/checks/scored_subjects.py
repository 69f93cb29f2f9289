"""Subjects of predictions-only audits: real datasets that bring their scores."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike

from auditor.domain.artifacts import FileDigest, SignatureMaterial
from auditor.domain.budgets import Budget
from auditor.domain.check_subject import CheckShard, Subject
from auditor.domain.checks import Check
from auditor.domain.datasets import Dataset, DatasetRole, TextColumn
from auditor.domain.evidence import Evidence, decode_evidence, encode_evidence
from auditor.domain.json import encode_canonical
from auditor.domain.readings import Gap, GapReason, Measurement, Reading
from auditor.domain.tasks import ClassificationTask

ABSENT = Gap(reason=GapReason.NEEDS_MODEL, detail="There is no model.", cure="Name one.")
FILE = FileDigest("scored.csv", 1, "0" * 64)


def scored(
    scores: ArrayLike,
    labels: ArrayLike,
    *,
    groups: Mapping[str, Sequence[str]] | None = None,
    cluster: Sequence[str] | None = None,
    favourable: str = "1",
) -> Subject:
    """One column of scores is P(class 1); several are probabilities of the classes 0, 1, 2, ..."""
    table = np.asarray(scores, dtype=np.float64)
    if table.ndim == 1:
        table = np.stack([1 - table, table], axis=1)
    classes = tuple(str(index) for index in range(table.shape[1]))
    dataset = Dataset(
        role=DatasetRole.EVALUATION,
        files=(FILE,),
        inputs=None,
        labels=np.asarray(labels, dtype=np.int64),
        ids=tuple(f"row-{index}" for index in range(len(table))),
        groups={name: TextColumn.of(members) for name, members in (groups or {}).items()},
        cluster=None if cluster is None else TextColumn.of(cluster),
        scores=table,
    )
    return Subject(
        artifact=None,
        structure=ABSENT,
        signature=SignatureMaterial(),
        model=ABSENT,
        twin=ABSENT,
        task=ClassificationTask(classes, classes[-1] if len(classes) == 2 else "1", favourable),
        space=ABSENT,
        datasets={DatasetRole.EVALUATION: dataset},
        audit_seed=7,
        seed=7,
        budget=Budget.SMOKE,
    )


def stored(check: Check, subject: Subject) -> Evidence:
    """What a third party reads back: every item through its blob."""
    seen = check.observe(subject, CheckShard())
    return {name: decode_evidence(encode_evidence(item).raw) for name, item in seen.items()}


def read(check: Check, subject: Subject, confidence: float = 0.95) -> tuple[Reading, ...]:
    """The readings that a record would hold; they must be finite, and survive canonical JSON."""
    readings = check.figures(stored(check, subject), confidence)
    encode_canonical([reading.to_json() for reading in readings])
    return readings


def measured(readings: Sequence[Reading], metric: str, **params: str) -> Measurement:
    """The one measurement of a metric at these coordinates."""
    found = [
        reading
        for reading in readings
        if isinstance(reading, Measurement)
        and reading.metric == metric
        and params.items() <= reading.params.items()
    ]
    assert len(found) == 1, f"{len(found)} measurements of {metric} at {params}"
    return found[0]


def ends(reading: Measurement) -> tuple[float, float]:
    """Both ends of an interval that must be there."""
    assert reading.low is not None
    assert reading.high is not None
    return reading.low, reading.high


def gaps(readings: Sequence[Reading], about: str) -> list[Gap]:
    """The gaps whose sentence speaks of something."""
    return [item for item in readings if isinstance(item, Gap) and about in item.detail]


def names(readings: Sequence[Reading]) -> list[str]:
    """The metric of each reading, in order; a gap names the one that is missing."""
    return [item.metric for item in readings]
