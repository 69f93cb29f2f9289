"""How many rows each rate of a group will be counted among, and how many would be enough."""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from auditor.domain.tasks import Floats

MOST_ROWS = 10**9
DIGITS = 2
NOISE = 6  # decimals beyond which a quotient is rounding error of floats


def expected_trials(
    groups: Sequence[Mapping[str, int]], favourable: str | None
) -> Mapping[str, Floats]:
    """Return the ``[groups]`` denominators of each rate, if half of all rows are selected.

    ``groups`` counts the rows of each label in each group. Without the favourable label those of
    the true and false positive rate are not known, and absent.
    """
    rows = np.array([sum(labels.values()) for labels in groups], dtype=np.float64)
    found: dict[str, Floats] = {
        "selection_rate": rows, "ppv": rows / 2, "npv": rows / 2, "accuracy": rows
    }  # fmt: skip
    if favourable is not None:
        wanted = np.array([labels.get(favourable, 0) for labels in groups], dtype=np.float64)
        found |= {"tpr": wanted, "fpr": rows - wanted}
    return found


def round_up(rows: float) -> int:
    """Round up to two significant digits, since more would pretend to know."""
    step: int = 10 ** max(0, math.floor(math.log10(rows)) - DIGITS + 1)
    steps = round(rows / step, NOISE)
    return math.ceil(steps) * step
