"""The twin: crafting needs gradients, which a differentiable equal of the artifact gives."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from auditor.domain.artifacts import Artifact
from auditor.domain.readings import Gap, Reason
from auditor.domain.subjects import Model
from auditor.domain.targets import Interface, TargetSpec
from auditor.domain.tasks import Array, Classification, Floats
from auditor.errors import ModelCrashedError, ModelFailedError, SubjectLostError, TwinError
from auditor.targets.isolation import Isolation, bounds_of
from auditor.targets.keeping import Keeper
from auditor.targets.layouts import arrange_floats, restore
from auditor.targets.models import OpenedModel
from auditor.targets.processes import Child
from auditor.targets.scores import column_order, to_probabilities

TWIN_MEMORY = 8 * 2**30
"""At least so much address space: torch's libraries alone map several GiB in some builds."""
DISTANCE_ROWS = 512
MOST_DIFFERENCE = 1e-3
"""Largest difference of a probability for the twin to count as the same function. Two float32
implementations differ by about 1e-6, the same INT8 file on two chips by 5e-2 (both measured), so
that this bound lies far from either."""
LEAST_AGREEMENT = 0.999
"""Least share of equal decisions: rows so near a tie that rounding decides them may differ."""


class OpenedTwin:
    """A twin in its own child process; implements ``domain.subjects.Twin``."""

    def __init__(self, keeper: Keeper, interface: Interface, columns: NDArray[np.int64]) -> None:
        self._keeper = keeper
        self._interface = interface
        self._columns = columns
        self._row: tuple[int, ...] = ()
        self._passes = 0
        self._distance: Mapping[str, float] = {}

    @property
    def passes(self) -> int:
        """Rows sent through ``backward`` so far."""
        return self._passes

    @property
    def distance(self) -> Mapping[str, float]:
        """Measured distance from the model: see ``domain.subjects.Twin``."""
        return self._distance

    def forward(self, inputs: Array) -> Floats:
        """Return ``[n, classes]`` logits of rows as the data holds them, up to a constant a row.

        Raises ``SubjectLostError`` (the next call builds the twin anew) or ``TwinError``.
        """
        rows = arrange_floats(inputs, self._interface)
        reply = self._keeper.ask({"op": "twin_forward"}, {"x": rows})
        logits = _expect(reply.arrays.get("logits"), (len(inputs), len(self._columns)), "logits")
        self._row = inputs.shape[1:]
        return logits[:, self._columns]

    def backward(self, cotangent: Floats) -> Floats:
        """Pull ``[n, classes]`` back through the last ``forward``: the gradient in its inputs."""
        turned = np.empty(cotangent.shape)
        turned[:, self._columns] = cotangent
        self._passes += len(cotangent)
        reply = self._keeper.ask({"op": "twin_backward"}, {"cotangent": turned})
        shape = (len(cotangent), *self._interface.input_shape)
        gradient = _expect(reply.arrays.get("gradient"), shape, "gradient")
        return restore(gradient, self._interface, self._row)

    def measure(self, model: OpenedModel, inputs: Array) -> Mapping[str, float]:
        """Compare with the model on ``inputs`` and remember the distance. Asks the model once."""
        theirs = model.probabilities(model.predict(inputs))
        ours = to_probabilities(self.forward(inputs), "logits")
        difference = np.abs(theirs - ours)
        agreement = 1.0
        if isinstance(model.task, Classification):
            agreement = float(np.mean(model.task.decide(theirs) == model.task.decide(ours)))
        self._distance = {
            "max_difference": float(difference.max()),
            "mean_difference": float(difference.mean()),
            "agreement": agreement,
            "rows": float(len(inputs)),
        }
        return self._distance


@contextmanager
def open_twin(  # noqa: PLR0913 -- what an audit knows of a model, and how to hold it
    spec: TargetSpec,
    folder: Path,
    artifact: Artifact,
    model: Model,
    inputs: Array,
    *,
    isolation: Isolation | None = None,
) -> Iterator[OpenedTwin | Gap]:
    """Build the artifact's twin, measure its distance from ``model``, and close it at the end.

    At most ``DISTANCE_ROWS`` rows of ``inputs`` are compared, which the model's queries count.
    Yields a ``Gap`` where there can be no twin, or where it is not the same function.
    """
    if not isinstance(model, OpenedModel):
        yield _unsupported("the model is not open in a process of ours, so that there is no file")
        return
    refused = _no_twin(model)
    if refused is not None:
        yield refused
        return
    keeper = _keeper(spec, folder, artifact, model.interface, isolation)
    try:
        twin = OpenedTwin(keeper, model.interface, _columns(model))
        yield _unlike(twin, model, inputs[:DISTANCE_ROWS]) or twin
    finally:
        keeper.close()


def _keeper(
    spec: TargetSpec,
    folder: Path,
    artifact: Artifact,
    interface: Interface,
    isolation: Isolation | None,
) -> Keeper:
    memory = max(spec.memory_limit, TWIN_MEMORY)
    bounds = bounds_of(spec, folder, memory_limit=memory, isolation=isolation)
    start = partial(Child, "twin", bounds, f"the process that runs the twin of {artifact.name!r}")
    path = str(folder.resolve() / artifact.files[0].name)
    asked = {"op": "twin_open", "path": path, "interface": interface.to_json()}
    return Keeper(start, asked, spec.time_limit)


def _no_twin(model: OpenedModel) -> Gap | None:
    if not isinstance(model.task, Classification):
        return Gap(
            reason=Reason.NEEDS_CLASSIFICATION,
            detail="Twins are built for classifiers.",
            cure="Use checks that ask the model alone.",
        )
    if find_spec("torch") is None:
        return Gap(
            reason=Reason.NEEDS_EXTRA,
            detail="A twin needs torch, which is not installed.",
            cure="pip install 'auditor[attacks]'",
        )
    if model.interface.scores == "labels":
        return _unsupported("the model gives labels and no scores for it to equal")
    return None


def _unsupported(why: str) -> Gap:
    return Gap(
        reason=Reason.TWIN_UNSUPPORTED,
        detail=f"There can be no twin: {why}.",
        cure="Use checks that ask the model alone.",
    )


def _unlike(twin: OpenedTwin, model: OpenedModel, inputs: Array) -> Gap | None:
    """Measure the distance; return a ``Gap`` where the twin is not the model's equal."""
    try:
        distance = twin.measure(model, inputs)
    except TwinError as error:
        return Gap(reason=Reason.TWIN_UNSUPPORTED, detail=error.problem, cure=error.cure)
    except (SubjectLostError, ModelFailedError) as error:
        return Gap(reason=Reason(error.slug), detail=error.problem, cure=error.cure)
    if distance["max_difference"] <= MOST_DIFFERENCE and distance["agreement"] >= LEAST_AGREEMENT:
        return None
    return Gap(
        reason=Reason.TWIN_DIFFERS,
        detail=(
            f"The twin's probabilities differ from the model's by up to "
            f"{distance['max_difference']:.3g} and its decisions agree on "
            f"{distance['agreement']:.2%} of {len(inputs)} rows; allowed are "
            f"{MOST_DIFFERENCE:g} and {LEAST_AGREEMENT:.1%}."
        ),
        cure="Use checks that ask the model alone, and report the model's operators to us.",
    )


def _columns(model: OpenedModel) -> NDArray[np.int64]:
    """Return, class by class, the column of the twin's logits that holds it."""
    task = model.task
    if not isinstance(task, Classification):
        raise TypeError(task)
    if model.interface.scores.startswith("binary_") and task.positive_index == 0:
        return np.array([1, 0], dtype=np.int64)  # the twin puts the positive class last
    if model.keys is not None:
        return column_order(model.keys, task)
    return np.arange(len(task.classes), dtype=np.int64)


def _expect(array: NDArray[np.generic] | None, shape: tuple[int, ...], what: str) -> Floats:
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
