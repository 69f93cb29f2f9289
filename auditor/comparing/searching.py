"""Slices of coded columns that are searched in one half of the rows and tried on the other."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray

from auditor.comparing.slices import Names, Outcome
from auditor.domain.canonical import Json
from auditor.domain.evidence import Evidence
from auditor.domain.readings import Gap, Reason
from auditor.stats.lattices import Count, Sample
from auditor.stats.slices import CORRECTIONS, Search, confirm, discover

Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Rules:
    """How slices are searched, and when they are confirmed; see ``Search`` and ``confirm``.

    A slice has at least ``least_rows`` rows and the share ``least_share`` of the rows searched.
    Raises ``ValueError`` for what has no meaning.
    """

    depth: int
    least_rows: int
    least_share: float
    most: int
    level: float
    correction: str

    def __post_init__(self) -> None:
        """Refuse what has no meaning."""
        if min(self.depth, self.least_rows, self.most) < 1:
            message = "depth, least_rows and most are whole numbers of at least 1"
            raise ValueError(message)
        if not 0 <= self.least_share < 1 or not 0 < self.level < 1:
            message = f"least_share {self.least_share} and level {self.level} are shares below 1"
            raise ValueError(message)
        if self.correction not in CORRECTIONS:
            message = f"correction is one of {', '.join(CORRECTIONS)}, not {self.correction!r}"
            raise ValueError(message)

    def outcome(self, evidence: Evidence) -> Outcome | Gap:
        """Search and try what evidence holds; a Gap where a half is too small.

        It holds ``codes`` ``[columns, n]``, ``wrong`` and ``searched`` ``[n]``, the ``columns``'
        ``name`` and ``levels``, and in ``task`` how many ``clusters`` there are.
        """
        wrong = cast("Flags", evidence["wrong"])
        searched = cast("Flags", evidence["searched"])
        size = int(searched.sum())
        if min(size, len(wrong) - size) < 2 * self.least_rows:
            return self.too_few(size, len(wrong) - size)
        names = names_of(evidence)
        codes = cast("NDArray[np.uint8]", evidence["codes"])
        sample = Sample(codes, tuple(len(named) for named in names.levels), wrong)
        least = max(self.least_rows, math.ceil(self.least_share * size))
        found = discover(sample.part(searched), Search(self.depth, least, self.most))
        held_out = sample.part(~searched)
        return Outcome(
            names,
            Count.of(wrong),
            Count.of(held_out.wrong),
            found,
            confirm(held_out, found, self.correction, self.level),
            self.correction,
            self.level,
            cast("Mapping[str, int]", evidence["task"])["clusters"] < len(wrong),
        )

    def too_few(self, searched: int, held_out: int) -> Gap:
        """Say why halves as small as these are not searched."""
        least = 2 * self.least_rows
        return Gap(
            reason=Reason.TOO_FEW_ROWS,
            detail=f"Each half needs {least} rows, twice least_rows; {searched} were there to be "
            f"searched, and {held_out} to confirm on.",
            cure=f"Evaluate on at least {2 * least} rows, in many clusters if they come in such.",
        )


def names_of(evidence: Evidence) -> Names:
    """Return what the columns of evidence and their levels are called."""
    columns = cast("Sequence[Mapping[str, Json]]", evidence["columns"])
    levels = (cast("list[str]", column["levels"]) for column in columns)
    return Names(tuple(str(column["name"]) for column in columns), tuple(map(tuple, levels)))
