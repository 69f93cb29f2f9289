"""Triggers keep the input space, and leave alone what they do not cover."""

import numpy as np
from evasion_toys import box
from hypothesis import given
from hypothesis import strategies as st

from auditor.attacks.poisoning.backdoor_triggers import (
    LazyTriggers,
    TriggerSet,
    TriggerSpace,
    count_flips,
    make_blends,
    make_patches,
    make_value_triggers,
)
from auditor.attacks.poisoning.trigger_evaluation import truncate_masks
from auditor.domain.tasks import InputSpace

RNG = np.random.default_rng(0)


def pixels() -> tuple[InputSpace, np.ndarray]:
    space = box((3, 6, 6), high=255.0, quantum=1.0)
    return space, RNG.integers(0, 256, (5, 3, 6, 6)).astype(np.uint8)


def everything(drawn: LazyTriggers) -> TriggerSet:
    return drawn.take(np.arange(len(drawn)))


@given(st.integers(0, 10**6))
def test_a_triggered_picture_is_one_that_the_input_space_allows(seed: int) -> None:
    rng = np.random.default_rng(seed)
    space, rows = pixels()
    room = TriggerSpace.of(space, rows)
    mask, content = rng.random(room.places), rng.random(room.shape) * 255
    mask[rng.random(room.places) < 0.5] = 0
    found = room.put(rows, mask, content)
    assert found.dtype == np.uint8
    bare = np.broadcast_to(mask == 0, rows.shape)
    assert np.array_equal(found[bare], rows[bare])


def test_what_may_not_move_stays() -> None:
    free = np.array([True, False, True])
    space = box((3,), mutable=free)
    room = TriggerSpace.of(space, np.full((2, 3), 0.5))
    assert np.array_equal(room.put(np.full((1, 3), 0.5), np.ones(3), np.ones(3)), [[1, 0.5, 1]])


def test_a_missing_value_stays_unless_it_is_covered() -> None:
    rows = np.array([[np.nan, 0.2], [0.3, 0.4]])
    room = TriggerSpace.of(box((2,)), rows)
    half = room.put(rows, np.array([0.5, 0.0]), np.ones(2))
    whole = room.put(rows, np.array([1.0, 0.0]), np.ones(2))
    assert np.isnan(half[0, 0])
    assert whole[0, 0] == 1


def test_an_open_range_is_bounded_by_the_rows_that_are_known() -> None:
    space = InputSpace(np.array([-np.inf]), np.array([np.inf]), np.zeros(1), np.ones(1, dtype=bool))
    room = TriggerSpace.of(space, np.array([[2.0], [5.0]]))
    assert room.scaled(np.array([0.0])) == 2
    assert room.scaled(np.array([1.0])) == 5


def test_patches_of_all_sides_lie_on_the_picture() -> None:
    space, rows = pixels()
    room = TriggerSpace.of(space, rows)
    found = everything(make_patches(room, 30, np.random.default_rng(0)))
    assert found.masks.shape[1:] == (1, 6, 6)
    assert set(np.unique(found.masks)) == {0.0, 1.0}
    assert set(np.round(found.sizes * 36)) == {1.0}
    wide = TriggerSpace.of(box((20, 20)), np.zeros((1, 20, 20)))
    sides = np.sqrt(everything(make_patches(wide, 400, np.random.default_rng(0))).sizes * 400)
    assert set(np.round(sides, 6)) == {1, 2, 3, 4}


def test_blends_are_mixed_in_everywhere_at_three_strengths() -> None:
    space, rows = pixels()
    found = everything(make_blends(TriggerSpace.of(space, rows), 12, np.random.default_rng(0)))
    assert set(np.round(found.sizes, 6)) == {0.1, 0.2, 0.3}
    assert found.contents.min() >= 0
    assert found.contents.max() <= 1


def test_values_are_set_in_columns_that_may_move() -> None:
    free = np.array([True, True, False, True])
    rows = RNG.random((50, 4))
    room = TriggerSpace.of(box((4,), mutable=free), rows)
    found = everything(make_value_triggers(room, rows, 40, np.random.default_rng(0)))
    touched = found.masks.sum(axis=1)
    assert set(touched) == {1.0, 2.0}
    assert found.masks[:, 2].sum() == 0


def test_rows_that_were_of_a_class_before_do_not_count_as_sent_there() -> None:
    counts, left = count_flips(np.array([[1, 1, 0], [0, 1, 1]]), np.array([0, 1, 0]), 2)
    assert counts.tolist() == [[0, 1], [0, 1]]
    assert left.tolist() == [1, 2]


@given(st.integers(0, 10**6), st.floats(0.01, 0.9))
def test_a_cut_mask_has_the_size_asked_and_keeps_its_strongest_places(
    seed: int, size: float
) -> None:
    rng = np.random.default_rng(seed)
    whole = TriggerSet(rng.random((3, 4, 4)), rng.random((3, 4, 4)))
    found = truncate_masks(whole, size)
    assert np.all(found.masks <= whole.masks + 1e-12)
    assert np.allclose(found.sizes, np.minimum(size, whole.sizes))
    for before, after in zip(whole.masks, found.masks, strict=True):
        lost = before - after
        assert before[lost > 1e-9].max(initial=0) <= before[lost <= 1e-9].min(initial=1) + 1e-9
