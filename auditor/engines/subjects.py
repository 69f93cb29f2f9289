"""Open what a check sees on one target; what cannot be opened becomes a Gap."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import TypeAlias

from auditor.domain.artifacts import Structure
from auditor.domain.benches import NO_BENCH, Bench
from auditor.domain.certificates import NO_CERTIFIER, Certifier
from auditor.domain.models import Model, Twin
from auditor.domain.privacy_claims import NO_PRIVACY_CLAIM
from auditor.domain.readings import Gap, Reason
from auditor.domain.recipes import NO_LEAVE_TO_TRAIN, NO_RECIPE, Recipe
from auditor.domain.subjects import Subject
from auditor.domain.targets import TargetSpec
from auditor.engines.gaps import gap_from
from auditor.engines.openers import Materials, Openers
from auditor.engines.sites import Site
from auditor.errors import AuditorError, InvalidInputError
from auditor.needs import without_file

WantsTwin: TypeAlias = Callable[[Model], bool]
NO_TWIN_WANTED = Gap(
    reason=Reason.NEEDS_TWIN,
    detail="No twin was opened.",
    cure="Set model.twin to auto in the audit file.",
)


@contextmanager
def open_subject(
    spec: TargetSpec, materials: Materials, openers: Openers, *, twin: WantsTwin
) -> Iterator[Subject]:
    """Open a subject on one target for as long as the block lasts.

    A model that crashes, hangs or is refused becomes a Gap, so that what needs no running model
    is still measured. ``twin`` says of the opened model whether a check would use its twin.
    Raises ``InvalidInputError`` for files that are not what they claim to be.
    """
    with ExitStack() as stack:
        # Scanned before it is opened: both hold a large model once more while they last.
        structure = _structure(spec, materials, openers)
        site = Site(stack, spec, materials, openers)
        opened = site.open()
        yield _brought(spec, materials)(
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


def _brought(spec: TargetSpec, materials: Materials) -> partial[Subject]:
    """Return the subject but for what is opened on the target."""
    return partial(
        Subject,
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
    )


def _structure(spec: TargetSpec, materials: Materials, openers: Openers) -> Structure | Gap:
    if materials.artifact is None:
        return without_file(spec)
    try:
        return openers.inspect(materials.staged, materials.artifact, spec)
    except InvalidInputError:
        raise
    except AuditorError as error:
        return gap_from(error, spec.name)


def _twin(site: Site, model: Model | Gap, wants: WantsTwin) -> Twin | Gap:
    if isinstance(model, Gap):
        return model
    if not wants(model):
        return NO_TWIN_WANTED
    return site.twin(site.materials.deployed, model, site.materials.twin)


def _certifier(site: Site, model: Model | Gap) -> Certifier | Gap:
    held = site.materials.deployed
    if isinstance(model, Gap) or held is None:
        return model if isinstance(model, Gap) else NO_CERTIFIER
    opened = site.openers.certifier(site.spec, held.folder, held.artifact, model)
    return site.stack.enter_context(opened)


def _bench(site: Site, model: Model | Gap) -> Bench | Gap:
    held = site.materials.deployed
    if isinstance(model, Gap) or held is None:
        return model if isinstance(model, Gap) else NO_BENCH
    opened = site.openers.bench(site.spec, held.folder, held.artifact, model)
    return site.stack.enter_context(opened)


def _recipe(site: Site) -> Recipe | Gap:
    source = site.materials.recipe
    if source is None:
        return NO_RECIPE
    if not source.ref.allowed:
        return NO_LEAVE_TO_TRAIN
    return site.stack.enter_context(site.openers.recipe(source, site.materials.task))
