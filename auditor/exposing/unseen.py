"""Which rows a model cannot have learnt from: those that do not stand in the training data."""

import hashlib
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from auditor.domain.tasks import Array

AT_ONCE = 4_000_000
"""Values that are brought into one type at once."""
DIGEST_BYTES = 16


def unseen(rows: Array, training: Array) -> NDArray[np.bool_]:
    """Return which rows ``[n, ...]`` equal no row of ``training`` ``[m, ...]``.

    A row in both is a member, whatever its file says. Rows are compared in the training data's
    own type; missing values equal each other.
    """
    known = set(_keys(training, training.dtype))
    found = (key not in known for key in _keys(rows, training.dtype))
    return np.fromiter(found, np.bool_, len(rows))


def _keys(rows: Array, dtype: "np.dtype[np.generic]") -> Iterator[bytes]:
    flat = rows.reshape(len(rows), -1)
    size = max(1, AT_ONCE // max(1, flat.shape[1]))
    for start in range(0, len(rows), size):
        part = np.ascontiguousarray(flat[start : start + size].astype(dtype))
        if part.dtype.kind == "f":
            part = np.where(np.isnan(part), np.nan, part + 0.0)  # one NaN, and no negative zero
        for row in part:
            yield hashlib.blake2b(row.tobytes(), digest_size=DIGEST_BYTES).digest()
