"""Groups of rows that stand together, as ``[m, 2]``: row and group."""

import numpy as np
from numpy.typing import NDArray

from auditor.domain.tasks import Floats
from auditor.surveying.materials import Rows


def extra(groups: Rows) -> int:
    """Count the rows beyond the first of each group."""
    return len(groups) - len(np.unique(groups[:, 1]))


def nearly(exact: Rows, near: Rows) -> int:
    """Count the rows that nearly repeat another one, beside those that do so exactly.

    Each group of ``exact`` lies in a group of ``near`` whole, or not at all.
    """
    return extra(near) - extra(exact[np.isin(exact[:, 0], near[:, 0])])


def torn(groups: Rows, truth: Floats, apart: float) -> Rows:
    """Return the groups, whole, in which some of ``truth`` ``[m]`` lie more than ``apart``."""
    count = int(groups[:, 1].max(initial=-1)) + 1
    least, most = np.full(count, np.inf), np.full(count, -np.inf)
    np.minimum.at(least, groups[:, 1], truth)
    np.maximum.at(most, groups[:, 1], truth)
    kept: Rows = groups[(most - least > apart)[groups[:, 1]]]
    return kept


def largest(groups: Rows, names: NDArray[np.str_], most: int) -> list[list[str]]:
    """Return the names ``[m]`` of the rows of the ``most`` largest groups, ``most`` of each."""
    numbers, sizes = np.unique(groups[:, 1], return_counts=True)
    chosen = numbers[np.argsort(-sizes, kind="stable")[:most]]
    return [[str(name) for name in names[groups[:, 1] == one][:most]] for one in chosen]
