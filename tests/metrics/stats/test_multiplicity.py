"""Holm, Benjamini-Hochberg and Benjamini-Yekutieli: published decisions, an oracle, error rates."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import false_discovery_control, norm
from simulated_coverage import allowed

from auditor.domain.tasks import Floats
from auditor.metrics.stats.p_values import benjamini_hochberg, benjamini_yekutieli, holm

ADJUSTMENTS = (holm, benjamini_hochberg, benjamini_yekutieli)
LISTS = st.lists(st.floats(0, 1), min_size=1, max_size=40)
# Benjamini and Hochberg (1995), section 3.2: fifteen endpoints of a trial of thrombolysis.
FOUND = (0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344)
TRIAL = (*FOUND, 0.0459, 0.3240, 0.4262, 0.5719, 0.6528, 0.7590, 1.0)


def test_the_published_trial_has_three_findings_by_holm_and_four_by_hochberg() -> None:
    assert int(np.sum(holm(TRIAL) <= 0.05)) == 3
    assert int(np.sum(benjamini_hochberg(TRIAL) <= 0.05)) == 4


def test_holms_steps_are_found_by_hand() -> None:
    # 0.01 * 4, 0.02 * 3, then 0.03 * 2 and 0.04 * 1 are kept at the step before.
    assert holm([0.03, 0.01, 0.04, 0.02]) == pytest.approx([0.06, 0.04, 0.06, 0.06])


def test_yekutielis_penalty_is_found_by_hand() -> None:
    # 1 + 1/2 + 1/3 = 11/6, times 3 * 0.01 / 1 and 3 * 0.02 / 2.
    assert benjamini_yekutieli([0.01, 0.02, 0.9]) == pytest.approx([0.055, 0.055, 1.0])


@given(LISTS)
def test_false_discovery_control_is_scipys(p_values: list[float]) -> None:
    by = false_discovery_control(p_values, method="by")
    assert benjamini_hochberg(p_values) == pytest.approx(false_discovery_control(p_values))
    assert benjamini_yekutieli(p_values) == pytest.approx(by)


@given(LISTS, st.randoms())
def test_the_order_of_questions_plays_no_part(
    p_values: list[float], random: np.random.Generator
) -> None:
    order = list(range(len(p_values)))
    random.shuffle(order)
    for adjust in ADJUSTMENTS:
        turned = adjust([p_values[i] for i in order])
        assert turned.tolist() == adjust(p_values)[order].tolist()


@given(LISTS)
def test_adjusting_never_helps_a_finding_and_keeps_the_order(p_values: list[float]) -> None:
    for adjust in ADJUSTMENTS:
        found = adjust(p_values)
        assert np.all((found >= np.array(p_values) - 1e-15) & (found <= 1))
        assert np.all(np.diff(found[np.argsort(p_values, kind="stable")]) >= 0)


def test_no_question_has_no_answer() -> None:
    assert [adjust([]).size for adjust in ADJUSTMENTS] == [0, 0, 0]


@pytest.mark.parametrize("wrong", [[0.5, float("nan")], [1.2], [-0.1], [[0.5]]])
@pytest.mark.parametrize("adjust", ADJUSTMENTS)
def test_what_is_no_p_value_is_refused(
    adjust: Callable[[list[float]], Floats], wrong: list[float]
) -> None:
    with pytest.raises(ValueError, match="p-values"):
        adjust(wrong)


def alike(rng: np.random.Generator, repeats: int, shared: float, real: int) -> Floats:
    """One-sided p-values of 20 correlated questions, of which the first ``real`` are true."""
    noise = rng.normal(size=(repeats, 20)) * np.sqrt(1 - shared)
    seen = noise + rng.normal(size=(repeats, 1)) * np.sqrt(shared)
    seen[:, :real] += 3.0
    return np.asarray(norm.sf(seen))


@pytest.mark.parametrize("shared", [0.0, 0.5])
def test_holm_makes_any_false_finding_as_seldom_as_it_says(shared: float) -> None:
    drawn = alike(np.random.default_rng(1), 2000, shared, 5)
    spared = [bool(np.all(holm(p)[5:] > 0.05)) for p in drawn]
    assert np.mean(spared) >= allowed(0.95, len(spared))


@pytest.mark.parametrize("shared", [0.0, 0.5])
@pytest.mark.parametrize("adjust", [benjamini_hochberg, benjamini_yekutieli])
def test_the_share_of_false_findings_is_what_it_says(
    adjust: Callable[[Floats], Floats], shared: float
) -> None:
    shares = []
    for p_values in alike(np.random.default_rng(2), 2000, shared, 5):
        found = adjust(p_values) <= 0.1
        shares.append(found[5:].sum() / max(found.sum(), 1))
    error = np.std(shares) / np.sqrt(len(shares))
    assert np.mean(shares) <= 0.1 * 15 / 20 + 4 * error


def test_without_adjustment_twenty_questions_would_mostly_find_something_false() -> None:
    drawn = alike(np.random.default_rng(3), 500, 0.0, 0)
    assert np.mean(drawn.min(axis=1) <= 0.05) > 0.5
