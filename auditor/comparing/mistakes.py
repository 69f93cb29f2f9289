"""What the rows of a confirmed slice are, and what is said of those that are decided wrongly."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import cast

import numpy as np
from numpy.typing import NDArray

from auditor.comparing.slices import Outcome
from auditor.domain.canonical import Json
from auditor.domain.datasets import Role
from auditor.domain.evidence import Evidence
from auditor.domain.readings import Measurement, Reading
from auditor.domain.subjects import Subject
from auditor.domain.tasks import Classification
from auditor.stats.lattices import Conditions

MOST_MISTAKES = 3
MOST_LABELS = 12
Indices = NDArray[np.int16]


def decided_rows(subject: Subject) -> dict[str, Indices]:
    """Return what each row of the evaluation data is labelled and decided; nothing of a number."""
    labels = subject.datasets[Role.EVALUATION].labels
    if not isinstance(subject.task, Classification) or labels is None:
        return {}
    decided = subject.decisions(Role.EVALUATION)
    return {"labels": labels.astype(np.int16), "decided": decided.astype(np.int16)}


def described(
    readings: Sequence[Reading], evidence: Evidence, outcome: Outcome
) -> tuple[Reading, ...]:
    """Add to each confirmed slice's error the labels and the mistakes of its rows held out.

    Evidence holds ``labels`` and ``decided`` ``[n]`` beside what ``Rules.outcome`` reads, and the
    names of classes in ``task``; without them the readings stay as they are.
    """
    if "labels" not in evidence:
        return tuple(readings)
    placed = {
        tuple(outcome.names.of(item.conditions).items()): item.conditions
        for item in outcome.confirmed
    }
    return tuple(
        replace(item, details={**item.details, **dict(_contents(evidence, conditions))})
        if isinstance(item, Measurement) and (conditions := placed.get(tuple(item.slice.items())))
        else item
        for item in readings
    )


def _contents(evidence: Evidence, conditions: Conditions) -> Iterator[tuple[str, Json]]:
    names = cast("Mapping[str, Sequence[str]]", evidence["task"])["classes"]
    codes = cast("NDArray[np.uint8]", evidence["codes"])
    inside = ~cast("NDArray[np.bool_]", evidence["searched"])
    for column, level in conditions:
        inside = inside & (codes[column] == level)
    labels, decided = (
        cast("Indices", evidence[name])[inside].astype(np.int64) for name in ("labels", "decided")
    )
    yield "labels", [{"label": names[at], "n": n} for at, n in _most_frequent(labels, MOST_LABELS)]
    wrong = cast("NDArray[np.bool_]", evidence["wrong"])[inside]
    pairs = (labels * len(names) + decided)[wrong]
    yield (
        "mistakes",
        [
            {"label": names[at // len(names)], "decided": names[at % len(names)], "n": n}
            for at, n in _most_frequent(pairs, MOST_MISTAKES)
        ],
    )


def _most_frequent(codes: NDArray[np.int64], most: int) -> list[tuple[int, int]]:
    found, counts = np.unique(codes, return_counts=True)
    order = np.argsort(-counts, kind="stable")[:most]
    return list(zip(found[order].tolist(), counts[order].tolist(), strict=True))
