"""Finds the task that a model's answers show: classes, their names, or a number."""

from dataclasses import replace

import numpy as np

from auditor.domain.guesses import Confidence
from auditor.domain.number_text import format_counted
from auditor.domain.tasks import ClassificationTask, RegressionTask
from auditor.errors import ArtifactError, DatasetError, ModelFailedError
from auditor.inputs.auditfile.draft import DraftFacts, can_list_classes
from auditor.inputs.datasets.column_conversion import normalize_label, to_texts
from auditor.inputs.datasets.inspect import DataFileSummary, spread_of
from auditor.onnx.declared_identity import DeclaredIdentity
from auditor.targets.declared_interface import PREDICTIONS_INSTEAD
from auditor.targets.output_summary import OutputSummary, summarise_outputs
from auditor.targets.outputs import find_score_output
from auditor.workflows.draft_session import ModelAnswers

TWO = 2
SHOWN = 5
LABELS = "data.evaluation.labels"


def fit_task(
    seen: DraftFacts, found: DataFileSummary, answers: ModelAnswers, identity: DeclaredIdentity
) -> DraftFacts:
    """Draft the task that the answers show. Raises ``ArtifactError`` where they show none."""
    kind = summarise_outputs(answers.outputs, len(answers.inputs))
    seen = _doubt_named_column(seen, kind, identity)
    classes = len(seen.classes)
    single = kind.widths == {1} and not kind.told
    if single and (classes != TWO or seen.spread is not None):
        return _of_numbers(seen, found, answers, kind)
    seen = replace(seen, spread=None)
    places = {str(place) for place in range(classes)}
    speaks_of = bool(kind.told) and (
        not seen.classes
        or kind.told <= {*seen.classes}
        or kind.told <= places
        or {*seen.classes} <= kind.told
    )
    if speaks_of or (single and classes == TWO) or classes in kind.widths:
        named = _named(seen, kind, identity)
        # Whether the data hold every class that there are scores for: what is left is to be listed
        count = len(named.classes)
        if can_list_classes(named) and not any(width > max(count, 1) for width in kind.widths):
            _refuse_strange_labels(named, kind, found)
            # What was seen if an audit would take it
            last = named.classes[-1]
            _refuse_other(answers, ClassificationTask(named.classes, last, last))
            return named
        return _counted(named, kind)
    wide = {width for width in kind.widths if width > classes} - {answers.inputs[0].size}
    if len(answers.outputs) == 1 and wide and (classes >= TWO or wide <= kind.probable):
        return _counted(_named(seen, kind, identity), kind)
    raise _no_task(kind.words)


def _refuse_strange_labels(seen: DraftFacts, kind: OutputSummary, found: DataFileSummary) -> None:
    """Refuse labels that the model never gives where it has fewer scores than there are labels.

    Raises ``DatasetError`` with the first row of one.
    """
    strange = [name for name in seen.classes if name not in kind.told]
    few = max(kind.widths, default=0)
    # Only where the model names as many classes as it scores are the others none of its own
    if seen.labels is None or not strange or few != len(kind.told) or len(seen.classes) <= few:
        return
    written = to_texts(found.series[seen.labels]).to_list()
    named = [text is not None and normalize_label(text) in strange for text in written]
    raise DatasetError(
        f"{seen.data}: column {seen.labels!r} holds {', '.join(map(repr, strange[:SHOWN]))} in "
        f"{format_counted(sum(named), 'row')} (the first is row {named.index(True) + 1}), and the "
        f"model has {format_counted(few, 'score')} a row, of {', '.join(sorted(kind.told))}",
        cure="Correct these labels, or leave these rows out.",
    )


def _doubt_named_column(
    seen: DraftFacts, kind: OutputSummary, identity: DeclaredIdentity
) -> DraftFacts:
    """Say that the column that a person named as the truth holds none of the model's classes."""
    own = dict.fromkeys((*identity.classes, *sorted(kind.told)))
    words, confidence = seen.evidence.get(LABELS, ("", Confidence.LOW))
    counted = own.keys() <= {str(place) for place in range(len(own))}  # codes of other names
    if confidence is not Confidence.CONFIRMED or not seen.classes or not own or counted:
        return seen
    if not own.keys().isdisjoint(seen.classes):
        return seen
    held, known = (", ".join([*names][:SHOWN]) for names in (seen.classes, own))
    doubt = (
        f"No value of the column {seen.labels!r} ({held}) is among the model's own classes "
        f"({known}): name the column of the truth with --labels, or write its values as the "
        "model's classes."
    )
    words += f"; none of its values is among the model's own classes ({known})"
    seen = replace(seen, doubts=(*seen.doubts, doubt))
    return seen.known_by(LABELS, words, Confidence.LOW)


def _of_numbers(
    seen: DraftFacts, found: DataFileSummary, answers: ModelAnswers, kind: OutputSummary
) -> DraftFacts:
    """Draft a regression of the column of numbers. Raises ``ArtifactError`` where none is there."""
    number = seen.labels if seen.spread is not None else found.number
    spread = None if number is None else spread_of(found.series[number])
    if number is None or spread is None:
        raise ArtifactError(
            f"the model answers a row with one number ({kind.words}), and no column of the data "
            "holds numbers that it could predict",
            cure="Put the truth into a column of numbers named `target`.",
        )
    _refuse_other(answers, RegressionTask(spread))
    return replace(
        seen,
        labels=number,
        classes=(),
        spread=spread,
        outputs=1,
        groups=tuple(name for name in seen.groups if name != number),
        slices=tuple(name for name in seen.slices if name != number),
    ).known_by("task.kind", "the model answers a row with one number", Confidence.HIGH)


def _named(seen: DraftFacts, kind: OutputSummary, identity: DeclaredIdentity) -> DraftFacts:
    """Put the classes into the order in which the model names them, and add those it names."""
    classes = set(seen.classes)
    listed = identity.classes
    sure, setting = Confidence.HIGH, "task.classes"
    if classes and classes <= {*listed} and len(listed) in kind.widths:
        words = "the model's file lists them, in the order of its scores"
        return replace(seen, classes=listed).known_by(setting, words, sure)
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
    words = "the model's own names, in the order of its scores"
    return replace(seen, classes=names).known_by(setting, words, sure) if names else seen


def _counted(seen: DraftFacts, kind: OutputSummary) -> DraftFacts:
    """List the classes of a model that counts them from 0, where the data lack some."""
    width = max(kind.widths, default=0)
    numbers = {str(place) for place in range(width)}
    if not seen.classes or not {*seen.classes} <= numbers or len(seen.classes) == width:
        return seen
    words = f"the model gives {width} scores, and all labels are whole numbers below {width}"
    every = tuple(str(place) for place in range(width))
    drafted = replace(seen, classes=every, outputs=width)
    return drafted.known_by("task.classes", words, Confidence.MEDIUM)


def _refuse_other(answers: ModelAnswers, task: ClassificationTask | RegressionTask) -> None:
    try:
        find_score_output(answers.outputs, task)
    except ModelFailedError as error:
        cure = error.cure
        named = enumerate(answers.features)
        if lacking := [name for at, name in named if np.isnan(answers.inputs[:, at]).any()]:
            cure = (
                f"Values of {', '.join(lacking)} are missing: fill them in as your service does, "
                "or leave these rows out."
            )
        raise ArtifactError(error.problem, cure=cure) from None


def _no_task(words: str) -> ArtifactError:
    return ArtifactError(
        f"the model's answers ({words}) are neither one score a class nor one number a row: "
        "`auditor init` drafts audits of classifiers and of regressions alone",
        cure="Export the model with one score a class, or one number a row, as its output; if the "
        f"data hold no labels, add a column of them named `label`; {PREDICTIONS_INSTEAD}.",
    )
