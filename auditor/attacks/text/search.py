"""Score-based search for adversarial word changes in texts, batched over all texts."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from auditor.attacks.text.judge import TextJudge
from auditor.attacks.text.threat_model import TextThreat
from auditor.attacks.text.word_edits import (
    DISGUISE,
    SYNONYM,
    TextWords,
    WordCore,
    edit_word,
    levenshtein,
)
from auditor.domain.check_subject import ProgressReporter
from auditor.domain.tasks import Floats

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class TextSearchPlan:
    """How hard a search tries: ``queries`` a text, ``beam`` texts kept after each word, ``tries``
    a word. Words of fewer than ``least_letters`` letters are not misspelt, only disguised.
    """

    moves: tuple[str, ...]
    queries: int
    beam: int = 4
    tries: int = 8
    least_letters: int = 4


@dataclass(frozen=True, slots=True)
class TextQuery:
    """Texts to be judged. ``within`` is false of probes: they tell which words matter, and are
    no candidates.
    """

    texts: tuple[str, ...]
    within: bool = True


@dataclass(frozen=True, slots=True)
class TextCandidate:
    """A text in the making, and the places of words that were changed."""

    words: TextWords
    changed: frozenset[int] = frozenset()


class TextSearch:
    """Ranks the words of a text by what the score loses without each (Gao et al. 2018,
    DeepWordBug; Jin et al. 2020, TextFooler), then changes one word after the other, the heaviest
    first, and keeps the ``beam`` texts that come nearest to the goal.

    A text broken by several words is tried with each of them put back. ``ask`` gives the next
    question (``None``: there is none), ``tell`` takes what came of its texts, in their order.
    """

    def __init__(
        self, text: str, threat: TextThreat, plan: TextSearchPlan, rng: np.random.Generator
    ) -> None:
        self.clean = TextWords.of(text)
        self.threat, self.plan, self.rng = threat, plan, rng
        self.options = [self._options(word) for word in self.clean.words]
        self.places = [place for place, words in enumerate(self.options) if words]
        self.left = plan.queries
        self.beam = [TextCandidate(self.clean)]
        self.asked: list[TextCandidate] = []
        self.weighed = False
        self.settling = False

    @property
    def movable(self) -> int:
        """How many words there is something to make of."""
        return len(self.places)

    def ask(self) -> TextQuery | None:
        """Return the texts to judge next."""
        if not self.places or self.left < 1:
            return None
        if not self.weighed:
            self.places = [self.places[place] for place in self.rng.permutation(len(self.places))]
            most = min(len(self.places), max(1, self.left // 2))
            return TextQuery(tuple(map(self.clean.without, self.places[:most])), within=False)
        self.asked = self._put_back() if self.settling else self._grown()
        return TextQuery(tuple(node.words.text for node in self.asked)) if self.asked else None

    def tell(self, margins: Floats, reached: Mask) -> None:
        """Hear how far each text of the last question is beyond the line (minus infinity: it was
        not judged), and whether it reaches the goal.
        """
        self.left -= len(margins)
        order = np.lexsort((-margins, ~reached))
        if not self.weighed:
            rest = self.places[len(margins) :]
            self.places = [*(self.places[place] for place in order), *rest]
            self.weighed = True
        elif reached[order[0]]:
            self.settling, self.beam = True, [self.asked[order[0]]]
        elif self.settling:
            self.places = []  # no word can be put back
        else:
            kept = [place for place in order if margins[place] > -np.inf][: self.plan.beam]
            self.beam = [self.asked[place] for place in kept]

    def _grown(self) -> list[TextCandidate]:
        """Return texts with one more word changed, as many as this step may cost."""
        done = len(self.beam[0].changed) if self.beam else self.threat.words
        steps = self.threat.words - done
        if steps < 1:
            return []
        share = max(1, self.left // steps // len(self.beam))
        grown = [node for parent in self.beam for node in islice(self._children(parent), share)]
        seen = {node.words.text: node for node in grown}
        return list(seen.values())[: self.left]

    def _put_back(self) -> list[TextCandidate]:
        (node,) = self.beam
        if len(node.changed) == 1:
            return []
        return [
            TextCandidate(node.words.put(place, self.clean.words[place]), node.changed - {place})
            for place in sorted(node.changed)
        ][: self.left]

    def _children(self, parent: TextCandidate) -> Iterator[TextCandidate]:
        for place in self.places:
            if place not in parent.changed:
                for word in self.options[place]:
                    yield TextCandidate(parent.words.put(place, word), parent.changed | {place})

    def _options(self, word: str) -> tuple[str, ...]:
        """Return what is tried in place of a word: synonyms, and words a few edits away."""
        core, most = WordCore.of(word), self.plan.tries
        letters, moves = core.letters, self.plan.moves
        known = self.threat.synonyms.get(letters.lower(), ()) if SYNONYM in moves else ()
        found = []
        for other in known:
            if letters.isupper() and len(letters) > 1:
                found.append(other.upper())
            else:
                found.append(other.capitalize() if letters[:1].isupper() else other)
        if sum(letter.isalpha() for letter in letters) < self.plan.least_letters:
            moves = tuple(move for move in moves if move == DISGUISE)
        once = self._near(letters, edit_word(letters, moves, self.rng))
        left = max(0, most - len(found))
        # Half of the tries go to a second edit, where the threat permits it.
        singles = list(islice(once, left - left // 2 if self.threat.edits > 1 else left))
        again = (other for one in singles for other in edit_word(one, moves, self.rng))
        found += [*singles, *islice(self._near(letters, again), left - len(singles))]
        return tuple(core.holding(other) for other in dict.fromkeys(found))[:most]

    def _near(self, letters: str, others: Iterator[str]) -> Iterator[str]:
        """Leave out what is the same word, or further from it than the threat permits."""
        edits = self.threat.edits
        return (other for other in others if 0 < levenshtein(letters, other, edits) <= edits)


MOST_ROUNDS = 10_000


def attack_texts(
    judge: TextJudge, plan: TextSearchPlan, seed: int, progress: ProgressReporter
) -> tuple[int, ...]:
    """Hunt in every row that is right, until all have nothing more to ask.

    Each row draws from a generator of its own, so that what is found in it does not depend on the
    others. Returns how many words of each row there was something to make of.
    """
    hunts = [
        TextSearch(text, judge.threat, plan, np.random.default_rng([seed, row]))
        for row, text in enumerate(judge.texts)
    ]
    movable = tuple(hunt.movable for hunt in hunts)
    total, active = len(judge.live), [int(row) for row in judge.live]
    for _ in range(MOST_ROUNDS):
        progress(total - len(active), total)
        asked = [(row, question) for row in active if (question := hunts[row].ask()) is not None]
        if not asked:
            return movable
        for within in (False, True):
            part = [(row, question) for row, question in asked if question.within is within]
            texts = [text for _, question in part for text in question.texts]
            if texts:
                counts = [len(question.texts) for _, question in part]
                rows: NDArray[np.int64] = np.repeat([row for row, _ in part], counts).astype(
                    np.int64
                )
                margins, reached = (judge.submit if within else judge.probe)(rows, texts)
                ends = np.cumsum(counts)
                for (row, _), end, count in zip(part, ends, counts, strict=True):
                    hunts[row].tell(margins[end - count : end], reached[end - count : end])
        active = [row for row, _ in asked]
    message = "a search for words did not come to its end"
    raise AssertionError(message)
