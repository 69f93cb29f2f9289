"""Timing calls of a served model from this side, and the way there apart from them."""

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from auditor.domain.tasks import Floats
from auditor.targets.endpoints.batches import sent
from auditor.targets.endpoints.limits import Clock
from auditor.targets.frames import Anything

BATCH_EVERY = 20
LEAST_BATCHES = 12
"""One call of a batch is timed for 20 single ones, and enough for their median's interval."""
MOST_PINGS = 200
SHARES: Mapping[str, float] = {"warmup": 0.25, "single": 0.5, "batch": 0.25}
"""Of the seconds that are given, what each part may take."""

Send = Callable[[Anything], float]
Ping = Callable[[], float | None]


@dataclass(frozen=True, slots=True)
class Plan:
    """How many calls of each kind a timing makes at most."""

    warmup: int
    single: int
    batch: int
    batch_rows: int
    seconds: float

    def rows_sent(self, fixed: int | None) -> int:
        """Return how many rows it sends at most, to a model that may have a fixed batch."""
        calls = (self.warmup + self.single) * sent(1, fixed)
        return calls + self.batch * sent(self.batch_rows, fixed)


@dataclass(frozen=True, slots=True)
class Taken:
    """Times in seconds, one a call; ``transport`` is empty where it cannot be told."""

    warmup: Floats
    single: Floats
    batch: Floats
    transport: Floats
    conditions: dict[str, float]


def read_plan(asked: Mapping[str, Any]) -> Plan:
    """Read the request of a timing: at least one call of each kind."""
    calls = max(1, int(asked["calls"]))
    return Plan(
        warmup=max(1, int(asked["warmup"])),
        single=calls,
        batch=max(LEAST_BATCHES, calls // BATCH_EVERY),
        batch_rows=int(asked["batch_rows"]),
        seconds=float(asked["seconds"]),
    )


def take(plan: Plan, rows: Anything, send: Send, ping: Ping, clock: Clock) -> Taken:
    """Warm up, then time single rows, and batches.

    Between single rows go round trips that do not touch the model, so that what the machines are
    doing meanwhile falls on both alike. ``send`` and ``ping`` return the seconds of the call alone,
    without what was waited before it for the sake of a rate limit. No call of a kind begins after
    its share of the time is over.
    """
    singles = [rows[index : index + 1] for index in range(len(rows))]
    batch = np.resize(rows, (plan.batch_rows, *rows.shape[1:]))
    pings = _Pings(ping, every=max(1, plan.single // MOST_PINGS))

    def calls(kind: str, parts: list[Anything], most: int, then: Callable[[], None]) -> Floats:
        end, times = clock() + SHARES[kind] * plan.seconds, list[float]()
        while len(times) < most and (not times or clock() < end):
            times.append(send(parts[len(times) % len(parts)]))
            then()
        return np.array(times)

    warm = calls("warmup", singles, plan.warmup, _nothing)
    cpu = time.process_time()
    single = calls("single", singles, plan.single, pings.after_call)
    cpu = (time.process_time() - cpu) / (len(single) + len(pings.times))
    batched = calls("batch", [batch], plan.batch, _nothing)
    seen = {"client_cpu_seconds_a_request": cpu, "load_average": os.getloadavg()[0]}
    return Taken(warm, single, batched, np.array(pings.times), seen)


class _Pings:
    """Makes a round trip after every so many calls, until the server takes none."""

    def __init__(self, ping: Ping, every: int) -> None:
        self._ping: Ping | None = ping
        self._every = every
        self._calls = 0
        self.times: list[float] = []

    def after_call(self) -> None:
        self._calls += 1
        if self._ping is None or self._calls % self._every:
            return
        took = self._ping()
        if took is None:
            self._ping = None
            self.times.clear()
        else:
            self.times.append(took)


def _nothing() -> None:
    """Do nothing between calls."""
