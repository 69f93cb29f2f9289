"""Log-probabilities in the widest form that scores give, and doubts from clipping."""

from typing import cast

import numpy as np
from numpy.typing import NDArray

from auditor.domain.evidence import Evidence, Item
from auditor.domain.json import Json
from auditor.domain.tasks import Floats
from auditor.metrics.stats.means import CURE, FLOOR, count_clipped, log_probabilities

CHANCES, CUT = "log_chances", "cut"
"""Items of evidence: log probabilities ``[n, classes]``, and the mark in ``task`` of scores that
are cut off without any."""


def observe_log_probabilities(probabilities: Floats, logits: Floats | None) -> dict[str, Item]:
    """Return the evidence of log probabilities, where clipped ones would be others."""
    if logits is None or not count_clipped(probabilities):
        return {}
    return {CHANCES: log_probabilities(logits)}


def observe_cutoff(probabilities: Floats, logits: Floats | None) -> dict[str, Json]:
    """Return the mark of probabilities that end where the target's resolution does."""
    return {CUT: True} if logits is None and count_clipped(probabilities) else {}


def read_log_probabilities(evidence: Evidence) -> Floats | None:
    """Read log probabilities back, where they were needed."""
    found = evidence.get(CHANCES)
    return None if found is None else cast("Floats", found)


def count_clipped_labels(probabilities: Floats, labels: NDArray[np.int64]) -> int:
    """Return how many labels ``[n]`` have a probability that is clipped: they cost more."""
    return int(np.count_nonzero(probabilities[np.arange(len(labels)), labels] < FLOOR))


def explain_log_loss_doubt(lost: int) -> str:
    """Say why a log loss is doubted."""
    return (
        f"the model gives the label of {lost} rows a probability below {FLOOR:g}, where it is cut "
        f"off: the true log loss is larger, and may be infinite; {CURE}"
    )


HANGS = (
    f"the model's probabilities end so near 0 and 1 that this figure is one of where they are cut "
    f"off ({FLOOR:g}), and not of the model; {CURE}"
)
