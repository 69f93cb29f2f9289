"""Confusion counts by group: the table that every rate of a group is read from."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from auditor.domain.tasks import Floats

Flags = NDArray[np.bool_]
Counts = NDArray[np.int64]


def count_rates(wanted: Flags, given: Flags, codes: Counts, groups: int) -> Mapping[str, Counts]:
    """Return ``[groups, 2]`` for each rate: how often, out of how many.

    ``wanted`` ``[n]`` says which rows have the favourable class as label, ``given`` which ones
    were given it, ``codes`` the group of each row. The selection rate is given among all, the true
    and false positive rates are given among wanted and not wanted, the positive predictive value
    is wanted among given.
    """
    everyone = np.ones_like(given)
    among = {"selection_rate": everyone, "tpr": wanted, "fpr": ~wanted, "ppv": given}
    hits = {"selection_rate": given, "tpr": given, "fpr": given, "ppv": wanted}
    return {
        name: np.stack(
            [
                np.bincount(codes[rows & hits[name]], minlength=groups),
                np.bincount(codes[rows], minlength=groups),
            ],
            axis=1,
        )
        for name, rows in among.items()
    }


def expected_trials(
    groups: Sequence[Mapping[str, int]], favourable: str | None
) -> Mapping[str, Floats]:
    """Return the ``[groups]`` denominators of each rate, if half of all rows are selected.

    ``groups`` counts the rows of each label in each group. Without the favourable label those of
    the true and false positive rate are not known, and absent.
    """
    rows = np.array([sum(labels.values()) for labels in groups], dtype=np.float64)
    found: dict[str, Floats] = {"selection_rate": rows, "ppv": rows / 2}
    if favourable is not None:
        wanted = np.array([labels.get(favourable, 0) for labels in groups], dtype=np.float64)
        found |= {"tpr": wanted, "fpr": rows - wanted}
    return found
