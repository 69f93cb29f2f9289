"""Open what a check sees on one target; what cannot be opened becomes a Gap."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from auditor.domain.artifacts import Artifact, SignatureMaterial, Structure
from auditor.domain.budgets import Budget
from auditor.domain.certificates import NO_CERTIFIER, Certifier
from auditor.domain.datasets import Dataset, Role
from auditor.domain.readings import Gap, Reason
from auditor.domain.subjects import Model, Subject, Twin, permutation
from auditor.domain.targets import TargetSpec
from auditor.domain.tasks import Array, InputSpace, Task
from auditor.domain.twins import TwinSource
from auditor.engines.local import gap_from
from auditor.errors import AuditorError, InvalidInputError
from auditor.measuring import NO_ARTIFACT

PROBE_ROWS = 64
TWIN_ROWS = 512

OpenModel = Callable[[TargetSpec, Path, Artifact, Task, Array], AbstractContextManager[Model]]
OpenCertifier = Callable[
    [TargetSpec, Path, Artifact, Model], AbstractContextManager[Certifier | Gap]
]
Inspect = Callable[[Path, Artifact, TargetSpec], Structure]


class OpenTwin(Protocol):
    """Opens the twin of a model, or says why there is none."""

    def __call__(  # noqa: PLR0913 -- what an audit knows of a model
        self, spec: TargetSpec, folder: Path, artifact: Artifact, model: Model, inputs: Array, /,
        *, space: InputSpace | Gap, source: TwinSource, seed: int,
    ) -> AbstractContextManager[Twin | Gap]:  # fmt: skip
        """Examine the twin on ``inputs``, moved within ``space``, by the audit's ``seed``."""
        ...


NO_TWIN_WANTED = Gap(
    reason=Reason.NEEDS_TWIN,
    detail="No twin was opened.",
    cure="Set model.twin to auto in the audit file.",
)


@dataclass(frozen=True, slots=True)
class Openers:
    """The edges that open a target: each runs the model in a limited child process.

    ``certifier`` starts its process when a check first asks it.
    """

    inspect: Inspect
    model: OpenModel
    twin: OpenTwin
    certifier: OpenCertifier


@dataclass(frozen=True, slots=True, kw_only=True)
class Materials:
    """All that an audit brings to a target: the staged artifact, the data, the task."""

    artifact: Artifact | None
    staged: Path
    signature: SignatureMaterial
    task: Task
    space: InputSpace | Gap
    datasets: Mapping[Role, Dataset]
    seed: int
    budget: Budget
    twin: TwinSource = field(default_factory=TwinSource)
    show_examples: bool = False


@contextmanager
def open_subject(
    spec: TargetSpec, materials: Materials, openers: Openers, *, twin: bool
) -> Iterator[Subject]:
    """Open a subject on one target for as long as the block lasts.

    A model that crashes, hangs or is refused becomes a Gap, so that what needs no running model
    is still measured. Raises ``InvalidInputError`` for files that are not what they claim to be.
    """
    with ExitStack() as stack:
        model = _model(stack, spec, materials, openers)
        yield Subject(
            artifact=materials.artifact,
            structure=_structure(spec, materials, openers),
            signature=materials.signature,
            model=model,
            twin=_twin(stack, spec, materials, openers, model) if twin else NO_TWIN_WANTED,
            certifier=_certifier(stack, spec, materials, openers, model),
            task=materials.task,
            space=materials.space,
            datasets=materials.datasets,
            audit_seed=materials.seed,
            seed=materials.seed,
            budget=materials.budget,
            show_examples=materials.show_examples,
        )


def _structure(spec: TargetSpec, materials: Materials, openers: Openers) -> Structure | Gap:
    if materials.artifact is None:
        return NO_ARTIFACT
    try:
        return openers.inspect(materials.staged, materials.artifact, spec)
    except InvalidInputError:
        raise
    except AuditorError as error:
        return gap_from(error, spec.name)


def _model(
    stack: ExitStack, spec: TargetSpec, materials: Materials, openers: Openers
) -> Model | Gap:
    sample = _rows(materials, PROBE_ROWS)
    if materials.artifact is None or sample is None:
        return NO_ARTIFACT
    try:
        opened = openers.model(spec, materials.staged, materials.artifact, materials.task, sample)
        return stack.enter_context(opened)
    except InvalidInputError:
        raise
    except AuditorError as error:
        return gap_from(error, spec.name)


def _twin(
    stack: ExitStack, spec: TargetSpec, materials: Materials, openers: Openers, model: Model | Gap
) -> Twin | Gap:
    sample = _rows(materials, TWIN_ROWS)
    if isinstance(model, Gap) or materials.artifact is None or sample is None:
        return model if isinstance(model, Gap) else NO_ARTIFACT
    try:
        opened = openers.twin(
            spec, materials.staged, materials.artifact, model, sample,
            space=materials.space, source=materials.twin, seed=materials.seed,
        )  # fmt: skip
        return stack.enter_context(opened)
    except AuditorError as error:
        return gap_from(error, spec.name)


def _certifier(
    stack: ExitStack, spec: TargetSpec, materials: Materials, openers: Openers, model: Model | Gap
) -> Certifier | Gap:
    if isinstance(model, Gap) or materials.artifact is None:
        return model if isinstance(model, Gap) else NO_CERTIFIER
    opened = openers.certifier(spec, materials.staged, materials.artifact, model)
    return stack.enter_context(opened)


def _rows(materials: Materials, count: int) -> Array | None:
    dataset = materials.datasets.get(Role.EVALUATION)
    if dataset is None or dataset.inputs is None:
        return None
    rows = permutation(materials.seed, dataset.rows)[:count]
    return dataset.inputs[rows]
