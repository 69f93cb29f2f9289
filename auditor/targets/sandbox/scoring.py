"""Runtime-independent scoring and timing of an open artifact, and conversion of its arrays."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from auditor.targets.protocol import Anything, MessageFrame
from auditor.targets.sandbox.request_loop import Operation, RefusalError
from auditor.targets.sandbox.timing import CallTimer

Key = str | int


def to_output_array(name: str, value: object) -> tuple[Anything, list[Key] | None]:
    """Return an output as an array, and the class keys of its columns where it is a ZipMap."""
    if isinstance(value, np.ndarray):
        if value.dtype.kind in "biuf":
            return (value, None)
        texts = np.array(
            [str(item).encode() for item in value.reshape(-1)], dtype=np.bytes_
        ).reshape(value.shape)
        return (texts, None)
    if isinstance(value, Mapping):
        return _columns(name, [value])
    if isinstance(value, Sequence) and value and all(isinstance(row, Mapping) for row in value):
        return _columns(name, value)
    raise RefusalError(
        "model",
        f"the output {name!r} is a {type(value).__name__}, neither a tensor nor a ZipMap",
        "Export the model with its scores as a tensor [rows, classes].",
    )


def to_session_rows(rows: Anything) -> Anything:
    """Return rows as a session takes them: the bytes of a text as the text that they spell."""
    if rows.dtype.kind != "S":
        return rows
    texts = [text.decode() for text in rows.reshape(-1).tolist()]
    return np.array(texts, dtype=object).reshape(rows.shape)


def _columns(name: str, rows: Sequence[Mapping[Any, float]]) -> tuple[Anything, list[Key]]:
    keys = list(rows[0])
    try:
        table = np.array([[row[key] for key in keys] for row in rows], dtype=np.float64)
    except (KeyError, TypeError, ValueError) as error:
        raise RefusalError(
            "model",
            f"the rows of the ZipMap {name!r} do not have the same numeric classes",
            "Export the model without ZipMap (skl2onnx: options={'zipmap': False}).",
        ) from error
    return table, [key if isinstance(key, int) else str(key) for key in keys]


def join_output_batches(parts: list[Anything], batch: int, rows: int) -> Anything:
    """Put the outputs of batches of ``batch`` rows back together, without the padding.

    A model with a fixed batch of 1 may leave the batch axis out of its output.
    """
    if batch == 1 and any(part.shape[:1] != (1,) for part in parts):
        return np.stack(parts)[:rows]
    return np.concatenate(parts)[:rows]


@dataclass(frozen=True, slots=True)
class OpenedSession:
    """A file that is open: ``run`` takes the wanted outputs and the one input's rows by name.

    ``about`` is what the answer to ``open`` says: ``inputs``, ``outputs``, ``placement``, …
    """

    run: Callable[[list[str] | None, dict[str, Anything]], list[object]]
    outputs: Sequence[str]
    about: Mapping[str, Any]


class ScoringRuntime(Protocol):
    """Something that opens a file; what it raises for the file or a batch is among ``errors``."""

    @property
    def errors(self) -> tuple[type[Exception], ...]:
        """All that opening or running raises for what the user can mend."""
        ...

    def open(self, path: Path, asked: Mapping[str, Any]) -> OpenedSession:
        """Open a file as the request says. Raises ``RefusalError`` and ``errors``."""
        ...

    def refuse(self, file: str, doing: str, error: Exception) -> RefusalError:
        """Turn an error into words."""
        ...


class ScoringHost:
    """Holds the one file of this process, once it is open."""

    def __init__(self, runtime: ScoringRuntime) -> None:
        self._runtime = runtime
        self._opened: OpenedSession | None = None
        self._file = ""
        self._load = 0.0
        self._first: float | None = None

    def open(self, request: MessageFrame) -> MessageFrame:
        """Open the file at ``path``; say its inputs and outputs, and where its operators run."""
        path = Path(request.header["path"])
        start = time.perf_counter()
        try:
            self._opened = self._runtime.open(path, request.header)
        except self._runtime.errors as error:
            raise self._runtime.refuse(path.name, "open it", error) from error
        self._load, self._file, self._first = time.perf_counter() - start, path.name, None
        return MessageFrame(dict(self._opened.about))

    def infer(self, request: MessageFrame) -> MessageFrame:
        """Score the rows of the one input array; return ``outputs`` (all, unless named)."""
        opened, name, rows = self._rows(request)
        wanted = request.header.get("outputs")
        batch = request.header.get("fixed_batch")
        start = time.perf_counter()
        try:
            answers = run_batches(opened, wanted, name, rows, batch)
        except self._runtime.errors as error:
            raise self._runtime.refuse(self._file, "score a batch", error) from error
        if self._first is None:
            self._first = time.perf_counter() - start
        return build_score_reply(wanted or list(opened.outputs), answers, batch, len(rows))

    def time(self, request: MessageFrame) -> MessageFrame:
        """Time single rows, then batches; see ``CallTimer``."""
        opened, name, rows = self._rows(request)
        asked = request.header
        wanted, batch = asked.get("outputs"), asked.get("fixed_batch")
        timer = CallTimer(lambda part: run_batches(opened, wanted, name, part, batch), rows, asked)
        try:
            taken = timer.take()
        except self._runtime.errors as error:
            raise self._runtime.refuse(self._file, "score a batch", error) from error
        times = {"load": self._load, "first": self._first or taken.first}
        return MessageFrame(
            {**times, "warmup": timer.warmup, "conditions": taken.conditions},
            {"single": taken.single, "processor": taken.processor, "batch": taken.batch},
        )

    def _rows(self, request: MessageFrame) -> tuple[OpenedSession, str, Anything]:
        if self._opened is None:
            raise RefusalError("protocol", "no session is open", "Send open first.")
        ((name, rows),) = request.arrays.items()
        return self._opened, name, to_session_rows(rows)


def build_operations(
    runtime: ScoringRuntime, probe: Callable[[], Mapping[str, Any]]
) -> Mapping[str, Operation]:
    """Return the least that a driver answers: what it runs on, and a file opened, scored and timed.

    ``probe`` returns the facts of ``machine``, ``runtime``, ``conditions`` and ``devices``.
    """
    host = ScoringHost(runtime)
    return {
        "probe": lambda _: MessageFrame(probe()),
        "open": host.open,
        "infer": host.infer,
        "time": host.time,
    }


def run_batches(
    opened: OpenedSession, wanted: list[str] | None, name: str, rows: Anything, batch: int | None
) -> list[list[object]]:
    """Return what each call of an open file gave: one call, or one a fixed batch."""
    if batch is None:
        return [opened.run(wanted, {name: rows})]
    parts = (rows[start : start + batch] for start in range(0, len(rows), batch))
    return [opened.run(wanted, {name: _filled(part, batch)}) for part in parts]


def build_score_reply(
    names: list[str], answers: list[list[object]], batch: int | None, rows: int
) -> MessageFrame:
    """Return the outputs of all calls as one answer, without what filled up a fixed batch."""
    arrays: dict[str, Anything] = {}
    keys: dict[str, list[Key]] = {}
    for index, name in enumerate(names):
        found = [to_output_array(name, answer[index]) for answer in answers]
        parts = [array for array, _ in found]
        arrays[name] = parts[0] if batch is None else join_output_batches(parts, batch, rows)
        known = found[0][1]
        if known is not None:
            keys[name] = known
    return MessageFrame({"keys": keys}, arrays)


def _filled(part: Anything, batch: int) -> Anything:
    """Fill the last batch up with its own last row: a fixed batch takes no fewer rows."""
    missing = batch - len(part)
    return part if missing == 0 else np.concatenate([part, np.repeat(part[-1:], missing, axis=0)])
