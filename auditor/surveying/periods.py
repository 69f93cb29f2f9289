"""Rows by when they happened."""

from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from auditor.domain.tasks import Floats

STAMPS = 1e8
"""Numbers from here on are seconds since 1970, of 1973 and later; smaller ones stay, as a year."""
ENDLESS = datetime.max.replace(tzinfo=UTC).timestamp() // 1
"""Numbers from here on (milliseconds, or 20260301120000) are no seconds of a date, and stay too."""


@dataclass(frozen=True, slots=True, eq=False)
class Periods:
    """Names of periods in order, and the period ``[n]`` of each row."""

    names: tuple[str, ...]
    codes: NDArray[np.int32]


def periods(times: Floats, most: int) -> Periods:
    """Return at most ``most`` periods of times ``[n]``: one a distinct number where they are few,
    and else of about equally many rows, of which equal times are never parted.
    """
    distinct, place = np.unique(times, return_inverse=True)
    if distinct.size <= most:
        return Periods(tuple(_written(float(at)) for at in distinct), place.astype(np.int32))
    counts = np.bincount(place)
    _, parts = np.unique((np.cumsum(counts) - counts) * most // times.size, return_inverse=True)
    names = []
    for part in range(int(parts.max()) + 1):
        within = distinct[parts == part]
        first, last = _written(float(within[0])), _written(float(within[-1]))
        names.append(first if first == last else f"{first} to {last}")
    return Periods(_apart(names), parts[place].astype(np.int32))


def _apart(names: list[str]) -> tuple[str, ...]:
    """Give names that are the same, such as those of parts of one day, a number each."""
    same = {name: names.count(name) for name in names}
    return tuple(
        name if same[name] == 1 else f"{name} ({names[: at + 1].count(name)})"
        for at, name in enumerate(names)
    )


def _written(time: float) -> str:
    if not STAMPS <= time < ENDLESS:
        return f"{time:g}" if abs(time) < 1e6 else f"{time:.0f}"  # noqa: PLR2004 -- what g writes whole
    moment = datetime.fromtimestamp(time, UTC)
    midnight = moment.replace(hour=0, minute=0, second=0, microsecond=0)
    return moment.date().isoformat() if moment == midnight else moment.strftime("%Y-%m-%d %H:%M")
