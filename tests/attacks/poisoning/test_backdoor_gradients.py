"""The twin's two detectors on models that are solved on paper."""

import numpy as np
import pytest
from evasion_toys import LinearTwin, box

from auditor.attacks.poisoning.backdoor_detectors import (
    CleanseEffort,
    MarginAscent,
    largest_margins,
    margin_p_value,
    neural_cleanse,
)
from auditor.attacks.poisoning.backdoor_triggers import TriggerSpace
from auditor.domain.check_subject import report_nothing

CLASSES, WIDTH, PLANTED, COLUMN = 5, 20, 2, 19
LOUD = 60.0


def planted(*, planted: bool) -> tuple[LinearTwin, np.ndarray, TriggerSpace]:
    """Three columns say each class; the last says nothing, but for one class of a planted model."""
    rng = np.random.default_rng(0)
    weights = np.zeros((WIDTH, CLASSES))
    for at in range(CLASSES):
        weights[3 * at : 3 * at + 3, at] = 6.0
    if planted:
        weights[COLUMN, PLANTED] = LOUD
    labels = np.arange(100) % CLASSES
    rows = np.full((100, WIDTH), 0.1)
    for at in range(CLASSES):
        rows[np.ix_(labels == at, range(3 * at, 3 * at + 3))] = 0.9
    rows[:, 15:] = 0.0
    rows += rng.uniform(0, 0.02, rows.shape)
    return LinearTwin(weights, np.zeros(CLASSES)), rows, TriggerSpace.of(box((WIDTH,)), rows)


def test_the_smallest_mask_is_the_planted_column() -> None:
    twin, rows, room = planted(planted=True)
    rng = np.random.default_rng(0)
    found = neural_cleanse(
        twin, room, rows, np.arange(CLASSES), CleanseEffort(300, 32), rng, report_nothing
    )
    # Rows of another class lead by 6 * 3 * 0.8 = 14.4, and the column alone brings up to 60.
    assert found.masks[PLANTED].argmax() == COLUMN
    assert found.masks[PLANTED, COLUMN] * found.contents[PLANTED, COLUMN] * LOUD > 14
    assert found.sizes[PLANTED] < 0.06
    others = np.delete(found.sizes, PLANTED)
    # Another class has to take its own three columns, and to silence those of every row's class.
    assert others.min() > 2 * found.sizes[PLANTED]


def test_masks_of_a_clean_model_are_about_as_large() -> None:
    twin, rows, room = planted(planted=False)
    rng = np.random.default_rng(0)
    found = neural_cleanse(
        twin, room, rows, np.arange(CLASSES), CleanseEffort(300, 32), rng, report_nothing
    )
    assert found.sizes.max() < 1.5 * found.sizes.min()


def test_triggers_found_send_the_rows_where_they_should() -> None:
    twin, rows, room = planted(planted=False)
    classes = np.array([1, 4])
    found = neural_cleanse(
        twin, room, rows, classes, CleanseEffort(200, 32), np.random.default_rng(1), report_nothing
    )
    for at, mask, content in zip(classes, found.masks, found.contents, strict=True):
        decided = twin.forward(room.put(rows, mask, room.scaled(content))).argmax(axis=1)
        assert (decided == at).mean() > 0.9


def test_where_nothing_may_move_no_mask_is_said_to_reach() -> None:
    twin, rows, _ = planted(planted=True)
    still = TriggerSpace.of(box((WIDTH,), mutable=np.zeros(WIDTH, dtype=bool)), rows)
    found = neural_cleanse(
        twin,
        still,
        rows,
        np.arange(2),
        CleanseEffort(10, 8),
        np.random.default_rng(0),
        report_nothing,
    )
    assert np.array_equal(still.put(rows, found.masks[0], found.contents[0]), rows)


def test_the_largest_margin_of_a_linear_model_is_the_corner_of_the_box() -> None:
    rng = np.random.default_rng(3)
    weights, bias = rng.normal(size=(12, 2)), rng.normal(size=2)
    room = TriggerSpace.of(box((12,)), rng.random((4, 12)))
    found = largest_margins(
        LinearTwin(weights, bias), room, np.arange(2), MarginAscent(60, 2), rng, report_nothing
    )  # fmt: skip
    way, shift = weights[:, 1] - weights[:, 0], bias[1] - bias[0]
    assert found[1] == pytest.approx(np.maximum(way, 0).sum() + shift)
    assert found[0] == pytest.approx(np.maximum(-way, 0).sum() - shift)


def test_a_margin_far_beyond_the_others_is_unlikely_and_an_ordinary_one_is_not() -> None:
    others = np.random.default_rng(0).gamma(50.0, 1.0, 9)
    assert margin_p_value(np.append(others, others.max())) > 0.05
    assert margin_p_value(np.append(others, 4 * others.max())) < 1e-6
