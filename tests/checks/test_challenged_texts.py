"""Texts with a few words changed refute what an attack left standing, and other texts do not."""

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest
from challenged import by, challenged, figures, observed, offered, results
from test_evasion_text import reader, texts

from auditor.checks.evasion.text import TextSearchCheck
from auditor.checks.evasion.textattack import TextAttackCheck
from auditor.domain.check_subject import Subject
from auditor.domain.evidence import Evidence
from auditor.errors import DatasetError

WEAK = TextSearchCheck(words=(1, 2, 4), queries=1, rows=40)
CLEAN = texts()


@cache
def usual() -> tuple[Subject, Evidence]:
    seen = reader()
    return seen, observed(WEAK, seen)


def swapped(word: str) -> str:
    return word[:-2] + word[:-3:-1]


def misspelt(row: int, *words: str, how: Callable[[str], str] = swapped) -> str:
    """A text with some of its words misspelt: their last letters swapped."""
    text = CLEAN[row]
    for word in words:
        assert word in text
        text = text.replace(word, how(word))
    return text


def test_misspelt_words_break_a_text_from_their_number_on() -> None:
    seen, evidence = usual()
    before = by(figures(WEAK, evidence, "robust_accuracy"), "words")
    offer = offered(
        inputs=np.array([misspelt(1, "smoke"), misspelt(2, "smoke", "burning")]),
        rows=["row-1", "row-2"],
    )
    found = challenged(WEAK, seen, evidence, offer)
    assert results(found) == ["holds", "holds"]
    assert [item.eps for item in found.trials] == [1.0, 2.0]
    after = by(figures(WEAK, found.evidence, "robust_accuracy"), "words")
    lost = {words: before[words] - after[words] for words in before}
    assert lost == pytest.approx({1: 1 / 40, 2: 2 / 40, 4: 2 / 40})
    assert found.evidence is not None
    assert results(challenged(WEAK, seen, found.evidence, offer)) == ["broken_before"] * 2


def test_a_text_that_is_longer_than_every_row_is_read_whole() -> None:
    seen, evidence = usual()
    signs = ("smoke", "burning", "flames", "fumes")
    text = misspelt(3, *signs, how=lambda word: f"{word}xy")
    assert len(text) > max(map(len, CLEAN))
    found = challenged(WEAK, seen, evidence, offered(inputs=np.array([text]), rows=["row-3"]))
    assert results(found) == ["holds"]


@pytest.mark.parametrize(
    ("text", "result"),
    [
        (CLEAN[1].replace("smoke ", ""), "outside_space"),
        (CLEAN[1].replace("smoke", "music"), "outside_space"),
        (CLEAN[1].replace("smoke", "smo ke"), "outside_space"),
        (" ".join(f"{word}x" for word in CLEAN[1].split()), "outside_budget"),
        (CLEAN[1].replace("river", "rivre"), "not_misclassified"),
        (CLEAN[1], "not_misclassified"),
    ],
    ids=["dropped", "another word", "split", "too many", "not misled", "unchanged"],
)
def test_what_the_check_lets_nobody_change_breaks_nothing(text: str, result: str) -> None:
    seen, evidence = usual()
    found = challenged(WEAK, seen, evidence, offered(inputs=np.array([text]), rows=["row-1"]))
    assert results(found) == [result]
    assert found.evidence is None


def test_texts_of_unknown_rows_or_with_another_label_refute_nothing() -> None:
    seen, evidence = usual()
    text = misspelt(1, "smoke")
    offer = offered(inputs=np.array([text] * 2), rows=["row-99", "row-1"], labels=["alarm", "calm"])
    found = challenged(WEAK, seen, evidence, offer)
    assert results(found) == ["not_of_the_data", "other_label"]


def test_numbers_are_no_texts() -> None:
    seen, evidence = usual()
    with pytest.raises(DatasetError, match="inputs hold numbers"):
        challenged(WEAK, seen, evidence, offered(inputs=np.zeros((1, 3)), rows=["row-1"]))


def recipes() -> tuple[TextAttackCheck, Evidence]:
    """What the check of recipes sees of one that ran and one that broke down, both by our hand."""
    _, own = usual()
    check = TextAttackCheck(attacks=("DeepWordBugGao2018", "Pruthi2019"), words=(1, 2, 4))
    shared = ("ids", "labels", "groups", "clean_probabilities")
    ran = {f"DeepWordBugGao2018.{name}": own[name] for name in own if name not in shared}
    ran["DeepWordBugGao2018.settings"] = {**own["settings"], "synonyms": {}}  # type: ignore[dict-item]
    runs: dict[str, Any] = {
        "DeepWordBugGao2018": {"failure": ""}, "Pruthi2019": {"failure": "it broke"},
    }  # fmt: skip
    return check, {**{name: own[name] for name in shared}, **ran, "runs": runs, "library": "0"}


def test_each_recipe_that_ran_loses_a_text_that_somebody_breaks() -> None:
    (seen, _), (check, evidence) = usual(), recipes()
    offer = offered(inputs=np.array([misspelt(1, "smoke")]), rows=["row-1"])
    found = challenged(check, seen, evidence, offer)
    assert results(found) == ["holds"]
    before, after = (
        by(figures(check, one, "robust_accuracy"), "words") for one in (evidence, found.evidence)
    )
    assert after[1] == pytest.approx(before[1] - 1 / 40)
