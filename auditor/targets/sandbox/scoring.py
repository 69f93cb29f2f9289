"""The artifact open in some runtime of this process: scoring and timing, whatever the runtime."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from auditor.targets.child.outputs import Key, as_given, join, to_array
from auditor.targets.child.serving import RefusalError
from auditor.targets.child.timing import Timer
from auditor.targets.frames import Anything, Frame


@dataclass(frozen=True, slots=True)
class Opened:
    """A file that is open: ``run`` takes the wanted outputs and the one input's rows by name.

    ``about`` is what the answer to ``open`` says: ``inputs``, ``outputs``, ``placement``, …
    """

    run: Callable[[list[str] | None, dict[str, Anything]], list[object]]
    outputs: Sequence[str]
    about: Mapping[str, Any]


class Runtime(Protocol):
    """Something that opens a file; what it raises for the file or a batch is among ``errors``."""

    @property
    def errors(self) -> tuple[type[Exception], ...]:
        """All that opening or running raises for what the user can mend."""
        ...

    def open(self, path: Path, asked: Mapping[str, Any]) -> Opened:
        """Open a file as the request says. Raises ``RefusalError`` and ``errors``."""
        ...

    def refuse(self, file: str, doing: str, error: Exception) -> RefusalError:
        """Turn an error into words."""
        ...


class ScoringBench:
    """Holds the one file of this process, once it is open."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._opened: Opened | None = None
        self._file = ""
        self._load = 0.0
        self._first: float | None = None

    def open(self, request: Frame) -> Frame:
        """Open the file at ``path``; say its inputs and outputs, and where its operators run."""
        path = Path(request.header["path"])
        start = time.perf_counter()
        try:
            self._opened = self._runtime.open(path, request.header)
        except self._runtime.errors as error:
            raise self._runtime.refuse(path.name, "open it", error) from error
        self._load, self._file, self._first = time.perf_counter() - start, path.name, None
        return Frame(dict(self._opened.about))

    def infer(self, request: Frame) -> Frame:
        """Score the rows of the one input array; return ``outputs`` (all, unless named)."""
        opened, name, rows = self._rows(request)
        wanted = request.header.get("outputs")
        batch = request.header.get("fixed_batch")
        start = time.perf_counter()
        try:
            answers = run(opened, wanted, name, rows, batch)
        except self._runtime.errors as error:
            raise self._runtime.refuse(self._file, "score a batch", error) from error
        if self._first is None:
            self._first = time.perf_counter() - start
        return reply(wanted or list(opened.outputs), answers, batch, len(rows))

    def time(self, request: Frame) -> Frame:
        """Time single rows, then batches; see ``Timer``."""
        opened, name, rows = self._rows(request)
        asked = request.header
        wanted, batch = asked.get("outputs"), asked.get("fixed_batch")
        timer = Timer(lambda part: run(opened, wanted, name, part, batch), rows, asked)
        try:
            taken = timer.take()
        except self._runtime.errors as error:
            raise self._runtime.refuse(self._file, "score a batch", error) from error
        times = {"load": self._load, "first": self._first or taken.first}
        return Frame(
            {**times, "warmup": timer.warmup, "conditions": taken.conditions},
            {"single": taken.single, "processor": taken.processor, "batch": taken.batch},
        )

    def _rows(self, request: Frame) -> tuple[Opened, str, Anything]:
        if self._opened is None:
            raise RefusalError("protocol", "no session is open", "Send open first.")
        ((name, rows),) = request.arrays.items()
        return self._opened, name, as_given(rows)


def run(
    opened: Opened, wanted: list[str] | None, name: str, rows: Anything, batch: int | None
) -> list[list[object]]:
    """Return what each call of an open file gave: one call, or one a fixed batch."""
    if batch is None:
        return [opened.run(wanted, {name: rows})]
    parts = (rows[start : start + batch] for start in range(0, len(rows), batch))
    return [opened.run(wanted, {name: _filled(part, batch)}) for part in parts]


def reply(names: list[str], answers: list[list[object]], batch: int | None, rows: int) -> Frame:
    """Return the outputs of all calls as one answer, without what filled up a fixed batch."""
    arrays: dict[str, Anything] = {}
    keys: dict[str, list[Key]] = {}
    for index, name in enumerate(names):
        found = [to_array(name, answer[index]) for answer in answers]
        parts = [array for array, _ in found]
        arrays[name] = parts[0] if batch is None else join(parts, batch, rows)
        known = found[0][1]
        if known is not None:
            keys[name] = known
    return Frame({"keys": keys}, arrays)


def _filled(part: Anything, batch: int) -> Anything:
    """Fill the last batch up with its own last row: a fixed batch takes no fewer rows."""
    missing = batch - len(part)
    return part if missing == 0 else np.concatenate([part, np.repeat(part[-1:], missing, axis=0)])
