"""Patches: one square holds all changes, the search finds where it matters, and sizes nest."""

import numpy as np
import pytest
from evasion_toys import LinearTwin, ToyModel, arena, box
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from auditor.attacks.evasion.attack_setup import AttackSetup
from auditor.attacks.evasion.norms import Norm
from auditor.attacks.evasion.patch_campaign import (
    SquareConstraint,
    attack_with_patches,
    square_sides,
)
from auditor.attacks.evasion.suite_parser import build_suite
from auditor.domain.check_subject import report_nothing
from auditor.domain.tasks import Floats

SHAPES = [(7, 7), (3, 7, 9), (9, 7, 3)]
SIDE = 8
seeds = st.integers(0, 2**32 - 1)


def scattered(shape: tuple[int, ...], seed: int) -> tuple[Floats, Floats]:
    rng = np.random.default_rng(seed)
    clean = rng.random((5, *shape))
    share = rng.random((5, *[1] * len(shape))) ** 3
    return clean, np.where(rng.random(clean.shape) < share, rng.random(clean.shape), clean)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@given(seed=seeds, side=st.integers(1, 7))
def test_repair_leaves_the_changes_of_one_square(
    shape: tuple[int, ...], seed: int, side: int
) -> None:
    clean, crafted = scattered(shape, seed)
    square = SquareConstraint(side)
    mended = square.repair(clean, crafted)
    assert square.holds(clean, mended).all()
    assert ((mended == clean) | (mended == crafted)).all()
    fine = square.holds(clean, crafted)
    np.testing.assert_array_equal(mended[fine], crafted[fine])
    np.testing.assert_array_equal(square.repair(clean, mended), mended)
    assert ((mended != clean).any() == (crafted != clean).any()) or fine.all()


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_the_side_of_a_change_is_the_larger_of_its_extents(shape: tuple[int, ...]) -> None:
    clean = np.zeros((3, *shape))
    crafted = clean.copy()
    planes = np.moveaxis(crafted, 1, 3) if shape[0] == 3 else crafted
    planes[1, 2, 1], planes[1, 4, 2] = 1.0, 1.0
    planes[2, 0, 0], planes[2, 0, 6] = 1.0, 1.0
    np.testing.assert_array_equal(square_sides(clean, crafted), [0, 3, 7])


def test_a_missing_value_that_stays_missing_is_no_change() -> None:
    clean = np.full((1, 4, 4), np.nan)
    np.testing.assert_array_equal(square_sides(clean, clean.copy()), [0])


def weak_spot(spot: int, need: int) -> tuple[ToyModel, LinearTwin, NDArray[np.float64]]:
    """A model that errs once ``need`` pixels of a square ``spot`` wide in one corner are white."""
    weights = np.zeros((SIDE, SIDE))
    weights[:spot, SIDE - spot :] = 1.0
    both = np.stack([np.zeros(SIDE * SIDE), weights.reshape(-1)], axis=1)
    bias = np.array([need - 0.5, 0.0])
    return ToyModel(lambda x: x @ both + bias), LinearTwin(both, bias), weights


def dark(model: ToyModel, twin: LinearTwin | None = None, rows: int = 12) -> AttackSetup:
    inputs = np.zeros((rows, SIDE, SIDE))
    labels = np.zeros(rows, dtype=np.int64)
    return arena(model, inputs, labels, box((SIDE, SIDE)), twin, norm=Norm.L0)


@pytest.mark.parametrize("stage", ["patch_search:300", "patch_ascent:5"])
def test_a_patch_is_laid_on_the_weak_spot_and_no_smaller_one_works(stage: str) -> None:
    model, twin, weights = weak_spot(3, need=8)
    found = attack_with_patches(
        build_suite((stage,), Norm.L0), dark(model, twin), (1, 2, 3, 5), 0, report_nothing
    )
    assert (found.breaking == 9.0).all()
    white = found.crafted * weights
    assert (white.sum(axis=(1, 2)) > 7.5).all()
    assert [bill.broken for bill in found.log] == [0, 0, 12]  # nobody is left for side 5


def test_what_a_small_square_of_a_large_patch_did_counts_at_its_own_size() -> None:
    model, twin, _ = weak_spot(2, need=4)
    found = attack_with_patches(
        build_suite(("patch_ascent:5",), Norm.L0), dark(model, twin), (5,), 0, report_nothing
    )
    side = square_sides(np.zeros_like(found.crafted), found.crafted)
    np.testing.assert_array_equal(found.breaking, side.astype(np.float64) ** 2)
    assert (found.breaking <= 25).all()


def test_a_second_ascent_lies_elsewhere() -> None:
    model, twin, _ = weak_spot(3, need=99)
    case = dark(model, twin, rows=1)
    model.seen.clear()
    attack_with_patches(build_suite(("patch_ascent:3x3",), Norm.L0), case, (3,), 0, report_nothing)
    corners = {tuple(np.argwhere(batch[0] > 0)[0]) for batch in model.seen if batch.any()}
    assert len(corners) >= 2


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("kind", ["float32", "uint8"])
def test_every_candidate_that_reaches_the_target_is_one_patch(
    shape: tuple[int, ...], kind: str
) -> None:
    size = int(np.prod(shape))
    weights = np.random.default_rng(1).normal(size=(size, 3))
    model, twin = ToyModel(lambda x: x @ weights), LinearTwin(weights, np.zeros(3))
    high, quantum = (255.0, 1.0) if kind == "uint8" else (1.0, 0.0)
    rows = (np.random.default_rng(0).random((6, *shape)) * high).astype(kind)
    labels = model.logits(rows.reshape(6, size).astype(np.float64)).argmax(axis=1)
    case = arena(model, rows, labels, box(shape, high=high, quantum=quantum), twin, norm=Norm.L0)
    model.seen.clear()
    stages = ("patch_ascent:4x2", "patch_search:30")
    found = attack_with_patches(build_suite(stages, Norm.L0), case, (1, 3), 0, report_nothing)
    assert sum(bill.refused for bill in found.log) == 0
    seen = [candidate for batch in model.seen for candidate in batch]
    assert len(seen) == sum(bill.queries for bill in found.log) > 0
    for candidate in seen:
        assert candidate.dtype == rows.dtype
        copies = np.broadcast_to(candidate, rows.shape)
        assert square_sides(rows, copies).min() <= 3
    broken = np.isfinite(found.breaking)
    side = square_sides(rows, found.crafted)
    np.testing.assert_array_equal(found.breaking[broken], side[broken].astype(np.float64) ** 2)


def test_the_same_seed_gives_the_same_patches_and_another_seed_others() -> None:
    def once(seed: int) -> bytes:
        model, _, _ = weak_spot(3, need=9)
        found = attack_with_patches(
            build_suite(("patch_search:20",), Norm.L0), dark(model), (3,), seed, report_nothing
        )
        return found.crafted.tobytes()

    assert once(1) == once(1)
    assert once(1) != once(2)


def test_progress_grows_to_its_total() -> None:
    model, _, _ = weak_spot(3, need=99)
    told: list[tuple[int, int]] = []
    attack_with_patches(
        build_suite(("patch_search:10",), Norm.L0),
        dark(model),
        (2, 3),
        0,
        lambda done, total, note="": told.append((done, total)),
    )
    done = [place for place, _ in told]
    assert done == sorted(done)
    assert told[-1] == (20, 20)
