"""Reads an audit file and reports mistakes with file, line, name and cure."""

import ast
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from keyword import iskeyword
from typing import TypeAlias, cast

from auditor._yaml import Place, YamlDocument, read_yaml_document, validate_document
from auditor.domain.auditfiles import (
    SINGLE,
    AuditFile,
    GeneratorSection,
    InputSection,
    ModelSection,
)
from auditor.domain.datasets import DatasetRole, find_joined_columns
from auditor.domain.json import Json, encode_canonical
from auditor.domain.models import PROGRAM, TwinKind
from auditor.domain.shadow_models import FEWEST
from auditor.domain.targets import TargetSpec
from auditor.domain.text_limits import explain_too_long
from auditor.errors import AuditFileError, InvalidInputError
from auditor.inputs.auditfile.privacy_claim import (
    PRIVACY,
    find_privacy_mistakes,
    parse_privacy_section,
)
from auditor.inputs.auditfile.schema import (
    AuditFileSchema,
    GeneratorSectionSchema,
    RecipeSectionSchema,
    ShadowsSectionSchema,
)
from auditor.inputs.auditfile.task_mistakes import REGRESSION, Mistake, find_task_mistakes

ONNX = ".onnx"
MATRICES = (".npy", ".npz", ".csv")
LEARNT = (DatasetRole.TRAINING, DatasetRole.EVALUATION, DatasetRole.REFERENCE)
"""Datasets that a shadow model may have learnt from."""


def find_shadow_mistakes(
    shape: AuditFileSchema, shadows: ShadowsSectionSchema
) -> Iterator[Mistake]:
    """Name what could be no shadow models, or speaks of rows that are not there."""
    models = shadows.models
    if not isinstance(models, str):
        if len(models) < FEWEST:
            mistakes_cure = f"List at least {FEWEST}, better 4 or more: LiRA takes 4."
            mistakes_problem = (
                f"lists {len(models)}, of which nobody can say whether they are alike"
            )
            yield ("shadows", "models"), mistakes_problem, mistakes_cure
        for index, path in enumerate(models):
            if not path.endswith(ONNX):
                mistakes_problem = f"is {path!r}, which is no {ONNX} file"
                yield ("shadows", "models", index), mistakes_problem, "Export the model to ONNX."
            if path in models[:index]:
                mistakes_cure = "List every model once, in the order of the rows of the matrix."
                yield ("shadows", "models", index), f"lists {path!r} a second time", mistakes_cure
    if not shadows.inclusion.endswith(MATRICES):
        problem = f"is {shadows.inclusion!r}, which is not a file of an array"
        cure = f"Name one of {', '.join(MATRICES)}: [models, rows] of true and false."
        yield ("shadows", "inclusion"), problem, cure
    yield from _row_mistakes(shape, shadows)
    if shape.task.kind == REGRESSION:
        problem = "is set, but only classifiers have shadow models"
        yield ("shadows",), problem, "Remove it."


def find_generator_mistakes(
    shape: AuditFileSchema, generator: GeneratorSectionSchema
) -> Iterator[Mistake]:
    """Name what could be no generator of rows that the model takes."""
    if not generator.path.endswith(ONNX):
        problem = f"is {generator.path!r}, which is no {ONNX} file"
        cure = "Export the generator to ONNX: from latent points [n, size] to rows."
        yield ("generator", "path"), problem, cure
    why = {
        "a regression has no classes to invert": shape.task.kind == REGRESSION,
        "the model reads texts, which no generator here makes": shape.input.text is not None,
        "data.evaluation, whose rows it should make, is not": shape.data.evaluation is None,
    }
    for problem in (said for said, holds in why.items() if holds):
        yield ("generator",), f"is set, but {problem}", "Remove it."


def _row_mistakes(shape: AuditFileSchema, shadows: ShadowsSectionSchema) -> Iterator[Mistake]:
    known, rows = [role.value for role in LEARNT], shadows.rows
    if not rows:
        yield ("shadows", "rows"), "names no dataset", f"Name some of {', '.join(known)}."
    for index, name in enumerate(rows):
        written = "rows" in shadows.model_fields_set
        place = ("shadows", "rows", index) if written else ("shadows",)
        if name not in known:
            yield place, f"is {name!r}", f"Choose from {', '.join(known)}."
        elif name in rows[:index]:
            yield place, f"names {name} twice", "Name every dataset once."
        elif getattr(shape.data, name) is None:
            problem = f"speaks of rows of data.{name}, which is not set"
            yield place, problem, f"Set data.{name}, or name other rows under shadows.rows."


SUFFIX = ".py"
LEAST_MEMORY = 2**28
"""Bytes without which no Python with numpy starts."""
DYNAMIC = frozenset({"*", "exec", "globals", "setattr", "vars", "__getattr__"})
"""With one of these a module may have names that nobody reads in its code."""
SCOPES = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda


def find_recipe_mistakes(shape: AuditFileSchema, recipe: RecipeSectionSchema) -> Iterator[Mistake]:
    """Name what could be no recipe, or trains what is not trained again."""
    if not recipe.path.endswith(SUFFIX):
        problem = f"is {recipe.path!r}, which is not a Python file"
        yield ("recipe", "path"), problem, "Name a .py file that defines train(X, y, seed)."
    for name in ("function", "dp_train"):
        called = getattr(recipe, name)
        if called is not None and (not called.isidentifier() or iskeyword(called)):
            problem = f"is {called!r}, which is not a name of a function"
            yield ("recipe", name), problem, "Write the function's name alone, as in train."
    if recipe.time_limit <= 0:
        problem = f"is {recipe.time_limit:g}, which is not a time to train in"
        yield ("recipe", "time_limit"), problem, "Write the seconds that one training may take."
    if recipe.memory_limit < LEAST_MEMORY:
        problem = f"is {recipe.memory_limit} bytes, in which no Python starts"
        cure = f"Write the bytes that training may take, at least {LEAST_MEMORY}."
        yield ("recipe", "memory_limit"), problem, cure
    if shape.task.kind == REGRESSION:
        problem = "is set, but only classifiers are trained again"
        yield ("recipe",), problem, "Remove it."


def list_bound_names(raw: bytes) -> frozenset[str] | None:
    """Return the names that Python code binds at its top level, by reading it and running nothing.

    ``None`` where that cannot be known: what is imported by a star, or made while it runs. Raises
    ``SyntaxError`` for what is no Python.
    """
    try:
        tree = ast.parse(raw)
        nodes = []
        # What stands at the top level, in `if` and `try` too, and not what is in a scope
        waiting: list[ast.AST] = list(tree.body)
        while waiting:
            node = waiting.pop()
            nodes.append(node)
            if not isinstance(node, SCOPES):
                waiting.extend(ast.iter_child_nodes(node))
    except (ValueError, RecursionError, MemoryError):
        return None
    found = {name for node in nodes for name in _bound(node)}
    found |= {it for node in ast.walk(tree) if isinstance(node, ast.Global) for it in node.names}
    used = {node.id for node in nodes if isinstance(node, ast.Name)}
    return None if (found | used) & DYNAMIC else frozenset(found)


def _bound(node: ast.AST) -> Iterator[str]:
    match node:
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
            yield node.name
        case ast.Name(ctx=ast.Store()):
            yield node.id
        case ast.Import() | ast.ImportFrom():
            yield from ((item.asname or item.name).partition(".")[0] for item in node.names)


LEAST_LEVELS = 2
CURE = "Write {column: {level: count or share}}, as in sex: {Female: 0.51, Male: 0.49}."


def find_population_mistakes(section: Mapping[str, object]) -> Iterator[Mistake]:
    """Name what is no share of a level."""
    for column, levels in section.items():
        place = ("population", column)
        if not isinstance(levels, Mapping):
            yield place, "is not a mapping of levels to their shares", CURE
            continue
        if len(levels) < LEAST_LEVELS:
            yield place, "has fewer than two levels, so that nothing could be out of line", CURE
        wrong = [level for level, share in levels.items() if not _is_share(share)]
        for level in wrong:
            yield (
                (*place, level),
                f"is {levels[level]!r}, which is neither a count nor a share",
                CURE,
            )
        if not wrong and not sum(levels.values()):
            yield place, "has no level with anybody in it", CURE


def parse_population(section: Mapping[str, Mapping[object, float]]) -> dict[str, dict[str, float]]:
    """Return the shares of a section without mistakes: those of one column add up to 1."""
    found = {}
    for column, levels in section.items():
        everybody = math.fsum(levels.values())
        found[str(column)] = {str(level): share / everybody for level, share in levels.items()}
    return found


def _is_share(value: object) -> bool:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return False
    return math.isfinite(value) and value >= 0


TargetEntry: TypeAlias = "str | Mapping[str, Json]"
ResolveTarget: TypeAlias = Callable[[TargetEntry], TargetSpec]
ASKED = frozenset({"labels", "scores", "predictions", "input.text"})
"""Settings whose column can be nothing else: what goes into the model, or what it is asked."""

NOTHING_TO_AUDIT = (
    "names no artifact, and neither data.evaluation.scores nor predictions names what it said",
    (
        "Set model.artifact: model.onnx (in Python, pass a model), data.evaluation.scores: "
        "[column, …] or predictions: column, or name an endpoint among the targets."
    ),
)


def read_audit_file(raw: bytes, source: str, resolve_target: ResolveTarget) -> AuditFile:
    """Parse the bytes of an audit file; ``source`` is its name in messages.

    ``resolve_target`` turns an entry of ``targets`` (a name, or a mapping written out) into a
    specification. Nothing that the file names is opened. Raises ``AuditFileError``, or the
    error of ``resolve_target`` with the line added.
    """
    document = read_yaml_document(raw, source, AuditFileError)
    shape = validate_document(document, AuditFileSchema, AuditFileError)
    targets = _targets(document, shape.targets, resolve_target)
    mistakes = list(_mistakes(shape, targets))
    if mistakes:
        raise _error(document, mistakes)
    # The paths of what stands beside the model, as written
    beside = ("system", "risks", "baseline", "baseline_key")
    # What is claimed of privacy is a file, and no number to hold a measurement against.
    claims, exported = cast("dict[str, Json]", shape.claims), shape.model.exported
    return AuditFile(
        source=source,
        raw=raw,
        model=shape.model.make(
            ModelSection, exported=None if exported is None else exported.section()
        ),
        task=shape.task.section(),
        input=shape.input.make(InputSection),
        targets=targets,
        data=shape.data.sections(),
        policy=shape.policy,
        budget=shape.budget,
        max_minutes=shape.max_minutes,
        seed=shape.seed,
        claims={name: value for name, value in claims.items() if name != PRIVACY},
        population=parse_population(shape.population) if shape.population else {},
        show_examples=shape.show_examples,
        disclosure=shape.disclosure,
        reference=(
            None
            if shape.reference is None
            else _reference(document, shape.reference, resolve_target)
        ),
        privacy=parse_privacy_section(shape.claims) if PRIVACY in shape.claims else None,
        recipe=None if shape.recipe is None else shape.recipe.section(),
        shadows=None if shape.shadows is None else shape.shadows.section(),
        generator=None if shape.generator is None else shape.generator.make(GeneratorSection),
        waivers=shape.waivers,
        waiver_keys=shape.waiver_keys,
        **{name: getattr(shape, name) for name in beside},
    )


def _mistakes(shape: AuditFileSchema, targets: Sequence[TargetSpec]) -> Iterator[Mistake]:
    served = any(target.brings_model for target in targets)
    yield from find_task_mistakes(shape.task)
    yield from _input_mistakes(shape)
    yield from _data_mistakes(shape)
    yield from _model_mistakes_reading(shape, served=served)
    if PRIVACY in shape.claims:
        yield from find_privacy_mistakes(shape.claims)
    for name, value in shape.claims.items():
        try:
            encode_canonical(value)
        except ValueError:
            mistakes_cure = "Write a finite number, a text, true or false."
            yield ("claims", name), "is not a value that a signed record can hold", mistakes_cure
    if shape.population:
        yield from find_population_mistakes(shape.population)
    if shape.recipe is not None:
        yield from find_recipe_mistakes(shape, shape.recipe)
    if shape.shadows is not None:
        yield from find_shadow_mistakes(shape, shape.shadows)
    if shape.generator is not None:
        yield from find_generator_mistakes(shape, shape.generator)
    if shape.waiver_keys and shape.model.trust is not None:
        mistakes_problem = "is set beside model.trust: only one of them can say who may waive"
        cure = "Keep one of the two; a trust policy gives keys the role waiver."
        yield ("waiver_keys",), mistakes_problem, cure
    if shape.disclosure is not None and shape.show_examples:
        problem = "is set beside show_examples, and a report that shows rows withholds none"
        yield ("disclosure",), problem, "Keep one of the two."


def _error(document: YamlDocument, mistakes: list[Mistake]) -> AuditFileError:
    said = "; ".join(
        f"{document.where(place)}: {'.'.join(str(part) for part in place)} {problem}"
        for place, problem, _ in mistakes
    )
    return AuditFileError(said, cure=" ".join(dict.fromkeys(cure for _, _, cure in mistakes)))


def _input_mistakes(shape: AuditFileSchema) -> Iterator[Mistake]:
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
        yield ("input", "quantum"), f"is {declared.quantum:g}, which is not a step", cure
    for name in ("domain", "features"):
        if declared.text is not None and getattr(declared, name) is not None:
            problem = f"is set beside input.text, though texts have no {name}"
            yield ("input", name), problem, "Keep one of the two."


def _data_mistakes(shape: AuditFileSchema) -> Iterator[Mistake]:
    for role, section in shape.data.sections().items():
        place: Place = ("data", role.value)
        if shape.task.kind == REGRESSION and section.predictions is not None:
            problem = "names predicted classes, which a regression has not"
            cure = "Name the column of predicted numbers under scores: [column]."
            yield (*place, "predictions"), problem, cure
        single = [(setting, getattr(section, setting)) for setting in SINGLE]
        named = [(setting, name) for setting, name in single if name is not None]
        named += [("groups", name) for name in section.groups]
        parts = dict.fromkeys(part for name in section.groups for part in find_joined_columns(name))
        named += [("groups", part) for part in parts if part not in section.groups]
        named += [("scores", name) for name in section.scores]
        seen: dict[str, str] = {} if shape.input.text is None else {shape.input.text: "input.text"}
        for setting, name in named:
            # A group may be a cluster or an identity too; what is asked of the model may not.
            clash = seen.get(name)
            if clash is not None and (clash == setting or {clash, setting} & ASKED):
                problem = f"names the column {name!r}, which {clash} names already"
                yield (*place, setting), problem, "Use each column for one purpose."
            seen.setdefault(name, setting)


def _model_mistakes_reading(shape: AuditFileSchema, *, served: bool) -> Iterator[Mistake]:
    twin = shape.model.twin
    if TwinKind.named(twin) is TwinKind.EXPORTED and not twin.endswith(PROGRAM):
        cure = f"Write auto, adjoint, none, or the path of a torch.export file ({PROGRAM})."
        yield (
            ("model", "twin"),
            f"is {twin!r}, which is neither a kind of twin nor a {PROGRAM} file",
            cure,
        )
    if shape.model.trust is not None and shape.model.key is not None:
        problem = "conflicts with model.key: only one of them can define the trusted signers"
        yield ("model", "trust"), problem, "Keep one of the two; a trust policy also names keys."
    if shape.model.artifact is not None:
        return
    for name in ("signature", "key", "trust", "parent", "exported"):
        if getattr(shape.model, name) is not None:
            problem = "is set, but model.artifact is missing"
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


def _targets(
    document: YamlDocument, entries: tuple[object, ...], resolve: ResolveTarget
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


def _reference(document: YamlDocument, entry: object, resolve: ResolveTarget) -> TargetSpec:
    place: Place = ("reference",)
    if not isinstance(entry, str | Mapping):
        cure = "Write a target's name, or a mapping of its settings."
        raise _error(document, [(place, f"is {entry!r}", cure)])
    return _resolved(document, place, entry, resolve)


def _resolved(
    document: YamlDocument, place: Place, entry: TargetEntry, resolve: ResolveTarget
) -> TargetSpec:
    named = entry.get("name") if isinstance(entry, Mapping) else entry
    long = explain_too_long(named) if isinstance(named, str) else ""
    if long:
        raise _error(document, [(place, f"names {long}", "Give it a shorter name.")])
    try:
        return resolve(entry)
    except InvalidInputError as mistake:
        name = ".".join(str(part) for part in place)
        problem = f"{document.where(place)}: {name}: {mistake.problem}"
        raise type(mistake)(problem, cure=mistake.cure) from None
