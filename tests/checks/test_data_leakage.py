from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scored_subjects import ends, gaps, measured, read
from sklearn.datasets import load_digits
from surveyed_subjects import regressed, sample, surveyed

from auditor.checks.data.leakage import CHECK, LeakageCheck
from auditor.domain.budgets import AuditSize
from auditor.domain.check_subject import Subject
from auditor.domain.datasets import DatasetRole
from auditor.domain.readings import BoundKind, Gap, GapReason, Measurement
from auditor.metrics.stats.cluster_robust import clustered_proportion_difference


def table(rows: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(rows, 6))


def split(
    ours: np.ndarray,
    theirs: np.ndarray,
    right: Sequence[bool] | np.ndarray | None = None,
    ours_of: Sequence[str] | None = None,
    theirs_of: Sequence[str] | None = None,
) -> Subject:
    """Evaluation and training rows; ``right`` says which evaluation rows the model has right."""
    labels = np.zeros(len(ours), dtype=int)
    scores = None
    if right is not None:
        scores = np.where(np.asarray(right)[:, None], [0.9, 0.1], [0.1, 0.9])
    return surveyed(
        sample(ours, labels, scores=scores, cluster=ours_of),
        sample(theirs, role=DatasetRole.TRAINING, cluster=theirs_of),
    )


def test_ten_rows_on_paper_have_their_leaks_counted_and_their_twins_named() -> None:
    theirs = table(30, 1)
    ours = table(10, 2)
    ours[3], ours[7] = theirs[20], theirs[4]
    ours[5] = theirs[9] + 1e-6
    people = [f"p{row}" for row in range(10)]
    found = read(LeakageCheck(), split(ours, theirs, [True] * 10, people, ["p0"] * 29 + ["p1"]))
    exact, near = measured(found, "exact_share"), measured(found, "near_share")
    assert (exact.value, near.value, near.bound) == (0.2, 0.1, BoundKind.AT_LEAST)
    assert exact.details["leaked"] == [
        {"id": "e3", "training": "t20"},
        {"id": "e7", "training": "t4"},
    ]
    assert near.details["leaked"] == [{"id": "e5", "training": "t9"}]
    entity = measured(found, "entity_share")
    assert entity.details["leaked"] == [
        {"id": "e0", "training": "t0"},
        {"id": "e1", "training": "t29"},
    ]


def test_learnt_rows_are_answered_better_and_the_gap_says_so() -> None:
    theirs = table(500, 1)
    ours = np.concatenate((theirs[:100], table(300, 2)))
    right = np.arange(400) % 10 < np.where(np.arange(400) < 100, 10, 7)
    gap = measured(read(LeakageCheck(), split(ours, theirs, right)), "accuracy_gain", leak="exact")
    assert gap.value == pytest.approx(0.3)
    assert 0.2 < ends(gap)[0] < ends(gap)[1] < 0.4
    assert gap.details["leaked"] == {"k": 100, "n": 100}
    assert gap.details["clean"] == {"k": 210, "n": 300}


def test_gaps_of_several_ways_to_leak_hold_jointly() -> None:
    theirs = table(100, 1)
    ours = np.concatenate((theirs[:40], table(60, 2)))
    right = np.arange(100) % 5 < 4
    alone = np.arange(100)
    gap = measured(read(LeakageCheck(), split(ours, theirs, right)), "accuracy_gain", leak="exact")
    oracle = clustered_proportion_difference(right, alone < 40, alone, 1 - 0.05 / 2)
    assert (ends(gap), gap.confidence) == ((oracle.low, oracle.high), 0.95)


def test_clean_data_leak_nothing_and_have_nothing_to_compare() -> None:
    found = read(LeakageCheck(), split(table(400, 1), table(2000, 2), [True] * 400))
    assert [item.value for item in found if isinstance(item, Measurement)] == [0, 0]
    assert gaps(found, "nothing to compare")[0].metric == "accuracy_gain"


def test_leaks_that_are_worth_nothing_are_seldom_said_to_be() -> None:
    rng = np.random.default_rng(3)
    theirs = table(100, 1)
    ours = np.concatenate((theirs[:60], table(90, 2)))
    false = 0
    for _ in range(60):
        found = read(LeakageCheck(), split(ours, theirs, rng.random(150) < 0.8))
        low, high = ends(measured(found, "accuracy_gain", leak="exact"))
        false += not low <= 0 <= high
    assert false <= 8  # three expected at most; three Monte-Carlo errors


def test_people_who_come_in_many_rows_widen_the_gap() -> None:
    theirs = table(80, 1)
    ours = np.concatenate((theirs, table(160, 2)))
    right = np.repeat(np.random.default_rng(4).random(24) < 0.7, 10)
    alone = measured(
        read(LeakageCheck(), split(ours, theirs, right)), "accuracy_gain", leak="exact"
    )
    people = [f"p{row // 10}" for row in range(240)]
    together = read(LeakageCheck(), split(ours, theirs, right, people, ["nobody"] * 80))
    wide = measured(together, "accuracy_gain", leak="exact")
    assert wide.value == alone.value
    assert ends(wide)[0] < ends(alone)[0] < ends(alone)[1] < ends(wide)[1]


def test_a_small_table_meets_itself_by_chance() -> None:
    rng = np.random.default_rng(5)
    found = read(LeakageCheck(), split(rng.integers(0, 3, (500, 4)), rng.integers(0, 3, (800, 4))))
    exact = measured(found, "exact_share")
    assert exact.value > 0.99
    assert exact.details["by_chance"] > 0.99


def test_without_a_cluster_column_on_both_sides_there_are_no_entities() -> None:
    one_sided = split(table(9), table(9, 1), None, [str(row) for row in range(9)])
    (lacking,) = gaps(read(LeakageCheck(), one_sided), "cluster column")
    assert (lacking.metric, lacking.reason) == ("entity_share", GapReason.NOT_DEFINED)


def test_without_answers_there_is_no_gap_in_accuracy_and_the_reason_is_told() -> None:
    found = read(LeakageCheck(), split(table(9), table(9)))
    assert measured(found, "exact_share").value == 1
    lacking = [item for item in found if isinstance(item, Gap) and item.metric == "accuracy_gain"]
    assert [item.reason for item in lacking] == [GapReason.NEEDS_SCORES]


def test_where_everything_leaks_nothing_is_left_to_compare_with() -> None:
    found = read(LeakageCheck(), split(table(9), table(9), [True] * 9))
    assert gaps(found, "too few")[0].reason is GapReason.TOO_FEW_ROWS


def test_numbers_leak_as_classes_do() -> None:
    theirs = table(200, 1)
    ours = np.concatenate((theirs[:50], table(50, 2)))
    answers = np.where(np.arange(100) < 50, 1.05, 1.5)[:, None]
    subject = regressed(
        sample(ours, targets=np.ones(100), scores=answers),
        sample(theirs, role=DatasetRole.TRAINING),
    )
    assert measured(read(LeakageCheck(), subject), "accuracy_gain", leak="exact").value == 1


def test_pictures_and_texts_leak_as_well() -> None:
    digits = load_digits().images[:200] / 16
    found = read(LeakageCheck(), split(digits[:20] * 0.7 + 0.1, digits))
    assert measured(found, "near_share").value == 1
    texts = np.array([f"row {row} says {row * row} and {row**3} to {row + 7}" for row in range(99)])
    same = read(LeakageCheck(), split(texts[:9], texts[5:]))
    assert measured(same, "exact_share").details["k"] == 4


@settings(max_examples=20)
@given(st.sets(st.integers(0, 19)))
def test_exactly_the_planted_rows_leak(planted: set[int]) -> None:
    theirs, ours = table(40, 1), table(20, 2)
    for row in planted:
        ours[row] = theirs[2 * row]
    found = measured(read(LeakageCheck(), split(ours, theirs)), "exact_share")
    assert [pair["id"] for pair in found.details["leaked"]] == [
        f"e{row}" for row in sorted(planted)
    ]


def test_it_asks_for_each_row_once() -> None:
    check = CHECK()
    assert check.cost(AuditSize(rows=70, classes=2, beside={"training": 500})).queries == 70
    assert check.precision(AuditSize(rows=70, classes=2), 0.95) == {}
