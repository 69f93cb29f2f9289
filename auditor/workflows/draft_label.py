"""Finds the column that holds the truth: the one that a model's answers agree with."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from auditor.domain.guesses import Confidence
from auditor.domain.number_text import format_counted
from auditor.errors import DatasetError, UsageError
from auditor.inputs.auditfile.draft import DraftFacts
from auditor.inputs.datasets.column_conversion import to_texts
from auditor.inputs.datasets.inspect import (
    LABEL_NAMES,
    MOST_LABELS,
    DataFileSummary,
    list_label_candidates,
    list_labels,
    list_numbers,
    list_texts,
    spread_of,
)
from auditor.inputs.datasets.label_trials import (
    LabelTrial,
    choose_label,
    explain_choice,
    list_rivals,
)
from auditor.targets.output_summary import summarise_outputs
from auditor.workflows.draft_columns import choose_columns, try_answers
from auditor.workflows.draft_session import DraftSession, ModelAnswers, answer_beside

TWO = 2
SHOWN = 5
SAME_ORDER = 0.7
"""Rank correlation from which answers and a column say the same on different scales."""
LABELS = "data.evaluation.labels"
KIND = "task.kind"
CLASSIFICATION, REGRESSION = "classification", "regression"


def find_label(
    seen: DraftFacts, session: DraftSession, named: str | None = None
) -> tuple[DraftFacts, ModelAnswers | None]:
    """Take the column that the model's answers agree with as the truth, and those answers.

    Or the one that is ``named``. Raises ``UsageError`` where there is no such column, and
    ``DatasetError`` where none holds labels of the model's.
    """
    found = session.found
    if named is not None:
        seen = take_label(seen, named, found=found)
        seen = seen.known_by(LABELS, "named with --labels", Confidence.CONFIRMED)
        answers = answer_beside(seen, session, named)
        better = choose_columns(session, named, answers)
        return seen, answers if better is None else better[1]
    given: dict[str | None, ModelAnswers | None] = {}
    trials: list[LabelTrial] = []
    for name in () if seen.pictures else list_label_candidates(found):
        given[name] = answers = answer_beside(seen, session, name)
        if answers is not None:
            trials += try_answers(session, name, answers)
    accepted = choose_label(trials)
    label = accepted[0].column if accepted else found.labels or found.number
    better = choose_columns(session, label, given.get(label))
    if better is not None:
        trial, given[label] = better
        accepted = choose_label([trial, *(it for it in trials if it.column != label)])
    if accepted:
        chosen = accepted[0]
        return _labelled(seen, found, accepted), given[chosen.column]
    for usual in dict.fromkeys((found.labels, found.number, None)):
        answers = given[usual] if usual in given else answer_beside(seen, session, usual)
        if answers is not None:
            _refuse_other_values(seen, answers)
            return _unproven(seen, trials), answers
    if seen.labels is None and not seen.pictures:
        seen = seen.known_by(LABELS, "no column agrees with the model", Confidence.LOW)
    return seen, None


def _labelled(
    seen: DraftFacts, found: DataFileSummary, accepted: Sequence[LabelTrial]
) -> DraftFacts:
    """Draft the first of the accepted columns as the truth."""
    chosen = accepted[0]
    column = found.series[chosen.column]
    drafted = replace(
        seen,
        labels=chosen.column,
        classes=() if chosen.regression else list_labels(column),
        spread=spread_of(column) if chosen.regression else None,
        slices=list_texts(found, chosen.column),
        groups=tuple(name for name in found.groups if name != chosen.column),
    )
    words, sure = explain_choice(accepted, "the model")
    rivals = list_rivals(accepted)
    if rivals and sure.uncertain:
        both = f"{chosen.column!r} and {rivals[0]!r} hold the same labels and agree with the model"
        drafted = replace(drafted, doubts=(f"{both}: check which is the truth.",))
    return drafted.known_by(LABELS, words, sure)


def refuse_missing_labels(seen: DraftFacts, found: DataFileSummary) -> None:
    """Raise ``DatasetError`` where rows lack the truth, as an audit of the draft would."""
    if seen.labels is None:
        return
    lacking = to_texts(found.series[seen.labels]).null_count()
    if lacking:
        raise DatasetError(
            f"{seen.data}: column {seen.labels!r} has no label in "
            f"{format_counted(lacking, 'row')} of {found.rows}",
            cure="Fill in the labels, leave these rows out, or name another column with --labels.",
        )


def _refuse_other_values(seen: DraftFacts, answers: ModelAnswers) -> None:
    """Refuse a column that its place alone makes the labels, and that holds no class of the model.

    Raises ``DatasetError``.
    """
    kind = summarise_outputs(answers.outputs, len(answers.inputs))
    if seen.labels is None or seen.labels.lower() in LABEL_NAMES or not seen.classes:
        return
    many = len(seen.classes) > max(TWO, *kind.widths, 0)
    if kind.told.isdisjoint(seen.classes) if kind.told else many:
        classes = f" ({', '.join(sorted(kind.told)[:SHOWN])})" if kind.told else ""
        held = ", ".join(seen.classes[:SHOWN])
        raise DatasetError(
            f"no column of {seen.data} holds the model's classes{classes}: the last column, "
            f"{seen.labels!r}, holds {held}",
            cure="Add the true classes as a column named `label`, or name the column with --labels "
            "COLUMN.",
        )


def _unproven(seen: DraftFacts, trials: Sequence[LabelTrial]) -> DraftFacts:
    """Say that the answers speak for no column where some were tried."""
    ordered = max((it for it in trials if it.regression), key=lambda it: it.order, default=None)
    if ordered is not None and ordered.order >= SAME_ORDER:
        doubt = (
            f"The model's answers rise with column {ordered.column!r} (rank correlation "
            f"{ordered.order:.2f}) but are on another scale, such as its logarithm: write that "
            "column on the model's scale, or export the model with its last step."
        )
        seen = replace(seen, doubts=(*seen.doubts, doubt))
        words = "the place or the name; the model's answers are on another scale"
        return seen if seen.labels is None else seen.known_by(LABELS, words, Confidence.LOW)
    if seen.labels is None and not seen.pictures:
        doubt = (
            "No column of labels was found: none agrees with the model's answers beyond chance. "
            "Name it with --labels COLUMN. If one should agree, inputs may be missing, or stand "
            "in another order than in training."
        )
        return replace(seen, doubts=(*seen.doubts, doubt))
    if not trials or seen.labels is None:
        return seen
    words = "the name or the place alone: no column agrees with the model beyond chance"
    doubt = "No column of the data agrees with the model's answers beyond chance: check the labels."
    seen = replace(seen, doubts=(*seen.doubts, doubt))
    return seen.known_by(LABELS, words, Confidence.LOW)


def note_unanswered(seen: DraftFacts, session: DraftSession) -> DraftFacts:
    """Say that the model took no rows, how many columns it takes, and that its task is unknown.

    Raises ``DatasetError`` where the data lack some of its inputs.
    """
    if not seen.regression and (
        not seen.classes or (seen.outputs == 1 and len(seen.classes) > TWO)
    ):
        words = "the model took no rows, so that nothing shows whether it is a regression"
        seen = seen.known_by(KIND, words, Confidence.LOW)
    found, shape = session.found, seen.model_shape
    if found.inputs is not None or seen.pictures or seen.reads_text or shape is None:
        return seen
    fixed = [size for size in shape[1:] if size is not None]
    columns = len(list_numbers(found, seen.labels))
    beside = " beside the label" if seen.labels is not None else ""
    taken = int(np.prod(fixed))
    held = f"{format_counted(columns, 'column')} of numbers{beside}"
    if len(fixed) == len(shape) - 1 and columns < taken:
        raise DatasetError(
            f"{seen.data} lacks inputs: it has {held}, and the model takes {taken}",
            cure="Add the missing columns, texts encoded as numbers as they were in training.",
        )
    doubt = (
        f"The model takes {taken} numbers a row, and the data hold {held}. List those of the model "
        "in a schema, in their order, and name it under input.features."
    )
    return replace(seen, doubts=(*seen.doubts, doubt))


def take_kind(seen: DraftFacts, text: str, *, found: DataFileSummary) -> DraftFacts:
    """Take the kind of task that a person names. Raises ``UsageError`` for none."""
    column = None if seen.labels is None else found.series[seen.labels]
    if text == CLASSIFICATION:
        classes = () if column is None else list_labels(column)
        return replace(seen, classes=classes, spread=None)
    spread = None if column is None else spread_of(column)
    if text != REGRESSION or spread is None:
        cure = f"Write {CLASSIFICATION}" + (f" or {REGRESSION}." if spread else ".")
        raise UsageError(f"{text[:40]!r} is no task for these labels", cure=cure)
    return replace(seen, classes=(), spread=spread, outputs=1)


def refuse_column(name: str, found: DataFileSummary) -> UsageError:
    """Return the error of a column that is not there."""
    return UsageError(
        f"there is no column {name[:80]!r}", cure=f"Choose from {', '.join(found.series)}."
    )


def take_label(seen: DraftFacts, name: str, *, found: DataFileSummary) -> DraftFacts:
    """Take the column that a person names as the truth. Raises ``UsageError`` for none."""
    if name not in found.series:
        raise refuse_column(name, found)
    column = found.series[name]
    classes = list_labels(column) if column.n_unique() <= MOST_LABELS else ()
    return replace(
        seen,
        labels=name,
        classes=classes,
        spread=None if classes else spread_of(column),
        slices=list_texts(found, name),
        groups=tuple(group for group in found.groups if group != name),
    )
