"""Look at a model and a data file, and draft an audit file from what they show."""

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from auditor._scratch import scratch_folder
from auditor.domain.artifacts import Artifact
from auditor.domain.datasets import DatasetRole
from auditor.domain.subjects import seeded_permutation
from auditor.domain.targets import TargetSpec
from auditor.domain.tasks import Array, ClassificationTask, RegressionTask
from auditor.errors import ArtifactError, AuditorError, ModelFailedError
from auditor.inputs.auditfile.draft import (
    ClassOrderTrial,
    DraftFacts,
    can_list_classes,
    draft_audit_file,
)
from auditor.inputs.auditfile.read import read_audit_file
from auditor.inputs.datasets.inspect import DataFileSummary, inspect_data_file
from auditor.inputs.datasets.load import load_datasets
from auditor.metrics.performance.classification import (
    BETTER,
    BEYOND_CHANCE,
    AlternativeClassOrder,
    find_better_class_order,
)
from auditor.targets.model_shapes import DeclaredShapes, read_declared_shapes
from auditor.targets.output_summary import OutputSummary, summarise_outputs
from auditor.targets.outputs import ModelOutput, find_score_output
from auditor.targets.session import PROBE_ROWS, open_model, read_first_outputs
from auditor.trust.artifacts.files import stage_artifact

CPU = TargetSpec("cpu")
MOST_SCORED = 1024
TWO = 2


@dataclass(frozen=True, slots=True)
class _DraftTrial:
    """The trial of a draft, and the order that would be far better than the drafted one."""

    trial: ClassOrderTrial
    other: AlternativeClassOrder | None = None


def init_audit_file(model: Path, data: Path, base: Path) -> str:
    """Return an audit file that will lie in ``base``, with every guess marked.

    The model is run on rows of the data, in a child process, to find out what its task is and which
    score is that of which class. Raises ``InvalidInputError`` of the kind of file that cannot be
    read, ``ArtifactError`` for a model whose answers no audit could take for classes or a number.
    """
    with scratch_folder() as place:
        artifact = Artifact(model.stem, "0", stage_artifact(model, place))
        declared = read_declared_shapes(CPU, place, artifact)
        if declared.deep:
            raise _no_task(", ".join(declared.deep))
        found = inspect_data_file(data)
        seen = _observed(_from(base, model), _from(base, data), found, declared)
        for truth in dict.fromkeys((found.labels, found.number, None)):
            inputs = _inputs(seen, truth, base)
            answers = () if inputs is None else _asked(place, artifact, inputs)
            if answers and inputs is not None:
                seen = _suited(seen, found, answers, inputs)
                break
        if seen.spread is None and can_list_classes(seen):
            seen = _in_order(seen, partial(_try, base=base, folder=place, artifact=artifact))
    return draft_audit_file(seen)


def _observed(model: str, data: str, seen: DataFileSummary, declared: DeclaredShapes) -> DraftFacts:
    return DraftFacts(
        name=Path(model).stem,
        artifact=model,
        data=data,
        model_shape=declared.input_shape,
        outputs=declared.scores,
        rows=seen.rows,
        columns=seen.columns,
        labels=seen.labels,
        classes=seen.classes,
        id=seen.id,
        groups=seen.groups,
        slices=seen.texts,
        input_shape=seen.input_shape,
        value_range=seen.value_range,
        pictures=seen.pictures,
        spread=seen.spread,
        reads_text=declared.reads_text,
        text=seen.longest,
    )


def _inputs(seen: DraftFacts, truth: str | None, base: Path) -> Array | None:
    """Return the first rows as the model would take them; the ``truth`` is no part of them."""
    rest = seen.slices if truth is None else (*seen.slices, truth)
    blank = replace(seen, labels=None, classes=(), slices=rest, spread=1.0, outputs=None)
    try:
        asked = read_audit_file(draft_audit_file(blank).encode(), "the draft", lambda _: CPU)
        loaded = load_datasets(asked, lambda written: base / written)
    except AuditorError:
        return None
    inputs = loaded.datasets[DatasetRole.EVALUATION].inputs
    return None if inputs is None else inputs[:PROBE_ROWS]


def _asked(folder: Path, artifact: Artifact, inputs: Array) -> tuple[ModelOutput, ...]:
    """Return what the model answers; nothing where it does not take the rows as they are."""
    try:
        return read_first_outputs(CPU, folder, artifact, inputs)
    except AuditorError:
        return ()


def _suited(
    seen: DraftFacts, found: DataFileSummary, answers: tuple[ModelOutput, ...], inputs: Array
) -> DraftFacts:
    """Draft the task that the answers show. Raises ``ArtifactError`` where they show none."""
    kind = summarise_outputs(answers, len(inputs))
    classes = len(seen.classes)
    single = kind.widths == {1} and not kind.told
    if single and (classes != TWO or seen.spread is not None):
        return _of_numbers(seen, found, answers, kind)
    if _speaks_of(seen.classes, kind) or (single and classes == TWO) or classes in kind.widths:
        named = _named(replace(seen, spread=None), kind)
        return _accepted(named, answers) if _whole(named, kind) else named
    wide = {width for width in kind.widths if width > classes} - {inputs[0].size}
    if len(answers) == 1 and wide and (classes >= TWO or wide <= kind.probable):
        return replace(seen, spread=None)
    raise _no_task(kind.words)


def _of_numbers(
    seen: DraftFacts, found: DataFileSummary, answers: tuple[ModelOutput, ...], kind: OutputSummary
) -> DraftFacts:
    """Draft a regression of the column of numbers. Raises ``ArtifactError`` where none is there."""
    if found.number is None or found.deviation is None:
        raise ArtifactError(
            f"the model answers a row with one number ({kind.words}), and no column of the data "
            "holds numbers that it could predict",
            cure="Put the truth into a column of numbers named `target`.",
        )
    _refuse_other(answers, RegressionTask(found.deviation))
    return replace(
        seen,
        labels=found.number,
        classes=(),
        spread=found.deviation,
        outputs=1,
        groups=tuple(name for name in seen.groups if name != found.number),
        slices=tuple(name for name in seen.slices if name != found.number),
    )


def _named(seen: DraftFacts, kind: OutputSummary) -> DraftFacts:
    """Put the classes into the order in which the model names them, and add those it names."""
    classes = set(seen.classes)
    if len(seen.classes) < TWO or not (classes <= kind.told or kind.told <= classes):
        return seen
    every = (*seen.classes, *sorted(kind.told - classes))
    order = [name for name in every if name not in kind.named]
    placed = [order.pop(0) if name is None and order else name for name in kind.named]
    if order and not placed:  # labels without scores have no order
        return seen if kind.told <= classes else replace(seen, classes=every)
    if order or None in placed:
        return seen
    names = tuple(name for name in placed if name is not None)
    return replace(seen, classes=names, named=True) if names else seen


def _speaks_of(classes: tuple[str, ...], kind: OutputSummary) -> bool:
    """Whether the names that a model tells are those of the data, or places among them."""
    places = {str(place) for place in range(len(classes))}
    return bool(kind.told) and (
        not classes or kind.told <= {*classes} or kind.told <= places or {*classes} <= kind.told
    )


def _whole(seen: DraftFacts, kind: OutputSummary) -> bool:
    """Whether the data hold every class that there are scores for: what is left is to be listed."""
    count = len(seen.classes)
    return can_list_classes(seen) and not any(width > max(count, 1) for width in kind.widths)


def _accepted(seen: DraftFacts, answers: tuple[ModelOutput, ...]) -> DraftFacts:
    """Return what was seen if an audit would take it. Raises ``ArtifactError`` as that would."""
    last = seen.classes[-1]
    _refuse_other(answers, ClassificationTask(seen.classes, last, last))
    return seen


def _refuse_other(
    answers: tuple[ModelOutput, ...], task: ClassificationTask | RegressionTask
) -> None:
    try:
        find_score_output(answers, task)
    except ModelFailedError as error:
        raise ArtifactError(error.problem, cure=error.cure) from None


def _no_task(words: str) -> ArtifactError:
    return ArtifactError(
        f"the model's answers ({words}) are neither one score a class nor one number a row: "
        "`auditor init` drafts audits of classifiers and of regressions alone",
        cure="Export the model with one score a class, or one number a row, as its output; if the "
        "data hold no labels, add a column of them named `label`.",
    )


def _in_order(seen: DraftFacts, score: Callable[[DraftFacts], _DraftTrial]) -> DraftFacts:
    """Put the classes into the order in which the model scores them, as far as rows tell it.

    Another order is drafted only if scoring by it is far better indeed: a model that names its
    classes is not read otherwise because they are listed otherwise.
    """
    tried = score(seen)
    if tried.other is not None:
        moved = _moved(seen, tried.other, one_score=tried.trial.one_score)
        again = score(moved).trial
        if again.accuracy >= tried.trial.accuracy + BETTER:
            return replace(moved, trial=replace(again, before=tried.trial.accuracy))
    return replace(seen, trial=tried.trial)


def _moved(seen: DraftFacts, other: AlternativeClassOrder, *, one_score: bool) -> DraftFacts:
    last = seen.classes[-1]
    if one_score:
        return replace(seen, positive=seen.classes[0], favourable=last)
    classes = tuple(seen.classes[place] for place in other.places)
    return replace(seen, classes=classes, positive=last, favourable=last)


def _try(seen: DraftFacts, *, base: Path, folder: Path, artifact: Artifact) -> _DraftTrial:
    """Score rows of the data as an audit of the draft would; what prevents it is told."""
    try:
        return _score(seen, base, folder, artifact)
    except AuditorError as error:
        return _DraftTrial(ClassOrderTrial(problem=error.problem))


def _score(seen: DraftFacts, base: Path, folder: Path, artifact: Artifact) -> _DraftTrial:
    asked = read_audit_file(draft_audit_file(seen).encode(), "the draft", lambda _: CPU)
    loaded = load_datasets(asked, lambda written: base / written)
    task, data = loaded.task, loaded.datasets[DatasetRole.EVALUATION]
    if not isinstance(task, ClassificationTask) or data.labels is None or data.inputs is None:
        return _DraftTrial(ClassOrderTrial(problem="the data hold no inputs, or no labels"))
    rows = seeded_permutation(asked.seed, data.rows)[:MOST_SCORED]
    inputs, labels = data.inputs[rows], data.labels[rows]
    with open_model(CPU, folder, artifact, task, inputs) as model:
        decided = task.decide(model.probabilities(model.predict(inputs)))
        known = model.fingerprint.interface
    classes = len(task.classes)
    accuracy = float(np.mean(decided == labels))
    trial = ClassOrderTrial(
        rows=len(rows),
        accuracy=accuracy,
        fits=accuracy >= 1 / classes + BEYOND_CHANCE,
        one_score=known is not None and known.scores.startswith("binary_"),
    )
    return _DraftTrial(trial, find_better_class_order(labels, decided, classes))


def _from(base: Path, path: Path) -> str:
    return Path(os.path.relpath(path, base)).as_posix()
