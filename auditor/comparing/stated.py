"""What a model stated of each row beside what happened, as checks keep it and read it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray

from auditor.domain.canonical import Json
from auditor.domain.clusters import doubts, read_clusters, write_clusters
from auditor.domain.datasets import Role
from auditor.domain.evidence import Evidence
from auditor.domain.subjects import Subject
from auditor.domain.tasks import Classification, Floats
from auditor.stats.clusters import Codes
from auditor.stats.recalibration import LEAST_CLUSTERS


@dataclass(frozen=True, slots=True, eq=False)
class Stated:
    """Probabilities ``[n]`` as stated, what came true ``[n]``, and of what they speak.

    ``clusters`` ``[n]`` are codes of rows that hang together, where some do.
    """

    stated: Floats
    happened: NDArray[np.bool_]
    of: str
    clusters: Codes | None = None

    @property
    def clustered(self) -> bool:
        """Whether rows hang together: what takes them for independent is doubted."""
        return self.clusters is not None

    @property
    def robust(self) -> bool:
        """Whether there are enough clusters to say how much they differ."""
        return self.clusters is not None and len(np.unique(self.clusters)) >= LEAST_CLUSTERS

    @property
    def about(self) -> dict[str, Json]:
        """What every reading says."""
        return {"of": self.of}

    @property
    def doubts(self) -> dict[str, Json]:
        """What a reading says that takes rows for independent."""
        return {**self.about, **doubts(self.clustered)}

    def part(self, rows: NDArray[np.bool_]) -> "Stated":
        """Return what was stated of some rows."""
        clusters = None if self.clusters is None else self.clusters[rows]
        return Stated(self.stated[rows], self.happened[rows], self.of, clusters)


def observe_stated(subject: Subject) -> Evidence:
    """Score the evaluation data; keep the stated probability and whether it came true.

    A binary model speaks of its positive class, one of more classes of its answer: its whole rows
    of probabilities are kept. Raises ``TypeError`` where a need is not met: the frame asks first.
    """
    task, dataset = subject.task, subject.datasets[Role.EVALUATION]
    if not isinstance(task, Classification) or dataset.labels is None:
        message = "calibration needs a classification and labels, and the frame asks for both"
        raise TypeError(message)
    probabilities = np.asarray(subject.probabilities(Role.EVALUATION), dtype=np.float64)
    seen: Evidence = {
        "ids": np.asarray(dataset.ids),
        "task": {
            "of": f"probability of {task.positive}" if task.binary else "top label",
            "classes": list(task.classes),
        },
        **write_clusters(dataset),
    }
    if task.binary:
        stated = np.ascontiguousarray(probabilities[:, task.positive_index])
        return {**seen, "stated": stated, "happened": dataset.labels == task.positive_index}
    return {
        **seen,
        "probabilities": probabilities,
        "labels": dataset.labels,
        "happened": subject.decisions(Role.EVALUATION) == dataset.labels,
    }


def write_stated(seen: Stated) -> Evidence:
    """Return the evidence form of one stated probability."""
    about: Evidence = {"stated": seen.stated, "happened": seen.happened, "task": {"of": seen.of}}
    return about if seen.clusters is None else {**about, "clusters": seen.clusters}


def read_stated(evidence: Evidence) -> Stated:
    """Read back what was stated, and what happened."""
    task = cast("Mapping[str, Json]", evidence["task"])
    stated = (
        cast("Floats", evidence["probabilities"]).max(axis=1)
        if "probabilities" in evidence
        else cast("Floats", evidence["stated"])
    )
    return Stated(
        stated,
        cast("NDArray[np.bool_]", evidence["happened"]),
        str(task["of"]),
        read_clusters(evidence),
    )
