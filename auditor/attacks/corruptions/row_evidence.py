"""The row-level evidence of corruption and spatial checks."""

from collections.abc import Iterator, Mapping, Sequence
from typing import cast

import numpy as np
from numpy.typing import NDArray

from auditor.attacks.corruptions.accuracy_survey import REFUSED, Labels
from auditor.attacks.corruptions.spatial_search import first_breaking_budgets
from auditor.domain.evidence import Evidence
from auditor.domain.json import Json
from auditor.domain.readings import Scalar
from auditor.domain.row_evidence import RowEvidence, RowFigures


def _viewed(evidence: Evidence) -> Iterator[RowFigures]:
    """Return which rows are right as they are, under the worst view, and how often at random."""
    settings = cast("Mapping[str, Json]", evidence["settings"])
    broken = first_breaking_budgets(evidence)
    drawn = cast("NDArray[np.int32]", evidence["drawn_decided"])
    right = drawn == cast("Labels", evidence["labels"])
    yield RowFigures("clean_accuracy", broken >= 0)
    for at, name in enumerate(cast("Sequence[str]", settings["budgets"])):
        yield RowFigures("robust_accuracy", broken > at, {"budget": name})
        yield RowFigures("mean_accuracy", right[at].mean(axis=0), {"budget": name})


def _corrupted(evidence: Evidence) -> Iterator[RowFigures]:
    """Return which rows are right, as they are and under each corruption."""
    settings = cast("Mapping[str, Json]", evidence["settings"])
    labels = cast("Labels", evidence["labels"])
    decided = cast("NDArray[np.int32]", evidence["decided"])
    yield RowFigures("clean_accuracy", cast("Labels", evidence["clean_decided"]) == labels)
    for at, kind in enumerate(cast("Sequence[str]", settings["kinds"])):
        for step, severity in enumerate(cast("Sequence[int]", settings["severities"])):
            if not (decided[at, step] == REFUSED).any():
                place: dict[str, Scalar] = {"kind": kind, "severity": severity}
                yield RowFigures("accuracy", decided[at, step] == labels, place)
    if decided.size and not (decided == REFUSED).any():
        yield RowFigures("mean_accuracy", (decided == labels).mean(axis=(0, 1)))


VIEWED = RowEvidence(
    each=frozenset({"clean_probabilities", "ids", "labels"}),
    apart=frozenset({"settings"}),
    adds=lambda evidence: tuple(_viewed(evidence)),
)
"""What each view did lies budget by budget, and is withheld whole."""
CORRUPTED = RowEvidence(
    each=frozenset({"clean_decided", "ids", "labels"}),
    apart=frozenset({"settings"}),
    adds=lambda evidence: tuple(_corrupted(evidence)),
)
"""What each corruption did lies kind by kind, and is withheld whole."""
