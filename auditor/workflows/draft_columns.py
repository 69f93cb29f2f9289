"""Finds the columns of a table that a model takes, where the table has more of them."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import combinations
from math import comb

from auditor.inputs.datasets.inspect import is_answer_name, is_of_person, list_numbers
from auditor.inputs.datasets.label_trials import AnsweredRows, LabelTrial, try_label
from auditor.targets.output_summary import read_answer_table
from auditor.workflows.draft_session import DraftSession, ModelAnswers, answer_columns

MOST_SETS = 200
"""So many sets of columns are scored at most: 20 columns of which two are left out make 190."""
CLEARLY = 0.02
"""A set that agrees less than this better than another is not told apart from it."""


@dataclass(frozen=True, slots=True, eq=False)
class ColumnTrial:
    """How far the answers to a set of columns agree with the truth, and which columns are out."""

    answers: ModelAnswers
    trial: LabelTrial
    left: tuple[str, ...]

    @property
    def about_people(self) -> int:
        """How many of the columns that the model would take say who people are."""
        return sum(map(is_of_person, self.answers.features))

    def __str__(self) -> str:
        """Say it in words."""
        figure = f"{self.trial.figure:.0%}"
        what = "explains {}" if self.trial.regression else "agrees in {}"
        return f"without {', '.join(self.left)} it {what.format(figure)}"


def choose_columns(
    session: DraftSession, label: str | None, drafted: ModelAnswers | None
) -> tuple[LabelTrial, ModelAnswers] | None:
    """Return the trial and the answers of the columns that agree best with ``label``.

    ``drafted`` are the answers to the columns that names alone speak for, which stay unless others
    agree clearly better. Of sets that agree about as well, the one with the fewest columns about
    people comes first, because models are rarely meant to take these. ``None`` where there is
    nothing to choose, or no set agrees beyond chance.
    """
    if label is None:
        return None
    tried = [it for it in _try_sets(session, label) if it.trial.accepted]
    if not tried:
        return None
    most = max(it.trial.beyond for it in tried)
    best = max(
        (it for it in tried if it.trial.beyond > most - CLEARLY),
        key=lambda it: (-it.about_people, it.trial.beyond),
    )
    own = None if drafted is None else drafted.features
    kept = next((it for it in tried if it.answers.features == own), None)
    if kept is not None and most < kept.trial.beyond + CLEARLY:
        best = kept
    rest = [it for it in tried if it is not best]
    # Names speak for what they leave out; where answers alone do, others may do as well
    close = [it for it in rest if it.trial.beyond > most - CLEARLY] if best is not kept else []
    clear = "is best" if best.trial.beyond == most else "is about as good as it can be"
    words = f"of the sets of columns that fit, the model {clear} with these ({best.trial.words}"
    if rest:
        words += f"; {max(rest, key=lambda it: it.trial.beyond)}"
    answers = replace(best.answers, why=f"{words})", rivals=tuple(it.left for it in close))
    return best.trial, answers


def _try_sets(session: DraftSession, label: str) -> Iterator[ColumnTrial]:
    """Yield the trials of all sets of as many columns as the model takes, in their order."""
    if session.found.inputs is not None or session.declared.reads_text:
        return  # arrays beside the inputs, or numbers beside a text, are none
    width = session.columns_taken
    numbers = [it for it in list_numbers(session.found, label) if not is_answer_name(it)]
    if width is None or not 0 < width < len(numbers) or comb(len(numbers), width) > MOST_SETS:
        return
    for names in combinations(numbers, width):
        answers = answer_columns(session, names)
        left = tuple(name for name in numbers if name not in names)
        if answers is not None:
            for trial in try_answers(session, label, answers):
                yield ColumnTrial(answers, trial, left)


def try_answers(session: DraftSession, label: str, answers: ModelAnswers) -> Iterator[LabelTrial]:
    """Yield the trials of a column as the truth of a model's answers."""
    rows = session.sample()
    table = read_answer_table(answers.outputs, len(rows))
    answered = AnsweredRows(rows, table.scores, table.labels)
    yield from try_label(label, session.found.series[label], answered)
