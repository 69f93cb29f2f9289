import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scored_subjects import measured, read, scored

from auditor.checks.quality.accuracy import AccuracyCheck
from auditor.metrics.performance.classification import find_better_class_order

Counts = NDArray[np.int64]


def decided_rightly(labels: Counts, share: float, classes: int, seed: int = 0) -> Counts:
    """Decisions of which ``share`` are right, the rest one of the other classes."""
    rng = np.random.default_rng(seed)
    wrong = (labels + rng.integers(1, classes, len(labels))) % classes
    return np.where(rng.random(len(labels)) < share, labels, wrong)


def test_two_classes_the_wrong_way_round_are_suspected_with_the_accuracy_of_the_other() -> None:
    labels = np.arange(200) % 2
    right = decided_rightly(labels, 0.97, 2)
    found = find_better_class_order(labels, 1 - right, 2)
    assert found is not None
    assert found.places == (1, 0)
    assert found.accuracy == np.mean(right == labels)
    assert find_better_class_order(labels, right, 2) is None


def test_decisions_of_which_none_is_a_label_have_no_better_order() -> None:
    labels = np.arange(200) % 2
    assert find_better_class_order(labels, decided_rightly(labels, 0.9, 2) + 2, 4) is None


@given(order=st.permutations(range(6)).filter(lambda order: list(order) != list(range(6))))
def test_the_order_by_which_scores_were_shuffled_is_found_again(order: list[int]) -> None:
    labels = np.arange(600) % 6
    meant = decided_rightly(labels, 0.95, 6)
    columns = np.argsort(order)  # the column in which each class is scored
    found = find_better_class_order(labels, columns[meant], 6)
    if np.mean(columns[meant] == labels) >= 1 / 6 + 0.1:
        assert found is None  # too much of the stated order is right
    else:
        assert found is not None
        assert list(found.places) == order


@pytest.mark.parametrize("classes", [2, 10, 100])
def test_a_model_that_guesses_is_not_mistaken_for_one_in_another_order(classes: int) -> None:
    for seed in range(20):
        rng = np.random.default_rng(seed)
        labels, decided = rng.integers(0, classes, (2, 2 * classes + 40))
        assert find_better_class_order(labels, decided, classes) is None


def test_a_model_that_always_gives_the_rare_class_is_not_suspected() -> None:
    labels = np.array([0] * 95 + [1] * 5)
    assert find_better_class_order(labels, np.ones(100, dtype=np.int64), 2) is None


def test_the_order_of_the_rows_decides_nothing() -> None:
    labels = np.arange(400) % 4
    decided = (decided_rightly(labels, 0.9, 4) + 1) % 4
    rows = np.random.default_rng(1).permutation(400)
    straight, shuffled = (
        find_better_class_order(labels, decided, 4),
        find_better_class_order(labels[rows], decided[rows], 4),
    )
    assert straight is not None
    assert shuffled is not None
    assert straight.places == shuffled.places == (3, 0, 1, 2)


def test_accuracy_tells_the_other_order_in_its_details_and_a_right_model_none() -> None:
    labels = np.arange(100) % 2
    stated = np.where(labels == 1, 0.1, 0.9)
    swapped = measured(read(AccuracyCheck(), scored(stated, labels)), "accuracy")
    assert swapped.value == 0.0
    assert swapped.details["other_order"] == {"classes": ["1", "0"], "accuracy": 1.0}
    right = measured(read(AccuracyCheck(), scored(1 - stated, labels)), "accuracy")
    assert "other_order" not in right.details
