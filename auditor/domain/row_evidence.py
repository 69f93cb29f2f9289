"""Row-level evidence: the parts of a check's evidence about single rows, which can be withheld."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from auditor.domain.evidence import Evidence
from auditor.domain.readings import Scalar

IDS = "ids"
"""The item that names the rows, in every check that says which of its items go by row."""


@dataclass(frozen=True, slots=True, eq=False)
class RowFigures:
    """What each row ``[n]`` adds to one figure, which is the mean over the rows.

    ``values`` are flags where a row adds nothing or one, and numbers otherwise.
    """

    metric: str
    values: NDArray[np.bool_] | NDArray[np.float64]
    params: Mapping[str, Scalar] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RowEvidence:
    """What a check says of its evidence, in its class variable ``by_row``.

    ``each`` names the items whose first axis runs over ``ids`` (lists, and objects of lists, of
    that length too), ``apart`` those that tell nothing of any row. What is named in neither is
    withheld as a whole. ``counted`` names the metrics that are a share of all rows, to which
    each row adds nothing or one. ``adds`` returns what each row adds to such figures and to other
    means over all rows, in the order of ``ids``, so that two runs can be compared row by row.
    """

    each: frozenset[str] = frozenset()
    apart: frozenset[str] = frozenset()
    counted: frozenset[str] = frozenset()
    adds: Callable[[Evidence], Sequence[RowFigures]] | None = None
