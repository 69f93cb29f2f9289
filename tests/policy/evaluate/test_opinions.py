"""What one reading makes of a rule, and the words in which it says why and what would decide."""

from dataclasses import replace

import pytest
from judging_cases import RULE, judge_one, measured

from auditor.domain.findings import Outcome
from auditor.domain.policies import AnchoredLimits, LimitAnchor, MetricLimits
from auditor.domain.readings import BiasDirection, BoundKind, Unit
from auditor.policy.evaluate.rules import RuleOutcome, judge_by_limits, judge_favourable_figure

WITHIN = replace(RULE, limits=MetricLimits(0.2, 0.8))
ACCEPTING = replace(WITHIN, accept_withstood=True)
KEPT = "The requirement is met."
WITHSTOOD = "The search found no violation. That is no proof, and the policy accepts it."
NOT_ACCEPTED = "The search found no violation. That is no proof, and the policy asks for one."
DOUBTED = "The figure is doubted, and no worst case of it is known to meet the requirement."
NOT_DOUBTED = "a figure that is not doubted"
UNNAMED = (
    "This is the whole sample. The search confirmed no such slice, which is no proof that there is "
    "none."
)


@pytest.mark.parametrize(
    ("low", "high", "bound", "opinion"),
    [
        (0.3, 0.7, BoundKind.ESTIMATE, RuleOutcome(Outcome.PASSED, KEPT, 0.1)),
        (0.3, 0.7, BoundKind.AT_MOST, RuleOutcome(Outcome.WITHSTOOD, WITHSTOOD, 0.1)),
        (0.1, 0.7, BoundKind.ESTIMATE, RuleOutcome(
            Outcome.UNKNOWN, "The interval includes the limit, so the rule is undecided.", -0.1
        )),
        (0.9, 1.0, BoundKind.ESTIMATE, RuleOutcome(
            Outcome.FAILED, "The requirement is not met.", -0.2
        )),
    ],
)  # fmt: skip
def test_a_figure_is_judged_with_its_reason_and_its_distance(
    low: float, high: float, bound: BoundKind, opinion: RuleOutcome
) -> None:
    found = judge_by_limits(ACCEPTING, measured(low, low, high, bound=bound))
    assert replace(found, slack=pytest.approx(found.slack)) == opinion  # type: ignore[arg-type] -- nearly


def test_what_is_asked_of_no_number_or_by_no_limit_is_unknown_with_its_reason() -> None:
    assert judge_by_limits(RULE, measured("high")) == RuleOutcome(
        Outcome.UNKNOWN, "The value is not a number, so no limit applies to it."
    )
    assert judge_by_limits(replace(RULE, limits=None), measured(0.9)) == RuleOutcome(
        Outcome.UNKNOWN, "The rule asks for nothing.", need="a rule with a limit"
    )


def test_only_a_claimed_limit_is_refused_because_no_reading_can_break_it() -> None:
    share = measured(0.5, 0.4, 0.6, unit=Unit.SHARE)
    written = replace(RULE, limits=MetricLimits(least=0.0))
    claimed = replace(written, anchored=AnchoredLimits(least=LimitAnchor("floor")))
    assert judge_by_limits(written, share).outcome is Outcome.PASSED
    assert judge_by_limits(claimed, share) == RuleOutcome(
        Outcome.UNKNOWN,
        "The claim sets a limit that no value can break, so the rule is undecided.",
        need="a claim that sets a limit which a value can break",
    )
    assert (
        judge_by_limits(replace(claimed, limits=MetricLimits(least=0.01)), share).outcome
        is Outcome.PASSED
    )


@pytest.mark.parametrize(
    ("doubted", "for_each", "sliced", "proven", "accepts", "opinion"),
    [
        (False, (), False, True, False, RuleOutcome(Outcome.PASSED, KEPT, 1)),
        (False, (), True, True, True, RuleOutcome(Outcome.PASSED, KEPT, 1)),
        (False, (), False, False, True, RuleOutcome(Outcome.WITHSTOOD, WITHSTOOD, 1)),
        (False, (), False, False, False, RuleOutcome(Outcome.UNKNOWN, NOT_ACCEPTED, 1)),
        (True, (), False, True, True, RuleOutcome(Outcome.UNKNOWN, DOUBTED, 1, NOT_DOUBTED)),
        (True, ("slice",), False, False, True,
         RuleOutcome(Outcome.UNKNOWN, DOUBTED, 1, NOT_DOUBTED)),
        (False, ("slice",), True, True, False, RuleOutcome(Outcome.PASSED, KEPT, 1)),
        (False, ("group",), False, True, False, RuleOutcome(Outcome.PASSED, KEPT, 1)),
        (False, ("slice",), False, True, True, RuleOutcome(
            Outcome.WITHSTOOD, f"{UNNAMED} The policy accepts that.", 1
        )),
        (False, ("slice",), False, True, False, RuleOutcome(
            Outcome.UNKNOWN, UNNAMED, 1,
            "a policy that accepts withstood: no search proves that it named every slice",
        )),
    ],
)  # fmt: skip
def test_a_figure_that_keeps_a_rule_counts_as_far_as_it_was_proven_to(
    *,
    doubted: bool,
    for_each: tuple[str, ...],
    sliced: bool,
    proven: bool,
    accepts: bool,
    opinion: RuleOutcome,
) -> None:
    rule = replace(RULE, for_each=for_each, accept_withstood=accepts)
    found = measured(0.9, doubted=doubted, slice={"sex": "F"} if sliced else {})
    assert judge_favourable_figure(rule, found, 1, proven=proven) == opinion


def test_a_failure_on_the_side_of_its_doubt_is_unknown_and_asks_for_a_sure_figure() -> None:
    found = measured(0.9, 0.85, 0.95, doubted=True, astray=BiasDirection.TOO_HIGH)
    opinion = judge_by_limits(WITHIN, found)
    assert (opinion.outcome, opinion.need) == (Outcome.UNKNOWN, NOT_DOUBTED)
    assert opinion.slack == pytest.approx(-0.15)
    assert opinion.why == (
        "It is beyond the limit, but its doubt may have moved it there, so the rule is undecided."
    )
    assert judge_one(WITHIN, found).would_decide == {"needs": NOT_DOUBTED}
