"""Robustness certificates: proofs that no attack within a box changes a decision."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from auditor.domain.readings import Gap, GapReason
from auditor.domain.tasks import Array, Floats


@dataclass(frozen=True, slots=True, eq=False)
class PerturbationBoxes:
    """Everything that an attacker may turn some rows into, and how the target decided the rows.

    ``lower`` and ``upper`` are ``[n, ...]`` limits as the data holds rows; ``clean`` are the rows,
    ``labels`` their right classes. ``unit`` (of one row) is the change of a coordinate that counts
    as 1, and 0 where it cannot move; ``quantum`` its steps, counted from ``origin``, 0 for none.
    """

    clean: Array
    labels: NDArray[np.int64]
    lower: Floats
    upper: Floats
    unit: Floats
    quantum: Floats
    origin: Floats


@dataclass(frozen=True, slots=True, eq=False)
class NearestMisclassification:
    """Where points begin that the target decides wrongly.

    Below ``lower`` ``[n]`` (in units of ``PerturbationBoxes.unit``, the largest over coordinates;
    infinite: nowhere in the box) there is none. ``crafted`` ``[n, k, ...]`` are candidates for such
    points, ``distance`` ``[n, k]`` away, infinite where there is none: only the target says which
    count.
    """

    lower: Floats
    crafted: Array
    distance: Floats


class RobustnessCertifier(Protocol):
    """Proves from the artifact's own graph what no attack within a box can do."""

    @property
    def kind(self) -> str:
        """``network`` (``margins`` answers) or ``trees`` (``nearest`` answers).

        Raises ``TwinError`` that says why where it is neither, ``MissingExtraError`` where a
        library for it is not installed.
        """
        ...

    def margins(self, boxes: PerturbationBoxes) -> Mapping[str, Floats]:
        """Return lower bounds ``[n]`` of the right class's lead over every other in each box.

        One a method (``interval``, ``crown``); above 0 the target decides rightly all over the
        box. Minus infinity where nothing is known.
        """
        ...

    def nearest(self, boxes: PerturbationBoxes, *, steps: int) -> NearestMisclassification:
        """Search for the nearest points that are decided wrongly; at most ``steps`` a row."""
        ...


NO_CERTIFIER = Gap(
    reason=GapReason.UNSUPPORTED,
    detail="Nothing was opened that could prove bounds of the model.",
    cure="Open the artifact on a target of this machine.",
)
