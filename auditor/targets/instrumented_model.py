"""An instrumented model: runs an artifact on its target with altered weights, options or outputs.

Every value that the child process reports is validated before use.
"""

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from auditor.domain.artifacts import Artifact
from auditor.domain.isolation import IsolationLevel
from auditor.domain.model_instrumentation import (
    NO_BENCH,
    NO_LAYER,
    BitFlip,
    GraphWeight,
    KernelProfile,
    MemoryFootprint,
    ModelBench,
    RequestArrivals,
    RowEmbeddings,
    RunAlteration,
)
from auditor.domain.models import Model
from auditor.domain.operator_placement import OperatorPlacement
from auditor.domain.readings import Gap
from auditor.domain.targets import TargetSpec
from auditor.domain.tasks import Array, Floats
from auditor.errors import ModelFailedError, SubjectLostError
from auditor.targets.child_process import ChildProcess
from auditor.targets.input_layout import arrange_rows
from auditor.targets.isolation import build_sandbox_bounds
from auditor.targets.model import TIMING_SHARE, OpenedModel, count_request_rows
from auditor.targets.outputs import (
    read_output,
    read_times,
    to_scores,
    to_unchecked_scores,
    unexpected_answer_error,
)
from auditor.targets.protocol import Anything, MessageFrame, to_plain_text
from auditor.targets.runtimes import find_driver
from auditor.targets.session import build_opening_request
from auditor.targets.supervisor import ProcessSupervisor

MOST_NAME = 300
MOST_LISTED = 100_000


def read_json_objects(reply: MessageFrame, name: str) -> list[Mapping[str, Any]]:
    """Return the JSON objects in the bytes of an array. Raises ``ModelCrashedError``."""
    raw = reply.arrays.get(name)
    try:
        items = json.loads(b"" if raw is None else raw.astype(np.uint8).tobytes())
    except (ValueError, RecursionError) as error:
        raise unexpected_answer_error(f"its list of {name} is not JSON: {error}") from error
    if not isinstance(items, list) or len(items) > MOST_LISTED:
        raise unexpected_answer_error(
            f"its list of {name} is none, or has more than {MOST_LISTED} entries"
        )
    return items


def read_weight(said: Mapping[str, Any]) -> GraphWeight:
    """Read one weight. Raises ``ModelCrashedError``."""
    try:
        return GraphWeight(
            name=str(said["name"]),  # as it is: a fault names it again
            dtype=_name(said["dtype"]),
            shape=tuple(int(size) for size in said["shape"]),
            node=_name(said["node"]),
            operator=_name(said["operator"]),
            order=int(said["order"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise unexpected_answer_error(f"a weight lacks {error}") from error


def read_kernel(said: Mapping[str, Any]) -> KernelProfile:
    """Read one kernel. Raises ``ModelCrashedError``."""
    try:
        node, operator, provider = (_name(said[key]) for key in ("node", "operator", "provider"))
        seconds, calls = float(said["seconds"]), int(said["calls"])
    except (KeyError, TypeError, ValueError) as error:
        raise unexpected_answer_error(f"a kernel lacks {error}") from error
    if not (0 <= seconds < np.inf and calls > 0):
        raise unexpected_answer_error(f"a kernel took {seconds} s in {calls} calls")
    return KernelProfile(node, operator, provider, seconds, calls)


def read_count(said: Mapping[str, Any], name: str) -> int:
    """Read a whole number of at least 1. Raises ``ModelCrashedError``."""
    value = said.get(name)
    if type(value) is not int or value < 1:
        raise unexpected_answer_error(f"{name} is {to_plain_text(str(value), 50)}")
    return value


def read_numbers(said: object) -> dict[str, float]:
    """Read numbers by their names. Raises ``ModelCrashedError``."""
    if not isinstance(said, Mapping):
        raise unexpected_answer_error("the conditions are missing")
    return {_name(name): float(value) for name, value in said.items()}


def _name(said: object) -> str:
    return to_plain_text(str(said), MOST_NAME)


Ask = Callable[[str, Mapping[str, Anything], Mapping[str, Any]], MessageFrame]


def embed_rows(
    ask: Ask, batches: Iterable[Mapping[str, Anything]], before: str
) -> RowEmbeddings | Gap:
    """Return what the last layer before the output ``before`` is given for the rows of batches.

    ``ask`` sends an operation, arrays, and more of the header. Numbers beyond float32 are kept as
    infinities. Raises ``ModelCrashedError`` for answers that are none.
    """
    tap = ask("tap", {}, {"before": before}).header.get("tap")
    if tap is None:
        return NO_LAYER
    if not isinstance(tap, Mapping) or not isinstance(tap.get("value"), str):
        raise unexpected_answer_error("the name of the value inside the graph is missing")
    more = {"tap": tap["value"], "outputs": [tap["value"]]}
    parts = []
    for arrays in batches:
        rows = len(next(iter(arrays.values())))
        output, _ = read_output(ask("altered", arrays, more), tap["value"])
        if output.shape[:1] != (rows,) or output.dtype.kind not in "biuf":
            return NO_LAYER
        parts.append(_table(output, 1 if tap.get("channels") == 1 else -1))
    if len({part.shape[1] for part in parts}) != 1:
        return NO_LAYER
    node, operator = (to_plain_text(str(tap.get(name)), MOST_NAME) for name in ("node", "operator"))
    return RowEmbeddings(np.concatenate(parts), node, operator, tap.get("given") is True)


def split_rows(inputs: Array, step: int) -> list[Array]:
    """Return rows in parts of ``step``, the last as it comes."""
    return [inputs[start : start + step] for start in range(0, len(inputs), step)]


def _table(output: Anything, channels: int) -> NDArray[np.float32]:
    """Return ``[n, d]``: the mean over all axes but the rows and ``channels``."""
    if output.ndim == 1:
        output = output[:, np.newaxis]
    with np.errstate(over="ignore"):
        values = output.astype(np.float32)
    kept = {0, channels % values.ndim}
    others = tuple(axis for axis in range(values.ndim) if axis not in kept)
    mean: NDArray[np.float32] = values.mean(axis=others, dtype=np.float32) if others else values
    return mean


BENCHED = frozenset({"onnxruntime"})
"""Runtimes whose sessions can be opened otherwise than as declared."""
DUE = "due seconds"
PLAIN = RunAlteration()


class OpenedBench:
    """Alters an artifact in child processes of its own; implements ``domain.benches.Bench``.

    ``start`` starts a child that has opened nothing. Altered sessions live one at a time in one
    child; rows are timed in another, so that both can be busy at once; memory is measured in a
    new one each time. A child ends with the thread that first asked it.
    """

    def __init__(
        self, start: Callable[[], ChildProcess], spec: TargetSpec, path: Path, model: OpenedModel
    ) -> None:
        self._start = start
        self._spec = spec
        self._path = path
        self._model = model
        self._altering = self._keeper()
        self._timing = self._keeper()
        self._queries = 0
        self._busy = 0.0

    @property
    def queries(self) -> int:
        """Rows sent to altered sessions so far; of timed ones those that were timed."""
        return self._queries

    @property
    def busy(self) -> float:
        """Seconds spent on waiting for altered sessions so far."""
        return self._busy

    def scores(self, inputs: Array, alteration: RunAlteration) -> Floats:
        """Score rows under an alteration; see ``domain.benches.Bench``."""
        return self._scored(inputs, alteration, strict=True)

    def faulty(self, inputs: Array, faults: Sequence[tuple[BitFlip, ...]]) -> list[Floats | str]:
        """Score rows once a fault; see ``domain.benches.Bench``."""
        return [self._broken(inputs, RunAlteration(flips=flips)) for flips in faults]

    def weights(self) -> tuple[GraphWeight, ...]:
        """Return the artifact's weights, in the graph's order."""
        reply = self._ask(self._altering, "weights", {})
        return tuple(read_weight(item) for item in read_json_objects(reply, "weights"))

    def embedding(self, inputs: Array) -> RowEmbeddings | Gap:
        """Return what the last layer is given for rows; see ``domain.benches.Bench``."""
        ask = partial(self._ask, self._altering)
        batches = (
            self._rows(part)
            for part in split_rows(inputs, count_request_rows(self._model.interface))
        )
        found = embed_rows(ask, batches, self._model.interface.output)
        self._queries += 0 if isinstance(found, Gap) else len(inputs)
        return found

    def footprint(self, inputs: Array, batch_rows: int) -> MemoryFootprint:
        """Measure memory in a fresh process: before opening, after it, and while scoring."""
        fresh = self._keeper()
        try:
            more = {"batch_rows": batch_rows}
            said = self._ask(fresh, "footprint", self._rows(inputs), more).header
        finally:
            fresh.close()
        self._queries += max(batch_rows, len(inputs))
        return MemoryFootprint(*(read_count(said, name) for name in ("before", "opened", "peak")))

    def profile(self, inputs: Array) -> tuple[KernelProfile, ...]:
        """Run rows with the runtime's profiler on, in one request."""
        self._queries += len(inputs)
        reply = self._ask(self._altering, "profile", self._rows(inputs))
        return tuple(read_kernel(item) for item in read_json_objects(reply, "kernels"))

    def placement(self) -> OperatorPlacement:
        """Say where operators run, as known when the model was opened."""
        return self._model.placement

    def arrivals(self, inputs: Array, due: Floats) -> RequestArrivals:
        """Send one row at each time that is due (s), one at a time, cycling through ``inputs``.

        Ends after half of the target's time limit; what was not served by then is left out, and
        counted in the conditions.
        """
        arrays = {**self._rows(inputs), DUE: np.asarray(due, dtype=np.float64)}
        more = {"seconds": TIMING_SHARE * self._spec.time_limit}
        reply = self._ask(self._timing, "arrivals", arrays, more)
        served = len(read_times(reply, "due"))
        if not 0 < served <= len(due):
            raise unexpected_answer_error("the times of arrivals are missing")
        self._queries += served
        began, ended = (read_times(reply, name, (served,)) for name in ("began", "ended"))
        seen = read_numbers(reply.header.get("conditions"))
        late = {"left_out": float(len(due) - served)}
        return RequestArrivals(due[:served], began, ended, {**seen, **late})

    def each(self, inputs: Array, repeats: int) -> Floats:
        """Time every row alone, ``repeats`` times over, each time in another order."""
        taken = [self._timed(inputs, 0, 1)]
        while (done := sum(map(len, taken))) < repeats:
            pace = max(float(taken[0].sum()), 1e-9)
            fitting = int(TIMING_SHARE * self._spec.time_limit / 2 / pace)
            taken.append(self._timed(inputs, done, max(1, min(fitting, repeats - done))))
        return np.concatenate(taken)

    def close(self) -> None:
        """End the processes."""
        self._altering.close()
        self._timing.close()

    def _timed(self, inputs: Array, first: int, repeats: int) -> Floats:
        more = {"first": first, "repeats": repeats}
        reply = self._ask(self._timing, "each", self._rows(inputs), more)
        taken = read_times(reply, "taken", (repeats, len(inputs)))
        self._queries += taken.size
        return taken

    def _broken(self, inputs: Array, alteration: RunAlteration) -> Floats | str:
        try:
            return self._scored(inputs, alteration, strict=False)
        except (ModelFailedError, SubjectLostError) as error:
            return error.problem

    def _scored(self, inputs: Array, alteration: RunAlteration, *, strict: bool) -> Floats:
        step = alteration.rows or count_request_rows(self._model.interface)
        parts = enumerate(split_rows(inputs, step))
        scored = []
        for at, part in parts:
            self._queries += len(part)
            face = self._model.interface
            reply = self._ask(self._altering, "altered", self._rows(part), alteration=alteration)
            output, keys = read_output(reply, face.output)
            if output.shape[:1] != (len(part),):
                raise ModelFailedError(
                    f"{len(part)} rows gave an output of shape {output.shape}",
                    cure="Export the model with the rows as the first axis of its scores.",
                )
            read = to_scores if strict else to_unchecked_scores
            scored.append(read(output, keys, face.scores, self._model.task, at * step))
        return np.concatenate(scored)

    def _rows(self, inputs: Array) -> dict[str, Anything]:
        face = self._model.interface
        return {face.input: arrange_rows(inputs, face)}

    def _ask(
        self, keeper: ProcessSupervisor, op: str, arrays: Mapping[str, Anything],
        more: Mapping[str, Any] | None = None, alteration: RunAlteration = PLAIN,
    ) -> MessageFrame:  # fmt: skip
        face, began = self._model.interface, time.monotonic()
        altered = replace(
            self._spec,
            threads=alteration.threads or self._spec.threads,
            graph_optimization=alteration.graph_optimization or self._spec.graph_optimization,
            session={**self._spec.session, **alteration.session},
        )
        header = {
            "op": op,
            "opening": build_opening_request(altered, self._path),
            "flips": [[flip.weight, flip.element, flip.bit] for flip in alteration.flips],
            "input": face.input,
            "outputs": [face.output],
            "fixed_batch": face.fixed_batch,
            **(more or {}),
        }
        try:
            return keeper.ask(header, arrays)
        finally:
            self._busy += time.monotonic() - began

    def _keeper(self) -> ProcessSupervisor:
        return ProcessSupervisor(self._start, {"op": "probe"}, self._spec.time_limit)


@contextmanager
def open_bench(
    spec: TargetSpec, folder: Path, artifact: Artifact, model: Model,
    *, isolation: IsolationLevel | None = None,
) -> Iterator[ModelBench | Gap]:  # fmt: skip
    """Return the bench of an artifact, and end its processes afterwards.

    Nothing is started before it is asked. Yields a ``Gap`` where the model does not run in a
    child whose sessions can be altered.
    """
    alterable = not spec.served and spec.runtime in BENCHED
    if not alterable or not isinstance(model, OpenedModel):
        yield NO_BENCH
        return
    title = f"the process that runs {artifact.name!r} otherwise than {spec.name!r} declares"
    bounds = build_sandbox_bounds(spec, folder, isolation=isolation)
    start = partial(ChildProcess, find_driver(spec.runtime), bounds, title)
    bench = OpenedBench(start, spec, folder.resolve() / artifact.files[0].name, model)
    try:
        yield bench
    finally:
        bench.close()
