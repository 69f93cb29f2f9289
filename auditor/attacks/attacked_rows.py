"""What of an attack's evidence goes by the rows that were attacked."""

from collections.abc import Mapping
from typing import cast

from auditor.attacks.curves import place_of
from auditor.attacks.tallies import recount
from auditor.domain.canonical import Json
from auditor.domain.evidence import Evidence
from auditor.domain.rows import ByRow, RowFigures


def _adds(evidence: Evidence) -> tuple[RowFigures, ...]:
    """Return which rows are right without attack, and which stay right at each budget."""
    place = place_of(cast("Mapping[str, Json]", evidence["settings"]))
    seen = recount(evidence)
    kept = zip(seen.budgets, seen.right, strict=True)
    return (
        RowFigures("clean_accuracy", ~seen.wrong, place),
        *(RowFigures("robust_accuracy", right, {"eps": eps, **place}) for eps, right in kept),
    )


ATTACKED = ByRow(
    each=frozenset(
        {
            *("ids", "labels", "groups", "distance"),
            *("adversarial_probabilities", "clean_probabilities"),
        }
    ),
    apart=frozenset({"features", "settings"}),
    counted=frozenset({"clean_accuracy", "robust_accuracy"}),
    adds=_adds,
)
"""What of this evidence goes by the rows that were attacked; crafted inputs are of some."""
