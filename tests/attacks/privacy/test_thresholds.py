"""What lies above a limit, and how small a leak would have been seen."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import ndtr, ndtri
from scipy.stats import beta, fisher_exact

from auditor.attacks.privacy.membership_statistics import (
    ThresholdTest,
    apply_threshold,
    auc_of_advantage,
    lower_rank_limit,
    rank_test,
    smallest_detectable_auc,
    smallest_detectable_tpr,
    tpr_at_fpr,
    upper_rank_limit,
)


def test_the_limit_is_set_on_one_half_and_judged_on_the_other() -> None:
    scores = np.array([9.0, 3.5, 1.0, 2.0, 4.0, 4.0, 3.0, 0.0])
    member = np.arange(8) < 3
    found = apply_threshold(scores, member, 0.0)
    assert (found.at, found.hits, found.members) == (4.0, 1, 3), "others 2, 4 and 0 set"
    assert (found.false, found.judged) == (0, 2)
    assert apply_threshold(scores, member, 0.34).at == 2.0


@given(st.integers(0, 30), st.integers(0, 20))
def test_the_p_value_is_that_of_fisher(hits: int, false: int) -> None:
    ours = ThresholdTest(0.0, hits, 30, false, 20).p_value
    theirs = fisher_exact([[hits, 30 - hits], [false, 20 - false]], "greater").pvalue
    assert ours == pytest.approx(theirs, abs=1e-9)


def test_no_alarm_among_few_non_members_proves_little() -> None:
    """A binomial test against the rate found, 0, would be sure."""
    assert ThresholdTest(0.0, 5, 100, 0, 20).p_value > 0.3


def test_members_that_score_like_all_others_lie_above_by_chance() -> None:
    rng = np.random.default_rng(0)
    small = sum(
        min(apply_threshold(scores, member, 0.05).p_value, rank_test(scores, member)) < 0.025
        for scores, member in (
            (rng.normal(size=400), rng.permutation(400) < 200) for _ in range(300)
        )
    )
    assert small <= 300 * 0.05 + 3 * np.sqrt(300 * 0.05)


def test_equal_scores_tell_nothing() -> None:
    member = np.arange(40) < 20
    assert rank_test(np.zeros(40), member) == 1.0
    assert apply_threshold(np.zeros(40), member, 0.1).hits == 0


def test_an_alarm_is_worth_less_where_members_are_rare() -> None:
    details = ThresholdTest(0.0, 50, 100, 1, 100).details(0.95)
    worth = details["ppv"]
    assert isinstance(worth, dict)
    high = details["realised_fpr_high"]
    assert worth["0.5"] == pytest.approx(0.5 / (0.5 + float(str(high))))
    assert worth["0.01"] < worth["0.1"] < worth["0.5"]


def test_more_rows_see_smaller_leaks() -> None:
    assert (
        smallest_detectable_auc(5000, 5000, 1e-4) < smallest_detectable_auc(500, 500, 1e-4) < 0.65
    )
    few, many = (smallest_detectable_tpr(rows, rows // 2, 0.01, 1e-4) for rows in (500, 5000))
    assert few is not None
    assert many is not None
    assert 0.01 < many < few < 0.3
    assert smallest_detectable_tpr(5, 2, 0.01, 1e-4) is None


def test_an_advantage_is_that_of_the_best_limit_of_normal_scores() -> None:
    rng = np.random.default_rng(0)
    apart = 2 * ndtri((1 + 0.25) / 2)
    ours, theirs = rng.normal(size=4000) + apart, rng.normal(size=4000)
    found = np.mean(ours[:, None] > theirs)
    assert auc_of_advantage(0.25) == pytest.approx(found, abs=0.02)
    best = max(np.mean(ours > at) - np.mean(theirs > at) for at in np.linspace(-1, 2, 50))
    assert best == pytest.approx(0.25, abs=0.03)
    assert auc_of_advantage(0.0) == 0.5


def test_the_smallest_leak_is_seen_as_often_as_is_said() -> None:
    rng = np.random.default_rng(0)
    level = 0.001
    tpr = smallest_detectable_tpr(1000, 500, 0.01, level)
    assert tpr is not None
    seen = np.mean(
        [
            ThresholdTest(0.0, rng.binomial(1000, tpr), 1000, 5, 500).p_value <= level
            for _ in range(2000)
        ]
    )
    assert 0.94 < seen < 0.98


@pytest.mark.slow
@pytest.mark.parametrize(("members", "others"), [(10_000, 1000), (500, 1000), (1000, 5000)])
@pytest.mark.parametrize("shift", [0.0, 0.6, 2.0])
def test_the_rate_at_a_true_share_of_false_alarms_is_covered(
    members: int, others: int, shift: float
) -> None:
    """The limit's own error counts: at 10,000 members its share of the error is nearly all."""
    rng = np.random.default_rng(1)
    member = np.arange(members + others) < members
    truth = float(ndtr(shift - ndtri(0.99)))
    runs = [
        tpr_at_fpr(rng.normal(size=len(member)) + shift * member, member, 0.01, 0.95)
        for _ in range(400)
    ]
    assert np.mean([it.low <= truth <= it.high for it in runs]) >= 0.945
    assert all(it.low <= it.value <= it.high for it in runs)
    assert np.mean([it.high - it.low for it in runs]) < 0.7


@given(st.integers(10, 3000), st.sampled_from([0.001, 0.01, 0.1]), st.sampled_from([0.01, 0.002]))
def test_limits_are_order_statistics_whose_rate_is_sure(
    others: int, fpr: float, tail: float
) -> None:
    below, above = lower_rank_limit(others, fpr, tail), upper_rank_limit(others, fpr, tail)
    if below:
        assert beta.sf(fpr, below, others - below + 1) <= tail
    assert beta.sf(fpr, below + 1, others - below) > tail
    if above <= others:
        assert beta.cdf(fpr, above, others - above + 1) <= tail
    assert above == 1 or beta.cdf(fpr, above - 1, others - above + 2) > tail


def test_equal_scores_leave_the_rate_open() -> None:
    found = tpr_at_fpr(np.zeros(3000), np.arange(3000) < 1000, 0.01, 0.95)
    assert (found.value, found.low, found.high) == (0, 0, 1)


def test_one_non_member_cannot_set_a_limit_and_be_judged() -> None:
    with pytest.raises(ValueError, match="non-members"):
        apply_threshold(np.arange(3.0), np.array([True, True, False]), 0.1)
