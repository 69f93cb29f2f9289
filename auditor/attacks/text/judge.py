"""The judge of text attacks: it re-checks claims against the threat model, and alone counts."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from auditor.attacks.evasion.goals import AttackGoal, HarmfulDecisionGoal
from auditor.attacks.evasion.judge import judge_answers, query_target
from auditor.attacks.evasion.losses import Labels
from auditor.attacks.text.threat_model import TextChanges, TextThreat
from auditor.domain.models import Model
from auditor.domain.tasks import Floats

Mask = NDArray[np.bool_]
Rows = NDArray[np.int64]
MOST_AT_ONCE = 512
"""Texts in one array, each as wide as the longest."""


def find_wrong_rows(goal: AttackGoal, probabilities: Floats, labels: Labels) -> Mask:
    """Return the rows whose clean text is decided harmfully, or not at all."""
    harmed = goal.reached(probabilities, labels)
    return (
        harmed | goal.rejected(probabilities, labels)
        if isinstance(goal, HarmfulDecisionGoal)
        else harmed
    )


@dataclass(slots=True, eq=False, kw_only=True)
class TextJudge:
    """One threat against some texts.

    ``crafted`` is each row's successful text of the fewest changed words, then edits (``None``:
    nothing broke it, or it was wrong from the start) and ``changes`` what was changed in it;
    ``probabilities`` are the target's of that text, else of the clean one. A row is asked about at
    most ``most_queries`` times, each of ``repeats`` answers counting. ``refused`` counts texts
    outside of the threat.
    """

    model: Model
    goal: AttackGoal
    threat: TextThreat
    texts: Sequence[str]
    labels: Labels
    probabilities: Floats
    most_queries: int
    repeats: int = 1
    crafted: list[str | None] = field(init=False)
    changes: list[TextChanges | None] = field(init=False)
    wrong: Mask = field(init=False)
    asked: Rows = field(init=False)
    refused: int = 0

    def __post_init__(self) -> None:
        """Begin with the clean texts."""
        self.crafted, self.changes = [None] * len(self.texts), [None] * len(self.texts)
        self.probabilities = self.probabilities.copy()
        self.wrong = find_wrong_rows(self.goal, self.probabilities, self.labels)
        self.asked = np.zeros(len(self.texts), dtype=np.int64)

    @property
    def live(self) -> Rows:
        """Rows that are right and not broken yet."""
        standing = [change is None for change in self.changes]
        return np.flatnonzero(~self.wrong & np.array(standing, dtype=np.bool_)).astype(np.int64)

    def probe(self, rows: Rows, texts: Sequence[str]) -> tuple[Floats, Mask]:
        """Score texts that are no candidates; none of them ever counts as a success."""
        margins, _, _ = self._score(rows, texts, np.ones(len(texts), dtype=np.bool_))
        return margins, np.zeros(len(texts), dtype=np.bool_)

    def submit(self, rows: Rows, texts: Sequence[str]) -> tuple[Floats, Mask]:
        """Judge candidates, each of one of ``rows``.

        Returns how far each is beyond the line, minus infinity where it was not scored because the
        threat does not permit it or its row's queries are spent; and whether it reaches the goal.
        """
        found = [
            self.threat.examine(self.texts[row], text)
            for row, text in zip(rows, texts, strict=True)
        ]
        allowed = np.array([change is not None for change in found], dtype=np.bool_)
        self.refused += int((~allowed).sum())
        margins, reached, probabilities = self._score(rows, texts, allowed)
        for place in np.flatnonzero(reached).tolist():
            self._remember(int(rows[place]), texts[place], found[place], probabilities[place])
        return margins, reached

    def _score(
        self, rows: Rows, texts: Sequence[str], allowed: Mask
    ) -> tuple[Floats, Mask, Floats]:
        margins, reached = np.full(len(rows), -np.inf), np.zeros(len(rows), dtype=np.bool_)
        told = np.zeros((len(rows), self.probabilities.shape[1]))
        scored = []
        for place in np.flatnonzero(allowed):
            if self.asked[rows[place]] + self.repeats <= self.most_queries:
                self.asked[rows[place]] += self.repeats
                scored.append(int(place))
        for start in range(0, len(scored), MOST_AT_ONCE):
            part = scored[start : start + MOST_AT_ONCE]
            candidates = np.array([texts[place] for place in part], dtype=np.str_)
            scores, probabilities = query_target(self.model, candidates, self.repeats)
            labels, sizes = self.labels[rows[part]], np.zeros(len(part))
            heard = judge_answers(scores, probabilities, self.goal, labels, candidates, sizes)
            margins[part], reached[part] = heard.margin, heard.reached
            told[part] = probabilities
        return margins, reached, told

    def _remember(
        self, row: int, text: str, changes: TextChanges | None, probabilities: Floats
    ) -> None:
        """Keep a success that needs fewer words than the one so far, or as many and fewer edits."""
        before = self.changes[row]
        if changes is None or self.wrong[row]:
            return
        if before is None or (changes.words, changes.edits) < (before.words, before.edits):
            self.crafted[row], self.changes[row] = text, changes
            self.probabilities[row] = probabilities
