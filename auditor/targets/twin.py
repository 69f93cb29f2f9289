"""Differentiable twin of an artifact: supplies gradients for attacks and is tested for fidelity.

A twin must match the artifact in its outputs and in the direction of its gradients.
"""

import math
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from auditor.domain.artifacts import Artifact
from auditor.domain.check_subject import CheckShard, derive_seed
from auditor.domain.datasets import CHANGE_WORDS
from auditor.domain.isolation import IsolationLevel
from auditor.domain.json import Json
from auditor.domain.models import Model, Twin, TwinKind, TwinSource
from auditor.domain.readings import Gap, GapReason
from auditor.domain.targets import ModelInterface, TargetSpec
from auditor.domain.tasks import LARGE_ROW, Array, ClassificationTask, Floats, InputSpace, Task
from auditor.errors import (
    ModelCrashedError,
    ModelFailedError,
    SubjectLostError,
    TwinError,
    suggest_install,
)
from auditor.targets.boundary_search import find_boundary_points
from auditor.targets.child_process import ChildProcess
from auditor.targets.gradient_check import (
    SlopeComparison,
    SlopeLoss,
    TwinComparison,
    find_step_range,
    measure_slopes,
    value_spread,
)
from auditor.targets.input_layout import arrange_float_rows, restore_gradient
from auditor.targets.isolation import build_sandbox_bounds
from auditor.targets.model import OpenedModel
from auditor.targets.protocol import to_plain_text
from auditor.targets.supervisor import ProcessSupervisor

DISTANCE_ROWS = 512
MOST_DIFFERENCE = 1e-3
"""Largest difference of a probability for the twin to count as the same function. Two float32
implementations differ by about 1e-6, the same INT8 file on two chips by 5e-2 (both measured), so
that this bound lies far from either. A regression's values count in their own standard deviation.
"""
LEAST_AGREEMENT = 0.999
"""Least share of equal decisions: rows so near a tie that rounding decides them may differ."""
ASKED_AGAIN = 4
"""How often a model that is not deterministic is asked more, to know its own spread."""
GRADIENT_ROWS = 24
LARGE_SHARE = 4
"""Of large rows, one in so many is examined: each takes tens of milliseconds a pass, and a network
of such rows differs on all of them or on none."""
SHARES = (0.02, 0.1)
"""Steps, as shares of the input range: networks in float bend within the larger one, and what is
constant in pieces (trees, INT8) stands still within the smaller one."""
SETTLED = 0.9
"""A correlation at the first step from which the second one is not tried."""
LEAST_CORRELATION = 0.2
"""Below this a gradient leads nowhere. Measured on digits: float networks and INT8 with its
rounding passed straight through 0.98 to 1, trees by their smoothed gradient 0.76, a softmax that is
all but certain everywhere 0.48; elsewhere INT8 0.72 and trees 0.33 to 0.5. A gradient that was cut
off came to 0, or to 0.04 where a rest of it got through. 288 unrelated pairs scatter by 0.06, so
that the line is three of these from nothing, and well below the worst that helped an attack."""
SURE = 3.0
"""With fewer pairs, so many standard errors of unrelated ones."""
TELLING = 1e-3
"""A second class of at least this probability: of surer rows a float32 tells little."""


class InspectableTwin(Twin, Protocol):
    """A twin that can say where its gradient is lost."""

    def cut(self, inputs: Array) -> tuple[str, ...]:
        """Return the operators that let no gradient through on these rows, as far as is known."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class TwinFidelity:
    """What an examination found; ``gap`` says why the twin is refused, if it is."""

    distance: Mapping[str, float]
    gap: Gap | None


def examine_twin(
    twin: InspectableTwin, model: OpenedModel, inputs: Array, space: InputSpace | Gap,
    rng: np.random.Generator,
) -> TwinFidelity:  # fmt: skip
    """Compare a twin with its model: outputs on ``DISTANCE_ROWS`` rows, slopes on some of them.

    Asks the model once a row, and ``24 * GRADIENT_ROWS`` times for each step tried; more often
    where it is not deterministic, and a quarter of that where rows are large. Raises what either
    side raises.
    """
    share = LARGE_SHARE if math.prod(inputs.shape[1:]) > LARGE_ROW else 1
    rows = inputs[: DISTANCE_ROWS // share]
    times = 1 if model.deterministic else 1 + ASKED_AGAIN
    theirs = np.array([model.probabilities(model.predict(rows)) for _ in range(times)])
    distance, allowed = _distance(twin, model.task, theirs, rows)
    if distance["max_difference"] > allowed.difference or distance["agreement"] < allowed.agreement:
        return TwinFidelity(
            distance,
            Gap(
                reason=GapReason.TWIN_DIFFERS,
                detail=(
                    f"The twin's scores differ from the model's by up to "
                    f"{distance['max_difference']:.3g} and its decisions agree on "
                    f"{distance['agreement']:.2%} of {distance['rows']:g} rows; allowed are "
                    f"{allowed.difference:g} and {allowed.agreement:.1%}."
                ),
                cure="Use checks that ask the model alone, and report the model's operators to us.",
            ),
        )
    whole = any(kind in model.interface.input_dtype for kind in ("int", "bool"))
    reach = find_step_range(space, rows, whole=whole or rows.dtype.kind in "biu")
    sides = TwinComparison(model, twin, reach, rng)
    tried = list(_trials(sides, rows, theirs.mean(axis=0), GRADIENT_ROWS // share))
    best = max(tried, key=lambda trial: trial.found.correlation - trial.needed)
    distance = {
        **distance,
        "gradient_correlation": best.found.correlation,
        "gradient_rows": float(len(best.rows)),
        "step": best.share,
    }
    return TwinFidelity(distance, _astray(best, twin))


@dataclass(frozen=True, slots=True, eq=False)
class _SlopeTrial:
    rows: Array
    share: float
    found: SlopeComparison

    @property
    def needed(self) -> float:
        """The least correlation that tells the gradient from one that leads nowhere."""
        return max(LEAST_CORRELATION, min(1.0, SURE / math.sqrt(max(1, self.found.pairs))))


def _trials(sides: TwinComparison, rows: Array, scores: Floats, most: int) -> Iterator[_SlopeTrial]:
    """Measure slopes of ``most`` rows with each step until one of them is convincing."""
    task = sides.model.task
    aim = SlopeLoss.at(task, scores, logits=sides.model.scores_are_logits)
    # Rows to measure slopes on: by chance, those first that are not all but certain
    order = sides.rng.permutation(len(scores)).astype(np.int64)
    if isinstance(task, ClassificationTask):
        second = np.sort(scores, axis=1)[:, -2][order]
        order = order[np.argsort(-np.minimum(second, TELLING), kind="stable")]
    chosen = order[:most]
    moved = 0
    for share in SHARES:
        found = measure_slopes(sides, rows[chosen], aim.take(chosen), share)
        moved = max(moved, found.pairs)
        yield _SlopeTrial(rows[chosen], share, found)
        if found.correlation >= SETTLED:
            return
    if isinstance(task, ClassificationTask) and 2 * moved < found.foretold.size:
        # Scores so sure that they stand still say nothing; on the border none is sure.
        near, beyond = find_boundary_points(
            lambda points: task.decide(sides.model.probabilities(sides.model.predict(points))),
            rows, task.decide(scores), most, sides.rng,
        )  # fmt: skip
        if len(near):
            found = measure_slopes(sides, near, replace(aim, wanted=beyond), SHARES[-1])
            yield _SlopeTrial(near, SHARES[-1], found)


@dataclass(frozen=True, slots=True)
class _AllowedDistance:
    difference: float
    agreement: float


def _distance(
    twin: Twin, task: Task, theirs: Floats, rows: Array
) -> tuple[dict[str, float], _AllowedDistance]:
    ours = twin.forward(rows)
    if isinstance(task, ClassificationTask):
        raised = np.exp(ours - ours.max(axis=1, keepdims=True))
        ours = raised / raised.sum(axis=1, keepdims=True)
    mean = theirs.mean(axis=0)
    unit = 1.0 if isinstance(task, ClassificationTask) else value_spread(mean)
    difference = np.abs(mean - ours) / unit
    distance = {
        "max_difference": float(difference.max()),
        "mean_difference": float(difference.mean()),
        "agreement": _agreement(task, mean, ours),
        "rows": float(len(rows)),
    }
    if len(theirs) == 1:
        return distance, _AllowedDistance(MOST_DIFFERENCE, LEAST_AGREEMENT)
    # Each repeat against the mean of the others, as the twin against the mean of all.
    others = [np.delete(theirs, index, axis=0).mean(axis=0) for index in range(len(theirs))]
    own = max(
        float(np.abs(one - rest).max()) / unit for one, rest in zip(theirs, others, strict=True)
    )
    agreed = min(_agreement(task, one, rest) for one, rest in zip(theirs, others, strict=True))
    distance |= {"own_difference": own, "own_agreement": agreed}
    return distance, _AllowedDistance(MOST_DIFFERENCE + own, min(LEAST_AGREEMENT, agreed))


def _agreement(task: Task, left: Floats, right: Floats) -> float:
    if isinstance(task, ClassificationTask):
        return float(np.mean(task.decide(left) == task.decide(right)))
    return float(np.mean(np.abs(left - right) <= task.tolerance))


def _astray(trial: _SlopeTrial, twin: InspectableTwin) -> Gap | None:
    found, rows = trial.found, trial.rows
    if found.pairs and found.correlation >= trial.needed:
        return None
    if found.flat:
        detail = f"The twin's gradient is zero on all of {len(rows)} rows"
    elif not found.pairs:
        detail = (
            f"The model's scores do not move within steps of {SHARES[-1]:g} of the input range, "
            "so that no gradient can be tried"
        )
    else:
        detail = (
            f"The twin's gradient correlates by {found.correlation:.2g} with how the model's "
            f"scores move ({len(rows)} rows, steps of {trial.share:g} of the input range); "
            f"{trial.needed:.2g} is needed"
        )
    lost = ", ".join(twin.cut(rows))
    return Gap(
        reason=GapReason.TWIN_DIFFERS,
        detail=f"{detail}. None passes {lost}." if lost else f"{detail}.",
        cure="Use checks that ask the model alone (evasion.linf_query), or give a twin without "
        "that operator as model.twin.",
    )


TWIN_MEMORY = 8 * 2**30
"""At least so much address space: torch's libraries alone map several GiB in some builds."""
ARTIFACT_ITSELF = TwinSource()
MOST_NAME = 200
NO_SPACE = Gap(
    reason=GapReason.NEEDS_NUMERIC_INPUT,
    detail="No input space was given.",
    cure="Set input.domain or input.features in the audit file.",
)
NO_GRADIENT_OF_TEXT = Gap(
    reason=GapReason.NEEDS_NUMERIC_INPUT,
    detail="The model reads text, and no gradient reaches a letter.",
    cure=CHANGE_WORDS,
)
EXTRAS: Mapping[str, str] = {
    "torch": suggest_install("attacks"),
    "onnx_ad": suggest_install("adjoint"),
}


class OpenedTwin:
    """A twin in its own child process; implements ``domain.models.Twin``."""

    def __init__(
        self,
        keeper: ProcessSupervisor,
        model: OpenedModel,
        source: TwinSource,
        distance: Mapping[str, float],
    ) -> None:
        self._keeper = keeper
        self._interface: ModelInterface = model.interface
        self._columns = model.columns
        self._row: tuple[int, ...] = ()
        self._passes = 0
        self._forward: tuple[int, float] = (0, 0.0)
        self._pace: float | None = None
        self._source = source
        self._distance = distance

    @property
    def passes(self) -> int:
        """Rows sent through ``backward`` so far."""
        return self._passes

    @property
    def pace(self) -> float | None:
        """Seconds a row of the fastest pass forward and backward, once there was one."""
        return self._pace

    @property
    def source(self) -> Mapping[str, Json]:
        """What it was built from, as evidence has it."""
        return self._source.to_json()

    @property
    def distance(self) -> Mapping[str, float]:
        """Measured distance from the model: see ``domain.models.Twin``."""
        return self._distance

    def at(self, distance: Mapping[str, float]) -> "OpenedTwin":
        """Return the same twin with its distance known, and no pass counted yet."""
        known = object.__new__(OpenedTwin)
        known.__dict__.update(self.__dict__, _distance=distance, _passes=0)
        return known

    def forward(self, inputs: Array) -> Floats:
        """Return ``[n, classes]`` logits of rows as the data holds them, up to a constant a row.

        Raises ``SubjectLostError`` (the next call builds the twin anew) or ``TwinError``.
        """
        rows = arrange_float_rows(inputs, self._interface)
        began = time.monotonic()
        reply = self._keeper.ask({"op": "twin_forward"}, {"x": rows})
        self._forward = len(inputs), time.monotonic() - began
        logits = require_finite_answer(
            reply.arrays.get("logits"), (len(inputs), len(self._columns)), "logits"
        )
        self._row = inputs.shape[1:]
        return logits[:, self._columns]

    def backward(self, cotangent: Floats) -> Floats:
        """Pull ``[n, classes]`` back through the last ``forward``: the gradient in its inputs."""
        turned = np.empty(cotangent.shape)
        turned[:, self._columns] = cotangent
        self._passes += len(cotangent)
        began = time.monotonic()
        reply = self._keeper.ask({"op": "twin_backward"}, {"cotangent": turned})
        rows, forward = self._forward
        if rows == len(cotangent) > 0:
            each = (forward + time.monotonic() - began) / rows
            self._pace = each if self._pace is None else min(self._pace, each)
        shape = (len(cotangent), *self._interface.input_shape)
        gradient = require_finite_answer(reply.arrays.get("gradient"), shape, "gradient")
        return restore_gradient(gradient, self._interface, self._row)

    def cut(self, inputs: Array) -> tuple[str, ...]:
        """Return the operators that let no gradient through on these rows, as far as is known."""
        rows = arrange_float_rows(inputs, self._interface)
        said = self._keeper.ask({"op": "twin_cut"}, {"x": rows}).header.get("operators", [])
        return tuple(to_plain_text(str(name), MOST_NAME) for name in said)


@contextmanager
def open_twin(  # noqa: PLR0913 -- what an audit knows of a model, and how to hold it
    spec: TargetSpec,
    folder: Path,
    artifact: Artifact,
    model: Model,
    inputs: Array,
    *,
    space: InputSpace | Gap = NO_SPACE,
    source: TwinSource = ARTIFACT_ITSELF,
    seed: int = 0,
    isolation: IsolationLevel | None = None,
) -> Iterator[OpenedTwin | Gap]:
    """Build a twin, examine it against ``model``, and close it at the end.

    The model's queries count what the examination asks (``fidelity.examine``); ``seed`` is the
    audit's. Yields a ``Gap`` where there can be no twin, where it is not the same function, or
    where its gradient leads nowhere on the target.
    """
    if not isinstance(model, OpenedModel):
        yield _unsupported("the model is not open in a process of ours, so that there is no file")
        return
    source = resolve_twin_source(source)
    refused = _no_twin(model, source)
    if refused is not None:
        yield refused
        return
    keeper = supervise_twin(spec, folder, artifact, model.interface, source, isolation)
    try:
        rng = np.random.default_rng(derive_seed(seed, "twin", CheckShard()))
        yield _examined(OpenedTwin(keeper, model, source, {}), model, inputs, space, rng)
    finally:
        keeper.close()


def supervise_twin(  # noqa: PLR0913, PLR0917 -- what is opened, and how
    spec: TargetSpec,
    folder: Path,
    artifact: Artifact,
    interface: ModelInterface,
    source: TwinSource,
    isolation: IsolationLevel | None,
) -> ProcessSupervisor:
    """Return what holds a twin of the artifact; nothing is started before it is first asked."""
    memory = max(spec.memory_limit, TWIN_MEMORY)
    bounds = build_sandbox_bounds(spec, folder, memory_limit=memory, isolation=isolation)
    program = None if source.path is None else source.path.resolve()
    if program is not None:
        bounds = replace(bounds, readable=(*bounds.readable, program.parent))
    start = partial(
        ChildProcess,
        "sandbox.differentiable_twin",
        bounds,
        f"the process that runs the twin of {artifact.name!r}",
    )
    asked = {
        "op": "twin_open",
        "path": str(folder.resolve() / artifact.files[0].name),
        "interface": interface.to_json(),
        "kind": source.kind.value,
        "program": None if program is None else str(program),
    }
    return ProcessSupervisor(start, asked, spec.time_limit)


def resolve_twin_source(source: TwinSource) -> TwinSource:
    """Take the adjoint graph where torch is not installed and nothing else was asked for."""
    spare = source.kind is TwinKind.AUTO and find_spec("torch") is None and find_spec("onnx_ad")
    return replace(source, kind=TwinKind.ADJOINT) if spare else source


def _no_twin(model: OpenedModel, source: TwinSource) -> Gap | None:
    if model.interface.input_dtype == "str":
        return NO_GRADIENT_OF_TEXT
    lacking = find_missing_library(source)
    if lacking is None and model.interface.scores == "labels":
        return _unsupported("the model gives labels and no scores for it to equal")
    return lacking


def find_missing_library(source: TwinSource) -> Gap | None:
    """Return the Gap of a twin whose library is not installed."""
    needed = "onnx_ad" if source.kind is TwinKind.ADJOINT else "torch"
    if find_spec(needed) is not None:
        return None
    return Gap(
        reason=GapReason.NEEDS_EXTRA,
        detail=f"A twin needs {needed}, which is not installed.",
        cure=EXTRAS[needed],
    )


def _unsupported(why: str) -> Gap:
    return Gap(
        reason=GapReason.TWIN_UNSUPPORTED,
        detail=f"There can be no twin: {why}.",
        cure="Use checks that ask the model alone.",
    )


def _examined(
    twin: OpenedTwin, model: OpenedModel, inputs: Array, space: InputSpace | Gap,
    rng: np.random.Generator,
) -> OpenedTwin | Gap:  # fmt: skip
    """Return the twin with its distance, or a ``Gap`` where it is not the model's equal."""
    try:
        found = examine_twin(twin, model, inputs, space, rng)
    except TwinError as error:
        return Gap(reason=GapReason.TWIN_UNSUPPORTED, detail=error.problem, cure=error.cure)
    except (SubjectLostError, ModelFailedError) as error:
        return Gap(reason=GapReason(error.slug), detail=error.problem, cure=error.cure)
    return found.gap or twin.at(found.distance)


def require_finite_answer(
    array: NDArray[np.generic] | None, shape: tuple[int, ...], what: str
) -> Floats:
    """Return what a twin answered as finite numbers of a shape, or refuse it."""
    if array is None or array.dtype != np.float64 or array.shape != shape:
        raise ModelCrashedError(
            f"the twin's {what} are not numbers of shape {shape}",
            cure="Update the auditor on that target.",
        )
    numbers: Floats = array.astype(np.float64, copy=False)
    if not np.isfinite(numbers).all():
        raise TwinError(
            f"the twin's {what} hold NaN or infinities",
            cure="Use checks that ask the model alone.",
        )
    return numbers
