import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from simulated_coverage import allowed, coverage

from auditor.domain.tasks import Floats
from auditor.metrics.stats.learners import (
    confident_classes,
    confident_joint,
    label_margins,
    label_noise_share,
)

Codes = np.ndarray
STATED = np.array([0.9, 0.8, 0.2, 0.6, 0.1, 0.3, 0.85, 0.2])
GIVEN = np.array([0, 0, 0, 0, 1, 1, 1, 1])


def world(
    rng: np.random.Generator, rows: int, classes: int, rate: float
) -> tuple[Floats, Codes, Codes]:
    """Scores whose likeliest class is the true one, labels of which a share is wrong, the truth."""
    truth = rng.integers(0, classes, rows)
    top = rng.uniform(0.5, 1, rows)
    table = np.zeros((rows, classes))
    others = np.ones_like(table, dtype=bool)
    others[np.arange(rows), truth] = False
    table[~others] = top
    table[others] = (rng.dirichlet(np.ones(classes - 1), rows) * (1 - top)[:, None]).ravel()
    wrong = rng.random(rows) < rate
    labels = np.where(wrong, (truth + rng.integers(1, classes, rows)) % classes, truth)
    return table, labels, truth


def test_eight_rows_on_paper() -> None:
    # Thresholds (0.9 + 0.8 + 0.2 + 0.6) / 4 and (0.9 + 0.7 + 0.15 + 0.8) / 4; row 3 reaches none.
    scores = np.stack((STATED, 1 - STATED), axis=1)
    found = confident_classes(scores, GIVEN)
    assert found.thresholds == pytest.approx([0.625, 0.6375])
    assert found.taken.tolist() == [0, 0, 1, -1, 1, 1, 0, 1]
    table = confident_joint(GIVEN, found.taken, 2)
    assert table.tolist() == [[2, 1], [1, 3]]  # cleanlab 2.9.0 counts the same
    assert label_noise_share(table, np.array([4, 4]), 0.95).value == pytest.approx(
        (1 / 3 + 1 / 4) / 2
    )
    assert label_margins(scores, GIVEN)[[0, 2, 6]] == pytest.approx([0.8, -0.6, -0.7])


def test_the_interval_is_clopper_pearsons_for_one_label_alone() -> None:
    # Two of ten confident rows: 0.0252 to 0.5561 (Clopper and Pearson 1934).
    found = label_noise_share(np.array([[8, 2], [0, 0]]), np.array([10, 0]), 0.95)
    assert (found.value, found.low, found.high) == pytest.approx((0.2, 0.0252, 0.5561), abs=1e-4)


def test_labels_of_which_nothing_is_confident_may_all_be_wrong() -> None:
    found = label_noise_share(np.zeros((2, 2), dtype=np.int64), np.array([5, 0]), 0.95)
    assert (found.low, found.high) == (0, 1)
    with pytest.raises(ValueError, match="needs rows"):
        label_noise_share(np.zeros((2, 2), dtype=np.int64), np.zeros(2, dtype=np.int64), 0.95)


@pytest.mark.parametrize(("rows", "classes", "rate"), [(300, 3, 0.1), (1000, 2, 0.2)])
def test_it_covers_the_planted_share_where_confident_answers_are_right(
    rows: int, classes: int, rate: float
) -> None:
    rng = np.random.default_rng(1)
    found = []
    for _ in range(150):
        scores, labels, _ = world(rng, rows, classes, rate)
        table = confident_joint(labels, confident_classes(scores, labels).taken, classes)
        found.append(label_noise_share(table, np.bincount(labels, minlength=classes), 0.95))
    share, count = coverage(found, rate)
    assert share >= allowed(0.95, count)


@settings(max_examples=50)
@given(st.integers(0, 10_000), st.integers(2, 5))
def test_right_labels_of_a_sure_model_are_never_accused(seed: int, classes: int) -> None:
    scores, labels, _ = world(np.random.default_rng(seed), 60, classes, 0.0)
    table = confident_joint(labels, confident_classes(scores, labels).taken, classes)
    assert label_noise_share(table, np.bincount(labels, minlength=classes), 0.95).low == 0
    assert np.trace(table) == table.sum()


@settings(max_examples=30)
@given(st.integers(0, 10_000), st.permutations(range(4)))
def test_the_names_of_the_classes_do_not_matter(seed: int, order: list[int]) -> None:
    scores, labels, _ = world(np.random.default_rng(seed), 80, 4, 0.3)
    moved = np.empty_like(scores)
    moved[:, order] = scores
    one = confident_joint(labels, confident_classes(scores, labels).taken, 4)
    renamed = np.array(order)[labels]
    other = confident_joint(renamed, confident_classes(moved, renamed).taken, 4)
    assert np.array_equal(other[np.ix_(order, order)], one)


def test_labels_that_differ_in_how_often_they_are_wrong_add_the_error_of_their_shares() -> None:
    # Ten rows of each label, none and all of them wrong: limits 0.3085 off, weights 1/2.
    found = label_noise_share(np.array([[10, 0], [10, 0]]), np.array([10, 10]), 0.95)
    off = 1 - 0.025**0.1
    half = np.sqrt((off / 2) ** 2 + 1.959964**2 * 0.25 / 20)
    assert off == pytest.approx(0.3085, abs=1e-4)
    assert (found.value, found.high) == pytest.approx((0.5, 0.5 + half))
    assert found.low == pytest.approx(0.5 - half)
