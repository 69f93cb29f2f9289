"""The twin: crafting needs gradients, which a differentiable equal of the artifact gives."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from auditor.domain.artifacts import Artifact
from auditor.domain.canonical import Json
from auditor.domain.isolation import Isolation
from auditor.domain.models import Model
from auditor.domain.readings import Gap, Reason
from auditor.domain.subjects import Shard, derive_seed
from auditor.domain.targets import Interface, TargetSpec
from auditor.domain.tasks import Array, Floats, InputSpace
from auditor.domain.twins import TwinKind, TwinSource
from auditor.errors import ModelCrashedError, ModelFailedError, SubjectLostError, TwinError
from auditor.extras import to_install
from auditor.targets.fidelity import examine
from auditor.targets.isolation import bounds_of
from auditor.targets.keeping import Keeper
from auditor.targets.layouts import arrange_floats, restore
from auditor.targets.messages import plain
from auditor.targets.models import OpenedModel
from auditor.targets.processes import Child

TWIN_MEMORY = 8 * 2**30
"""At least so much address space: torch's libraries alone map several GiB in some builds."""
ARTIFACT_ITSELF = TwinSource()
MOST_NAME = 200
NO_SPACE = Gap(
    reason=Reason.NEEDS_NUMERIC_INPUT,
    detail="No input space was given.",
    cure="Set input.domain or input.features in the audit file.",
)
NO_GRADIENT_OF_TEXT = Gap(
    reason=Reason.NEEDS_NUMERIC_INPUT,
    detail="The model reads text, and no gradient reaches a letter.",
    cure="Read evasion.text, which changes words.",
)
EXTRAS: Mapping[str, str] = {
    "torch": to_install("attacks"),
    "onnx_ad": to_install("adjoint"),
}


class OpenedTwin:
    """A twin in its own child process; implements ``domain.subjects.Twin``."""

    def __init__(
        self, keeper: Keeper, model: OpenedModel, source: TwinSource, distance: Mapping[str, float]
    ) -> None:
        self._keeper = keeper
        self._interface: Interface = model.interface
        self._columns = model.columns
        self._row: tuple[int, ...] = ()
        self._passes = 0
        self._source = source
        self._distance = distance

    @property
    def passes(self) -> int:
        """Rows sent through ``backward`` so far."""
        return self._passes

    @property
    def source(self) -> Mapping[str, Json]:
        """What it was built from, as evidence has it."""
        return self._source.to_json()

    @property
    def distance(self) -> Mapping[str, float]:
        """Measured distance from the model: see ``domain.subjects.Twin``."""
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
        rows = arrange_floats(inputs, self._interface)
        reply = self._keeper.ask({"op": "twin_forward"}, {"x": rows})
        logits = expect(reply.arrays.get("logits"), (len(inputs), len(self._columns)), "logits")
        self._row = inputs.shape[1:]
        return logits[:, self._columns]

    def backward(self, cotangent: Floats) -> Floats:
        """Pull ``[n, classes]`` back through the last ``forward``: the gradient in its inputs."""
        turned = np.empty(cotangent.shape)
        turned[:, self._columns] = cotangent
        self._passes += len(cotangent)
        reply = self._keeper.ask({"op": "twin_backward"}, {"cotangent": turned})
        shape = (len(cotangent), *self._interface.input_shape)
        gradient = expect(reply.arrays.get("gradient"), shape, "gradient")
        return restore(gradient, self._interface, self._row)

    def cut(self, inputs: Array) -> tuple[str, ...]:
        """Return the operators that let no gradient through on these rows, as far as is known."""
        rows = arrange_floats(inputs, self._interface)
        said = self._keeper.ask({"op": "twin_cut"}, {"x": rows}).header.get("operators", [])
        return tuple(plain(str(name), MOST_NAME) for name in said)


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
    isolation: Isolation | None = None,
) -> Iterator[OpenedTwin | Gap]:
    """Build a twin, examine it against ``model``, and close it at the end.

    The model's queries count what the examination asks (``fidelity.examine``); ``seed`` is the
    audit's. Yields a ``Gap`` where there can be no twin, where it is not the same function, or
    where its gradient leads nowhere on the target.
    """
    if not isinstance(model, OpenedModel):
        yield _unsupported("the model is not open in a process of ours, so that there is no file")
        return
    source = settled(source)
    refused = _no_twin(model, source)
    if refused is not None:
        yield refused
        return
    keeper = keep_twin(spec, folder, artifact, model.interface, source, isolation)
    try:
        rng = np.random.default_rng(derive_seed(seed, "twin", Shard()))
        yield _examined(OpenedTwin(keeper, model, source, {}), model, inputs, space, rng)
    finally:
        keeper.close()


def keep_twin(  # noqa: PLR0913, PLR0917 -- what is opened, and how
    spec: TargetSpec,
    folder: Path,
    artifact: Artifact,
    interface: Interface,
    source: TwinSource,
    isolation: Isolation | None,
) -> Keeper:
    """Return what holds a twin of the artifact; nothing is started before it is first asked."""
    memory = max(spec.memory_limit, TWIN_MEMORY)
    bounds = bounds_of(spec, folder, memory_limit=memory, isolation=isolation)
    program = None if source.path is None else source.path.resolve()
    if program is not None:
        bounds = replace(bounds, readable=(*bounds.readable, program.parent))
    start = partial(Child, "twin", bounds, f"the process that runs the twin of {artifact.name!r}")
    asked = {
        "op": "twin_open",
        "path": str(folder.resolve() / artifact.files[0].name),
        "interface": interface.to_json(),
        "kind": source.kind.value,
        "program": None if program is None else str(program),
    }
    return Keeper(start, asked, spec.time_limit)


def settled(source: TwinSource) -> TwinSource:
    """Take the adjoint graph where torch is not installed and nothing else was asked for."""
    spare = source.kind is TwinKind.AUTO and find_spec("torch") is None and find_spec("onnx_ad")
    return replace(source, kind=TwinKind.ADJOINT) if spare else source


def _no_twin(model: OpenedModel, source: TwinSource) -> Gap | None:
    if model.interface.input_dtype == "str":
        return NO_GRADIENT_OF_TEXT
    lacking = no_library(source)
    if lacking is None and model.interface.scores == "labels":
        return _unsupported("the model gives labels and no scores for it to equal")
    return lacking


def no_library(source: TwinSource) -> Gap | None:
    """Return the Gap of a twin whose library is not installed."""
    needed = "onnx_ad" if source.kind is TwinKind.ADJOINT else "torch"
    if find_spec(needed) is not None:
        return None
    return Gap(
        reason=Reason.NEEDS_EXTRA,
        detail=f"A twin needs {needed}, which is not installed.",
        cure=EXTRAS[needed],
    )


def _unsupported(why: str) -> Gap:
    return Gap(
        reason=Reason.TWIN_UNSUPPORTED,
        detail=f"There can be no twin: {why}.",
        cure="Use checks that ask the model alone.",
    )


def _examined(
    twin: OpenedTwin, model: OpenedModel, inputs: Array, space: InputSpace | Gap,
    rng: np.random.Generator,
) -> OpenedTwin | Gap:  # fmt: skip
    """Return the twin with its distance, or a ``Gap`` where it is not the model's equal."""
    try:
        found = examine(twin, model, inputs, space, rng)
    except TwinError as error:
        return Gap(reason=Reason.TWIN_UNSUPPORTED, detail=error.problem, cure=error.cure)
    except (SubjectLostError, ModelFailedError) as error:
        return Gap(reason=Reason(error.slug), detail=error.problem, cure=error.cure)
    return found.gap or twin.at(found.distance)


def expect(array: NDArray[np.generic] | None, shape: tuple[int, ...], what: str) -> Floats:
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
