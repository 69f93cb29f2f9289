"""Supervises the child process that holds an artifact, and chooses the request batch size.

The child is restarted after it is lost. Larger batches need fewer requests and keep a device busy;
too large ones no longer fit its caches. The best size depends on model and machine and is measured.
A size that changes the output bytes is never chosen, however fast: the same seed must give the same
scores.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from auditor.errors import SubjectLostError
from auditor.targets.child_process import ChildProcess, Pulse, ignore_pulse
from auditor.targets.protocol import Anything, MessageFrame


class ProcessSupervisor:
    """Sends requests to a child that holds the artifact open.

    A request that loses the child raises ``SubjectLostError``; the next one opens it anew, so
    that what one check does to the model does not take the next check down.
    """

    def __init__(
        self, start: Callable[[], ChildProcess], opening: Mapping[str, Any], seconds: float
    ) -> None:
        self._start = start
        self._opening = opening
        self.seconds = seconds
        self._child: ChildProcess | None = None
        self._opened: MessageFrame | None = None

    @property
    def child(self) -> ChildProcess:
        """The child with the artifact open; started where there is none."""
        if self._child is None:
            self._child = self._start()
            try:
                self._opened = self._child.ask(self._opening, seconds=self.seconds)
            except BaseException:
                self.close()
                raise
        return self._child

    @property
    def opened(self) -> MessageFrame:
        """What the child said when it opened the artifact; opens it where it is not."""
        if self.child and self._opened is not None:
            return self._opened
        message = "a child that is there has opened the artifact"
        raise AssertionError(message)

    @property
    def level(self) -> str:
        """How far the child is cut off from this machine."""
        return self.child.level.value

    def ask(
        self, header: Mapping[str, Any], arrays: Mapping[str, Anything] | None = None,
        pulse: Pulse = ignore_pulse,
    ) -> MessageFrame:  # fmt: skip
        """Send one request within the target's time limit; see ``ChildProcess.ask`` for what it
        raises.
        """
        child = self.child
        try:
            return child.ask(header, arrays, seconds=self.seconds, pulse=pulse)
        except SubjectLostError:
            self.close()
            raise

    def close(self) -> None:
        """End the child, if there is one."""
        if self._child is not None:
            self._child.kill()
            self._child = None


SIZES = (16, 64, 256)
ROUNDS = 2
SECONDS = 1.0
"""What the trial may take, by the pace of the rows before it."""
LEAST_PACE = 1e-4
"""Seconds a row under which a request's own cost is small whatever its size."""
LEAST_SAMPLE = 64
"""Rows by which a pace is judged: of fewer, one late answer would make a fast model slow."""
GAIN = 0.9
"""Another size than the usual one is taken only where it needs less than this share of its time."""

Ask = Callable[[Anything], Anything]
"""Scores arranged rows in one request."""
Clock = Callable[[], float]


@dataclass(frozen=True, slots=True)
class BatchProbe:
    """The rows a request that were chosen (``None``: as usual), and the rows that were sent."""

    rows: int | None
    queries: int


def choose_request_size(
    ask: Ask, sample: Anything, pace: float, usual: int, *, clock: Clock = time.perf_counter
) -> BatchProbe:
    """Time requests of growing sizes over the same rows, and return the size to use.

    ``sample`` are arranged rows, ``pace`` the seconds that each took before, ``usual`` the size
    by the rows' bytes alone. Raises what ``ask`` raises.
    """
    count = min(SIZES[-1], int(SECONDS / max(pace, LEAST_PACE) / (ROUNDS * len(SIZES))))
    sizes = [size for size in SIZES if size <= min(count, usual)]
    if pace < LEAST_PACE or len(sample) < LEAST_SAMPLE or len(sizes) < 2:  # noqa: PLR2004 -- there must be a choice
        return BatchProbe(None, 0)
    rows = np.resize(sample, (sizes[-1], *sample.shape[1:]))
    taken = dict.fromkeys(sizes, float("inf"))
    said: dict[int, bytes] = {}
    for _ in range(ROUNDS):
        for size in sizes:
            began = clock()
            parts = [ask(rows[start : start + size]) for start in range(0, len(rows), size)]
            taken[size] = min(taken[size], clock() - began)
            said[size] = b"".join(part.tobytes() for part in parts)
    queries = ROUNDS * len(sizes) * len(rows)
    best = min(taken, key=lambda size: taken[size])
    faster = taken[best] < GAIN * taken[sizes[-1]] and len(set(said.values())) == 1
    return BatchProbe(best if faster else None, queries)
