"""What of the evidence of proofs goes by the rows that were looked at."""

from collections.abc import Mapping, Sequence
from typing import cast

import numpy as np

from auditor.attacks.certificates import MARGIN
from auditor.attacks.proofs import LINF, proved_radius, right_rows
from auditor.domain.canonical import Json
from auditor.domain.evidence import Evidence
from auditor.domain.readings import Scalar
from auditor.domain.rows import ByRow, RowFigures


def _adds(evidence: Evidence) -> tuple[RowFigures, ...]:
    """Return which rows are right, and of which the graph itself proves it at each budget."""
    settings = cast("Mapping[str, Json]", evidence["settings"])
    right, radius = right_rows(evidence), proved_radius(evidence)
    found = [RowFigures("clean_accuracy", right)]
    if settings["gap"] is None:
        trees = settings["kind"] == "trees"
        for eps in cast("Sequence[float]", settings["eps"]):
            place: dict[str, Scalar] = {**LINF, "eps": eps, "method": str(settings["method"])}
            kept = radius > eps + MARGIN if trees else radius >= eps
            found.append(RowFigures("certified_accuracy", np.asarray(right & kept), place))
    return tuple(found)


PROVED = ByRow(
    each=frozenset(
        {
            *("candidate_probabilities", "clean_probabilities", "distance", "ids", "labels"),
            *("proved", "votes_chosen", "votes_counted"),
        }
    ),
    apart=frozenset({"settings"}),
    counted=frozenset({"certified_accuracy", "clean_accuracy"}),
    adds=_adds,
)
"""Leads of a network lie budget by budget, and are withheld whole."""
