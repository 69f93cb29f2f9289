"""Two halves of a sample, of which one has no part in what the other chooses."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from auditor.domain.columns import Codes, Column


def first_half(order: NDArray[np.int64], clusters: Sequence[str] | None) -> NDArray[np.bool_]:
    """Return ``[n]``: which rows lie in the first half.

    ``order`` is a random order of the units that stay together: of the rows, or, where there are
    ``clusters`` ``[n]``, of the distinct ones, as sorted. Units are taken in turn while what was
    taken before is less than half of the rows.
    """
    members: Codes = np.arange(len(order), dtype=np.int32)
    if clusters is not None:
        members = Column.of(clusters).codes
    sizes = np.bincount(members)[order]
    before = np.cumsum(sizes) - sizes
    chosen = np.zeros(len(order), dtype=np.bool_)
    chosen[order] = before + sizes // 2 < len(members) // 2
    found: NDArray[np.bool_] = chosen[members]
    return found
