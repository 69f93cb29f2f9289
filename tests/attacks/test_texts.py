"""Words are changed by little, the judge holds every claim to the threat, and the search is known
to find the fewest words where they can be counted by hand."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from auditor.attacks.evasion.goals import untargeted_goal
from auditor.attacks.text.judge import TextJudge
from auditor.attacks.text.search import TextSearchPlan, attack_texts
from auditor.attacks.text.threat_model import TextThreat
from auditor.attacks.text.word_edits import (
    EDITS,
    LOOKALIKES,
    MOVES,
    SHIPPED,
    TextWords,
    WordCore,
    edit_word,
    keyboard_neighbours,
    levenshtein,
    read_synonyms,
    to_latin_letters,
)
from auditor.domain.check_subject import report_nothing
from auditor.domain.targets import Fingerprint
from auditor.domain.tasks import Array, ClassificationTask, Floats
from auditor.errors import PolicyError

TASK = ClassificationTask(("calm", "alarm"), "alarm", "calm")
WORD = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=9)


@dataclass(slots=True)
class TextModel:
    """A target that scores texts by a function, and remembers what it was asked."""

    alarm: Callable[[str], float]
    noise: float = 0.0
    queries: int = 0
    seen: list[str] = field(default_factory=list)
    fingerprint: Fingerprint = field(default_factory=lambda: Fingerprint({}, {}))

    @property
    def deterministic(self) -> bool:
        return not self.noise

    def predict(self, inputs: Array) -> Floats:
        self.queries += len(inputs)
        self.seen += [str(text) for text in inputs]
        drawn = np.random.default_rng(self.queries).normal(0, self.noise, len(inputs))
        alarm = np.array([self.alarm(str(text)) for text in inputs]) + drawn
        return np.stack([np.zeros(len(alarm)), alarm], axis=1)

    def probabilities(self, scores: Floats) -> Floats:
        raised = np.exp(scores - scores.max(axis=1, keepdims=True))
        found: Floats = raised / raised.sum(axis=1, keepdims=True)
        return found

    def time(self, inputs: Array, *, calls: int, warmup: int, batch_rows: int) -> None:
        raise NotImplementedError


def siren(text: str) -> float:
    """Raise an alarm by one half for two words out of this list, by more for more."""
    words = text.split()
    return sum(word in {"smoke", "burning", "flames", "heat"} for word in words) - 1.5


def judge_of(
    model: TextModel,
    texts: Sequence[str],
    labels: Sequence[int],
    threat: TextThreat,
    most_queries: int = 400,
) -> TextJudge:
    scores = model.predict(np.array(texts))
    model.queries = 0
    return TextJudge(
        model=model,  # type: ignore[arg-type]  # it is never timed
        goal=untargeted_goal(TASK),
        threat=threat,
        texts=texts,
        labels=np.array(labels),
        probabilities=model.probabilities(scores),
        most_queries=most_queries,
    )


@given(st.text(max_size=60))
def test_a_text_is_put_together_again_letter_for_letter(text: str) -> None:
    taken = TextWords.of(text)
    assert taken.text == text
    assert list(taken.words) == text.split()
    for place in range(len(taken.words)):
        rest = [word for index, word in enumerate(taken.words) if index != place]
        assert taken.without(place).split() == rest or not taken.gaps[place + 1]


@given(st.text(max_size=12))
def test_a_core_is_a_word_between_its_signs(word: str) -> None:
    core = WordCore.of(word)
    assert core.holding(core.letters) == word
    assert not core.letters or (core.letters[0].isalnum() and core.letters[-1].isalnum())


def distance(one: str, other: str) -> int:
    """Levenshtein's table in full."""
    row = list(range(len(other) + 1))
    for index, letter in enumerate(one, start=1):
        before, row = row, [index]
        for place, sign in enumerate(other):
            row.append(min(before[place + 1] + 1, row[place] + 1, before[place] + (letter != sign)))
    return row[-1]


@given(st.text("ab\u0430", max_size=9), st.text("ab\u0430", max_size=9), st.integers(0, 5))
def test_edits_are_counted_as_the_whole_table_counts_them(one: str, other: str, most: int) -> None:
    assert levenshtein(one, other, most) == min(distance(one, other), most + 1)


@given(st.sampled_from(sorted(EDITS)), st.text("abcLpo-1\u00e9", min_size=1, max_size=9))
def test_a_move_is_one_edit_and_a_swap_two(name: str, word: str) -> None:
    for other in EDITS[name](word):
        assert 0 < levenshtein(word, other, 2) <= (2 if name == "swap" else 1)
        assert name == "homoglyph" or (other[0], other[-1]) == (word[0], word[-1])


def test_keys_are_neighbours_of_each_other() -> None:
    assert set(keyboard_neighbours("g")) == set("fhtyvb")
    assert set(keyboard_neighbours("q")) == set("wa")
    assert keyboard_neighbours("\u00e9") == keyboard_neighbours("7") == ""
    letters = "abcdefghijklmnopqrstuvwxyz"
    for letter in letters:
        assert all(letter in keyboard_neighbours(other) for other in keyboard_neighbours(letter))


def test_a_letter_in_disguise_is_read_as_the_one_it_stands_for() -> None:
    assert all(to_latin_letters(other) == letter for letter, other in LOOKALIKES.items())
    assert not any(other.isascii() for other in LOOKALIKES.values())
    assert list(EDITS["homoglyph"]("exit")) == ["\u0435xit", "e\u0445it", "ex\u0456t"]


def test_kinds_of_edit_come_in_turn() -> None:
    found = list(edit_word("signal", ("delete", "insert"), np.random.default_rng(0)))
    assert [len(word) for word in found[:4]] == [5, 7, 5, 7]
    assert sorted(found) == sorted([*EDITS["delete"]("signal"), *EDITS["insert"]("signal")])


def test_the_shipped_synonyms_are_words_that_stand_alone_or_are_entered() -> None:
    listed = read_synonyms(SHIPPED)
    assert len(listed) == len(SHIPPED)
    assert list(SHIPPED) == sorted(SHIPPED)
    assert all(word not in others for word, others in listed.items())


@pytest.mark.parametrize("line", ["good", "good=", "=fine", "good=good", "good=very fine"])
def test_a_line_that_is_no_synonym_is_refused(line: str) -> None:
    with pytest.raises(PolicyError, match="no line of words"):
        read_synonyms([line])


THREAT = TextThreat(2, 2, read_synonyms(["film=movie,picture"]))


@pytest.mark.parametrize(
    ("other", "words", "edits"),
    [
        ("A good film,  really.", 0, 0),
        ("A gopd film,  really.", 1, 1),
        ("A g\u043eod film,  realy.", 2, 1),
        ("A good movie,  really.", 1, 0),
        ("A good Picture,  raelly.", 2, 2),
    ],
)
def test_what_the_threat_permits_is_counted(other: str, words: int, edits: int) -> None:
    found = THREAT.examine("A good film,  really.", other)
    assert found is not None
    assert (found.words, found.edits, sum(found.kinds.values())) == (words, edits, words)


@pytest.mark.parametrize(
    "other",
    [
        "A good film, really.",  # a gap less
        "A goodfilm,  really.",  # joined
        "A go od film,  really.",  # split
        "A film,  really.",  # dropped
        "A bad film,  really.",  # three edits
        "A good video,  really.",  # no listed synonym
        "A good movie.  really.",  # other signs around it
        "An goood films,  really.",  # three words
        "A good film,  really.\0",
        "",
    ],
)
def test_what_the_threat_does_not_permit_is_refused(other: str) -> None:
    assert THREAT.examine("A good film,  really.", other) is None


PLAN = TextSearchPlan(MOVES, queries=400, beam=3, tries=4)
TEXTS = (
    "smoke comes out of the kitchen and the burning roof",
    "smoke and heat and flames near the burning roof",
    "the heat of a summer day",
    "nothing to see",
    "all smoke and no flames here",
)
LABELS = (1, 1, 0, 0, 0)
FEWEST = (1, 3, np.inf, np.inf, np.inf)
"""Words to change; the last text is wrong from the start, and nothing makes the others alarming."""


def fewest(judge: TextJudge) -> list[float]:
    return [np.inf if change is None else change.words for change in judge.changes]


def test_the_search_finds_the_fewest_words_that_turn_the_decision() -> None:
    model = TextModel(siren)
    judge = judge_of(model, TEXTS, LABELS, TextThreat(4, 2, {}))
    movable = attack_texts(judge, PLAN, 7, report_nothing)
    assert fewest(judge) == list(FEWEST)
    assert judge.wrong.tolist() == [False, False, False, False, True]
    assert judge.asked.max() <= 400
    assert judge.asked.sum() == model.queries
    assert judge.asked[4] == 0
    assert judge.refused == 0
    assert movable == (10, 9, 6, 3, 6)
    for row in (0, 1):
        text = judge.crafted[row]
        assert text is not None
        assert siren(text) < 0
        assert judge.threat.examine(TEXTS[row], text) is not None


def test_too_few_words_leave_a_text_unbroken() -> None:
    judge = judge_of(TextModel(siren), TEXTS, LABELS, TextThreat(2, 2, {}))
    attack_texts(judge, PLAN, 7, report_nothing)
    assert fewest(judge) == [1, np.inf, np.inf, np.inf, np.inf]


def trap(text: str) -> float:
    """Without "noise" the score is lowest, but only another word for "loud" turns the decision."""
    if "loud" not in text:
        return -0.2
    return (len(text.split()) == 3) + ("noise" in text) - 0.5


def test_a_word_that_was_changed_for_nothing_is_put_back() -> None:
    model = TextModel(trap)
    judge = judge_of(model, ["some loud noise"], [1], TextThreat(3, 2, {}), most_queries=15)
    model.seen.clear()
    attack_texts(judge, TextSearchPlan(MOVES, queries=15, beam=1, tries=4), 1, report_nothing)
    first = next(text for text in model.seen if "loud" not in text and len(text.split()) == 3)
    assert "noise" not in first  # both words were changed before one was put back
    assert fewest(judge) == [1]
    assert judge.crafted[0] is not None
    assert judge.crafted[0].endswith(" noise")


def test_a_model_that_reads_what_words_look_like_withstands_disguises_alone() -> None:
    texts, labels = TEXTS[:2], LABELS[:2]
    sees = TextModel(lambda text: siren(to_latin_letters(text)))
    for moves, broken in ((("homoglyph",), 0), (("homoglyph", "delete"), 2)):
        judge = judge_of(sees, texts, labels, TextThreat(4, 2, {}))
        attack_texts(judge, TextSearchPlan(moves, 400), 7, report_nothing)
        assert np.isfinite(fewest(judge)).sum() == broken


def test_synonyms_alone_break_a_model_that_knows_one_word_of_two() -> None:
    threat = TextThreat(1, 1, read_synonyms(["smoke=fumes"]))
    judge = judge_of(
        TextModel(siren), ["SMOKE and smoke, burning", "smoke burning"], [0, 1], threat
    )
    attack_texts(judge, TextSearchPlan(("synonym",), 50), 7, report_nothing)
    assert judge.crafted == [None, "fumes burning"]
    assert judge.changes[1] is not None
    assert judge.changes[1].kinds["synonym"] == 1


@pytest.mark.parametrize("most", [1, 7, 30])
def test_no_row_is_asked_about_more_often_than_permitted(most: int) -> None:
    model = TextModel(siren)
    judge = judge_of(model, TEXTS, LABELS, TextThreat(4, 2, {}), most_queries=most)
    attack_texts(judge, TextSearchPlan(MOVES, 1000), 7, report_nothing)
    assert judge.asked.max() <= most
    assert model.queries == judge.asked.sum()


def test_what_is_found_in_a_row_does_not_depend_on_the_rows_behind_it() -> None:
    found = []
    for count in (2, 5):
        judge = judge_of(TextModel(siren), TEXTS[:count], LABELS[:count], TextThreat(4, 2, {}))
        attack_texts(judge, PLAN, 3, report_nothing)
        found.append(judge.crafted[:2])
    assert found[0] == found[1]


def submitted(judge: TextJudge, *texts: str) -> NDArray[np.bool_]:
    return judge.submit(np.zeros(len(texts), dtype=np.int64), texts)[1]


def test_a_claim_outside_of_the_threat_is_neither_asked_about_nor_counted() -> None:
    model = TextModel(siren)
    judge = judge_of(model, TEXTS, LABELS, TextThreat(1, 2, {}))
    lies = ("", "fog comes out of the kitchen and the burning roof", TEXTS[0].replace("s", "z"))
    assert not submitted(judge, *lies).any()
    assert (model.queries, judge.refused) == (0, 3)
    assert judge.changes[0] is None
    assert submitted(judge, TEXTS[0].replace("smoke", "smo\u043ae")).tolist() == [True]
    assert fewest(judge)[0] == 1


def test_of_several_successes_the_one_of_the_fewest_words_and_edits_is_kept() -> None:
    judge = judge_of(TextModel(siren), TEXTS, LABELS, TextThreat(3, 2, {}))
    two = TEXTS[0].replace("smoke", "smke").replace("kitchen", "kitchn")
    assert submitted(judge, two, TEXTS[0].replace("smoke", "smk")).all()
    assert judge.crafted[0] == TEXTS[0].replace("smoke", "smk")
    assert submitted(judge, TEXTS[0].replace("smoke", "smke"), two).all()
    assert judge.crafted[0] == TEXTS[0].replace("smoke", "smke")


def test_a_probe_never_counts_as_a_success() -> None:
    judge = judge_of(TextModel(siren), TEXTS, LABELS, TextThreat(1, 2, {}))
    margins, reached = judge.probe(np.array([0, 0]), ["", TEXTS[0]])
    assert margins[0] > 0 > margins[1]
    assert not reached.any()
    assert judge.changes[0] is None


@given(WORD, st.integers(0, 2**32))
def test_every_word_that_the_search_tries_is_permitted(word: str, seed: int) -> None:
    model = TextModel(lambda text: float(len(text)))
    judge = judge_of(model, [f"some {word} text"], [1], THREAT, most_queries=60)
    model.seen.clear()
    attack_texts(judge, TextSearchPlan(MOVES, 60), seed, report_nothing)
    assert judge.refused == 0
