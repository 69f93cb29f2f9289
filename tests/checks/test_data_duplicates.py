import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scored_subjects import measured, names, read
from sklearn.datasets import load_digits
from surveyed_subjects import regressed, sample, surveyed

from auditor.checks.data.duplicates import CHECK, DuplicateCheck
from auditor.domain.budgets import AuditSize
from auditor.domain.datasets import DatasetRole
from auditor.domain.readings import BoundKind, Gap, GapReason, Measurement

METRICS = ["exact_share", "conflicting_share", "near_share", "near_conflicting_share"]


def table(rows: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(rows, 6))


def test_ten_rows_on_paper_have_their_copies_counted() -> None:
    # Rows 0 = 1 = 2 and 3 = 4: three repeat an earlier one; 0 bears another label than 1 and 2.
    rows = np.arange(60.0).reshape(10, 6) ** 2 + 0.5
    rows[1], rows[2], rows[4] = rows[0], rows[0], rows[3]
    found = read(DuplicateCheck(), surveyed(sample(rows, [1, 0, 0, 1, 1, 0, 0, 0, 0, 0])))
    assert [item.value for item in found if isinstance(item, Measurement)] == [0.3, 0.3, 0, 0]
    exact = measured(found, "exact_share")
    assert exact.details["groups"] == [["e0", "e1", "e2"], ["e3", "e4"]]
    assert (exact.low, exact.high, exact.n) == (None, None, 10)
    assert measured(found, "conflicting_share").details["groups"] == [["e0", "e1", "e2"]]


def test_planted_near_copies_are_found_and_their_labels_compared() -> None:
    rows = table(500)
    rows[490:495] = rows[:5]
    rows[490:495, 2] += 3  # another value in one column
    rows[495:] = rows[5:10] + 1e-5  # a trifle in all of them
    labels = np.zeros(500)
    labels[499] = 1
    found = read(DuplicateCheck(), surveyed(sample(rows, labels)))
    near = measured(found, "near_share")
    assert (near.value, near.bound) == (0.02, BoundKind.AT_LEAST)
    assert ["e9", "e499"] in near.details["groups"]
    assert measured(found, "exact_share").value == 0
    torn = measured(found, "near_conflicting_share")
    assert (torn.details["k"], torn.details["groups"]) == (2, [["e9", "e499"]])


def test_a_table_without_copies_is_clean() -> None:
    found = read(DuplicateCheck(), surveyed(sample(table(2000), np.zeros(2000))))
    assert [item.value for item in found if isinstance(item, Measurement)] == [0, 0, 0, 0]


def test_clean_tables_seldom_look_as_if_they_had_copies() -> None:
    alarms = [
        measured(read(DuplicateCheck(), surveyed(sample(table(200, seed)))), "near_share").value
        for seed in range(30)
    ]
    assert alarms == [0] * 30


def test_a_small_table_that_repeats_itself_does_so_by_chance() -> None:
    rows = np.random.default_rng(1).integers(0, 3, (2000, 4))
    exact = measured(read(DuplicateCheck(), surveyed(sample(rows))), "exact_share")
    assert exact.value == pytest.approx(1 - 81 / 2000)
    assert exact.details["by_chance"] == pytest.approx(exact.value, abs=0.005)


def test_codes_are_equal_or_not_however_close_they_are() -> None:
    # Without a schema a column of whole numbers holds codes.
    rows = np.random.default_rng(2).permutation(100_000)[:600].reshape(100, 6)
    assert measured(read(DuplicateCheck(), surveyed(sample(rows))), "near_share").value == 0
    assert measured(read(DuplicateCheck(), surveyed(sample(rows + 0.5))), "near_share").value == 0


def test_pictures_of_other_brightness_contrast_and_channels_are_near() -> None:
    digits = load_digits().images[:300] / 16
    planted = np.concatenate((digits, digits[:10] * 0.5 + 0.2, 1 - digits[10:12]))
    found = read(DuplicateCheck(), surveyed(sample(planted, np.zeros(312))))
    assert measured(found, "near_share").details["k"] == 10
    assert measured(found, "exact_share").value == 0
    for axis in (1, -1):
        colours = np.repeat(np.expand_dims(planted, axis), 3, axis)
        again = read(DuplicateCheck(), surveyed(sample(colours, np.zeros(312))))
        assert measured(again, "near_share").details["k"] == 10


def test_blank_pictures_are_equal_and_not_near_others() -> None:
    pictures = load_digits().images[:50]
    pictures[:3] = 7
    pictures[3] = 8
    found = read(DuplicateCheck(), surveyed(sample(pictures)))
    assert measured(found, "exact_share").details["groups"] == [["e0", "e1", "e2"]]
    assert measured(found, "near_share").value == 0


def words(rng: np.random.Generator, count: int) -> str:
    return " ".join("".join(rng.choice(list("abcdefghij"), 6)) for _ in range(count))


def test_texts_with_a_word_more_or_other_blanks_are_near() -> None:
    rng = np.random.default_rng(3)
    texts = [words(rng, 30) for _ in range(300)]
    texts += [f"{text} indeed" for text in texts[:7]] + [texts[8].upper().replace(" ", "  ")]
    texts += [texts[9]]
    found = read(DuplicateCheck(), surveyed(sample(np.array(texts), np.zeros(309))))
    assert measured(found, "exact_share").details["groups"] == [["e9", "e308"]]
    near = measured(found, "near_share")
    assert near.details["k"] == 8
    assert "by_chance" not in near.details


@settings(max_examples=20)
@given(st.text(max_size=12), st.text(max_size=12))
def test_any_texts_can_be_compared(one: str, other: str) -> None:
    found = read(DuplicateCheck(), surveyed(sample(np.array([one, other, one]))))
    assert measured(found, "exact_share").details["k"] == 1 + (np.array(one) == np.array(other))


def test_training_data_are_surveyed_as_well() -> None:
    both = surveyed(
        sample(table(50)), sample(np.repeat(table(5), 2, axis=0), role=DatasetRole.TRAINING)
    )
    found = read(DuplicateCheck(), both)
    assert measured(found, "exact_share", data="evaluation").value == 0
    assert measured(found, "exact_share", data="training").value == 0.5
    assert names(found) == METRICS * 2


def test_targets_contradict_each_other_beyond_the_tolerance() -> None:
    rows = np.repeat(table(4), 2, axis=0)
    subject = regressed(sample(rows, targets=[1, 1.05, 2, 2.2, 3, 3, 4, 4]))
    torn = measured(read(DuplicateCheck(), subject), "conflicting_share")
    assert torn.details["groups"] == [["e2", "e3"]]


def test_copies_without_labels_cannot_contradict() -> None:
    found = read(DuplicateCheck(), surveyed(sample(table(20))))
    lacking = [item for item in found if isinstance(item, Gap)]
    assert [item.metric for item in lacking] == ["conflicting_share", "near_conflicting_share"]
    assert {item.reason for item in lacking} == {GapReason.NEEDS_LABELS}


def test_rows_that_are_neither_table_nor_picture_nor_text_are_a_gap() -> None:
    found = read(DuplicateCheck(), surveyed(sample(np.zeros((4, 2, 9, 9, 9)))))
    assert {item.reason for item in found if isinstance(item, Gap)} == {GapReason.UNSUPPORTED}
    assert names(found) == METRICS


@settings(max_examples=20)
@given(st.permutations(range(12)))
def test_the_order_of_the_rows_changes_no_share(order: list[int]) -> None:
    rows = np.concatenate((table(8), table(8)[:4]))
    rows[10:] += 1e-6
    shares = [
        [measured(read(DuplicateCheck(), surveyed(sample(some))), m).value for m in METRICS[::2]]
        for some in (rows, rows[order])
    ]
    assert shares[0] == shares[1] == [2 / 12, 2 / 12]


def test_it_asks_the_model_nothing() -> None:
    check = CHECK()
    assert check.cost(AuditSize(rows=1000, classes=2, beside={"training": 5000})).queries == 0
    assert check.precision(AuditSize(rows=1000, classes=2), 0.95) == {}
