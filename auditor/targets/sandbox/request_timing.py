"""Times requests that arrive at given times, and single rows, inside the process."""

import gc
import time
from collections.abc import Callable, Mapping

import numpy as np

from auditor.targets.protocol import Anything, MessageFrame
from auditor.targets.sandbox.altered_models import VariantHost, read_input_rows
from auditor.targets.sandbox.request_loop import Operation
from auditor.targets.sandbox.timing import conditions_between, take_snapshot

DUE = "due seconds"
WARMUP = 20
SPIN = 0.0005
"""Seconds before a request is due in which we look at the clock instead of sleeping."""


class RowTimer:
    """Times single rows in the session of a workbench."""

    def __init__(self, bench: VariantHost) -> None:
        self._bench = bench

    def operations(self) -> Mapping[str, Operation]:
        """Return what is answered here."""
        return {"arrivals": self.arrivals, "each": self.each}

    def arrivals(self, request: MessageFrame) -> MessageFrame:
        """Send one row at each due time, one at a time; late ones at once, none left out.

        Ends after ``seconds``: what was not yet served then is left out of the answer.
        """
        due = request.arrays[DUE]
        began, ended = np.empty(len(due)), np.empty(len(due))
        with _WarmSession(self._bench, request) as (call, count):
            before, origin = take_snapshot(), time.perf_counter() + SPIN
            served = 0
            for index, wanted in enumerate(due.tolist()):
                # Wait until `due` seconds after `origin`; return when that was, late or not
                left = wanted - (time.perf_counter() - origin)
                if left > SPIN:
                    time.sleep(left - SPIN)
                while (now := time.perf_counter() - origin) < wanted:
                    continue
                began[index] = now
                call(index % count)
                ended[index] = time.perf_counter() - origin
                served = index + 1
                if ended[index] > request.header["seconds"]:
                    break
            seen = conditions_between(before, take_snapshot(), served)
        part = slice(0, served)
        arrays = {"due": due[part], "began": began[part], "ended": ended[part]}
        return MessageFrame({"conditions": seen}, arrays)

    def each(self, request: MessageFrame) -> MessageFrame:
        """Time every row alone, ``repeats`` times over, each time in another order."""
        repeats, first = int(request.header["repeats"]), int(request.header["first"])
        with _WarmSession(self._bench, request) as (call, count):
            taken = np.empty((repeats, count))
            clock = time.perf_counter
            for repeat in range(repeats):
                for row in np.random.default_rng(first + repeat).permutation(count).tolist():
                    start = clock()
                    call(row)
                    taken[repeat, row] = clock() - start
        return MessageFrame({}, {"taken": taken})


class _WarmSession:
    """A warm session and its rows cut apart; the garbage collector rests meanwhile."""

    def __init__(self, bench: VariantHost, request: MessageFrame) -> None:
        said = request.header
        self._bench, self._said, self._opened = bench, said, bench.session(said)
        self._name, rows = read_input_rows(request)
        self._parts: list[Anything] = [rows[row : row + 1] for row in range(len(rows))]

    def __enter__(self) -> tuple[Callable[[int], object], int]:
        for index in range(WARMUP):
            self._call(index % len(self._parts))
        gc.disable()
        return self._call, len(self._parts)

    def __exit__(self, *_: object) -> None:
        gc.enable()

    def _call(self, row: int) -> object:
        return self._bench.call(self._said, self._opened, self._name, self._parts[row])
