"""What of the evidence of an attack on a table goes by the rows that were attacked."""

from collections.abc import Mapping
from typing import cast

from auditor.attacks.attacked_rows import SAID, SHARED, curve_of
from auditor.attacks.outlays import asked
from auditor.attacks.tabular_readings import recount
from auditor.domain.canonical import Json
from auditor.domain.evidence import Evidence
from auditor.domain.rows import ByRow, RowFigures


def _adds(evidence: Evidence) -> tuple[RowFigures, ...]:
    """Return which rows are right without attack, and which stay right at each budget."""
    seen = recount(evidence)
    place = asked(cast("Mapping[str, Json]", evidence["settings"]))
    return (RowFigures("clean_accuracy", ~seen.wrong, place), *curve_of(seen, place, {}))


TABLED = ByRow(each=SHARED | SAID, adds=_adds)
"""Settings name rows that were left out, and crafted rows are of some: these are withheld whole."""
