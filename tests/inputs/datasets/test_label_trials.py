import numpy as np
import polars as pl
import pytest

from auditor.domain.guesses import Confidence
from auditor.inputs.datasets.label_trials import (
    AnsweredRows,
    LabelTrial,
    choose_label,
    explain_choice,
    try_label,
)

RNG = np.random.default_rng(1)
ROWS = np.arange(300)
CODES = RNG.integers(0, 3, 300)
SCORES = np.eye(3)[CODES] + RNG.normal(0, 0.1, (300, 3))
CHANCE = RNG.choice(["a", "b", "c"], 300)


def trials(**columns: object) -> list[LabelTrial]:
    answers = AnsweredRows(ROWS, SCORES)
    return [
        it for name, column in columns.items() for it in try_label(name, pl.Series(column), answers)
    ]


def test_the_column_that_the_scores_agree_with_is_chosen_under_any_order_of_names() -> None:
    order = np.array(["low", "medium", "high"])
    names = order[CODES]
    names[:60] = RNG.choice(order, 60)  # some rows are wrong
    (chosen,) = choose_label(trials(colour=CHANCE, risk=names))
    assert (chosen.column, chosen.regression) == ("risk", False)
    assert chosen.figure == pytest.approx(
        np.mean(names == np.array(["low", "medium", "high"])[CODES])
    )


def test_a_column_named_as_a_label_comes_before_a_copy_of_the_answers() -> None:
    truth = CODES.copy()
    truth[:90] = (truth[:90] + 1) % 3
    accepted = choose_label(trials(copy=CODES, label=truth))
    assert [it.column for it in accepted] == ["label", "copy"]
    assert accepted[1].exact


def test_a_lone_copy_of_the_answers_is_not_sure() -> None:
    words, confidence = explain_choice(choose_label(trials(copy=CODES)), "the model")
    assert confidence is Confidence.MEDIUM
    assert "may hold the model's own answers" in words


def test_more_distinct_values_than_scores_are_no_labels() -> None:
    assert trials(many=np.arange(300) % 4) == []


def test_chance_is_not_accepted() -> None:
    assert choose_label(trials(colour=CHANCE)) == ()


def test_one_number_a_row_is_tried_as_a_regression() -> None:
    price = RNG.normal(100, 20, 300)
    answers = AnsweredRows(ROWS, (price + RNG.normal(0, 5, 300))[:, None])
    found = [*try_label("price", pl.Series(price), answers)]
    found += try_label("size", pl.Series(RNG.normal(100, 20, 300)), answers)
    (chosen,) = choose_label(found)
    assert (chosen.column, chosen.regression) == ("price", True)
    assert 0.9 < chosen.figure < 1


def test_two_columns_of_the_same_labels_are_not_sure() -> None:
    truth = CODES.copy()
    truth[:90] = (truth[:90] + 1) % 3
    near = CODES.copy()
    near[0] = (near[0] + 1) % 3
    words, confidence = explain_choice(choose_label(trials(near=near, verdict=truth)), "the model")
    assert confidence is Confidence.MEDIUM
    assert "of columns with the same values, one may hold the model's own answers" in words
    _, named = explain_choice(choose_label(trials(near=near, label=truth)), "the model")
    assert named is Confidence.HIGH
