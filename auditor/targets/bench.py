"""The bench: the artifact run on its target otherwise than as declared."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from auditor.domain.artifacts import Artifact
from auditor.domain.benches import (
    NO_BENCH,
    Alteration,
    Arrivals,
    Bench,
    BitFlip,
    Embedding,
    Footprint,
    Kernel,
    Weight,
)
from auditor.domain.isolation import Isolation
from auditor.domain.models import Model
from auditor.domain.placements import Placement
from auditor.domain.readings import Gap
from auditor.domain.targets import TargetSpec
from auditor.domain.tasks import Array, Floats
from auditor.errors import ModelFailedError, SubjectLostError
from auditor.targets.bench_answers import count, kernel, listed, numbers, times, unexpected, weight
from auditor.targets.embedding import embed, split
from auditor.targets.frames import Anything, Frame
from auditor.targets.isolation import bounds_of
from auditor.targets.keeping import Keeper
from auditor.targets.layouts import arrange
from auditor.targets.models import TIMING_SHARE, OpenedModel, batch_rows
from auditor.targets.opening import opening_request
from auditor.targets.probing import ROLES
from auditor.targets.processes import Child
from auditor.targets.replies import output_of
from auditor.targets.scores import to_scores, unchecked_scores

BENCHED = frozenset({"onnxruntime"})
"""Runtimes whose sessions can be opened otherwise than as declared."""
DUE = "due seconds"
PLAIN = Alteration()


class OpenedBench:
    """Alters an artifact in child processes of its own; implements ``domain.benches.Bench``.

    ``start`` starts a child that has opened nothing. Altered sessions live one at a time in one
    child; rows are timed in another, so that both can be busy at once; memory is measured in a
    new one each time. A child ends with the thread that first asked it.
    """

    def __init__(
        self, start: Callable[[], Child], spec: TargetSpec, path: Path, model: OpenedModel
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

    def scores(self, inputs: Array, alteration: Alteration) -> Floats:
        """Score rows under an alteration; see ``domain.benches.Bench``."""
        return self._scored(inputs, alteration, strict=True)

    def faulty(self, inputs: Array, faults: Sequence[tuple[BitFlip, ...]]) -> list[Floats | str]:
        """Score rows once a fault; see ``domain.benches.Bench``."""
        return [self._broken(inputs, Alteration(flips=flips)) for flips in faults]

    def weights(self) -> tuple[Weight, ...]:
        """Return the artifact's weights, in the graph's order."""
        reply = self._ask(self._altering, "weights", {})
        return tuple(weight(item) for item in listed(reply, "weights"))

    def embedding(self, inputs: Array) -> Embedding | Gap:
        """Return what the last layer is given for rows; see ``domain.benches.Bench``."""
        ask = partial(self._ask, self._altering)
        batches = (self._rows(part) for part in split(inputs, self._step()))
        found = embed(ask, batches, self._model.interface.output)
        self._queries += 0 if isinstance(found, Gap) else len(inputs)
        return found

    def footprint(self, inputs: Array, batch_rows: int) -> Footprint:
        """Measure memory in a fresh process: before opening, after it, and while scoring."""
        fresh = self._keeper()
        try:
            more = {"batch_rows": batch_rows}
            said = self._ask(fresh, "footprint", self._rows(inputs), more).header
        finally:
            fresh.close()
        self._queries += max(batch_rows, len(inputs))
        return Footprint(*(count(said, name) for name in ("before", "opened", "peak")))

    def profile(self, inputs: Array) -> tuple[Kernel, ...]:
        """Run rows with the runtime's profiler on, in one request."""
        self._queries += len(inputs)
        reply = self._ask(self._altering, "profile", self._rows(inputs))
        return tuple(kernel(item) for item in listed(reply, "kernels"))

    def placement(self) -> Placement:
        """Say where operators run, as known when the model was opened."""
        return self._model.placement

    def arrivals(self, inputs: Array, due: Floats) -> Arrivals:
        """Send one row at each time that is due (s), one at a time, cycling through ``inputs``.

        Ends after half of the target's time limit; what was not served by then is left out, and
        counted in the conditions.
        """
        arrays = {**self._rows(inputs), DUE: np.asarray(due, dtype=np.float64)}
        more = {"seconds": TIMING_SHARE * self._spec.time_limit}
        reply = self._ask(self._timing, "arrivals", arrays, more)
        served = len(times(reply, "due"))
        if not 0 < served <= len(due):
            raise unexpected("the times of arrivals are missing")
        self._queries += served
        began, ended = (times(reply, name, (served,)) for name in ("began", "ended"))
        seen = numbers(reply.header.get("conditions"))
        late = {"left_out": float(len(due) - served)}
        return Arrivals(due[:served], began, ended, {**seen, **late})

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
        taken = times(reply, "taken", (repeats, len(inputs)))
        self._queries += taken.size
        return taken

    def _broken(self, inputs: Array, alteration: Alteration) -> Floats | str:
        try:
            return self._scored(inputs, alteration, strict=False)
        except (ModelFailedError, SubjectLostError) as error:
            return error.problem

    def _scored(self, inputs: Array, alteration: Alteration, *, strict: bool) -> Floats:
        step = alteration.rows or self._step()
        parts = enumerate(split(inputs, step))
        scored = [self._part(part, at * step, alteration, strict=strict) for at, part in parts]
        return np.concatenate(scored)

    def _part(self, rows: Array, first: int, alteration: Alteration, *, strict: bool) -> Floats:
        self._queries += len(rows)
        face = self._model.interface
        reply = self._ask(self._altering, "altered", self._rows(rows), alteration=alteration)
        output, keys = output_of(reply, face.output)
        if output.shape[:1] != (len(rows),):
            raise ModelFailedError(
                f"{len(rows)} rows gave an output of shape {output.shape}",
                cure="Export the model with the rows as the first axis of its scores.",
            )
        read = to_scores if strict else unchecked_scores
        return read(output, keys, face.scores, self._model.task, first)

    def _step(self) -> int:
        face = self._model.interface
        row = int(np.dtype(face.input_dtype).itemsize * np.prod(face.input_shape))
        return batch_rows(row, face.fixed_batch)

    def _rows(self, inputs: Array) -> dict[str, Anything]:
        face = self._model.interface
        return {face.input: arrange(inputs, face)}

    def _ask(
        self, keeper: Keeper, op: str, arrays: Mapping[str, Anything],
        more: Mapping[str, Any] | None = None, alteration: Alteration = PLAIN,
    ) -> Frame:  # fmt: skip
        face, began = self._model.interface, time.monotonic()
        header = {
            "op": op,
            "opening": self._opening(alteration),
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

    def _opening(self, alteration: Alteration) -> Mapping[str, Any]:
        altered = replace(
            self._spec,
            threads=alteration.threads or self._spec.threads,
            graph_optimization=alteration.graph_optimization or self._spec.graph_optimization,
            session={**self._spec.session, **alteration.session},
        )
        return opening_request(altered, self._path)

    def _keeper(self) -> Keeper:
        return Keeper(self._start, {"op": "probe"}, self._spec.time_limit)


@contextmanager
def open_bench(
    spec: TargetSpec, folder: Path, artifact: Artifact, model: Model,
    *, isolation: Isolation | None = None,
) -> Iterator[Bench | Gap]:  # fmt: skip
    """Return the bench of an artifact, and end its processes afterwards.

    Nothing is started before it is asked. Yields a ``Gap`` where the model does not run in a
    child whose sessions can be altered.
    """
    alterable = spec.endpoint is None and spec.cascade is None and spec.runtime in BENCHED
    if not alterable or not isinstance(model, OpenedModel):
        yield NO_BENCH
        return
    title = f"the process that runs {artifact.name!r} otherwise than {spec.name!r} declares"
    bounds = bounds_of(spec, folder, isolation=isolation)
    start = partial(Child, ROLES[spec.runtime], bounds, title)
    bench = OpenedBench(start, spec, folder.resolve() / artifact.files[0].name, model)
    try:
        yield bench
    finally:
        bench.close()
