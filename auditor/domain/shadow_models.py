"""Shadow models of the owner: trained as the artifact was, each on rows of its own."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from auditor.domain.datasets import DatasetRole
from auditor.domain.json import write_fields
from auditor.domain.readings import Gap, GapReason
from auditor.domain.tasks import Array, Floats

FEWEST = 3
"""Shadow models below which nobody can say whether they are like the artifact: of two, a test by
their scatter sees no difference, however gross."""
Include = NDArray[np.bool_]


class ShadowModels(Protocol):
    """Models that the owner trained as the artifact was trained. They are files, and each runs in
    a child process with limits, as the artifact does.
    """

    @property
    def include(self) -> Mapping[DatasetRole, Include]:
        """Which rows ``[k, rows]`` of a dataset each of the ``k`` models learnt from.

        Of a dataset that is not there, no model learnt any row.
        """
        ...

    def answers(
        self, model: int, asked: Sequence[Array], *, labels_only: bool = False
    ) -> tuple[Floats, ...]:
        """Return the ``[n, classes]`` probabilities that one model gives each array asked.

        A model that gives labels alone is refused unless ``labels_only``. Raises ``ShadowsError``
        where the file cannot be opened, fails, or answers in another shape.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ShadowsRef:
    """Ready shadow models as a request names them: by the digests of the models, in the order of
    the rows of the matrix, and of the matrix, with the datasets whose rows its columns are.
    """

    models: tuple[str, ...]
    inclusion: str
    rows: tuple[str, ...]

    to_json = write_fields


def rows_learnt_by_any(include: Include) -> Include:
    """Return which rows ``[n]`` some model learnt from."""
    return np.asarray(include.any(axis=0), dtype=np.bool_)


def rows_learnt_by_all(include: Include) -> Include:
    """Return which rows ``[n]`` every model learnt from."""
    return np.asarray(include.all(axis=0), dtype=np.bool_)


def decode_inclusion(shadows: ShadowModels, role: DatasetRole, rows: int) -> Include:
    """Return which of so many rows of a dataset each model learnt from, ``[k, rows]``."""
    known = shadows.include.get(role)
    if known is not None:
        return known
    return np.zeros((len(next(iter(shadows.include.values()))), rows), dtype=np.bool_)


NO_SHADOWS = Gap(
    reason=GapReason.NEEDS_SHADOWS,
    detail="The audit names no shadow models.",
    cure="Name models trained as this one, and which rows each learnt from, under shadows in the "
    "audit file.",
)
