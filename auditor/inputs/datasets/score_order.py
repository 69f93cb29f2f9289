"""Finds the order in which columns of scores stand for the classes, by names or else by rows."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from auditor.domain.guesses import Confidence
from auditor.domain.tasks import Floats
from auditor.inputs.datasets.column_conversion import normalize_label
from auditor.inputs.datasets.label_trials import (
    area_under_curve,
    assign_classes,
    decide_by_scores,
    find_right_in_best_order,
)
from auditor.metrics.performance.classification import BEYOND_CHANCE

PAIR = 2
NEGATIONS = frozenset({"no", "non", "not"})


@dataclass(frozen=True, slots=True)
class ScoreOrder:
    """The classes in the order of the scores; one score alone is of the last of two.

    ``right`` is the share of the ``rows`` that are right in it; ``named`` says that names of
    columns decided. ``better`` is an order in which the rows agree far better than in the named
    one, with its share of right rows.
    """

    classes: tuple[str, ...]
    right: float
    rows: int
    named: bool
    means: str = ""
    better: tuple[tuple[str, ...], float] | None = None

    def explain(self, columns: str) -> tuple[str, Confidence]:
        """Say why the order was chosen, and how sure it is; ``columns`` says which names."""
        share = f"{self.right:.0%} of {self.rows} rows are right"
        if self.better is not None:
            words = f"{columns}, though {self.better[1]:.0%} were right {self._other}"
            return f"{words}: {share}", Confidence.LOW
        if self.named:
            low = self.right < 1 / len(self.classes)
            return f"{columns}: {share}", Confidence.LOW if low else Confidence.HIGH
        if self.means:
            return f"its mean score is higher: {self.means}; {share}", Confidence.MEDIUM
        return f"the order in which most rows agree: {share}", Confidence.MEDIUM

    @property
    def doubt(self) -> str:
        """What a person has to check where the rows contradict the names, else nothing."""
        if self.better is None:
            return ""
        return (
            f"By their names, the scores are right for {self.right:.0%} of rows; {self._other} for "
            f"{self.better[1]:.0%}. The draft keeps the names: check the columns."
        )

    @property
    def _other(self) -> str:
        order = () if self.better is None else self.better[0]
        return f"in the order {', '.join(order)}" if len(order) > PAIR else "the other way round"


def find_score_order(
    scores: Sequence[str], classes: Sequence[str], table: Floats, truth: Sequence[str]
) -> ScoreOrder | None:
    """Return the order of ``classes`` in ``table`` ``[n, k]``; ``None`` if there are not k classes.

    A name of a column that names a class decides, whatever ``truth`` ``[n]`` shows.
    """
    known = np.array([text != "" for text in truth], dtype=np.bool_)
    table, texts = table[known], np.array(truth)[known]
    decided = decide_by_scores(table)
    named = _order_by_names(scores, classes)
    places = {name: at for at, name in enumerate(named or classes)}
    if len(places) != max(len(scores), PAIR):
        return None
    codes = np.array([places[text] for text in texts.tolist()], dtype=np.int64)
    if not named:
        return _order_by_rows(tuple(classes), table, codes, decided)
    right = float((decided == codes).mean())
    found, then = _assigned(codes, decided, len(named))
    if len(named) == PAIR:
        found, then = (1, 0), 1 - right
        area = area_under_curve(table[:, -1], codes == 1) if 0 < codes.mean() < 1 else 0.5
        contradicts = area < 0.5 - BEYOND_CHANCE and then > right
    else:
        fair = float(find_right_in_best_order(codes, decided).mean())
        contradicts = fair >= right + BEYOND_CHANCE
    better = (tuple(named[at] for at in found), then) if contradicts else None
    return ScoreOrder(named, right, len(codes), named=True, better=better)


def find_named_class(column: str, classes: Iterable[str]) -> str | None:
    """Return the class whose label stands in the name of a column as words, if one does so best.

    A label at the end of the name comes first, then the longest.
    """
    ranked = sorted(
        (rank, name) for name in classes if (rank := _rank_name(column, name)) is not None
    )
    if not ranked or (len(ranked) > 1 and ranked[-1][0] == ranked[-2][0]):
        return None
    return ranked[-1][1]


def _rank_name(column: str, label: str) -> tuple[bool, int, bool, int] | None:
    words, sought = _split_words(column), _split_words(label)
    low, text = column.strip().lower(), label.strip().lower()
    before = low[: len(low) - len(text)]
    exact = bool(text) and low.endswith(text) and not before[-1:].isalnum()
    places = [
        at
        for at in range(len(words) - len(sought) + 1)
        if sought and words[at : at + len(sought)] == sought
        if at == 0 or words[at - 1] not in NEGATIONS
    ]
    if not places and not (exact and not sought):
        return None
    last = exact or places[-1] == len(words) - len(sought)
    return last, len(sought), exact, len(text)


def _split_words(name: str) -> list[str]:
    apart = re.sub(r"(?<=[^\W\d_])(?=\d)|(?<=\d)(?=[^\W\d_])|(?<=[a-z])(?=[A-Z])", " ", name)
    return re.findall(r"[^\W_]+", apart.lower())


def _order_by_names(scores: Sequence[str], classes: Sequence[str]) -> tuple[str, ...]:
    """Return the classes that columns are named after; nothing if the names do not tell."""
    for cut in range(min(map(len, scores))) if len(scores) > 1 else ():
        if len({name[:cut] for name in scores}) > 1:
            break
        names = tuple(normalize_label(name[cut:]) for name in scores)
        if {*classes} <= {*names} and len({*names}) == len(names):
            return names
    named = [find_named_class(column, classes) for column in scores]
    if len(scores) == 1:
        named.insert(0, None)
    rest = [name for name in classes if name not in named]
    unnamed = named.count(None)
    # Of numbers, s1 and s2 may just count the columns
    told = unnamed == 0 or len(scores) == 1 or not any(name and name.isdigit() for name in named)
    if unnamed > 1 or len(named) != len(classes) or len(rest) != unnamed or not told:
        return ()
    return tuple(rest[0] if name is None else name for name in named)


def _order_by_rows(
    classes: tuple[str, ...], table: Floats, codes: NDArray[np.int64], decided: NDArray[np.int64]
) -> ScoreOrder:
    found, means = _assigned(codes, decided, len(classes))[0], ""
    if table.shape[1] == 1:
        taken = [table[codes == at, 0] for at in range(PAIR)]
        mean = [float(it.mean()) if len(it) else 0.0 for it in taken]
        found = (0, 1) if mean[1] > mean[0] else (1, 0)
        means = ", ".join(f"{it:.3g} of {name!r}" for it, name in zip(mean, classes, strict=True))
    right = float((np.array(found)[decided] == codes).mean())
    ordered = tuple(classes[at] for at in found)
    return ScoreOrder(ordered, right, len(codes), named=False, means=means)


def _assigned(
    codes: NDArray[np.int64], decided: NDArray[np.int64], classes: int
) -> tuple[tuple[int, ...], float]:
    """Return the class of each score by which most rows are right, and their share."""
    best = assign_classes(codes, decided)
    rest = [at for at in range(classes) if at not in best.values()]
    found = tuple(best[at] if at in best else rest.pop(0) for at in range(classes))
    return found, float((np.array(found)[decided] == codes).mean())
