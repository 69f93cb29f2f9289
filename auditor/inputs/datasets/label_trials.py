"""Tries columns of a table as the truth of a model's answers, and counts how far they agree."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from scipy.stats import rankdata, spearmanr

from auditor.domain.guesses import Confidence
from auditor.domain.tasks import Floats
from auditor.inputs.datasets.column_conversion import normalize_label, to_texts
from auditor.inputs.datasets.inspect import LABEL_NAMES, is_numeric
from auditor.metrics.performance.classification import BEYOND_CHANCE

PAIR = 2
LEAST_EXPLAINED = 0.05
"""Share of a column's variance that a regression must explain to be taken for one of it."""
LEAST_EXACT = 50
"""So many rows that all agree make a column look like a copy of the model's own answers."""
HALVES = 2
Codes = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class AnsweredRows:
    """What a model answered to some rows: ``[n, k]`` scores, and a label for each if it gives some.

    ``rows`` are their numbers in the data file.
    """

    rows: Codes
    table: Floats | None
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LabelTrial:
    """How far a column agrees with a model's answers to ``rows`` rows.

    ``figure`` is the share of rows that agree under the best order of the classes, or for a
    regression the explained share of the variance; ``beyond`` how far that is beyond chance;
    ``classes`` the distinct labels of the column; ``order`` for a regression the rank correlation
    (Spearman's), which is near 1 where both are on different scales.
    """

    column: str
    regression: bool
    figure: float
    beyond: float
    rows: int
    classes: tuple[str, ...] = ()
    order: float = 0.0

    @property
    def accepted(self) -> bool:
        """Whether chance does not explain the agreement."""
        return self.beyond >= (LEAST_EXPLAINED if self.regression else BEYOND_CHANCE)

    @property
    def exact(self) -> bool:
        """Whether all of many rows agree, as they do in a copy of the model's answers."""
        return not self.regression and self.rows >= LEAST_EXACT and self.figure == 1.0

    @property
    def words(self) -> str:
        """The agreement in words."""
        if self.regression:
            return f"explains {self.figure:.0%} of its variance in {self.rows} rows"
        return f"agrees with it in {self.figure:.0%} of {self.rows} rows"


def try_label(name: str, column: pl.Series, answers: AnsweredRows) -> Iterator[LabelTrial]:
    """Yield the trials of one column: as labels, as numbers, or both, as far as it can be those."""
    taken = to_texts(column)[answers.rows.tolist()]
    known = taken.is_not_null().to_numpy()
    if known.sum() < PAIR:
        return
    texts = np.array([normalize_label(text) for text in taken.drop_nulls().to_list()])
    names, codes = np.unique(texts, return_inverse=True)
    table = None if answers.table is None else answers.table[known]
    width = 1 if table is None else table.shape[1]
    told = np.array(answers.labels)[known] if answers.labels else None
    most = len({*answers.labels, *names}) if table is None else max(width, PAIR)
    if 1 < len(names) <= most:
        yield _try_classes(name, names, codes.astype(np.int64), table, told)
    if table is not None and width == 1 and len(names) > PAIR and is_numeric(column):
        yield _try_numbers(name, texts.astype(np.float64), table[:, 0])


def choose_label(trials: Iterable[LabelTrial]) -> tuple[LabelTrial, ...]:
    """Return the accepted trials, the one to draft first.

    A column that is named as a label comes before others; one that always agrees comes last,
    because it may repeat what the model answered.
    """
    accepted = [item for item in trials if item.accepted]
    return tuple(
        sorted(
            accepted,
            key=lambda it: (it.column.lower() not in LABEL_NAMES, it.exact, -it.beyond),
        )
    )


def explain_choice(accepted: Sequence[LabelTrial], answers: str) -> tuple[str, Confidence]:
    """Say why the first accepted column is the truth of ``answers``, and how sure that is."""
    chosen, others = accepted[0], [it for it in accepted if it.column != accepted[0].column]
    words = f"{answers} {chosen.words}"
    if others:
        words += f"; the next is {others[0].column!r}: {others[0].words}"
    named = chosen.column.lower() in LABEL_NAMES
    clear = named or not others or chosen.beyond >= others[0].beyond + BEYOND_CHANCE
    if not named and list_rivals(accepted):
        words += "; of columns with the same values, one may hold the model's own answers"
        clear = False
    if chosen.exact and not named:
        words += "; a column that always agrees may hold the model's own answers"
        clear = False
    return words, Confidence.HIGH if clear else Confidence.MEDIUM


def list_rivals(accepted: Sequence[LabelTrial]) -> tuple[str, ...]:
    """Return the accepted columns that hold the same labels as the first one."""
    first = accepted[0]
    rest = [it for it in accepted if it.column != first.column and it.classes == first.classes]
    return tuple(it.column for it in rest) if first.classes else ()


def _try_classes(
    name: str, names: NDArray[np.str_], codes: Codes, table: Floats | None,
    told: NDArray[np.str_] | None,
) -> LabelTrial:  # fmt: skip
    rows, classes = len(codes), len(names)
    counts = np.bincount(codes, minlength=classes)
    if told is not None and {*told} & {*names}:
        right = told == names[codes]
    else:
        decided = _decide(table, told)
        right = find_right_in_best_order(codes, decided)
    recalls = np.bincount(codes[right], minlength=classes) / counts
    beyond = float(recalls.mean()) - 1 / classes
    if table is not None and classes == PAIR and table.shape[1] <= PAIR:
        area = area_under_curve(table[:, -1], codes == 1)
        beyond = max(beyond, abs(area - 0.5))
    return LabelTrial(
        name,
        regression=False,
        figure=float(right.mean()),
        beyond=beyond,
        rows=rows,
        classes=tuple(names.tolist()),
    )


def _decide(table: Floats | None, told: NDArray[np.str_] | None) -> Codes:
    if table is None:
        return np.unique(told if told is not None else [], return_inverse=True)[1].astype(np.int64)
    return decide_by_scores(table)


def decide_by_scores(table: Floats) -> Codes:
    """Return the column of the largest score of each row; of one score, whether it is large."""
    if table.shape[1] > 1:
        largest: Codes = table.argmax(axis=1).astype(np.int64)
        return largest
    inside = bool(((table >= 0) & (table <= 1)).all())
    decided: Codes = (table[:, 0] >= (0.5 if inside else 0.0)).astype(np.int64)
    return decided


def find_right_in_best_order(codes: Codes, decided: Codes) -> NDArray[np.bool_]:
    """Return which rows are right where each decision stands for one class.

    Among many classes some order always looks good, so that each half of a class's rows is
    scored by the order that is best for the other half.
    """
    order = np.argsort(codes, kind="stable")
    starts = np.searchsorted(codes[order], codes[order], side="left")
    halves = np.empty_like(codes)
    halves[order] = (np.arange(len(codes)) - starts) % HALVES
    right = np.zeros(len(codes), dtype=np.bool_)
    for half in range(HALVES):
        places = assign_classes(codes[halves != half], decided[halves != half])
        right[halves == half] = [
            places.get(int(answer)) == code
            for answer, code in zip(decided[halves == half], codes[halves == half], strict=True)
        ]
    return right


def assign_classes(codes: Codes, decided: Codes) -> Mapping[int, int]:
    """Return for each decision the class that it stands for under the best assignment."""
    if not len(codes):
        return {}
    shape = (int(decided.max()) + 1, int(codes.max()) + 1)
    table = np.bincount(decided * shape[1] + codes, minlength=shape[0] * shape[1]).reshape(shape)
    found = linear_sum_assignment(table, maximize=True)
    return dict(zip(found[0].tolist(), found[1].tolist(), strict=True))


def _try_numbers(name: str, truth: Floats, said: Floats) -> LabelTrial:
    spread = float(((truth - truth.mean()) ** 2).sum())
    explained = 1 - float(((truth - said) ** 2).sum()) / spread if spread else 0.0
    order = float(spearmanr(truth, said).statistic) if spread and said.std() else 0.0
    return LabelTrial(
        name, regression=True, figure=explained, beyond=explained, rows=len(truth), order=order
    )


def area_under_curve(scores: Floats, positive: NDArray[np.bool_]) -> float:
    """Return the area under the ROC curve."""
    ranks, count = rankdata(scores), int(positive.sum())
    others = len(scores) - count
    return float((ranks[positive].sum() - count * (count + 1) / 2) / (count * others))
