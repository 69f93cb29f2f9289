"""Rows of a dataset as something that can be compared: tables, pictures or texts."""

from dataclasses import dataclass
from enum import StrEnum
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from auditor.domain.datasets import TEXT, Dataset
from auditor.domain.images import image_axes
from auditor.domain.readings import Gap, Reason
from auditor.domain.tasks import Array, Feature, FeatureKind, Floats, InputSpace

Rows = NDArray[np.int64]
DIGEST = 16


class Kind(StrEnum):
    """What the rows of a dataset are."""

    TABLE = "table"
    PICTURES = "pictures"
    TEXTS = "texts"


@dataclass(frozen=True, slots=True, eq=False)
class Material:
    """The inputs of a dataset, what they are, and which columns of a table are measured numbers.

    ``measured`` ``[columns]`` is empty for pictures and texts; other columns are counts or codes,
    which are equal or not.
    """

    kind: Kind
    values: Array
    features: tuple[str, ...] = ()
    measured: NDArray[np.bool_] | None = None

    @property
    def table(self) -> Floats:
        """The numbers of a table."""
        return self.values.astype(np.float64)

    def take(self, rows: NDArray[np.generic]) -> "Material":
        """Return the same of some rows."""
        return Material(self.kind, self.values[rows], self.features, self.measured)


def material(dataset: Dataset, space: InputSpace | Gap) -> Material | Gap:
    """Return the inputs of a dataset as rows that can be compared, or why they cannot be."""
    values = dataset.inputs
    if values is None:
        return NO_INPUTS
    if dataset.texts:
        return Material(Kind.TEXTS, values)
    if dataset.tabular:
        features = () if isinstance(space, Gap) else space.features
        return Material(Kind.TABLE, values, dataset.features, _measured(values, features))
    if image_axes(values.shape[1:]) is None:
        return _OTHER_SHAPE
    return Material(Kind.PICTURES, values)


def _measured(values: Array, features: tuple[Feature, ...]) -> NDArray[np.bool_]:
    if len(features) == values.shape[1]:
        return np.array([feature.kind is FeatureKind.NUMERIC for feature in features])
    table = values.astype(np.float64)
    return np.asarray(np.any(np.isfinite(table) & (table != np.round(table)), axis=0))


def codes(*parts: Array) -> tuple[Rows, ...]:
    """Return for each part ``[n, ...]`` codes ``[n]``, alike exactly where rows are equal.

    A missing number equals a missing number, and -0 equals 0. Rows are told apart by 128 bits of
    BLAKE2b, which stay in memory: whoever knew a short row's digest could guess the row.
    """
    digests = [_digests(part) for part in parts]
    _, found = np.unique(np.concatenate(digests), return_inverse=True)
    ends = np.cumsum([len(part) for part in parts])[:-1]
    return tuple(part.astype(np.int64) for part in np.split(found, ends))


def _digests(part: Array) -> NDArray[np.bytes_]:
    if part.dtype.kind == TEXT:
        rows = [str(text).encode() for text in part]
    else:
        plain = np.ascontiguousarray(part, dtype=np.float64).reshape(len(part), -1) + 0.0
        plain[np.isnan(plain)] = np.nan
        rows = plain.view(f"V{plain.itemsize * plain.shape[1]}").ravel().tolist()
    made = b"".join(blake2b(row, digest_size=DIGEST).digest() for row in rows)
    return np.frombuffer(made, dtype=f"V{DIGEST}")


def first_of_each(coded: Rows) -> Rows:
    """Return ``[n]``: the number of the first row that has a row's code."""
    _, first, place = np.unique(coded, return_index=True, return_inverse=True)
    return np.asarray(first[place], dtype=np.int64)


NO_INPUTS = Gap(
    reason=Reason.NEEDS_MODEL,
    detail="In an audit of predictions alone the data hold no inputs.",
    cure="Name the model's file under model.artifact, and the columns that it reads.",
)
_OTHER_SHAPE = Gap(
    reason=Reason.UNSUPPORTED,
    detail="The inputs are neither a table nor pictures nor texts.",
    cure="Rows of this shape cannot be compared yet; leave the check out.",
)
