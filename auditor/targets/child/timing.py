"""Timing calls inside the process that runs the model, where no pipe is in the way."""

import gc
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from auditor.targets.frames import Anything

BATCH_EVERY = 20
LEAST_BATCHES = 12
"""One call of a batch is timed for 20 single ones, and enough for their median's interval."""
STEAL = 7  # position of the stolen time among the fields of /proc/stat


@dataclass(frozen=True, slots=True)
class Taken:
    """Times in seconds, one a call, and what the machine was doing meanwhile."""

    first: float
    single: NDArray[np.float64]
    batch: NDArray[np.float64]
    conditions: dict[str, float]


class Timer:
    """Calls the model with one row after another, then with batches, within given seconds."""

    def __init__(
        self, run: Callable[[Anything], object], rows: Anything, asked: Mapping[str, Any]
    ) -> None:
        self._run = run
        self._rows = rows
        self._calls = int(asked["calls"])
        self._batch_rows = int(asked["batch_rows"])
        self._seconds = float(asked["seconds"])
        self.warmup = int(asked["warmup"])

    def take(self) -> Taken:
        """Warm up, then time: at least one call of each kind, and none begun after the end."""
        singles = [self._rows[index : index + 1] for index in range(len(self._rows))]
        batch = np.resize(self._rows, (self._batch_rows, *self._rows.shape[1:]))
        batches = max(LEAST_BATCHES, self._calls // BATCH_EVERY)
        gc.disable()
        try:
            warm = self._clock(singles, self.warmup, self._seconds / 4)
            self.warmup = len(warm)
            before, cpu = _jiffies(), time.process_time()
            single = self._clock(singles, self._calls, self._seconds / 2)
            cpu = (time.process_time() - cpu) / len(single)
            batched = self._clock([batch], batches, self._seconds / 4)
        finally:
            gc.enable()
        seen = {
            "cpu_seconds_a_call": cpu,
            "load_average": os.getloadavg()[0],
            "stolen_share": _stolen(before, _jiffies()),
        }
        return Taken(float(warm[0]), single, batched, seen)

    def _clock(self, parts: list[Anything], calls: int, seconds: float) -> NDArray[np.float64]:
        run, clock, count = self._run, time.perf_counter, len(parts)
        end = clock() + seconds
        times: list[float] = []
        for index in range(max(1, calls)):
            start = clock()
            run(parts[index % count])
            now = clock()
            times.append(now - start)
            if now > end:
                break
        return np.array(times)


def _jiffies() -> list[int]:
    """Return the machine's processor times so far, by kind; empty where the system has none."""
    try:
        line = Path("/proc/stat").read_text(encoding="ascii").split("\n", 1)[0]
    except OSError:
        return []
    return [int(field) for field in line.split()[1:]]


def _stolen(before: list[int], after: list[int]) -> float:
    spent = [late - early for early, late in zip(before, after, strict=True)]
    return spent[STEAL] / sum(spent) if len(spent) > STEAL and sum(spent) > 0 else 0.0
