"""Digested samples."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from auditor.domain.artifacts import FileDigest, digest_files
from auditor.domain.columns import Column
from auditor.domain.tasks import Array, Floats

UNKNOWN = "unknown"
TEXT = "U"
"""The kind of dtype in which texts are held."""
TABLE_AXES = 2
UNLABELLED = -1
"""The label of a row whose truth is not known yet, as in production."""


class Role(StrEnum):
    """What a dataset is to the model."""

    EVALUATION = "evaluation"
    TRAINING = "training"
    REFERENCE = "reference"
    PRODUCTION = "production"


@dataclass(frozen=True, slots=True, eq=False)
class Dataset:
    """A digested sample with a role.

    ``inputs`` is ``[n, ...]`` as the file holds them, texts as ``[n]`` of dtype str (``None`` in a
    predictions-only audit);
    ``labels`` holds class indices into the task's classes, ``targets`` the numbers that are the
    truth of a regression (in production ``UNLABELLED`` and NaN where none has come yet); ``ids``
    names the rows (the ``id`` column, or the row number); ``groups`` and ``slices`` map a name to
    one text a row, where a missing group is ``unknown``; ``cluster`` says which rows hang together.
    ``scores`` is ``[n, classes]`` (a regression's ``[n, 1]``) and ``decisions`` ``[n]`` holds class
    indices, where the file brings them. ``times`` ``[n]`` is when each row happened, ``as_of`` when
    its features were known: seconds since 1970, or numbers as the file counts them (a year).
    ``copies`` ``[n]`` is the number of the first row that is the same, where copies weigh;
    the clusters then hold them too, and ``declared`` are those that the audit file names.
    """

    role: Role
    files: tuple[FileDigest, ...]
    inputs: Array | None
    labels: NDArray[np.int64] | None
    ids: Sequence[str]
    features: tuple[str, ...] = ()
    groups: Mapping[str, Column] = field(default_factory=dict)
    slices: Mapping[str, Column] = field(default_factory=dict)
    cluster: Column | None = None
    scores: Floats | None = None
    targets: Floats | None = None
    decisions: NDArray[np.int64] | None = None
    times: Floats | None = None
    as_of: Floats | None = None
    copies: NDArray[np.int64] | None = None
    declared: Column | None = None

    @property
    def texts(self) -> bool:
        """Whether the inputs are texts."""
        return self.inputs is not None and self.inputs.dtype.kind == TEXT

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return len(self.ids)

    @property
    def tabular(self) -> bool:
        """Whether the inputs are columns of numbers."""
        return self.inputs is not None and self.inputs.ndim == TABLE_AXES and not self.texts

    @property
    def answered(self) -> bool:
        """Whether the file says what a model answered."""
        return self.scores is not None or self.decisions is not None

    @property
    def clustered(self) -> bool:
        """Whether some rows share a cluster, so that they are not independent."""
        return self.cluster is not None and len(self.cluster.names) < self.rows

    @property
    def units(self) -> int:
        """How many parts are independent of each other: the clusters, or else the rows."""
        return self.rows if self.cluster is None else len(self.cluster.names)

    @property
    def entities(self) -> Column | None:
        """The clusters that the audit file names: persons, devices or days."""
        return self.cluster if self.copies is None else self.declared

    @property
    def distinct(self) -> int:
        """How many rows there are, each counted once where copies weigh."""
        return self.rows if self.copies is None else len(np.unique(self.copies))

    @property
    def digest(self) -> str:
        """The one digest of the dataset's files."""
        return digest_files(self.files)
