"""Figures held against a baseline's: the reason, the distance, and what would decide."""

from dataclasses import replace

import pytest
from judging_cases import CONTEXT, RULE, measured

from auditor.domain.baselines import Baseline
from auditor.domain.budgets import Budget
from auditor.domain.findings import Outcome
from auditor.domain.policies import AnchoredLimits, LimitAnchor, MetricLimits
from auditor.domain.readings import BiasDirection, BoundKind, Measurement
from auditor.policy.evaluate.context import build_target_context
from auditor.policy.evaluate.limits import FigureRange
from auditor.policy.evaluate.rules import RuleOutcome, judge_by_baseline, possible_limits

LEAST, MOST = (
    AnchoredLimits(least=LimitAnchor(None, -10)),
    AnchoredLimits(most=LimitAnchor(None, 10)),
)
THEN = measured(100, 95, 105)
"""With a margin of ten, the limit lies between 85 and 95 from below, 105 and 115 from above."""
HAD = "The baseline, model 0.9, had 100 (95 % interval 95\u2013105, n = 450)."
OPEN = f"{HAD} The two intervals leave it open, so the rule is undecided."
CLOSER = "a baseline with a closer figure, or a figure further from it: more rows here cannot"


def held(
    now: Measurement,
    anchored: AnchoredLimits = LEAST,
    then: Measurement = THEN,
    *,
    accepts: bool = False,
    budget: Budget = Budget.CI,
) -> RuleOutcome:
    """Return the opinion of a figure that is held against a baseline's."""
    baseline = Baseline(
        name="model", version="0.9", digest="sha256:1", budget=budget, readings=(then,)
    )
    rule = replace(RULE, limits=None, anchored=anchored, accept_withstood=accepts)
    context = replace(CONTEXT, baseline=baseline)
    return judge_by_baseline(
        rule, anchored, now, build_target_context(context, {}, "cpu", context.precedents())
    )


@pytest.mark.parametrize(
    ("anchored", "low", "high", "opinion"),
    [
        (LEAST, 95, 99, RuleOutcome(
            Outcome.PASSED, f"{HAD} Over both intervals, the requirement is met.", 0
        )),
        (LEAST, 80, 84, RuleOutcome(
            Outcome.FAILED, f"{HAD} Over both intervals, the requirement is not met.", -15
        )),
        (MOST, 99, 105, RuleOutcome(
            Outcome.PASSED, f"{HAD} Over both intervals, the requirement is met.", 0
        )),
        (MOST, 116, 120, RuleOutcome(
            Outcome.FAILED, f"{HAD} Over both intervals, the requirement is not met.", -15
        )),
    ],
)  # fmt: skip
def test_the_strictest_limit_is_kept_and_the_laxest_broken(
    anchored: AnchoredLimits, low: float, high: float, opinion: RuleOutcome
) -> None:
    assert held(measured((low + high) / 2, low, high), anchored) == opinion


@pytest.mark.parametrize(
    ("anchored", "value", "limits"),
    [
        (LEAST, 96, MetricLimits(least=95)),  # rows may show that it keeps the strictest limit
        (LEAST, 95, MetricLimits(least=95)),
        (LEAST, 94, None),
        (LEAST, 85, None),
        (LEAST, 84, MetricLimits(least=85)),  # or that it breaks the laxest
        (MOST, 104, MetricLimits(most=105)),
        (MOST, 105, MetricLimits(most=105)),
        (MOST, 106, None),
        (MOST, 115, None),
        (MOST, 116, MetricLimits(most=115)),
    ],
)
def test_more_rows_are_asked_for_where_they_could_decide(
    anchored: AnchoredLimits, value: float, limits: MetricLimits | None
) -> None:
    opinion = held(measured(value, value - 20, value + 20), anchored)
    assert (opinion.outcome, opinion.why) == (Outcome.UNKNOWN, OPEN)
    assert opinion.limits == limits
    assert opinion.need == ("" if limits else CLOSER)
    assert opinion.slack == (value - 115 if anchored is LEAST else 85 - value)


def test_the_possible_limits_are_taken_from_both_ends_of_the_baseline_and_from_claims() -> None:
    before = FigureRange(100, 95, 105, BoundKind.ESTIMATE)
    ends = AnchoredLimits(LimitAnchor(None, -10), LimitAnchor("ceiling", 1))
    claimed = possible_limits(ends, {"ceiling": 120}, before)
    assert claimed == (MetricLimits(95, 121), MetricLimits(85, 121))
    assert possible_limits(AnchoredLimits(90, LimitAnchor(None, 10)), {}, before) == (
        MetricLimits(90, 105),
        MetricLimits(90, 115),
    )
    assert possible_limits(LEAST, {}, before) == (MetricLimits(95, None), MetricLimits(85, None))


def test_what_there_is_nothing_to_hold_against_is_unknown_with_its_reason() -> None:
    assert held(measured("high")) == RuleOutcome(
        Outcome.UNKNOWN, "The value is not a number, so no limit applies to it."
    )
    rule = replace(RULE, limits=None, anchored=LEAST)
    assert judge_by_baseline(
        rule, LEAST, measured(99), build_target_context(CONTEXT, {}, "cpu")
    ) == RuleOutcome(
        Outcome.UNKNOWN,
        "There is no baseline to compare with.",
        need="a baseline record (--baseline DIR, or `baseline: DIR` in the audit file)",
    )
    assert held(measured(99), then=replace(THEN, doubted=True)) == RuleOutcome(
        Outcome.UNKNOWN,
        "The baseline, model 0.9, has a doubted figure there, and nothing is shown against a "
        "doubted one.",
        need="a baseline whose figure is not doubted",
    )


@pytest.mark.parametrize(
    ("accepts", "budget", "outcome", "why", "need"),
    [
        (True, Budget.CI, Outcome.WITHSTOOD,
         "The search found no violation. That is no proof, and the policy accepts it.", ""),
        (False, Budget.CI, Outcome.UNKNOWN,
         "The search found no violation. That is no proof, and the policy asks for one.", ""),
        (True, Budget.FULL, Outcome.UNKNOWN,
         ("Both figures are bounds of searches that ran differently, so their difference shows "
          "nothing."),
         "a baseline audited with the same parameters and the same budget"),
    ],
)  # fmt: skip
def test_two_bounds_are_withstood_where_they_were_found_alike(
    *, accepts: bool, budget: Budget, outcome: Outcome, why: str, need: str
) -> None:
    then = replace(THEN, bound=BoundKind.AT_MOST)
    now = measured(99, 96, 104, bound=BoundKind.AT_MOST)
    opinion = held(now, then=then, accepts=accepts, budget=budget)
    told = f"{HAD} {why}"
    assert (opinion.outcome, opinion.why, opinion.need) == (outcome, told, need)


def test_a_doubted_figure_neither_passes_nor_fails_on_the_side_of_its_doubt() -> None:
    for low, high, astray, outcome in (
        (95, 99, None, Outcome.UNKNOWN),
        (80, 84, None, Outcome.FAILED),
        (80, 84, BiasDirection.TOO_HIGH, Outcome.FAILED),
        (80, 84, BiasDirection.TOO_LOW, Outcome.UNKNOWN),
    ):
        now = measured(low, low, high, doubted=True, astray=astray)
        opinion = held(now, accepts=True)
        assert opinion.outcome is outcome
        needed = "a figure that is not doubted" if outcome is Outcome.UNKNOWN else ""
        assert opinion.need == needed
        assert ("doubt" in opinion.why) is bool(needed)
