"""How sure the gates are of areas whose judges have learnt from the judged."""

from collections.abc import Callable

import numpy as np
import pytest

from auditor.attacks.privacy.membership import ShadowPredictions
from auditor.attacks.privacy.membership_statistics import (
    AttackAuc,
    attack_auc,
    average_control,
    blind_auc,
    blind_scores,
    one_sided_control,
)
from auditor.attacks.privacy.shadow_models import draw_halves

ROWS, MEMBERS = 240, 120
MEMBER = np.arange(ROWS) < MEMBERS
HALF_AN_ERROR = 0.6826895
"""The level whose interval reaches one standard error to either side."""


def error(found: AttackAuc) -> float:
    low, high = found.ends(HALF_AN_ERROR)
    return (high - low) / 2


def scatter(areas: list[AttackAuc]) -> tuple[float, float]:
    """By how much areas of clean samples scatter, in errors of rows alone and in those claimed."""
    spread = float(np.std([it.value for it in areas], ddof=1))
    alone = float(np.mean([np.linalg.norm(it.influence) for it in areas]))
    return spread / alone, spread / float(np.mean([error(it) for it in areas]))


def blind(seed: int) -> AttackAuc:
    """What tells members by their inputs, where they are as all others."""
    rng = np.random.default_rng([seed, 1])
    rows, labels = rng.normal(size=(ROWS, 20)), rng.integers(0, 2, ROWS)
    return blind_auc(blind_scores(rows, labels, MEMBER, seed), MEMBER)


def taught(seed: int) -> AttackAuc:
    """What models tell that learnt which way members point, where they are as all others.

    A row scores as the halves of the members that it is not in lie towards it: what learning from
    one row gives to another is what it gets from it.
    """
    rng = np.random.default_rng([seed, 2])
    rows = rng.normal(size=(ROWS, 20))
    include = np.zeros((4, ROWS), dtype=np.bool_)
    include[:, MEMBER] = draw_halves(4, MEMBERS, rng)
    scores = np.stack([rows @ rows[seen].mean(axis=0) for seen in include])
    gate = average_control(np.where(include, np.nan, scores), MEMBER, taught_by_members=True)
    assert gate is not None
    return gate.area


@pytest.mark.parametrize(
    ("of", "draws"),
    [(blind, 30), (taught, 400), pytest.param(blind, 200, marks=pytest.mark.slow)],
)
def test_judges_that_learnt_from_the_judged_are_not_surer_than_they_scatter(
    of: Callable[[int], AttackAuc], draws: int
) -> None:
    alone, claimed = scatter([of(seed) for seed in range(draws)])
    assert alone > 1.15, "rows held fast understate how clean samples scatter"
    assert 0.6 < claimed < 1.0 + 2.5 / np.sqrt(2 * draws)


def test_what_hides_a_leak_is_doubted_before_what_makes_one_up() -> None:
    """Areas as far above one half as below it: more than 2.3 errors from it, and less than 2.6."""
    influence = np.full(ROWS, 0.02 / np.sqrt(ROWS))
    below, above = (AttackAuc(0.5 + side * 0.049, influence) for side in (-1, 1))
    assert below.lowered
    assert not above.raised
    assert not AttackAuc(0.5 - 0.044, influence).lowered
    assert AttackAuc(0.5 + 0.055, influence).raised


def test_models_of_training_data_alone_are_taken_to_have_learnt_from_members() -> None:
    rng = np.random.default_rng(3)
    include = np.zeros((4, ROWS), dtype=np.bool_)
    include[:, MEMBER] = draw_halves(4, MEMBERS, rng)
    sided = ShadowPredictions(rng.uniform(0.1, 0.9, size=(4, ROWS)), include)
    both = ShadowPredictions(rng.uniform(0.1, 0.9, size=(4, ROWS)), draw_halves(4, ROWS, rng))
    gate = one_sided_control("loss", sided, both, MEMBER)
    assert gate is not None
    for found in (gate.area, gate.tail):
        learnt = float(np.sum(found.influence[MEMBER] ** 2))
        assert found.besides == pytest.approx(learnt)
        assert error(found) == pytest.approx(np.sqrt(np.sum(found.influence**2) + learnt), rel=1e-4)


def test_a_difference_from_such_an_area_is_as_unsure_as_it_is() -> None:
    scores = np.random.default_rng(4).normal(size=ROWS)
    plain, unsure = attack_auc(scores + MEMBER, MEMBER), blind_auc(scores, MEMBER)
    held_fast = attack_auc(scores, MEMBER)
    gain, low, high = plain.beyond(unsure, 0.95)
    assert plain.beyond(held_fast, 0.95)[0] == gain
    assert low < plain.beyond(held_fast, 0.95)[1]
    assert high > plain.beyond(held_fast, 0.95)[2]
