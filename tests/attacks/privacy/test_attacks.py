"""The membership attacks on models whose memory is written down."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit

from auditor.attacks.privacy.membership import (
    ATTACKS,
    ShadowPredictions,
    lira_attack,
    loss_attack,
    rmia_attack,
    round_chances,
    score_shadows_by_others,
)
from auditor.attacks.privacy.membership_statistics import attack_auc, blind_scores, unseen_control
from auditor.attacks.privacy.shadow_models import draw_halves


def remembered(
    models: int, rows: int, gain: float, seed: int = 0, noise: float = 0.5
) -> tuple[np.ndarray, np.ndarray, ShadowPredictions]:
    """A target and its stand-ins, whose logit of a row is its ease, a gain if seen, and noise."""
    rng = np.random.default_rng(seed)
    ease = rng.normal(1, 2, rows)
    gains = gain * np.exp(-ease / 2)
    include = draw_halves(models, rows, rng)
    member = rng.random(rows) < 0.5
    said = ease + gains * include + noise * rng.normal(size=(models, rows))
    target = ease + gains * member + noise * rng.normal(size=rows)
    return expit(target), member, ShadowPredictions(expit(said), include)


def test_loss_is_the_log_of_the_chance() -> None:
    assert loss_attack(np.array([1.0, 0.5])) == pytest.approx([0, np.log(0.5)], abs=1e-8)


def test_rmia_divides_by_what_models_without_the_row_say() -> None:
    shadows = ShadowPredictions(
        np.array([[0.2, 0.9], [0.6, 0.5], [0.4, 0.1]]),
        np.array([[False, True], [False, False], [True, False]]),
    )
    expected = np.log([0.8, 0.8]) - np.log([(1 + 0.4) / 2, (1 + 0.3) / 2])
    assert rmia_attack(np.array([0.8, 0.8]), shadows) == pytest.approx(expected, abs=1e-6)


def test_stand_ins_see_through_rows_that_are_easy_for_everybody() -> None:
    target, member, shadows = remembered(8, 3000, 1.0)
    found = {
        name: attack_auc(attack(target, shadows), member).value for name, attack in ATTACKS.items()
    }
    assert found["loss"] < found["rmia"] < found["lira"]
    assert found["lira"] > 0.7


def test_few_stand_ins_do_what_many_do() -> None:
    areas = {}
    for models in (4, 64):
        target, member, shadows = remembered(models, 4000, 1.0)
        areas[models] = attack_auc(lira_attack(target, shadows), member).value
    assert areas[4] > areas[64] - 0.04


def test_nothing_remembered_is_nothing_found() -> None:
    target, member, shadows = remembered(8, 3000, 0.0)
    for attack in ATTACKS.values():
        assert abs(attack_auc(attack(target, shadows), member).value - 0.5) < 0.03


def test_two_stand_ins_have_no_variance() -> None:
    target, _, shadows = remembered(2, 100, 1.0)
    with pytest.raises(ValueError, match="2 stand-ins"):
        lira_attack(target, shadows)


@pytest.mark.parametrize("name", ATTACKS)
def test_a_stand_in_is_attacked_where_it_has_not_seen_the_row(name: str) -> None:
    _, _, shadows = remembered(6, 200, 1.0)
    scores = score_shadows_by_others(name, shadows)
    assert scores.shape == (6, 200)
    assert np.isnan(scores[shadows.include]).all()
    assert np.isfinite(scores[~shadows.include]).all()


@pytest.mark.parametrize("name", ATTACKS)
def test_models_that_saw_neither_tell_nothing_unless_the_rows_differ(name: str) -> None:
    _, member, shadows = remembered(8, 2000, 1.0)
    fair = unseen_control(name, shadows, member)
    assert fair is not None
    assert not fair.area.raised
    assert not fair.area.lowered
    biased = unseen_control(name, shadows, shadows.chances.mean(axis=0) > 0.8)
    assert biased is not None
    assert biased.area.raised or biased.area.lowered


def test_without_unseen_rows_of_both_kinds_there_is_no_gate() -> None:
    _, _, shadows = remembered(4, 50, 1.0)
    assert unseen_control("loss", shadows, np.ones(50, dtype=bool)) is None


def test_a_blind_classifier_sees_a_shift_and_no_more() -> None:
    rng = np.random.default_rng(0)
    rows, labels = rng.normal(size=(600, 5)), rng.integers(0, 2, 600)
    member = np.arange(600) < 300
    fair = attack_auc(blind_scores(rows, labels, member, 1), member)
    assert not fair.raised
    moved = rows + 0.6 * member[:, None]
    assert attack_auc(blind_scores(moved, labels, member, 1), member).raised


@given(st.integers(1, 9), st.integers(2, 40))
def test_every_row_is_seen_by_every_other_stand_in(models: int, rows: int) -> None:
    include = draw_halves(models, rows, np.random.default_rng(0))
    assert include.shape == (models, rows)
    for first in range(0, models - 1, 2):
        assert (include[first] != include[first + 1]).all()


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_rounded_chances_stay_off_the_ends_and_in_order(chances: list[float]) -> None:
    values = np.sort(np.array(chances))
    found = round_chances(values, 1)
    assert (np.diff(found) >= 0).all()
    assert found.min() > 0
    assert found.max() < 1
    assert np.abs(found - values).max() <= 0.05 + 1e-9
