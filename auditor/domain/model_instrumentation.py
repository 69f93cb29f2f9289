"""Instrumentation of a model: the artifact run on its target with altered weights or options."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from auditor.domain.json import write_fields
from auditor.domain.operator_placement import OperatorPlacement
from auditor.domain.readings import Gap, GapReason
from auditor.domain.tasks import Array, Floats


@dataclass(frozen=True, slots=True)
class BitFlip:
    """One bit of one stored weight: of ``element`` (in C order) of an initialiser, from bit 0."""

    weight: str
    element: int
    bit: int

    to_json = write_fields


@dataclass(frozen=True, slots=True)
class GraphWeight:
    """An initialiser of the artifact's graph, and the operator that takes it.

    ``node`` and ``operator`` name its first consumer, through dequantisation; ``order`` is that
    consumer's place among the graph's nodes.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    node: str
    operator: str
    order: int


@dataclass(frozen=True, slots=True)
class RunAlteration:
    """What is different: ``None`` and the empty tuple leave things as the target declares them.

    ``rows`` is the number of rows a request, ``session`` are more entries of the session's
    configuration.
    """

    rows: int | None = None
    threads: int | None = None
    graph_optimization: str | None = None
    session: Mapping[str, str] = field(default_factory=dict)
    flips: tuple[BitFlip, ...] = ()

    to_json = write_fields


@dataclass(frozen=True, slots=True)
class MemoryFootprint:
    """Memory of the process that runs the model, in bytes.

    ``before`` is resident before the artifact was opened, ``opened`` after it, ``peak`` the most
    while rows were scored in batches, each in a process of its own.
    """

    before: int
    opened: int
    peak: int


@dataclass(frozen=True, slots=True)
class KernelProfile:
    """One kernel of a profiled run: where it ran, and for how long all its calls took (s)."""

    node: str
    operator: str
    provider: str
    seconds: float
    calls: int


@dataclass(frozen=True, slots=True)
class RequestArrivals:
    """Requests of one row that were due at given times, whether or not the last had ended.

    ``due``, ``began`` and ``ended`` are seconds since the start, one a request: latency without
    coordinated omission is ``ended - due``.
    """

    due: Floats
    began: Floats
    ended: Floats
    conditions: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class RowEmbeddings:
    """What a model makes of rows before it decides: ``[n, d]`` float32, the last layer's input.

    Axes besides rows and channels are averaged. ``node`` and ``operator`` name the layer;
    ``given`` says that the layer is the first one too, so that these are the model's inputs.
    """

    values: NDArray[np.float32]
    node: str
    operator: str
    given: bool


class ModelBench(Protocol):
    """Runs the artifact on its target otherwise than as declared.

    Every alteration runs in a session of its own, so the model that other checks see stays as it
    is. Each method may raise ``SubjectLostError`` or ``ModelFailedError``.
    """

    @property
    def queries(self) -> int:
        """Rows sent to altered sessions so far."""
        ...

    @property
    def busy(self) -> float:
        """Seconds spent on waiting for altered sessions so far."""
        ...

    def scores(self, inputs: Array, alteration: RunAlteration) -> Floats:
        """Score ``[n, ...]`` rows as ``Model.predict`` does, under an alteration."""
        ...

    def faulty(self, inputs: Array, faults: Sequence[tuple[BitFlip, ...]]) -> list[Floats | str]:
        """Score rows once a fault; of a fault that breaks the session, say what it said.

        Scores that are no numbers are kept: a fault may well make them.
        """
        ...

    def weights(self) -> tuple[GraphWeight, ...]:
        """Return the artifact's weights, in the graph's order."""
        ...

    def embedding(self, inputs: Array) -> RowEmbeddings | Gap:
        """Return what the last layer is given for ``[n, ...]`` rows; a Gap where none is found."""
        ...

    def footprint(self, inputs: Array, batch_rows: int) -> MemoryFootprint:
        """Measure memory in a fresh process: before opening, after it, and while scoring."""
        ...

    def profile(self, inputs: Array) -> tuple[KernelProfile, ...]:
        """Run rows with the runtime's profiler on: never a source of latency figures."""
        ...

    def placement(self) -> OperatorPlacement:
        """Say where operators run, as known when the model was opened."""
        ...

    def arrivals(self, inputs: Array, due: Floats) -> RequestArrivals:
        """Send one row at each time that is due (s), cycling through ``inputs``."""
        ...

    def each(self, inputs: Array, repeats: int) -> Floats:
        """Time every row alone, ``repeats`` times over: ``[repeats, n]`` seconds."""
        ...


NO_BENCH = Gap(
    reason=GapReason.UNSUPPORTED,
    detail="The target runs the model only as it is: its sessions cannot be altered from here.",
    cure="Audit the artifact itself on a target of runtime onnxruntime.",
)
NO_LAYER = Gap(
    reason=GapReason.UNSUPPORTED,
    detail="No single last layer with weights was found in the graph on which the scores depend "
    "alone, so that there is nothing to take the model's own view of a row from.",
    cure="Export the model with its last layer as a Gemm, MatMul or Conv; slices of columns are "
    "searched by fairness.slices.",
)
