"""Whether a recipe is the one that made the artifact."""

import tracemalloc

import numpy as np
import pytest

from auditor.attacks.privacy.retraining_agreement import (
    RetrainingSubsets,
    measure_agreement,
    recipe_mismatch_gap,
    retrain_models,
)
from auditor.domain.readings import GapReason
from auditor.domain.training_recipes import RetrainingTask


def noisy(models: int, rows: int, share: float, seed: int) -> np.ndarray:
    """Models that each decide at random on a share of the rows, and alike on the others."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 3, rows)
    wrong = rng.random((models, rows)) < share
    return np.where(wrong, rng.integers(0, 3, (models, rows)), truth)


def test_agreement_is_counted_pair_by_pair() -> None:
    found = measure_agreement(np.array([0, 0, 1, 1]), np.array([[0, 0, 1, 0], [0, 1, 1, 0]]))
    assert found.artifact == pytest.approx((3 / 4 + 2 / 4) / 2)
    assert found.among == pytest.approx(3 / 4)
    assert found.lowest == pytest.approx((2 / 4 + 3 / 4) / 2)
    assert (found.retrained, found.count) == (2, 4)
    assert not found.differs


def test_an_artifact_that_is_one_more_retraining_is_never_said_to_differ_by_its_place() -> None:
    said = 0
    for seed in range(200):
        decided = noisy(9, 400, 0.1, seed)
        said += measure_agreement(decided[0], decided[1:]).differs
    assert said <= 1


def test_an_artifact_of_another_recipe_differs() -> None:
    decided = noisy(9, 400, 0.05, 0)
    other = noisy(1, 400, 0.3, 0)[0]
    found = measure_agreement(other, decided[1:])
    assert found.differs
    gap = recipe_mismatch_gap(found)
    assert gap is not None
    assert gap.reason is GapReason.RECIPE_MISMATCH
    assert "8 retrainings" in gap.detail
    assert gap.cure


def test_equal_models_agree_wholly() -> None:
    same = np.tile(np.array([0, 1, 2, 0]), (4, 1))
    found = measure_agreement(same[0], same[1:])
    assert (found.artifact, found.among, found.rows, found.rank) == (1, 1, 1, 1)
    assert recipe_mismatch_gap(found) is None


def test_one_retraining_is_too_few() -> None:
    with pytest.raises(ValueError, match="1 retrainings"):
        measure_agreement(np.zeros(4, dtype=np.int64), np.zeros((1, 4), dtype=np.int64))


class Counting:
    """A recipe that answers the shares of the classes it was taught, and the seed it was given."""

    digest = "sha256:" + "0" * 64

    def answers(self, lesson: RetrainingTask, asked: list[np.ndarray]) -> tuple[np.ndarray, ...]:
        shares = np.bincount(lesson.labels, minlength=2) / len(lesson.labels)
        return tuple(np.tile(shares, (len(rows), 1)) for rows in asked)


def test_each_lesson_holds_its_rows_and_every_array_is_answered_by_every_model() -> None:
    inputs, labels = np.arange(6.0)[:, None], np.array([0, 0, 0, 1, 1, 1])
    include = np.array([[1, 1, 0, 1, 1, 0], [1, 1, 1, 0, 0, 0]], dtype=bool)
    given = RetrainingSubsets(inputs, labels, include, seed=4)
    first, second = given
    assert [list(item.inputs[:, 0]) for item in (first, second)] == [[0, 1, 3, 4], [0, 1, 2]]
    assert first.seed != second.seed
    pool, part = retrain_models(Counting(), given, (inputs, inputs[:2]))
    assert pool.shape == (2, 6, 2)
    assert part.shape == (2, 2, 2)
    assert pool[0, 0].tolist() == [0.5, 0.5]
    assert pool[1, 0].tolist() == [1.0, 0.0]


def test_no_two_lessons_take_memory_at_once() -> None:
    """Sixteen retrainings on 8 MB each need one copy of their rows, not sixteen."""
    inputs, labels = np.zeros((1000, 1000)), np.zeros(1000, dtype=np.int64)
    given = RetrainingSubsets(inputs, labels, np.ones((16, 1000), dtype=bool), seed=0)
    assert len(given) == 16
    tracemalloc.start()
    retrain_models(Counting(), given, (inputs[:2],))
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 2.5 * inputs.nbytes


def test_lessons_are_the_same_each_time() -> None:
    given = RetrainingSubsets(
        np.arange(4.0)[:, None], np.zeros(4, np.int64), np.ones((3, 4), bool), seed=2
    )
    assert [item.seed for item in given] == [item.seed for item in given]
