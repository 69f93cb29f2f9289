"""The artifact in an ONNX Runtime session: opening, scoring and timing."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from auditor.targets.child.facts import conditions, machine, runtime
from auditor.targets.child.opsets import read_opsets
from auditor.targets.child.ort import ort
from auditor.targets.child.outputs import Key, join, to_array
from auditor.targets.child.refusals import RUNTIME_ERRORS, refuse
from auditor.targets.child.serving import Operation, RefusalError
from auditor.targets.child.timing import Timer
from auditor.targets.frames import Anything, Frame

OPTIMIZATION = {
    "none": ort.GraphOptimizationLevel.ORT_DISABLE_ALL,
    "basic": ort.GraphOptimizationLevel.ORT_ENABLE_BASIC,
    "extended": ort.GraphOptimizationLevel.ORT_ENABLE_EXTENDED,
    "all": ort.GraphOptimizationLevel.ORT_ENABLE_ALL,
}
SILENT = 4  # onnxruntime's severity "fatal": errors come as exceptions, not as lines


def operations() -> Mapping[str, Operation]:
    """Return what a child of this role answers."""
    bench = SessionBench()
    return {
        "probe": probe,
        "open": bench.open,
        "infer": bench.infer,
        "time": bench.time,
    }


def probe(_: Frame) -> Frame:
    """Say what machine and runtime this is, without opening anything."""
    return Frame(_facts())


def _facts() -> dict[str, Any]:
    return {"machine": machine(), "runtime": runtime(), "conditions": conditions()}


class SessionBench:
    """Holds the one session of this process, once it is open."""

    def __init__(self) -> None:
        self._session: Any = None
        self._file = ""
        self._load = 0.0
        self._first: float | None = None

    def open(self, request: Frame) -> Frame:
        """Open the file at ``path``; say its inputs and outputs, and where its operators run."""
        path, provider = Path(request.header["path"]), str(request.header["provider"])
        _require_provider(provider)
        start = time.perf_counter()
        try:
            self._session = ort.InferenceSession(
                str(path), _options(request.header), providers=[provider]
            )
        except RUNTIME_ERRORS as error:
            raise refuse(path.name, "open it", error) from error
        self._load, self._file, self._first = time.perf_counter() - start, path.name, None
        placement = _placement(self._session)
        _require_placement(provider, placement)
        return Frame(
            {
                **_facts(),
                "inputs": [_slot(slot) for slot in self._session.get_inputs()],
                "outputs": [_slot(slot) for slot in self._session.get_outputs()],
                "placement": placement,
                "providers": list(self._session.get_providers()),
                "opsets": read_opsets(path),
            }
        )

    def infer(self, request: Frame) -> Frame:
        """Score the rows of the one input array; return ``outputs`` (all, unless named)."""
        name, rows = self._rows(request)
        wanted = request.header.get("outputs")
        batch = request.header.get("fixed_batch")
        start = time.perf_counter()
        try:
            answers = self._run(wanted, name, rows, batch)
        except RUNTIME_ERRORS as error:
            raise refuse(self._file, "score a batch", error) from error
        if self._first is None:
            self._first = time.perf_counter() - start
        names = wanted or [output.name for output in self._session.get_outputs()]
        return _reply(names, answers, batch, len(rows))

    def time(self, request: Frame) -> Frame:
        """Time single rows, then batches; see ``Timer``."""
        name, rows = self._rows(request)
        asked = request.header
        wanted, batch = asked.get("outputs"), asked.get("fixed_batch")
        timer = Timer(lambda part: self._run(wanted, name, part, batch), rows, asked)
        try:
            taken = timer.take()
        except RUNTIME_ERRORS as error:
            raise refuse(self._file, "score a batch", error) from error
        times = {"load": self._load, "first": self._first or taken.first}
        return Frame(
            {**times, "warmup": timer.warmup, "conditions": taken.conditions},
            {"single": taken.single, "batch": taken.batch},
        )

    def _rows(self, request: Frame) -> tuple[str, Anything]:
        if self._session is None:
            raise RefusalError("protocol", "no session is open", "Send open first.")
        ((name, rows),) = request.arrays.items()
        return name, rows

    def _run(
        self, wanted: list[str] | None, name: str, rows: Anything, batch: int | None
    ) -> list[list[object]]:
        """Return what each call of the session gave: one call, or one a fixed batch."""
        if batch is None:
            return [self._session.run(wanted, {name: rows})]
        parts = (rows[start : start + batch] for start in range(0, len(rows), batch))
        return [self._session.run(wanted, {name: _filled(part, batch)}) for part in parts]


def _reply(names: list[str], answers: list[list[object]], batch: int | None, rows: int) -> Frame:
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


def _options(asked: Mapping[str, Any]) -> Any:  # noqa: ANN401 -- onnxruntime has no types
    options = ort.SessionOptions()
    options.intra_op_num_threads = int(asked["threads"])
    options.inter_op_num_threads = 1
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    options.graph_optimization_level = OPTIMIZATION[asked["graph_optimization"]]
    options.log_severity_level = SILENT
    options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
    return options


def _slot(slot: Any) -> dict[str, Any]:  # noqa: ANN401 -- onnxruntime has no types
    axes = [size if isinstance(size, int) else None for size in slot.shape or ()]
    return {"name": slot.name, "type": slot.type, "shape": axes}


def _placement(session: Any) -> dict[str, int] | str:  # noqa: ANN401 -- onnxruntime has no types
    """Count the operators on each provider; older runtimes cannot say."""
    ask = getattr(session, "get_provider_graph_assignment_info", None)
    if ask is None:
        return "unknown"
    placed: dict[str, int] = {}
    for part in ask():
        placed[part.ep_name] = placed.get(part.ep_name, 0) + len(part.get_nodes())
    return placed


def _require_provider(provider: str) -> None:
    """Refuse a provider that this runtime lacks: it would run on the CPU and say nothing."""
    available = ort.get_available_providers()
    if provider not in available:
        raise RefusalError(
            "target",
            f"this onnxruntime ({ort.__version__}) has no provider {provider!r}",
            f"Use one of {', '.join(available)}, or install the build of onnxruntime with it.",
        )


def _require_placement(provider: str, placement: dict[str, int] | str) -> None:
    """Refuse a session of which nothing runs on the provider that was asked for."""
    if isinstance(placement, str) or not placement or provider in placement:
        return
    counts = ", ".join(f"{count} on {name}" for name, count in placement.items())
    raise RefusalError(
        "target",
        f"the provider {provider!r} takes none of the model's operators: {counts}",
        "Name the provider that really runs the model, or export it with operators that this "
        "provider has.",
    )
