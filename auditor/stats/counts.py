"""How many rows each rate of a group will be counted among."""

from collections.abc import Mapping, Sequence

import numpy as np

from auditor.domain.tasks import Floats


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
