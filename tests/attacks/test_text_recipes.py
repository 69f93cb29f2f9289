"""What an attack of others returns is a claim, and the judge believes none of it."""

import pytest
from test_texts import LABELS, TEXTS, TextModel, judge_of, siren

from auditor.attacks.text.judge import TextJudge
from auditor.attacks.text.textattack import Consult, run_recipe
from auditor.attacks.text.threat_model import TextThreat


class Liar:
    """Calls the same text broken for every row, without asking."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __call__(self, consult: Consult, text: str, label: int) -> str | None:
        return self.text


def misspeller(consult: Consult, text: str, label: int) -> str | None:
    """Misspells one word after the other, and asks until the decision turns."""
    words = text.split()
    for place, word in enumerate(words):
        words[place] = word[:-1] + "\u0430"
        if consult([" ".join(words)])[0].argmax() != label:
            return " ".join(words)
    return None


def curious(consult: Consult, text: str, label: int) -> str | None:
    """Never stops asking."""
    while True:
        consult([text, text])


def broken(consult: Consult, text: str, label: int) -> str | None:
    message = "no such token"
    raise KeyError(message)


def judged(most_queries: int = 50, words: int = 9) -> tuple[TextModel, TextJudge, list[str]]:
    model = TextModel(siren)
    judge = judge_of(model, TEXTS, LABELS, TextThreat(words, 1, {}), most_queries=most_queries)
    return model, judge, []


def test_claims_that_hold_are_counted_with_their_words() -> None:
    model, judge, ticks = judged()
    found = run_recipe(misspeller, judge, lambda: ticks.append("row"))
    assert (found.claimed, found.confirmed, found.spent, found.failure) == (2, 2, 0, "")
    assert len(ticks) == 4  # the last text is wrong from the start
    changes = [None if change is None else change.words for change in judge.changes]
    assert changes == [1, 5, None, None, None]
    assert model.queries == judge.asked.sum()


def test_claims_beyond_the_words_or_edits_of_the_threat_do_not_count() -> None:
    _, judge, _ = judged(words=4)
    found = run_recipe(misspeller, judge, lambda: None)
    assert (found.claimed, found.confirmed, judge.refused) == (2, 1, 1)


@pytest.mark.parametrize("text", ["", "all quiet", TEXTS[0]])
def test_a_lie_is_not_believed(text: str) -> None:
    model, judge, _ = judged()
    found = run_recipe(Liar(text), judge, lambda: None)
    assert (found.claimed, found.confirmed) == (4, 0)
    assert not any(judge.crafted)
    assert model.queries <= 1


def test_a_row_ends_when_its_queries_are_spent_and_keeps_one_for_the_judge() -> None:
    model, judge, _ = judged(most_queries=8)
    found = run_recipe(curious, judge, lambda: None)
    assert found.spent == 4
    assert judge.asked.tolist() == [6, 6, 6, 6, 0]
    assert model.queries == 24


def test_an_attack_that_breaks_down_says_how_and_takes_nothing_with_it() -> None:
    _, judge, _ = judged()
    found = run_recipe(broken, judge, lambda: None)
    assert found.failure == "KeyError: 'no such token'"
    assert found.claimed == 0
