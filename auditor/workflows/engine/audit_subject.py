"""The subject that checks audit on one target: opens the model, its twin and its shadow models.

Anything that cannot be opened becomes a gap. Each shadow model runs in a child process of its own.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cache
from typing import TypeAlias, TypeVar

from auditor.checks.requirements import NO_PARENT, ONLY_A_FUNCTION, missing_file_gap
from auditor.domain.artifacts import ModelStructure
from auditor.domain.check_subject import NO_PLACEMENT, Subject
from auditor.domain.datasets import DatasetRole
from auditor.domain.execution_providers import suggest_fallback_cure
from auditor.domain.model_instrumentation import NO_BENCH, ModelBench
from auditor.domain.models import (
    NO_CASCADE,
    CompanionModel,
    Model,
    ModelCascade,
    Twin,
    TwinKind,
    TwinSource,
)
from auditor.domain.name_suggestions import format_name_list
from auditor.domain.operator_placement import OperatorPlacement
from auditor.domain.privacy_claims import NO_PRIVACY_CLAIM
from auditor.domain.readings import Gap, GapReason
from auditor.domain.robustness_certificates import NO_CERTIFIER, RobustnessCertifier
from auditor.domain.row_generators import NO_GENERATOR, OwnerGenerator
from auditor.domain.shadow_models import NO_SHADOWS, Include, ShadowModels
from auditor.domain.targets import EXACT_SUMS, TargetSpec
from auditor.domain.tasks import Array, Floats, InputSpace, Task
from auditor.domain.training_recipes import NO_LEAVE_TO_TRAIN, NO_RECIPE, TrainingRecipe
from auditor.errors import (
    AuditorError,
    CancelledError,
    InvalidInputError,
    RowShapeError,
    ShadowsError,
)
from auditor.workflows.engine.local import convert_error_to_gap
from auditor.workflows.engine.target_factory import (
    AuditInputs,
    OpenModel,
    ShadowModelSource,
    StagedArtifact,
    TargetFactory,
)

LABELS = "labels"
MEND = "Export it as the artifact was exported, or leave it and its row of the matrix out."


@dataclass(frozen=True, slots=True)
class StagedShadowModels:
    """Shadow models where they were staged; implements ``domain.shadows.ShadowModels``.

    A model is opened on ``spec`` when it is asked, and closed when it has answered all that it was
    asked at once, so that no two of them take memory together.
    """

    source: ShadowModelSource
    spec: TargetSpec
    task: Task
    opener: OpenModel

    @property
    def include(self) -> Mapping[DatasetRole, Include]:
        """Which rows ``[k, rows]`` of a dataset each model learnt from."""
        return self.source.include

    def answers(
        self, model: int, asked: Sequence[Array], *, labels_only: bool = False
    ) -> tuple[Floats, ...]:
        """Open one model, and return the probabilities of each array asked.

        Raises ``ShadowsError`` that names the file, whatever went wrong.
        """
        held = self.source.models[model]
        name = f"the shadow model {model} ({held.artifact.files[0].name})"
        try:
            with self.opener(self.spec, held.folder, held.artifact, self.task, asked[0]) as opened:
                if not labels_only:
                    _refuse_labels(opened, name)
                return tuple(opened.probabilities(opened.predict(rows)) for rows in asked)
        except (CancelledError, ShadowsError):
            raise
        except AuditorError as error:
            raise ShadowsError(
                f"{name} cannot be asked: {error.problem}", cure=f"{error.cure} {MEND}"
            ) from None


def _refuse_labels(model: Model, name: str) -> None:
    face = model.fingerprint.interface
    if face is not None and face.scores == LABELS:
        raise ShadowsError(f"{name} gives labels and no scores", cure=MEND)


def explain_row_mismatch(error: RowShapeError, materials: AuditInputs) -> RowShapeError:
    """Return the error with what the schema lists, and which columns of the data it does not.

    It stays as it is where no schema says which columns a row has.
    """
    space, data = materials.space, materials.datasets.get(DatasetRole.EVALUATION)
    features = space.features if isinstance(space, InputSpace) else ()
    if not features:
        return error
    free = [] if data is None else [repr(name) for name in data.slices]
    left = f"; not listed: {format_name_list(free)}" if free else ""
    return RowShapeError(
        f"{error.problem}; the schema lists {len(features)} columns{left}",
        cure="List every column that the model takes in input.features, in the model's order.",
    )


T = TypeVar("T")
PROBE_ROWS = 512
"""Rows by which a model is met: it takes as many of them as it needs."""
TWIN_ROWS = 512
REFERENCE = TargetSpec("reference", session=EXACT_SUMS)
"""Where the artifact is run to compare with: this machine's processor, with products of 8-bit
numbers that are exact on any x86 processor."""
NO_GENERATOR_WANTED = Gap(
    reason=GapReason.NEEDS_GENERATOR,
    detail="No generator was opened.",
    cure="Run a check that wants one: privacy.inversion.",
)
NO_TWIN = Gap(
    reason=GapReason.NEEDS_TWIN,
    detail="The audit file wants no twin.",
    cure="Set model.twin to auto in the audit file.",
)
NO_FILE = Gap(
    reason=GapReason.NEEDS_REFERENCE,
    detail="There is no file that could be run elsewhere, only an endpoint.",
    cure="Name the deployed file under model.artifact in the audit file.",
)
NOT_ELSEWHERE = Gap(
    reason=GapReason.NEEDS_REFERENCE,
    detail="There is no file that could be run elsewhere, only a Python function.",
    cure=ONLY_A_FUNCTION.cure,
)


@dataclass(frozen=True, slots=True)
class ModelOnTarget:
    """A model that was opened on a target, where its operators run, and its two halves if any."""

    model: Model | Gap
    placement: OperatorPlacement | Gap = NO_PLACEMENT
    cascade: ModelCascade | Gap = NO_CASCADE


@dataclass(frozen=True, slots=True)
class TargetSession:
    """One target with all that is opened on it, which closes with ``stack``."""

    stack: ExitStack
    spec: TargetSpec
    materials: AuditInputs
    openers: TargetFactory

    def open(self) -> ModelOnTarget:
        """Open the audited model. Raises ``InvalidInputError``; all else is a Gap."""
        declared = self.spec.cascade
        if declared is None:
            return self._open(self.spec, self.materials.deployed)
        edge = self._open(declared.edge, self.materials.deployed)
        cloud = self._open(declared.cloud, self.materials.parent or self.materials.deployed)
        if isinstance(edge.model, Gap):
            return edge
        if isinstance(cloud.model, Gap):
            return cloud
        both = self.openers.cascade(edge.model, cloud.model, declared.below, self.materials.task)
        if isinstance(both, Gap):
            return ModelOnTarget(both)
        return ModelOnTarget(both.whole, both.whole.placement, both)

    def reference(self) -> CompanionModel:
        """Return the artifact as the reference target runs it, opened on first use, with a twin.

        The twin is examined against that run, which takes nobody's leave.
        """
        spec = self.materials.reference or REFERENCE
        held = self.materials.deployed
        if held is None:
            return CompanionModel(lambda: NO_FILE if self.spec.callable is None else NOT_ELSEWHERE)
        source = self.materials.twin
        model = cache(lambda: self._open(spec, held).model)
        twin = cache(lambda: self.twin(held, model(), source))
        wanted = twin if source.kind is not TwinKind.NONE else lambda: NO_TWIN
        return CompanionModel(model, wanted, spec.to_json())

    def parent(self) -> CompanionModel:
        """Return the parent on this very target, opened on first use, with its twin.

        Of a cascade, it runs where the cloud does; an endpoint or a function takes no file.
        """
        held = self.materials.parent
        if held is None:
            return CompanionModel(lambda: NO_PARENT, lambda: NO_PARENT)
        place = self.spec if self.spec.cascade is None else self.spec.cascade.cloud
        spec = place if place.opens_file else REFERENCE
        model = cache(lambda: self._open(spec, held).model)
        twin = cache(lambda: self.twin(held, model(), TwinSource()))
        return CompanionModel(model, twin, {"digest": held.artifact.digest, **spec.to_json()})

    def shadows(self) -> ShadowModels | Gap:
        """Return ready shadow models, which run where the artifact does, or on this machine."""
        source = self.materials.shadows
        if source is None:
            return NO_SHADOWS
        place = self.spec if self.spec.cascade is None else self.spec.cascade.edge
        spec = place if place.opens_file else REFERENCE
        return StagedShadowModels(source, spec, self.materials.task, self.openers.model)

    def generator(self) -> OwnerGenerator | Gap:
        """Return the owner's generator, held against rows that the model takes.

        Raises ``ArtifactError`` where it makes other rows than these.
        """
        held, sample = self.materials.generator, self.materials.rows(TWIN_ROWS)
        if held is None:
            return NO_GENERATOR
        if not self.materials.wants_generator:
            return NO_GENERATOR_WANTED
        if sample is None:
            return missing_file_gap(self.spec)
        space = self.materials.space
        return self._entered(
            lambda: self.stack.enter_context(
                self.openers.generator(self.spec, held.folder, held.artifact, space, sample)
            )
        )

    def twin(
        self, held: StagedArtifact | None, model: Model | Gap, source: TwinSource
    ) -> Twin | Gap:
        """Open the twin of a model; what cannot be had is a Gap."""
        sample = self.materials.rows(TWIN_ROWS)
        if isinstance(model, Gap) or held is None or sample is None:
            return model if isinstance(model, Gap) else missing_file_gap(self.spec)
        return self._entered(
            lambda: self.stack.enter_context(
                self.openers.twin(
                    self.spec,
                    held.folder,
                    held.artifact,
                    model,
                    sample,
                    space=self.materials.space,
                    source=source,
                    seed=self.materials.seed,
                )
            )
        )

    def _open(self, spec: TargetSpec, held: StagedArtifact | None) -> ModelOnTarget:
        sample = self.materials.rows(PROBE_ROWS)
        if sample is None or (held is None and spec.opens_file):
            return ModelOnTarget(missing_file_gap(self.spec))
        folder = self.materials.staged if held is None else held.folder
        artifact = None if held is None else held.artifact
        task = self.materials.task
        model = self._entered(
            lambda: self.stack.enter_context(
                self.openers.model(spec, folder, artifact, task, sample)
            )
        )
        if isinstance(model, Gap):
            return ModelOnTarget(model)
        return ModelOnTarget(_unless_elsewhere(spec, model), model.placement)

    def _entered(self, enter: Callable[[], T]) -> T | Gap:
        try:
            return enter()
        except RowShapeError as error:
            raise explain_row_mismatch(error, self.materials) from None
        except InvalidInputError:
            raise
        except AuditorError as error:
            return convert_error_to_gap(error, self.spec.name)


def _unless_elsewhere(spec: TargetSpec, model: Model) -> Model | Gap:
    """Refuse a model of which operators run elsewhere, unless the target allows it."""
    found = model.placement
    if spec.allow_fallback or not found.known or not found.elsewhere:
        return model
    where = "; ".join(
        f"{sum(counts.values())} on {name} ({', '.join(sorted(counts))})"
        for name, counts in found.elsewhere.items()
    )
    return Gap(
        reason=GapReason.FELL_BACK,
        detail=f"{found.total} operators were to run on {found.declared}, but {where}: what is "
        "measured so would not speak of the declared target.",
        cure=f"{suggest_fallback_cure(spec, found.elsewhere)}Export the model with operators that "
        "the provider has, name the provider that really runs it, or set allow_fallback: true to "
        "measure the mixture as it is.",
        target=spec.name,
    )


WantsTwin: TypeAlias = Callable[[Model], bool]
NO_TWIN_WANTED = Gap(
    reason=GapReason.NEEDS_TWIN,
    detail="No twin was opened.",
    cure="Set model.twin to auto in the audit file.",
)


@contextmanager
def open_subject(
    spec: TargetSpec, materials: AuditInputs, openers: TargetFactory, *, twin: WantsTwin
) -> Iterator[Subject]:
    """Open a subject on one target for as long as the block lasts.

    A model that crashes, hangs or is refused becomes a Gap, so that what needs no running model
    is still measured. ``twin`` says of the opened model whether a check would use its twin.
    Raises ``InvalidInputError`` for files that are not what they claim to be.
    """
    with ExitStack() as stack:
        # Scanned before it is opened: both hold a large model once more while they last.
        structure: ModelStructure | Gap
        if materials.artifact is None:
            structure = missing_file_gap(spec)
        else:
            try:
                structure = openers.inspect(materials.staged, materials.artifact, spec)
            except InvalidInputError:
                raise
            except AuditorError as error:
                structure = convert_error_to_gap(error, spec.name)
        site = TargetSession(stack, spec, materials, openers)
        opened = site.open()
        yield Subject(
            artifact=materials.artifact,
            signature=materials.signature,
            task=materials.task,
            space=materials.space,
            datasets=materials.datasets,
            audit_seed=materials.seed,
            seed=materials.seed,
            budget=materials.budget,
            show_examples=materials.show_examples,
            claims=materials.claims,
            population=materials.population,
            privacy_claim=materials.privacy_claim or NO_PRIVACY_CLAIM,
            supply=materials.supply,
            target=spec,
            structure=structure,
            model=opened.model,
            twin=_twin(site, opened.model, twin),
            certifier=_certifier(site, opened.model),
            bench=_bench(site, opened.model),
            placement=opened.placement,
            cascade=opened.cascade,
            reference=site.reference(),
            parent=site.parent(),
            recipe=_recipe(site),
            shadows=site.shadows(),
            generator=site.generator(),
        )


def _twin(site: TargetSession, model: Model | Gap, wants: WantsTwin) -> Twin | Gap:
    if isinstance(model, Gap):
        return model
    if not wants(model):
        return NO_TWIN_WANTED
    return site.twin(site.materials.deployed, model, site.materials.twin)


def _certifier(site: TargetSession, model: Model | Gap) -> RobustnessCertifier | Gap:
    held = site.materials.deployed
    if isinstance(model, Gap) or held is None:
        return model if isinstance(model, Gap) else NO_CERTIFIER
    opened = site.openers.certifier(site.spec, held.folder, held.artifact, model)
    return site.stack.enter_context(opened)


def _bench(site: TargetSession, model: Model | Gap) -> ModelBench | Gap:
    held = site.materials.deployed
    if isinstance(model, Gap) or held is None:
        return model if isinstance(model, Gap) else NO_BENCH
    opened = site.openers.bench(site.spec, held.folder, held.artifact, model)
    return site.stack.enter_context(opened)


def _recipe(site: TargetSession) -> TrainingRecipe | Gap:
    source = site.materials.recipe
    if source is None:
        return NO_RECIPE
    if not source.ref.allowed:
        return NO_LEAVE_TO_TRAIN
    return site.stack.enter_context(site.openers.recipe(source, site.materials.task))
