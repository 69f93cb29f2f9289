"""How far a file's twin is from ONNX Runtime, and what its gradient is worth.

The target's own functions find the interface and run the file, in this process instead of a child.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from twin_corpus import Entry
from twin_corpus_rows import rows_of

from auditor.domain.operator_placement import OperatorPlacement, PlacementSource
from auditor.domain.targets import Fingerprint, TargetSpec
from auditor.domain.tasks import ClassificationTask, Floats, InputSpace, ScoreKind
from auditor.errors import AuditorError, ModelFailedError, TwinError
from auditor.targets.drivers.onnxruntime import operations
from auditor.targets.model import OpenedModel
from auditor.targets.outputs import to_probabilities
from auditor.targets.protocol import MessageFrame
from auditor.targets.sandbox.differentiable_twin import TwinHost
from auditor.targets.sandbox.request_loop import Operation, RefusalError
from auditor.targets.session import build_opening_request, discover_interface
from auditor.targets.twin import ARTIFACT_ITSELF, OpenedTwin, examine_twin

SPEC = TargetSpec("cpu")
POINTS, DIRECTIONS = 8, 24
SLOPES_SEED = 4


@dataclass(frozen=True, slots=True)
class Measured:
    """What was seen of one file; ``problem`` says why there is no more to see.

    ``difference`` is the largest of probabilities, ``scores`` that of what the file itself gives,
    relative to the largest of them; ``correlation`` that of the twin's slopes with central
    differences of ONNX Runtime, apart from the audit's own gate, whose refusal is ``gate``.
    """

    name: str
    opset: int
    operators: tuple[str, ...]
    opened: bool
    difference: float = float("inf")
    scores: float = float("inf")
    agreement: float = 0.0
    correlation: float = 0.0
    gate: str = ""
    problem: str = ""

    @property
    def built(self) -> bool:
        """Whether there is a twin that runs."""
        return self.opened and np.isfinite(self.difference)


class InThisProcess:
    """Answers what a ``ProcessSupervisor`` asks its child, without the child."""

    seconds = SPEC.time_limit

    def __init__(self, known: Mapping[str, Operation], opening: Mapping[str, Any]) -> None:
        self._operations = known
        self.opened = self.ask(opening)

    def ask(
        self, header: Mapping[str, Any], arrays: Mapping[str, Any] | None = None
    ) -> MessageFrame:
        """Return the answer. Raises what a refusal is raised as on the other side of a pipe."""
        try:
            return self._operations[header["op"]](MessageFrame(dict(header), dict(arrays or {})))
        except RefusalError as refusal:
            kind = TwinError if refusal.kind == "twin" else ModelFailedError
            raise kind(refusal.problem, cure=refusal.cure) from refusal


def measure(entry: Entry, folder: Path) -> Measured:
    """Make the file in ``folder`` and compare its twin with ONNX Runtime."""
    path = folder / "model.onnx"
    entry.make(path)
    opset, operators = _inventory(path)
    seen = Measured(entry.name, opset, operators, opened=False)
    try:
        model = _open(entry, path)
    except AuditorError as refused:
        return _but(seen, problem=refused.problem)
    seen = _but(seen, opened=True)
    try:
        return _compared(seen, entry, model, _twin(path, model))
    except AuditorError as missing:
        return _but(seen, problem=missing.problem)


def _open(entry: Entry, path: Path) -> OpenedModel:
    names = tuple(str(index) for index in range(entry.classes))
    output = ScoreKind.LOGITS if entry.logits else ScoreKind.AUTO
    task = ClassificationTask(names, names[-1], names[-1], output=output)
    keeper = InThisProcess(operations(), build_opening_request(SPEC, path))
    known = discover_interface(keeper, task, rows_of(entry.kind, 16))
    return OpenedModel(
        keeper,
        task,
        known,
        Fingerprint({}, {}),
        OperatorPlacement("CPUExecutionProvider", PlacementSource.UNKNOWN),
    )


def _twin(path: Path, model: OpenedModel) -> OpenedTwin:
    bench = TwinHost()
    known = {"twin_forward": bench.forward, "twin_backward": bench.backward, "twin_cut": bench.cut}
    opening = {"op": "twin_open", "path": str(path), "interface": model.interface.to_json()}
    keeper = InThisProcess({**known, "twin_open": bench.open}, opening)
    return OpenedTwin(keeper, model, ARTIFACT_ITSELF, {})


def _gate(entry: Entry, model: OpenedModel, twin: OpenedTwin) -> str:
    """Return why an audit would refuse the twin, on these rows; nothing where it takes it."""
    rows = rows_of(entry.kind, entry.rows)
    low, high = rows.min(axis=0).astype(np.float64), rows.max(axis=0).astype(np.float64)
    mutable = np.ones(rows.shape[1:], dtype=np.bool_)
    mutable[..., list(entry.frozen)] = False
    space = InputSpace(low, high, np.zeros_like(low), mutable)
    found = examine_twin(twin, model, rows, space, np.random.default_rng(SLOPES_SEED))
    return "" if found.gap is None else found.gap.detail


def _compared(seen: Measured, entry: Entry, model: OpenedModel, twin: OpenedTwin) -> Measured:
    rows = rows_of(entry.kind, entry.rows)
    given = model.predict(rows)
    theirs, ours = model.probabilities(given), to_probabilities(twin.forward(rows), "logits")
    _check_slopes(twin, ours)
    decide = model.task.decide
    left, right = (given, twin.forward(rows)) if model.scores_are_logits else (theirs, ours)
    if model.scores_are_logits:  # which the twin gives up to a constant a row
        left, right = (table - table.mean(axis=1, keepdims=True) for table in (left, right))
    return _but(
        seen,
        difference=float(np.abs(theirs - ours).max()),
        scores=float(np.abs(left - right).max() / max(1.0, np.abs(left).max())),
        agreement=float(np.mean(decide(theirs) == decide(ours))),
        correlation=_correlation(entry, model, twin),
        gate=_gate(entry, model, twin),
    )


def _correlation(entry: Entry, model: OpenedModel, twin: OpenedTwin) -> float:
    """Correlate slopes of the margin between the two largest scores, over rows and directions."""
    rng = np.random.default_rng(SLOPES_SEED)
    rows = _near_the_border(entry, twin)
    ways = rng.choice([-1.0, 1.0], (DIRECTIONS, *rows.shape))
    ways[..., list(entry.frozen)] = 0.0
    logits = twin.forward(rows)
    cotangent = _cotangent(logits, of_logits=model.scores_are_logits)
    gradient = twin.backward(cotangent)
    ours = (ways * gradient).reshape(DIRECTIONS, POINTS, -1).sum(axis=2)
    ahead, behind = (_margins(model, rows + sign * entry.step * ways, logits) for sign in (1, -1))
    theirs = (ahead - behind) / (2 * entry.step)
    if np.ptp(ours) == 0 or np.ptp(theirs) == 0:
        return 0.0
    return float(np.corrcoef(ours.ravel(), theirs.ravel())[0, 1])


def _check_slopes(twin: OpenedTwin, shares: Floats) -> None:
    """Refuse gradients that are no numbers, as the target does. Raises ``TwinError``."""
    gradient = twin.backward(np.eye(shares.shape[1])[np.argmax(shares, axis=1)])
    bad = ~np.isfinite(gradient.reshape(len(gradient), -1)).all(axis=1)
    if bad.any():
        problem = f"the gradient of {bad.sum()} of {len(bad)} rows holds NaN or infinities"
        raise TwinError(problem, cure="Mend the operator.")


def _near_the_border(entry: Entry, twin: OpenedTwin) -> Floats:
    """Return the rows whose two largest scores lie closest: where attacks need the gradient."""
    rows = rows_of(entry.kind, entry.rows).astype(np.float64)
    shares = np.sort(to_probabilities(twin.forward(rows), "logits"), axis=1)
    return rows[np.argsort(shares[:, -1] - shares[:, -2], kind="stable")[:POINTS]]


def _pair(logits: Floats) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    order = np.argsort(logits, axis=1)
    return order[:, -1], order[:, -2]


def _cotangent(logits: Floats, *, of_logits: bool) -> Floats:
    """Return what pulls the margin of logits, or that of probabilities, back to the logits."""
    first, second = _pair(logits)
    lines = np.arange(len(logits))
    signs = np.zeros_like(logits)
    signs[lines, first], signs[lines, second] = 1.0, -1.0
    if of_logits:
        return signs
    shares = to_probabilities(logits, "logits")
    weighted = signs * shares
    return weighted - shares * weighted.sum(axis=1, keepdims=True)


def _margins(model: OpenedModel, rows: Floats, logits: Floats) -> Floats:
    first, second = _pair(logits)
    scores = model.predict(rows.reshape(-1, *rows.shape[2:]).astype(np.float32))
    table = scores.reshape(*rows.shape[:2], -1)
    points = np.arange(rows.shape[1])
    return table[:, points, first] - table[:, points, second]


def _inventory(path: Path) -> tuple[int, tuple[str, ...]]:
    model = onnx.load(str(path), load_external_data=False)
    opset = next((item.version for item in model.opset_import if item.domain in {"", "ai.onnx"}), 0)
    names = {f"{node.domain}::{node.op_type}".lstrip(":") for node in model.graph.node}
    return opset, tuple(sorted(names))


def _but(seen: Measured, **changed: Any) -> Measured:  # noqa: ANN401 -- any field

    return replace(seen, **changed)
