"""Attribute inference: what it guesses of rows whose answer is known on paper."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from auditor.attacks.privacy.attribute_inference import (
    RIGHT,
    UNASKED,
    UNKNOWN,
    WRONG,
    AttributeInferenceRows,
    AttributeOutcome,
    LevelImputer,
    ScoreOracle,
    SecretColumn,
    choose_secret_columns,
    guess_attribute,
    list_secret_columns,
)
from auditor.attacks.privacy.membership_pool import find_unseen_rows
from auditor.domain.tasks import FeatureKind, Floats, InputFeature

COIN = SecretColumn("coin", (1,), np.array([[0.0], [1.0]]))


def coins(count: int) -> tuple[Floats, NDArray[np.int64]]:
    """A number that says nothing, and a fair coin."""
    rng = np.random.default_rng(3)
    rows = np.stack([rng.normal(size=count), rng.integers(0, 2, count)], axis=1)
    return rows, rng.integers(0, 2, count)


def test_an_imputer_learns_the_chances_that_data_were_drawn_with() -> None:
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(20_000, 2))
    chance = 1 / (1 + np.exp(-(2 * rows[:, 0] - 0.5)))
    codes = (rng.random(len(rows)) < chance).astype(np.int64)
    imputer = LevelImputer.of(rows, np.zeros(len(rows), np.int64), 1, codes, 2)
    said = imputer.chances(rows, np.zeros(len(rows), np.int64))[:, 1]
    assert np.abs(said - chance).max() < 0.03


def test_a_missing_number_is_no_error_and_can_tell_something() -> None:
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 2, 2000)
    rows = np.where(codes[:, None] == 1, np.nan, rng.normal(size=(2000, 1)))
    none = np.zeros(2000, np.int64)
    said = LevelImputer.of(rows, none, 1, codes, 2).chances(rows, none)
    assert (said.argmax(axis=1) == codes).all()


def test_the_attacker_names_the_level_that_the_model_betrays() -> None:
    rows, labels = coins(400)
    asked = AttributeInferenceRows(rows[200:], labels[200:])

    def score(inputs: NDArray[np.generic]) -> Floats:
        right = inputs[:, 1] == asked.inputs[:, 1]
        sure = np.where(right, 0.9, 0.5)
        return np.stack(
            [np.where(asked.labels == 0, sure, 1 - sure), np.where(asked.labels, sure, 1 - sure)], 1
        )

    told = guess_attribute(
        COIN, AttributeInferenceRows(rows[:200], labels[:200]), asked, ScoreOracle(score, 2, 1e-6)
    )
    assert (told.attack == RIGHT).mean() > 0.9
    assert abs((told.baseline == RIGHT).mean() - 0.5) < 0.12


def test_a_model_that_does_not_read_the_secret_adds_nothing_to_the_imputer() -> None:
    rows, labels = coins(400)
    flat = ScoreOracle(lambda inputs: np.full((len(inputs), 2), 0.5), 2, 1e-6)
    told = guess_attribute(
        COIN,
        AttributeInferenceRows(rows[:200], labels[:200]),
        AttributeInferenceRows(rows[200:], labels[200:]),
        flat,
    )
    assert (told.attack == told.baseline).all()


def test_a_level_that_nobody_can_name_is_not_asked_about() -> None:
    rows, labels = coins(100)
    rows[60, 1] = 7.0
    flat = ScoreOracle(lambda inputs: np.full((len(inputs), 2), 0.5), 2, 1e-6)
    told = guess_attribute(
        COIN,
        AttributeInferenceRows(rows[:50], labels[:50]),
        AttributeInferenceRows(rows[50:], labels[50:]),
        flat,
    )
    assert told.attack[10] == UNASKED
    assert set(np.unique(told.attack)) <= {WRONG, RIGHT, UNASKED}


def test_secrets_are_columns_of_few_levels_and_whole_one_hot_groups() -> None:
    features = (
        InputFeature("age", FeatureKind.INTEGER),
        InputFeature("sex", FeatureKind.BINARY, categories=(0.0, 1.0), immutable=True),
        InputFeature("north", FeatureKind.BINARY, one_hot="region"),
        InputFeature("south", FeatureKind.BINARY, one_hot="region"),
        InputFeature("weight"),
    )
    rng = np.random.default_rng(0)
    rows = np.column_stack(
        [rng.permutation(60), rng.integers(0, 2, 60), np.eye(2)[np.arange(60) % 2], rng.random(60)]
    )
    found = list_secret_columns(rows, features, (), 10)
    assert [item.name for item in found] == ["region", "sex"]
    assert [item.name for item in choose_secret_columns(found, features, (), 9)] == [
        "sex",
        "region",
    ]
    assert [item.name for item in choose_secret_columns(found, features, ("region",), 1)] == [
        "region"
    ]
    region = found[0]
    assert region.codes(rows[:2]).tolist() == [0, 1]
    assert region.codes(np.zeros((1, 5))).tolist() == [UNKNOWN]
    moved = region.put(rows, 1)
    assert (moved[:, 3] == 1).all()
    assert (moved[:, 2] == 0).all()
    assert (np.delete(moved, [2, 3], axis=1) == np.delete(rows, [2, 3], axis=1)).all()


def test_without_a_schema_columns_of_few_values_are_secrets() -> None:
    rows = np.column_stack([np.arange(50.0), np.arange(50) % 3])
    assert [item.name for item in list_secret_columns(rows, (), ("x", "y"), 10)] == ["y"]


@given(st.data())
def test_a_leak_never_exceeds_what_members_gain_over_the_imputer(data: st.DataObject) -> None:
    rows = data.draw(st.integers(50, 90))
    flags = st.lists(st.booleans(), min_size=rows, max_size=rows)
    attack, baseline = (np.array(data.draw(flags)) for _ in range(2))
    members = np.arange(rows) < rows // 2
    contest = AttributeOutcome(attack, baseline, members, None)
    leak = contest.leak(0.95, 3)
    assert leak.low <= leak.value <= leak.high
    assert leak.value <= contest.over_baseline(0.95).value
    wider = contest.leak(0.99, 3)
    assert wider.low <= leak.low <= leak.high <= wider.high


def test_the_least_leak_shown_falls_with_the_rows() -> None:
    def smallest(rows: int) -> float:
        rng = np.random.default_rng(1)
        hits = rng.random(rows) < 0.7
        noise = np.where(rng.random(rows) < 0.1, ~hits, hits)
        return AttributeOutcome(hits, noise, np.arange(rows) % 2 == 0, None).smallest(0.01, 1)

    assert smallest(400) == pytest.approx(2 * smallest(1600), rel=0.2)


def test_a_row_that_stands_in_the_training_data_is_not_unseen() -> None:
    training = np.array([[1.0, np.nan], [0.0, 2.0]], dtype=np.float32)
    rows = np.array([[1.0, np.nan], [-0.0, 2.0], [1.0, 2.0]])
    assert find_unseen_rows(rows, training).tolist() == [False, False, True]
