"""The opened model that checks use: rows in, scores out, over the pipe to its child process."""

import math
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from auditor.domain.models import ModelTiming
from auditor.domain.operator_placement import OperatorPlacement
from auditor.domain.targets import LOGITS, Fingerprint, ModelInterface
from auditor.domain.tasks import Array, ClassificationTask, Floats, Task
from auditor.errors import ModelFailedError
from auditor.targets.input_layout import arrange_rows
from auditor.targets.outputs import (
    Key,
    find_column_order,
    read_output,
    read_timing,
    to_probabilities,
    to_scores,
)
from auditor.targets.protocol import Anything, MessageFrame, ModelConnection

BATCH_BYTES = 2**20
MOST_BATCH = 1024
MOST_REQUEST = 256
LEAST_ROWS = 16
"""Rows of a request by which a pace is judged: of fewer, the way to the target is most of it."""
TIMING_SHARE = 0.5
"""Of the time limit, what timing may take; the rest is slack for a last slow call."""


@dataclass(frozen=True, slots=True)
class InterfaceDiscovery:
    """What the first questions to a model brought to light, and the rows that they took."""

    interface: ModelInterface
    keys: tuple[Key, ...] | None
    deterministic: bool
    queries: int
    busy: float = 0.0


def choose_batch_rows(row_bytes: int, fixed_batch: int | None) -> int:
    """Return how many rows a request carries: by their size alone, so that runs repeat exactly.

    A size chosen by time would be another one on a busy machine, and a runtime may sum the rows of
    a small request in another order. With a fixed batch it is a multiple of it, which the child
    splits.
    """
    if fixed_batch is not None:
        return max(1, MOST_REQUEST // fixed_batch) * fixed_batch
    return max(1, min(MOST_BATCH, BATCH_BYTES // max(1, row_bytes)))


def count_request_rows(face: ModelInterface) -> int:
    """Return how many rows a request to a model of that interface carries."""
    row_bytes = np.dtype(face.input_dtype).itemsize * math.prod(face.input_shape)
    return choose_batch_rows(row_bytes, face.fixed_batch)


class OpenedModel:
    """An artifact open on its target; implements ``domain.models.Model``.

    ``queries`` counts every row sent to the target, whoever sent it: also the rows by which the
    interface and determinism were found out, timed ones, and rows whose request failed (of
    failed timings none, for nobody knows how far they came). Rows with which the child fills up a
    fixed batch are not counted: nobody sees their scores.
    """

    def __init__(
        self,
        connection: ModelConnection,
        task: Task,
        known: InterfaceDiscovery,
        fingerprint: Fingerprint,
        placement: OperatorPlacement,
    ) -> None:
        self.task = task
        self.interface = known.interface
        self.keys = known.keys
        self._connection = connection
        self._fingerprint = fingerprint
        self._placement = placement
        self._deterministic = known.deterministic
        self._queries = known.queries
        self._busy = known.busy
        self._pace: float | None = None

    @property
    def queries(self) -> int:
        """Rows sent to the target so far, all callers together."""
        return self._queries

    @property
    def busy(self) -> float:
        """Seconds spent on waiting for the target so far."""
        return self._busy

    @property
    def pace(self) -> float | None:
        """Seconds a row of the fastest request of many rows, once there was one."""
        return self._pace

    @property
    def fingerprint(self) -> Fingerprint:
        """What the target turned out to be when the artifact was first opened."""
        return self._fingerprint

    @property
    def placement(self) -> OperatorPlacement:
        """Where the operators run, as the runtime said when the artifact was opened."""
        return self._placement

    @property
    def connection(self) -> ModelConnection:
        """What holds the artifact open."""
        return self._connection

    @property
    def deterministic(self) -> bool:
        """Whether rows gave the same bytes when asked twice, and the same answers alone."""
        return self._deterministic

    @property
    def scores_are_logits(self) -> bool:
        """Whether ``predict`` returns logits, else probabilities (or one-hot labels)."""
        return self.interface.scores in LOGITS

    @property
    def columns(self) -> NDArray[np.int64]:
        """Class by class, the column of a graph's scores that holds it; one for a regression."""
        task = self.task
        if not isinstance(task, ClassificationTask):
            return np.zeros(1, dtype=np.int64)
        if self.interface.scores.startswith("binary_") and task.positive_index == 0:
            return np.array([1, 0], dtype=np.int64)  # one column speaks of the class that is last
        if self.keys is not None:
            return find_column_order(self.keys, task)
        return np.arange(len(task.classes), dtype=np.int64)

    def predict(self, inputs: Array) -> Floats:
        """Score ``[n, ...]`` rows as the data file holds them; never cached.

        Returns ``[n, classes]`` logits or probabilities in the order of the task's classes; of a
        model that gives labels only, one-hot rows; ``[n, 1]`` for a regression. Raises
        ``SubjectLostError`` (the next call opens the artifact anew) or ``ModelFailedError``.
        """
        width = len(self.task.classes) if isinstance(self.task, ClassificationTask) else 1
        scores = np.empty((len(inputs), width))
        for start, rows in self._requests(inputs):
            self._queries += len(rows)
            reply = self._ask("infer", rows)
            output, keys = read_output(reply, self.interface.output)
            if output.shape[:1] != rows.shape[:1]:
                raise ModelFailedError(
                    f"{len(rows)} rows gave an output of shape {output.shape}",
                    cure="Export the model with the rows as the first axis of its scores.",
                )
            scores[start : start + len(rows)] = to_scores(
                output, keys, self.interface.scores, self.task, start
            )
        return scores

    def probabilities(self, scores: Floats) -> Floats:
        """Turn what ``predict`` returned into probabilities: softmax, if they are logits."""
        return to_probabilities(scores, self.interface.scores)

    def time(self, inputs: Array, *, calls: int, warmup: int, batch_rows: int) -> ModelTiming:
        """Time calls inside the child: ``calls`` of one row, then batches; never cached.

        Fewer calls are made where they would take more than half of the target's time limit.
        """
        seconds = TIMING_SHARE * self._connection.seconds
        asked = {"calls": calls, "warmup": warmup, "batch_rows": batch_rows, "seconds": seconds}
        timing = read_timing(
            self._ask("time", arrange_rows(inputs, self.interface), asked), batch_rows
        )
        self._queries += timing.warmup + len(timing.single) + batch_rows * len(timing.batch)
        return timing

    def _requests(self, inputs: Array) -> Iterator[tuple[int, Anything]]:
        step = count_request_rows(self.interface)
        for start in range(0, len(inputs), step):
            yield start, arrange_rows(inputs[start : start + step], self.interface)

    def _ask(self, op: str, rows: Anything, more: Mapping[str, Any] | None = None) -> MessageFrame:
        header = {
            "op": op,
            "outputs": [self.interface.output],
            "fixed_batch": self.interface.fixed_batch,
            **(more or {}),
        }
        began = time.monotonic()
        try:
            found = self._connection.ask(header, {self.interface.input: rows})
        finally:
            taken = time.monotonic() - began
            self._busy += taken
        if op == "infer" and len(rows) >= min(LEAST_ROWS, count_request_rows(self.interface)):
            each = taken / len(rows)
            self._pace = each if self._pace is None else min(self._pace, each)
        return found
