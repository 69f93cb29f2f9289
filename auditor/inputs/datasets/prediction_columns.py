"""Finds the columns of a file that hold what a model answered, and the truth beside them."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from auditor.domain.column_names import is_protected_name, split_name
from auditor.domain.guesses import Confidence
from auditor.domain.number_text import format_counted
from auditor.domain.tasks import Floats
from auditor.errors import DatasetError
from auditor.inputs.datasets.column_conversion import normalize_label, to_texts
from auditor.inputs.datasets.inspect import (
    LABEL_NAMES,
    DataFileSummary,
    is_answer_name,
    is_numeric,
    list_label_candidates,
    list_labels,
    spread_of,
)
from auditor.inputs.datasets.label_trials import (
    AnsweredRows,
    LabelTrial,
    choose_label,
    explain_choice,
    try_label,
)
from auditor.inputs.datasets.labels import SUM_TOLERANCE
from auditor.inputs.datasets.schema_draft import to_floats
from auditor.inputs.datasets.score_order import ScoreOrder, find_score_order

DECISIONS = frozenset(
    {"pred", "preds", "prediction", "predictions", "predicted", "decision", "hat", "argmax"}
)
SCORED = re.compile(r"p\d+|(p|prob|proba|score)[_ ].+", re.IGNORECASE)
LABELS = "data.evaluation.labels"
SCORES = "data.evaluation.scores"
MOST_CLASSES = 1000
MOST_TRIED = 20_000
MOST_FEW = 20
PAIR = 2
PERCENT = 100
Evidence = tuple[str, Confidence]


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictionColumns:
    """The columns of a predictions-only audit, and why each was taken for what it is.

    ``classes`` are in the order of ``scores``; ``spread`` is the standard deviation of the truth of
    a regression, which has no classes; ``left_out`` are decisions that the scores stand in for.
    ``evidence`` is by setting of the audit file; ``doubts`` are what a person has to read first.
    """

    labels: str
    classes: tuple[str, ...] = ()
    scores: tuple[str, ...] = ()
    predictions: str | None = None
    left_out: str | None = None
    positive: str | None = None
    spread: float | None = None
    evidence: Mapping[str, Evidence]
    doubts: tuple[str, ...] = ()


def find_prediction_columns(
    found: DataFileSummary, name: str, labels: str | None = None
) -> PredictionColumns:
    """Return which columns of a file hold scores, decisions and the truth, which may be named.

    Raises ``DatasetError`` for a file without predictions or without the truth.
    """
    evidence: dict[str, Evidence] = {}
    scores, numbers = _find_scores(found, evidence, labels)
    decision = None if numbers else _find_decision(found, (*scores, labels), evidence)
    if not scores and decision is None:
        raise DatasetError(
            f"no column of {name} is known as a prediction: none are probabilities that add up to "
            f"1, and none is named as a score or a prediction; there are {_shown(found.series)}",
            cure="Name them so (p_no, p_yes, score, prediction), or pass the model: "
            "auditor init model.onnx --data FILE.",
        )
    rows = np.random.default_rng(7).permutation(found.rows)[:MOST_TRIED]
    table = None
    if scores:
        table = np.stack([to_floats(found.series[it])[rows] for it in scores], axis=1)
    told = () if decision is None else _texts(found.series[decision], rows)
    answers = AnsweredRows(rows, table, told)
    if labels is not None:
        label: str | None = labels
        accepted: tuple[LabelTrial, ...] = ()
        evidence[LABELS] = ("named with --labels", Confidence.CONFIRMED)
    else:
        label, accepted, decision = _find_truth(found, scores, decision, answers, evidence)
    if label is None:
        raise DatasetError(
            f"no column of {name} is named as the truth, or agrees with the predictions beyond "
            f"chance; there are {_shown(found.series)}",
            cure="Name the column of true labels with --labels COLUMN, or add one named `label`.",
        )
    held = PredictionColumns(labels=label, scores=scores, predictions=decision, evidence=evidence)
    if numbers:
        return _with_numbers(held, found, numbers, name)
    held = _with_classes(held, found, evidence)
    if table is None:
        return held
    truth = _texts(found.series[label], rows)
    order = find_score_order(scores, held.classes, table, truth)
    if order is None:
        raise _refuse_classes(held, name)
    return _with_order(held, order, accepted, evidence)


def _with_classes(
    held: PredictionColumns, found: DataFileSummary, evidence: dict[str, Evidence]
) -> PredictionColumns:
    """List the classes, and leave out decisions in other words than the labels beside scores."""
    labels = list_labels(found.series[held.labels])
    if held.predictions is None:
        return replace(held, classes=labels)
    told = list_labels(found.series[held.predictions])
    if not held.scores or not {*told}.isdisjoint(labels):
        known = sorted({*labels, *told})
        return replace(held, classes=list_labels(pl.Series(known)))
    doubt = (
        f"Column {held.predictions!r} is left out, and the scores decide: none of its decisions "
        f"({_shown(told)}) is among the labels ({_shown(labels)}). To audit them, rename them so."
    )
    words, sure = evidence[SCORES]
    evidence[SCORES] = (f"{words}; the decisions in {held.predictions!r} are left out", sure)
    evidence.pop("data.evaluation.predictions", None)
    alone = replace(held, classes=labels, predictions=None)
    return replace(alone, left_out=held.predictions, doubts=(doubt,))


def _with_numbers(
    held: PredictionColumns, found: DataFileSummary, outside: Sequence[str], name: str
) -> PredictionColumns:
    """Take the scores ``outside`` of 0..1 for predictions of the labels, which are numbers.

    Two labels are classes, and so are as many as there are columns of such scores: an audit would
    take them for numbers to be predicted, and pass rules on nonsense. Raises ``DatasetError``.
    """
    column, score = found.series[held.labels], held.scores[0]
    labels, values = list_labels(column), to_floats(found.series[score])
    if len(labels) == PAIR or PAIR < len(labels) == len(outside):
        wrong = values[(values < 0) | (values > 1)][0]
        raise DatasetError(
            f"{name}: the labels in {held.labels!r} are {len(labels)} classes ({_shown(labels)}), "
            f"and the score {wrong:g} in {score!r} is no probability",
            cure=f"Store probabilities between 0 and 1: {_suggest_scale(values, len(labels))}.",
        )
    words = f"the labels are {len(labels):,} different numbers, and so are the predictions"
    sure = Confidence.MEDIUM if len(labels) > MOST_FEW else Confidence.LOW
    evidence = {**held.evidence, "task.kind": (words, sure)}
    return replace(held, spread=spread_of(column), evidence=evidence)


def _suggest_scale(values: Floats, classes: int) -> str:
    """Say how scores become probabilities, by what they look like."""
    if values.min() < 0:
        how = "sigmoid, 1 / (1 + exp(-score))" if classes == PAIR else "softmax over the columns"
        return f"these look like logits; apply the {how}"
    if values.max() <= PERCENT:
        return "these look like percentages; divide them by 100"
    return "or store the decisions made by them, in a column named `prediction`"


def _refuse_classes(held: PredictionColumns, name: str) -> DatasetError:
    cure = "Store one score a class, in a column that ends in its name: p_no, p_yes."
    if held.predictions is not None:
        cure += f" Or drop or rename column {held.predictions!r}, if it is no class of the labels."
    return DatasetError(
        f"{name} has {format_counted(len(held.scores), 'column')} of scores "
        f"({_shown(held.scores)}), and its classes are {_shown(held.classes)}",
        cure=cure,
    )


def _with_order(
    held: PredictionColumns,
    order: ScoreOrder,
    accepted: Sequence[LabelTrial],
    evidence: dict[str, Evidence],
) -> PredictionColumns:
    """Put the classes into the order of the scores, or state the class of a single one."""
    if accepted and held.predictions is None:
        agreed = replace(accepted[0], figure=order.right)
        evidence[LABELS] = explain_choice((agreed, *accepted[1:]), "the prediction")
    doubts = (*held.doubts, order.doubt) if order.doubt else held.doubts
    if len(held.scores) == 1:
        evidence["task.classes"] = ("in any order: there is one score", Confidence.HIGH)
        evidence["task.positive"] = order.explain("the name of the column of scores")
        return replace(held, positive=order.classes[-1], doubts=doubts)
    evidence["task.classes"] = order.explain("the names of the columns of scores")
    if order.named:
        words, _ = evidence[SCORES]
        evidence[SCORES] = (words, Confidence.HIGH)
    return replace(held, classes=order.classes, doubts=doubts)


def _find_scores(
    found: DataFileSummary, evidence: dict[str, Evidence], labels: str | None
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the columns of scores, and all that hold numbers beyond 0..1 if they are of those."""
    numbers = {
        name: to_floats(column)
        for name, column in found.series.items()
        if name not in {found.id, labels}
        and not is_protected_name(name)
        and name.lower() not in LABEL_NAMES
        and is_numeric(column)
    }
    _refuse_missing_scores(numbers)
    numbers = {name: it for name, it in numbers.items() if np.isfinite(it).all()}
    # Two whole numbers are labels or decisions
    numbers = {
        name: it for name, it in numbers.items() if len(np.unique(it)) > PAIR or (it % 1).any()
    }
    inside = [name for name, it in numbers.items() if it.min() >= 0 and it.max() <= 1]
    named = [name for name in inside if is_answer_name(name) or SCORED.fullmatch(name)]
    for names, sure in ((named, Confidence.HIGH), (inside, Confidence.MEDIUM)):
        total = np.sum([numbers[name] for name in names], axis=0)
        if len(names) >= PAIR and np.abs(total - 1).max() <= SUM_TOLERANCE:
            words = f"{len(names)} columns between 0 and 1 that add up to 1 in every row"
            evidence[SCORES] = (words, sure)
            return tuple(names), ()
    outside = [name for name in numbers if name not in inside and is_answer_name(name)]
    outside = [name for name in outside if found.series[name].n_unique() > MOST_FEW]
    for names, kind in ((named, "a score, between 0 and 1"), (outside, "a prediction of a number")):
        if names:
            others = f"; others are {_shown(names[1:])}" if len(names) > 1 else ""
            sure = Confidence.HIGH if len(names) == 1 else Confidence.LOW
            evidence[SCORES] = (f"named as {kind}{others}", sure)
            return (names[0],), tuple(outside) if names is outside else ()
    return (), ()


def _refuse_missing_scores(numbers: Mapping[str, Floats]) -> None:
    """Raise ``DatasetError`` where a column that is named as a score lacks some."""
    for name, values in numbers.items():
        lacking = ~np.isfinite(values)
        scored = is_answer_name(name) or SCORED.fullmatch(name)
        if scored and lacking.any() and not lacking.all():
            raise DatasetError(
                f"column {name!r} is named as a score and has no number in "
                f"{format_counted(int(lacking.sum()), 'row')} of {len(values)}; the first is row "
                f"{int(lacking.argmax()) + 1}",
                cure="Fill in the scores, or leave these rows out.",
            )


def _find_decision(
    found: DataFileSummary, taken: Sequence[str | None], evidence: dict[str, Evidence]
) -> str | None:
    fit = [
        name
        for name, column in found.series.items()
        if not DECISIONS.isdisjoint(split_name(name))
        and name not in taken
        and 1 < column.n_unique() <= MOST_CLASSES
    ]
    decision = next(iter(sorted(fit, key=lambda name: not _is_answer(name))), None)
    if decision is not None:
        words = "the name, and few distinct values"
        evidence["data.evaluation.predictions"] = (words, Confidence.MEDIUM)
    return decision


def _is_answer(name: str) -> bool:
    """Whether a column is named as what a model answered, and not just as a decision."""
    return not (DECISIONS - {"decision"}).isdisjoint(split_name(name))


def _find_truth(
    found: DataFileSummary,
    scores: Sequence[str],
    decision: str | None,
    answers: AnsweredRows,
    evidence: dict[str, Evidence],
) -> tuple[str | None, tuple[LabelTrial, ...], str | None]:
    """Return the column of the truth, its trial before all others, and the column of decisions."""
    label, accepted = _find_label(found, (*scores, decision), answers, evidence)
    if label is None and scores and decision is not None and not _is_answer(decision):
        # People call their decisions so, too; what always agrees are the model's own
        alone = AnsweredRows(answers.rows, answers.table)
        label, accepted = _find_label(found, scores, alone, evidence, copies=False)
        if label is not None:
            del evidence["data.evaluation.predictions"]
            return label, accepted, None
    return label, accepted, decision


def _find_label(
    found: DataFileSummary,
    taken: Sequence[str | None],
    answers: AnsweredRows,
    evidence: dict[str, Evidence],
    *,
    copies: bool = True,
) -> tuple[str | None, tuple[LabelTrial, ...]]:
    candidates = [name for name in list_label_candidates(found) if name not in taken]
    trials: list[LabelTrial] = []
    for name in candidates:
        trials += try_label(name, found.series[name], answers)
    accepted = tuple(it for it in choose_label(trials) if copies or it.figure < 1)
    if accepted:
        evidence[LABELS] = explain_choice(accepted, "the prediction")
        return accepted[0].column, accepted
    words = "the name alone: it does not agree with the predictions beyond chance"
    for name in candidates:
        if name.lower() in LABEL_NAMES:
            evidence[LABELS] = (words, Confidence.LOW)
            return name, ()
    return None, ()


def _texts(column: pl.Series, rows: NDArray[np.int64]) -> tuple[str, ...]:
    taken = to_texts(column)[rows.tolist()].fill_null("")
    return tuple(normalize_label(text) for text in taken.to_list())


def _shown(names: Sequence[str] | Mapping[str, object]) -> str:
    listed = list(names)
    return ", ".join(repr(name) for name in listed[:8]) + (", …" if len(listed) > 8 else "")  # noqa: PLR2004 -- what a line holds
