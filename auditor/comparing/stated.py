"""What a model stated of each row beside what happened, as checks keep it and read it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray

from auditor.comparing.clipped import CUT, HANGS, observe_chances, observe_cut, read_chances
from auditor.domain.canonical import Json
from auditor.domain.clusters import doubts, read_clusters, write_clusters
from auditor.domain.datasets import Role
from auditor.domain.evidence import Evidence
from auditor.domain.subjects import Subject
from auditor.domain.tasks import Classification, Floats
from auditor.stats.clusters import Codes
from auditor.stats.losses import log_odds
from auditor.stats.recalibration import LEAST_CLUSTERS, Recalibration, hangs_on_clip

ODDS = "odds"


@dataclass(frozen=True, slots=True, eq=False)
class Stated:
    """Probabilities ``[n]`` as stated, what came true ``[n]``, and of what they speak.

    ``clusters`` ``[n]`` are codes of rows that hang together, where some do; ``odds`` ``[n]`` log
    odds, where probabilities say less. Probabilities that are ``cut`` off end where the target's
    resolution does.
    """

    stated: Floats
    happened: NDArray[np.bool_]
    of: str
    clusters: Codes | None = None
    odds: Floats | None = None
    cut: bool = False

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
        odds = None if self.odds is None else self.odds[rows]
        return Stated(self.stated[rows], self.happened[rows], self.of, clusters, odds, self.cut)

    def doubt(self, line: Recalibration) -> dict[str, Json]:
        """Say why a line is doubted: where probabilities are cut off, or rows hang together."""
        if self.cut and hangs_on_clip(self.stated, self.happened, line):
            return {"doubt": HANGS}
        return doubts(self.clustered and not self.robust)


def observe_stated(subject: Subject) -> Evidence:
    """Score the evaluation data; keep the stated probability and whether it came true.

    A binary model speaks of its positive class, one of more classes of its answer: its whole rows
    of probabilities are kept. Raises ``TypeError`` where a need is not met: the frame asks first.
    """
    task, dataset = subject.task, subject.datasets[Role.EVALUATION]
    if not isinstance(task, Classification) or dataset.labels is None:
        message = "calibration needs a classification and labels, and the frame asks for both"
        raise TypeError(message)
    found, logits = subject.scores(Role.EVALUATION)
    probabilities = np.asarray(found, dtype=np.float64)
    exact = observe_chances(probabilities, logits)
    chances = read_chances(exact)
    seen: Evidence = {
        "ids": np.asarray(dataset.ids),
        "task": {
            "of": f"probability of {task.positive}" if task.binary else "top label",
            "classes": list(task.classes),
            **observe_cut(probabilities, logits),
        },
        **write_clusters(dataset),
    }
    if task.binary:
        stated = np.ascontiguousarray(probabilities[:, task.positive_index])
        happened = dataset.labels == task.positive_index
        told: Evidence = {**seen, "stated": stated, "happened": happened}
        if chances is None:
            return told
        return {**told, ODDS: np.ascontiguousarray(log_odds(chances)[:, task.positive_index])}
    return {
        **seen,
        **exact,
        "probabilities": probabilities,
        "labels": dataset.labels,
        "happened": subject.decisions(Role.EVALUATION) == dataset.labels,
    }


def write_stated(seen: Stated) -> Evidence:
    """Return the evidence form of one stated probability."""
    task: dict[str, Json] = {"of": seen.of, **({CUT: True} if seen.cut else {})}
    about: Evidence = {"stated": seen.stated, "happened": seen.happened, "task": task}
    if seen.odds is not None:
        about = {**about, ODDS: seen.odds}
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
        _read_odds(evidence),
        task.get(CUT) is True,
    )


def _read_odds(evidence: Evidence) -> Floats | None:
    """Read log odds ``[n]`` back, of the likeliest class where all classes' chances are kept."""
    chances = read_chances(evidence)
    if chances is not None:
        return np.asarray(log_odds(chances).max(axis=1), dtype=np.float64)
    return cast("Floats", evidence[ODDS]) if ODDS in evidence else None
