import numpy as np
import pytest
from evasion_toys import box
from hypothesis import given
from hypothesis import strategies as st

from auditor.attacks.poisoning.poison_trial import (
    PoisonAim,
    PoisonAttack,
    make_poison,
    select_victims,
)

RNG = np.random.default_rng(0)
INPUTS = RNG.random((100, 8, 8, 1)).astype(np.float32)
LABELS = np.arange(100) % 4
AIM = PoisonAim(1, 3, box((8, 8, 1)))


@given(st.sampled_from(PoisonAttack), st.integers(1, 60), st.integers(0, 50))
def test_poison_replaces_only_the_rows_that_it_names_and_no_more_than_asked(
    attack: PoisonAttack, most: int, seed: int
) -> None:
    made = make_poison(attack, (INPUTS, LABELS), AIM, most, seed)
    assert len(made.labels) <= most
    assert len(set(made.replaced)) == len(made.replaced)
    count = len(made.labels) // 2
    rows, labels = made.within(INPUTS, LABELS, count)
    changed = (rows != INPUTS).any(axis=(1, 2, 3)) | (labels != LABELS)
    assert set(np.flatnonzero(changed)) <= set(made.replaced[:count])
    assert rows.min() >= 0
    assert rows.max() <= 1
    assert rows.dtype == INPUTS.dtype


def test_what_each_attack_does_to_labels_and_rows() -> None:
    made = {attack: make_poison(attack, (INPUTS, LABELS), AIM, 20, 1) for attack in PoisonAttack}
    flip, targeted = made[PoisonAttack.FLIP], made[PoisonAttack.TARGETED]
    assert (flip.labels != LABELS[flip.replaced]).all()
    assert np.array_equal(flip.inputs, INPUTS[flip.replaced])
    assert set(LABELS[targeted.replaced]) == {1}
    assert set(targeted.labels) == {3}
    for attack in (PoisonAttack.PATCH, PoisonAttack.BLEND):
        assert 3 not in LABELS[made[attack].replaced]
        assert set(made[attack].labels) == {3}
    assert set(LABELS[made[PoisonAttack.CLEAN_LABEL].replaced]) == {3}
    assert set(made[PoisonAttack.CLEAN_LABEL].labels) == {3}
    assert (made[PoisonAttack.PATCH].inputs[:, 6:, 6:] == 1).all()


def test_a_patch_covers_a_corner_and_a_blend_a_fifth_of_everything() -> None:
    patched = AIM.stamped(PoisonAttack.PATCH, INPUTS)
    assert (patched[:, :6] == INPUTS[:, :6]).all()
    assert (patched[:, 6:, 6:] == 1).all()
    blended = AIM.stamped(PoisonAttack.BLEND, INPUTS)
    assert np.abs(blended - 0.8 * INPUTS).max() <= 0.2 + 1e-6
    assert np.allclose(np.diff(blended - 0.8 * INPUTS, axis=0), 0, atol=1e-6)


def test_triggers_keep_the_steps_of_inputs() -> None:
    aim = PoisonAim(0, 1, box((8, 8, 1), high=255.0, quantum=1.0))
    found = aim.stamped(PoisonAttack.BLEND, np.round(INPUTS * 255))
    assert np.array_equal(found, np.round(found))


def test_victims_are_the_rows_that_are_to_change() -> None:
    assert select_victims(PoisonAttack.FLIP, LABELS, AIM).size == 0
    assert set(LABELS[select_victims(PoisonAttack.TARGETED, LABELS, AIM)]) == {1}
    assert set(LABELS[select_victims(PoisonAttack.PATCH, LABELS, AIM)]) == {0, 1, 2}


def test_a_trigger_needs_pictures_and_their_range() -> None:
    with pytest.raises(ValueError, match="pictures"):
        PoisonAim(0, 1, None).stamped(PoisonAttack.PATCH, INPUTS)
    with pytest.raises(ValueError, match="pictures"):
        PoisonAim(0, 1, box((3,))).stamped(PoisonAttack.PATCH, INPUTS[:, 0, :3, 0])
