"""How much noise a decision bears."""

import numpy as np
import pytest
from evasion_toys import NOTHING, ToyModel, box, classes, subject

from auditor.attacks.privacy.membership import (
    SCALES,
    build_stack_decider,
    build_target_decider,
    decide_classes,
    noise_robustness,
)
from auditor.attacks.privacy.shadow_training import train_stack
from auditor.domain.check_subject import Subject


def stepping() -> Subject:
    """Class 1 where the first coordinate is above 0.5."""
    model = ToyModel(lambda rows: 40 * np.stack([0.5 - rows[:, 0], rows[:, 0] - 0.5], axis=1))
    rows, labels = np.zeros((2, 2)), np.zeros(2, dtype=np.int64)
    return subject(model, NOTHING, rows, labels, box((2,)), classes(2))


def test_rows_far_from_the_boundary_are_steadier() -> None:
    asking = stepping()
    inputs = np.column_stack([np.linspace(0, 1, 41), np.zeros(41)])
    labels = (inputs[:, 0] > 0.5).astype(np.int64)
    found = noise_robustness(asking, inputs, labels, build_target_decider(asking), 20)
    assert found[0] > 0.9 > found[19]
    assert found[40] > 0.9 > found[21]
    assert ((found > 0) & (found < 1)).all()
    assert asking.model.queries == 41 * (20 * len(SCALES) + 1)


def test_noise_stays_inside_the_space_and_flips_what_has_two_values() -> None:
    asking = stepping()
    inputs = np.column_stack([np.linspace(0, 1, 30), np.arange(30) % 2])
    noise_robustness(asking, inputs, np.zeros(30, np.int64), build_target_decider(asking), 3)
    asked = np.concatenate(asking.model.seen)
    assert asked.min() >= 0
    assert asked.max() <= 1
    assert set(np.unique(asked[:, 1])) == {0.0, 1.0}
    assert (asked[30:60, 1] != inputs[:, 1]).any()


def test_whole_numbers_stay_whole() -> None:
    asking = stepping()
    inputs = np.random.default_rng(0).integers(0, 9, (30, 2))
    noise_robustness(asking, inputs, np.zeros(30, np.int64), build_target_decider(asking), 1)
    assert all(rows.dtype == inputs.dtype for rows in asking.model.seen)


def test_texts_are_told_by_their_own_decision() -> None:
    asking = stepping()
    asked = []

    def decide(rows: np.ndarray) -> np.ndarray:
        asked.append(list(rows))
        return np.array([0, 1])

    found = noise_robustness(asking, np.array(["a", "b"]), np.zeros(2, np.int64), decide, 5)
    assert found == pytest.approx([2 / 3, 1 / 3])
    assert asked == [["a", "b"]]


def test_stand_ins_are_asked_about_the_same_copies_as_the_model() -> None:
    """A stand-in that is the model is as steady as the model is."""
    rng = np.random.default_rng(3)
    inputs = rng.random((60, 2))
    labels = (inputs[:, 0] > 0.5).astype(np.int64)
    stack = train_stack(inputs, labels, 2, rng.random((3, 60)) < 0.6)
    one = ToyModel(lambda rows: stack.logits(rows)[1].astype(np.float64))
    asking = subject(one, NOTHING, inputs, labels, box((2,)), classes(2))
    by_stack = noise_robustness(asking, inputs, labels, build_stack_decider(asking, stack), 6)
    assert by_stack.shape == (3, 60)
    assert by_stack[1] == pytest.approx(
        noise_robustness(asking, inputs, labels, build_target_decider(asking), 6), abs=0.06
    )
    assert (by_stack[0] != by_stack[1]).any()


def test_decisions_are_those_of_the_task() -> None:
    assert decide_classes(stepping(), np.array([[0.4, 0.6], [0.7, 0.3]])).tolist() == [1, 0]
