"""Which rows a model cannot have learnt from: those that do not stand in the training data."""

import numpy as np
from numpy.typing import NDArray

from auditor.domain.tasks import Array


def unseen(rows: Array, training: Array) -> NDArray[np.bool_]:
    """Return which rows ``[n, ...]`` equal no row of ``training`` ``[m, ...]``.

    A row in both is a member, whatever its file says. Rows are compared in the training data's
    own type; missing values equal each other.
    """
    known = set(_keys(training, training.dtype))
    return np.array([key not in known for key in _keys(rows, training.dtype)], dtype=np.bool_)


def _keys(rows: Array, dtype: "np.dtype[np.generic]") -> list[bytes]:
    flat = np.ascontiguousarray(rows.reshape(len(rows), -1).astype(dtype))
    if flat.dtype.kind == "f":
        flat = np.where(np.isnan(flat), np.nan, flat + 0.0)  # one NaN, and no negative zero
    return [row.tobytes() for row in flat]
