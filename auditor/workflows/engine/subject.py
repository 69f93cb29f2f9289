"""One target while it is open: a model on it, its twin, and the models beside it."""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cache
from typing import TypeVar

from auditor.domain.companions import NO_CASCADE, Cascade, Companion
from auditor.domain.generators import NO_GENERATOR, GivenGenerator
from auditor.domain.models import Model, Twin
from auditor.domain.placements import Placement
from auditor.domain.providers import cure_of_fallback
from auditor.domain.readings import Gap, Reason
from auditor.domain.shadows import NO_SHADOWS, ShadowModels
from auditor.domain.subjects import NO_PLACEMENT
from auditor.domain.targets import EXACT_SUMS, TargetSpec
from auditor.domain.twins import TwinKind, TwinSource
from auditor.engines.gaps import gap_from
from auditor.engines.openers import Materials, Openers, Staged
from auditor.engines.rowshapes import by_schema
from auditor.engines.shadows import OpenedShadows
from auditor.errors import AuditorError, InvalidInputError, RowShapeError
from auditor.needs import NO_PARENT, without_file

T = TypeVar("T")
PROBE_ROWS = 64
TWIN_ROWS = 512
REFERENCE = TargetSpec("reference", session=EXACT_SUMS)
"""Where the artifact is run to compare with: this machine's processor, with products of 8-bit
numbers that are exact on any x86 processor."""
NO_GENERATOR_WANTED = Gap(
    reason=Reason.NEEDS_GENERATOR,
    detail="No generator was opened.",
    cure="Run a check that wants one: privacy.inversion.",
)
NO_TWIN = Gap(
    reason=Reason.NEEDS_TWIN,
    detail="The audit file wants no twin.",
    cure="Set model.twin to auto in the audit file.",
)
NO_FILE = Gap(
    reason=Reason.NEEDS_REFERENCE,
    detail="There is no file that could be run elsewhere, only an endpoint.",
    cure="Name the deployed file under model.artifact in the audit file.",
)


@dataclass(frozen=True, slots=True)
class Opened:
    """A model that was opened on a target, where its operators run, and its two halves if any."""

    model: Model | Gap
    placement: Placement | Gap = NO_PLACEMENT
    cascade: Cascade | Gap = NO_CASCADE


@dataclass(frozen=True, slots=True)
class Site:
    """One target with all that is opened on it, which closes with ``stack``."""

    stack: ExitStack
    spec: TargetSpec
    materials: Materials
    openers: Openers

    def open(self) -> Opened:
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
            return Opened(both)
        return Opened(both.whole, both.whole.placement, both)

    def reference(self) -> Companion:
        """Return the artifact as the reference target runs it, opened on first use, with a twin.

        The twin is examined against that run, which takes nobody's leave.
        """
        spec = self.materials.reference or REFERENCE
        held = self.materials.deployed
        if held is None:
            return Companion(lambda: NO_FILE)
        source = self.materials.twin
        model = cache(lambda: self._open(spec, held).model)
        twin = cache(lambda: self.twin(held, model(), source))
        wanted = twin if source.kind is not TwinKind.NONE else lambda: NO_TWIN
        return Companion(model, wanted, spec.to_json())

    def parent(self) -> Companion:
        """Return the parent on this very target, opened on first use, with its twin.

        Of a cascade, it runs where the cloud does; an endpoint takes no file.
        """
        held = self.materials.parent
        if held is None:
            return Companion(lambda: NO_PARENT, lambda: NO_PARENT)
        place = self.spec if self.spec.cascade is None else self.spec.cascade.cloud
        spec = place if place.endpoint is None else REFERENCE
        model = cache(lambda: self._open(spec, held).model)
        twin = cache(lambda: self.twin(held, model(), TwinSource()))
        return Companion(model, twin, {"digest": held.artifact.digest, **spec.to_json()})

    def shadows(self) -> ShadowModels | Gap:
        """Return ready shadow models, which run where the artifact does; an endpoint takes none."""
        source = self.materials.shadows
        if source is None:
            return NO_SHADOWS
        place = self.spec if self.spec.cascade is None else self.spec.cascade.edge
        spec = place if place.endpoint is None else REFERENCE
        return OpenedShadows(source, spec, self.materials.task, self.openers.model)

    def generator(self) -> GivenGenerator | Gap:
        """Return the owner's generator, held against rows that the model takes.

        Raises ``ArtifactError`` where it makes other rows than these.
        """
        held, sample = self.materials.generator, self.materials.rows(TWIN_ROWS)
        if held is None:
            return NO_GENERATOR
        if not self.materials.wants_generator:
            return NO_GENERATOR_WANTED
        if sample is None:
            return without_file(self.spec)
        space = self.materials.space
        return self._entered(
            lambda: self.stack.enter_context(
                self.openers.generator(self.spec, held.folder, held.artifact, space, sample)
            )
        )

    def twin(self, held: Staged | None, model: Model | Gap, source: TwinSource) -> Twin | Gap:
        """Open the twin of a model; what cannot be had is a Gap."""
        sample = self.materials.rows(TWIN_ROWS)
        if isinstance(model, Gap) or held is None or sample is None:
            return model if isinstance(model, Gap) else without_file(self.spec)
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

    def _open(self, spec: TargetSpec, held: Staged | None) -> Opened:
        sample = self.materials.rows(PROBE_ROWS)
        if sample is None or (held is None and spec.endpoint is None):
            return Opened(without_file(self.spec))
        folder = self.materials.staged if held is None else held.folder
        artifact = None if held is None else held.artifact
        task = self.materials.task
        model = self._entered(
            lambda: self.stack.enter_context(
                self.openers.model(spec, folder, artifact, task, sample)
            )
        )
        if isinstance(model, Gap):
            return Opened(model)
        return Opened(_unless_elsewhere(spec, model), model.placement)

    def _entered(self, enter: Callable[[], T]) -> T | Gap:
        try:
            return enter()
        except RowShapeError as error:
            raise by_schema(error, self.materials) from None
        except InvalidInputError:
            raise
        except AuditorError as error:
            return gap_from(error, self.spec.name)


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
        reason=Reason.FELL_BACK,
        detail=f"{found.total} operators were to run on {found.declared}, but {where}: what is "
        "measured so would not speak of the declared target.",
        cure=f"{cure_of_fallback(spec, found.elsewhere)}Export the model with operators that the "
        "provider has, name the provider that really runs it, or set allow_fallback: true to "
        "measure the mixture as it is.",
        target=spec.name,
    )
