"""Whether times were taken on a machine that was quiet enough for them to mean anything."""

from collections.abc import Mapping

import numpy as np

from auditor.domain.tasks import Floats

WINDOWS = 3
LEAST_WINDOW = 10
"""Calls below which a window's median says nothing."""


def doubts(
    times: Floats, conditions: Mapping[str, float], *, agree: float, stolen: float
) -> list[str]:
    """Say why ``times`` (s, in the order taken) may be those of the machine, not of the model.

    ``agree`` is by how much of the fastest the medians of three windows may differ, ``stolen`` the
    share of processor time that other guests of the host may have taken meanwhile.
    """
    found = []
    share = conditions.get("stolen_share", 0.0)
    if share > stolen:
        found.append(f"{share:.1%} of the processor's time was taken by other guests of its host")
    if conditions.get("steady", 1.0) == 0.0:
        found.append("times of the last windows of calls did not agree when warming up ended")
    apart = spread(times)
    if apart is not None and apart > agree:
        found.append(
            f"the medians of {WINDOWS} windows of calls differ by {apart:.1%} of the fastest, "
            f"where {agree:.1%} is allowed"
        )
    return found


def interruptions(conditions: Mapping[str, float], share: float) -> list[str]:
    """Say why a quantile may be that of other processes: they came between too many calls.

    Interrupted calls are the slow ones, so more than half of what lies beyond the quantile would
    be theirs.
    """
    beyond = (1 - share) / 2
    shares = {
        "of the calls were interrupted by other processes": "interrupted_share",
        "of the time was spent on waiting for a processor": "waited_share",
    }
    return [
        f"{conditions[name]:.2%} {words}, more than half of the {1 - share:.2%} that lie beyond"
        for words, name in shares.items()
        if conditions.get(name, 0.0) > beyond
    ]


def spread(times: Floats) -> float | None:
    """Return by how much of the fastest the medians of three windows differ.

    ``None`` where there are too few times to have windows, or the fastest took none.
    """
    if times.size < WINDOWS * LEAST_WINDOW:
        return None
    medians = [float(np.median(part)) for part in np.array_split(times, WINDOWS)]
    return None if min(medians) <= 0 else max(medians) / min(medians) - 1
