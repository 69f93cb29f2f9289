"""Read an audit file: strictly, with file, line, name and cure for every mistake."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypeAlias, cast

from auditor.auditfiles.handed import generator_mistakes, shadow_mistakes
from auditor.auditfiles.populations import population_mistakes, population_of
from auditor.auditfiles.privacy_claims import PRIVACY, privacy_mistakes, privacy_section
from auditor.auditfiles.recipes import recipe_mistakes
from auditor.auditfiles.shapes import AuditShape
from auditor.auditfiles.tasks import REGRESSION, Mistake, task_mistakes
from auditor.documents import Document, Place, read_document, validate
from auditor.domain.auditfiles import SINGLE, AuditFile
from auditor.domain.bounds import too_long
from auditor.domain.canonical import Json, canonical
from auditor.domain.columns import parts_of
from auditor.domain.targets import TargetSpec
from auditor.domain.twins import PROGRAM, TwinKind
from auditor.errors import AuditFileError, InvalidInputError

TargetEntry: TypeAlias = "str | Mapping[str, Json]"
ResolveTarget: TypeAlias = Callable[[TargetEntry], TargetSpec]
ASKED = frozenset({"labels", "scores", "predictions", "input.text"})
"""Settings whose column can be nothing else: what goes into the model, or what it is asked."""

NOTHING_TO_AUDIT = (
    "names no artifact, and neither data.evaluation.scores nor predictions names what it said",
    (
        "Set model.artifact: model.onnx, data.evaluation.scores: [column, …] or predictions: "
        "column, or name an endpoint among the targets."
    ),
)


def read_audit_file(raw: bytes, source: str, resolve_target: ResolveTarget) -> AuditFile:
    """Parse the bytes of an audit file; ``source`` is its name in messages.

    ``resolve_target`` turns an entry of ``targets`` (a name, or a mapping written out) into a
    specification. Nothing that the file names is opened. Raises ``AuditFileError``, or the
    error of ``resolve_target`` with the line added.
    """
    document = read_document(raw, source, AuditFileError)
    shape = validate(document, AuditShape, AuditFileError)
    targets = _targets(document, shape.targets, resolve_target)
    _refuse(document, list(_mistakes(shape, targets)))
    return AuditFile(
        source=source,
        raw=raw,
        model=shape.model.section(),
        task=shape.task.section(),
        input=shape.input.section(),
        targets=targets,
        data=shape.data.sections(),
        policy=shape.policy,
        budget=shape.budget,
        seed=shape.seed,
        claims=_without_privacy(shape),
        population=population_of(shape.population),
        show_examples=shape.show_examples,
        disclosure=shape.disclosure,
        reference=_reference(document, shape.reference, resolve_target),
        privacy=privacy_section(shape.claims),
        recipe=None if shape.recipe is None else shape.recipe.section(),
        shadows=None if shape.shadows is None else shape.shadows.section(),
        generator=None if shape.generator is None else shape.generator.section(),
        waivers=shape.waivers,
        waiver_keys=shape.waiver_keys,
        **_named_beside(shape),
    )


def _named_beside(shape: AuditShape) -> dict[str, str | None]:
    """Return the paths of what stands beside the model, as written."""
    beside = ("system", "risks", "baseline", "baseline_key")
    return {name: getattr(shape, name) for name in beside}


def _mistakes(shape: AuditShape, targets: Sequence[TargetSpec]) -> Iterator[Mistake]:
    served = any(target.endpoints for target in targets)
    yield from task_mistakes(shape.task)
    yield from _input_mistakes(shape)
    yield from _data_mistakes(shape)
    yield from _model_mistakes(shape, served=served)
    yield from _claim_mistakes(shape)
    yield from population_mistakes(shape.population)
    yield from recipe_mistakes(shape)
    yield from shadow_mistakes(shape)
    yield from generator_mistakes(shape)
    yield from _waiver_mistakes(shape)
    if shape.disclosure is not None and shape.show_examples:
        problem = "is set beside show_examples, and a report that shows rows withholds none"
        yield ("disclosure",), problem, "Keep one of the two."


def _waiver_mistakes(shape: AuditShape) -> Iterator[Mistake]:
    if shape.waiver_keys and shape.model.trust is not None:
        problem = "is set beside model.trust: only one of them can say who may waive"
        cure = "Keep one of the two; a trust policy gives keys the role waiver."
        yield ("waiver_keys",), problem, cure


def _without_privacy(shape: AuditShape) -> dict[str, Json]:
    # What is claimed of privacy is a file, and no number to hold a measurement against.
    claims = cast("dict[str, Json]", shape.claims)
    return {name: value for name, value in claims.items() if name != PRIVACY}


def _refuse(document: Document, mistakes: list[Mistake]) -> None:
    if mistakes:
        raise _error(document, mistakes)


def _error(document: Document, mistakes: list[Mistake]) -> AuditFileError:
    said = "; ".join(
        f"{document.where(place)}: {'.'.join(str(part) for part in place)} {problem}"
        for place, problem, _ in mistakes
    )
    return AuditFileError(said, cure=" ".join(dict.fromkeys(cure for _, _, cure in mistakes)))


def _input_mistakes(shape: AuditShape) -> Iterator[Mistake]:
    declared = shape.input
    if declared.domain is not None and declared.domain[0] >= declared.domain[1]:
        yield ("input", "domain"), "is an empty range", "Write [low, high] with low below high."
    if declared.domain is not None and declared.features is not None:
        problem = "is set beside input.features, which bounds every column itself"
        yield ("input", "domain"), problem, "Keep one of the two."
    if declared.quantum is not None and declared.domain is None:
        problem = "is set without input.domain, so there is nothing that it steps through"
        yield ("input", "quantum"), problem, "Set input.domain: [low, high] too, or remove it."
    if declared.quantum is not None and declared.quantum <= 0:
        cure = "Set a positive step, or null for continuous inputs."
        yield ("input", "quantum"), f"is {declared.quantum:g}, which is no step", cure
    for name in ("domain", "features"):
        if declared.text is not None and getattr(declared, name) is not None:
            problem = f"is set beside input.text, though texts have no {name}"
            yield ("input", name), problem, "Keep one of the two."


def _data_mistakes(shape: AuditShape) -> Iterator[Mistake]:
    for role, section in shape.data.sections().items():
        place: Place = ("data", role.value)
        if shape.task.kind == REGRESSION and section.predictions is not None:
            problem = "names predicted classes, which a regression has not"
            cure = "Name the column of predicted numbers under scores: [column]."
            yield (*place, "predictions"), problem, cure
        single = [(setting, getattr(section, setting)) for setting in SINGLE]
        named = [(setting, name) for setting, name in single if name is not None]
        named += [("groups", name) for name in section.groups]
        parts = dict.fromkeys(part for name in section.groups for part in parts_of(name))
        named += [("groups", part) for part in parts if part not in section.groups]
        named += [("scores", name) for name in section.scores]
        seen: dict[str, str] = {} if shape.input.text is None else {shape.input.text: "input.text"}
        for setting, name in named:
            # A group may be a cluster or an identity too; what is asked of the model may not.
            clash = seen.get(name)
            if clash is not None and (clash == setting or {clash, setting} & ASKED):
                problem = f"names the column {name!r}, which {clash} names already"
                yield (*place, setting), problem, "Name a column for one thing."
            seen.setdefault(name, setting)


def _model_mistakes(shape: AuditShape, *, served: bool) -> Iterator[Mistake]:
    twin = shape.model.twin
    if TwinKind.named(twin) is TwinKind.EXPORTED and not twin.endswith(PROGRAM):
        cure = f"Write auto, adjoint, none, or the path of a torch.export file ({PROGRAM})."
        yield (
            ("model", "twin"),
            f"is {twin!r}, which is no kind of twin and no {PROGRAM} file",
            cure,
        )
    if shape.model.trust is not None and shape.model.key is not None:
        problem = "is set beside model.key: only one of them can say whom to trust"
        yield ("model", "trust"), problem, "Keep one of the two; a trust policy names keys too."
    if shape.model.artifact is not None:
        return
    for name in ("signature", "key", "trust", "parent"):
        if getattr(shape.model, name) is not None:
            problem = "is set, but there is no model.artifact that it could belong to"
            yield ("model", name), problem, "Set model.artifact, or remove it."
    if served:
        return
    for name in ("domain", "features", "text"):
        if getattr(shape.input, name) is not None:
            problem = "is set, but there is no model.artifact that could take inputs"
            yield ("input", name), problem, "Set model.artifact, or remove it."
    scored = shape.data.evaluation
    if scored is None or not (scored.scores or scored.predictions):
        yield ("model",), *NOTHING_TO_AUDIT


def _claim_mistakes(shape: AuditShape) -> Iterator[Mistake]:
    yield from privacy_mistakes(shape.claims)
    for name, value in shape.claims.items():
        try:
            canonical(value)
        except ValueError:
            cure = "Write a finite number, a text, true or false."
            yield ("claims", name), "is no value that a signed record can hold", cure


def _targets(
    document: Document, entries: tuple[object, ...], resolve: ResolveTarget
) -> tuple[TargetSpec, ...]:
    if not entries:
        cure = "Write targets: [cpu]."
        raise _error(document, [(("targets",), "lists no target", cure)])
    targets: list[TargetSpec] = []
    for index, entry in enumerate(entries):
        place: Place = ("targets", index)
        if not isinstance(entry, str | Mapping):
            cure = "Write a name, or a mapping of a target's settings."
            raise _error(document, [(place, f"is {entry!r}", cure)])
        target = _resolved(document, place, entry, resolve)
        if target.name in {known.name for known in targets}:
            problem = f"names the target {target.name!r} a second time"
            raise _error(document, [(place, problem, "Give every target a name of its own.")])
        targets.append(target)
    return tuple(targets)


def _reference(document: Document, entry: object, resolve: ResolveTarget) -> TargetSpec | None:
    if entry is None:
        return None
    place: Place = ("reference",)
    if not isinstance(entry, str | Mapping):
        cure = "Write a target's name, or a mapping of its settings."
        raise _error(document, [(place, f"is {entry!r}", cure)])
    return _resolved(document, place, entry, resolve)


def _resolved(
    document: Document, place: Place, entry: TargetEntry, resolve: ResolveTarget
) -> TargetSpec:
    named = entry.get("name") if isinstance(entry, Mapping) else entry
    long = too_long(named) if isinstance(named, str) else ""
    if long:
        raise _error(document, [(place, f"names {long}", "Give it a shorter name.")])
    try:
        return resolve(entry)
    except InvalidInputError as mistake:
        name = ".".join(str(part) for part in place)
        problem = f"{document.where(place)}: {name}: {mistake.problem}"
        raise type(mistake)(problem, cure=mistake.cure) from None
