"""Times calls inside the process that runs the model, without the pipe."""

import gc
import os
import resource
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from auditor.targets.protocol import Anything
from auditor.targets.sandbox.energy import EnergyMeter

BATCH_EVERY = 20
LEAST_BATCHES = 12
"""One call of a batch is timed for 20 single ones, and enough for their median's interval."""
LEAST_WINDOW = 10
"""Fewer calls have no median that could be compared with the next ones'."""
MOST_WINDOWS = 10
ALIKE = 3
SLACK = 0.05
"""Warm is a process whose last three windows of calls have medians within 5 %."""
STEAL = 7  # position of the stolen time among the fields of /proc/stat


@dataclass(frozen=True, slots=True)
class ResourceSnapshot:
    """What had been spent at one time: by the machine, by kind of time; by this process (s).

    ``waited`` is how long it was ready to run and did not (s), ``interrupted`` how often another
    process took its processor.
    """

    wall: float
    jiffies: tuple[int, ...]
    cpu: float
    waited: float
    interrupted: int


@dataclass(frozen=True, slots=True)
class TimedCalls:
    """Times in seconds, one a call, and what the machine was doing meanwhile.

    ``processor`` is how long the calling thread had a processor in each ``single`` call.
    """

    first: float
    single: NDArray[np.float64]
    processor: NDArray[np.float64]
    batch: NDArray[np.float64]
    conditions: dict[str, float]


class CallTimer:
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

    def take(self) -> TimedCalls:
        """Warm up, then time: at least one call of each kind, and none begun after the end."""
        singles = [self._rows[index : index + 1] for index in range(len(self._rows))]
        batch = np.resize(self._rows, (self._batch_rows, *self._rows.shape[1:]))
        batches = max(LEAST_BATCHES, self._calls // BATCH_EVERY)
        gc.disable()
        try:
            first, warmed = self._warm(singles)
            before = take_snapshot()
            single, processor = self._clock(singles, self._calls, self._seconds / 2)
            seen = conditions_between(before, take_snapshot(), len(single))
            meter = EnergyMeter()
            batched, _ = self._clock([batch], batches, self._seconds / 4)
            spent = meter.joules()
        finally:
            gc.enable()
        joules = {} if spent is None else {"joules_a_batch": spent / len(batched)}
        return TimedCalls(first, single, processor, batched, {**seen, **warmed, **joules})

    def _warm(self, singles: list[Anything]) -> tuple[float, dict[str, float]]:
        """Call until three windows of ``warmup`` calls agree; short windows say nothing."""
        window = self.warmup
        if window < LEAST_WINDOW:
            times, _ = self._clock(singles, window, self._seconds / 4)
            self.warmup = len(times)
            return float(times[0]), {"windows": 1.0}
        end, first, medians = time.perf_counter() + self._seconds / 4, 0.0, list[float]()
        self.warmup = 0
        while not is_steady(medians[-ALIKE:]) and len(medians) < MOST_WINDOWS:
            times, _ = self._clock(singles, window, max(0.0, end - time.perf_counter()))
            first = first or float(times[0])
            self.warmup += len(times)
            medians.append(float(np.median(times)))
            if time.perf_counter() > end:
                break
        steady = is_steady(medians[-ALIKE:])
        return first, {"windows": float(len(medians)), "steady": float(steady)}

    def _clock(self, parts: list[Anything], calls: int, seconds: float) -> NDArray[np.float64]:
        """Return how long each call took on the wall, and this thread on a processor, ``[2, n]``.

        The inner clock is that of the wall, so that asking for the other one is no part of it.
        """
        run, clock, busy, count = self._run, time.perf_counter, time.thread_time, len(parts)
        end = clock() + seconds
        times: list[tuple[float, float]] = []
        for index in range(max(1, calls)):
            before = busy()
            start = clock()
            run(parts[index % count])
            now = clock()
            times.append((now - start, busy() - before))
            if now > end:
                break
        return np.array(times).T.copy()


def is_steady(medians: list[float]) -> bool:
    """Whether three windows took the same time, up to 5 % of the fastest."""
    return len(medians) >= ALIKE and max(medians) <= (1 + SLACK) * min(medians)


def take_snapshot() -> ResourceSnapshot:
    """Return what has been spent so far."""
    interrupted = resource.getrusage(resource.RUSAGE_SELF).ru_nivcsw
    return ResourceSnapshot(
        time.perf_counter(), _jiffies(), time.process_time(), _waited(), interrupted
    )


def conditions_between(
    before: ResourceSnapshot, after: ResourceSnapshot, calls: int
) -> dict[str, float]:
    """Say what the machine was doing between two moments in which ``calls`` calls were made."""
    spent = [late - early for early, late in zip(before.jiffies, after.jiffies, strict=True)]
    stolen = spent[STEAL] / sum(spent) if len(spent) > STEAL and sum(spent) > 0 else 0.0
    return {
        "cpu_seconds_a_call": (after.cpu - before.cpu) / max(1, calls),
        "load_average": os.getloadavg()[0],
        "stolen_share": stolen,
        "waited_share": (after.waited - before.waited) / max(after.wall - before.wall, 1e-9),
        "interrupted_share": (after.interrupted - before.interrupted) / max(1, calls),
    }


def _waited() -> float:
    """Return how long the main thread waited for a processor (s); 0 where nobody counts."""
    try:
        return int(Path("/proc/self/schedstat").read_text(encoding="ascii").split()[1]) * 1e-9
    except (OSError, ValueError, IndexError):
        return 0.0


def _jiffies() -> tuple[int, ...]:
    """Return the machine's processor times so far, by kind; empty where the system has none."""
    try:
        line = Path("/proc/stat").read_text(encoding="ascii").split("\n", 1)[0]
    except OSError:
        return ()
    return tuple(int(field) for field in line.split()[1:])
