"""Copies of the model that others make, held against rows of which no query was made."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import cast

import numpy as np

from auditor.domain.canonical import Json
from auditor.domain.datasets import Role
from auditor.domain.evidence import Evidence, Item
from auditor.domain.readings import Gap, Reading, Scalar
from auditor.domain.subjects import Subject
from auditor.domain.tasks import Array, Classification, Floats
from auditor.exposing.extraction import KNOCKOFF, Places, Queries, decisions, queries, taught
from auditor.exposing.extraction_readings import METRICS, commonest, conclusion, copies, readings
from auditor.exposing.extraction_sides import Sides, sides


@dataclass(frozen=True, slots=True, eq=False)
class Stage:
    """What a thief may ask about, and the held-out rows on which his copy is judged.

    ``by_labels`` ``[n]`` is how a copy decides that true labels taught, where there are any.
    """

    taken: Sides
    held: Array
    target: Places
    ids: Array
    by_labels: Places | None

    @classmethod
    def of(cls, subject: Subject, rows: int, most: int) -> "Stage | Gap":
        """Hold out up to ``rows`` rows; the thief has ``most`` others."""
        taken = sides(subject, rows, (most,))
        task = subject.task
        if isinstance(taken, Gap) or not isinstance(task, Classification):
            return taken if isinstance(taken, Gap) else _unclassified()
        dataset = subject.datasets[Role.EVALUATION]
        held = np.asarray(dataset.inputs)[taken.held]
        asked = queries(
            taken.pool, len(taken.pool), (KNOCKOFF,), (), np.random.default_rng(subject.seed)
        )
        return cls(
            taken,
            held,
            subject.decisions(Role.EVALUATION)[taken.held].astype(np.int64),
            np.asarray(dataset.ids)[taken.held],
            None if taken.labels is None else _by_labels(subject, task, asked, taken.labels, held),
        )

    def hear(self, said: Floats, asked: int) -> Evidence:
        """Write down how a copy decides, by what it says ``[n, classes]`` of the held-out rows."""
        found: dict[str, Item] = {
            "target": self.target.astype(np.int16),
            "answers": said.argmax(axis=1)[None].astype(np.int16),
            "ids": self.ids.astype(np.str_),
            "cells": [{"strategy": KNOCKOFF, "queries": len(self.taken.pool)}],
            "about": {**self.taken.to_json(), "asked": asked},
            **self.taken.clusters,
        }
        if self.by_labels is not None:
            found["labels"] = self.by_labels[None].astype(np.int16)
        return found


def _by_labels(
    subject: Subject, task: Classification, asked: Queries, labels: Places, held: Array
) -> Places:
    include = np.ones((1, len(asked.rows)), dtype=np.bool_)
    targets = asked.labels(labels, len(task.classes))
    stack = taught(asked, targets, include, subject.seed, subject.progress)
    found: Places = decisions(stack, held, task.decide)[0].astype(np.int64)
    return found


def told(
    evidence: Evidence, name: str, looks: int, level: float, confidence: float
) -> Iterator[Reading]:
    """Yield the fidelity of one attack's copy, and its gain over true labels."""
    (copy,) = copies(evidence)
    about = cast("dict[str, Json]", evidence["about"])
    details: dict[str, Json] = {
        "commonest_decision": commonest(evidence),
        "natural_rows": about["pool"],
        "asked": about["asked"],
    }
    params: dict[str, Scalar] = {"attack": name, "queries": copy.queries}
    for reading in readings(copy, confidence, looks, details):
        yield replace(reading, params=params)
    yield replace(conclusion((copy,), level / looks), params={"attack": name})


def _unclassified() -> Gap:
    message = f"{METRICS[0]} is that of decisions, and the frame asks for a classification"
    raise TypeError(message)
