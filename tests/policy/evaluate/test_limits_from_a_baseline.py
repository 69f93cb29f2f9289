"""Limits that are taken from the figures of a baseline record."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from judging_cases import CONTEXT, GAP, POLICY, RULE, judge_one, measured

from auditor.domain.baselines import Baseline, MeasurementConditions
from auditor.domain.budgets import Budget
from auditor.domain.findings import Finding, Outcome
from auditor.domain.policies import AnchoredLimits, LimitAnchor, Rule
from auditor.domain.readings import BoundKind, Measurement, Reading, Unit
from auditor.policy.evaluate.baseline import NO_BASELINE, SAME_SUITE
from auditor.policy.evaluate.engine import judge_readings

NOT_WORSE = replace(RULE, limits=None, anchored=AnchoredLimits(least=LimitAnchor(None, -0.01)))
NO_SLOWER = replace(RULE, limits=None, anchored=AnchoredLimits(most=LimitAnchor(None, 0.01)))
SHARE = st.floats(0, 1)


def baseline(*readings: Reading, **changes: Any) -> Baseline:  # noqa: ANN401 -- any field of one
    """Return the record of the released version, with these readings."""
    made = Baseline(
        name="model", version="0.9", digest="sha256:1", budget=Budget.CI, readings=readings
    )
    return replace(made, **changes)


def held(rule: Rule, now: Measurement, *then: Reading, **context: Any) -> Finding:  # noqa: ANN401
    """Return what becomes of a figure that is held against the baseline's."""
    return judge_one(rule, now, baseline=baseline(*then), **context)


@pytest.mark.parametrize(
    ("low", "high", "outcome"),
    [
        (0.95, 0.97, Outcome.PASSED),  # 0.95 - 0.96 is the margin
        (0.949, 0.97, Outcome.UNKNOWN),
        (0.90, 0.931, Outcome.UNKNOWN),
        (0.90, 0.929, Outcome.FAILED),  # 0.929 - 0.94 is beyond it
    ],
)
def test_the_difference_is_judged_by_both_intervals(
    low: float, high: float, outcome: Outcome
) -> None:
    now = measured((low + high) / 2, low, high)
    finding = held(NOT_WORSE, now, measured(0.95, 0.94, 0.96))
    assert finding.outcome is outcome
    assert finding.limits == "at least baseline - 0.01"


def test_a_limit_from_above_is_its_mirror() -> None:
    then = measured(0.05, 0.04, 0.06)
    seen = [
        held(NO_SLOWER, measured(value, value - 0.005, value + 0.005), then).outcome
        for value in (0.03, 0.06, 0.08)
    ]
    assert seen == [Outcome.PASSED, Outcome.UNKNOWN, Outcome.FAILED]


def test_both_figures_and_the_version_of_the_old_one_are_told() -> None:
    now = measured(0.8, 0.79, 0.81, unit=Unit.SHARE)
    finding = held(NOT_WORSE, now, measured(0.95, 0.94, 0.96, unit=Unit.SHARE))
    assert "at least baseline - 0.01" in finding.message
    assert "Found: 80 % (95 % interval 79\u201381 %, n = 450)" in finding.message
    assert "The baseline, model 0.9, had 95 % (95 % interval 94\u201396 %" in finding.message
    assert "auditor compare" not in finding.message


def test_figures_of_the_same_rows_are_sent_to_the_tighter_comparison() -> None:
    same = MeasurementConditions(data={"evaluation": "sha256:2"})
    then = baseline(measured(0.95, 0.94, 0.96), under=same)
    finding = judge_one(NOT_WORSE, measured(0.95, 0.94, 0.96), baseline=then, under=same)
    assert "`auditor compare`" in finding.message


def test_without_a_baseline_the_rule_is_unknown_and_says_how_to_give_one() -> None:
    finding = judge_one(NOT_WORSE, measured(0.99, 0.98, 1.0))
    assert finding.outcome is Outcome.UNKNOWN
    assert finding.would_decide == {"needs": NO_BASELINE}


@pytest.mark.parametrize(
    ("then", "said"),
    [
        ((), "no such reading at the same target"),
        ((GAP,), "did not measure it: The evaluation data has no labels"),
        ((measured(0.5, 0.4, 0.6, target="gpu"),), "no such reading"),
        ((measured(0.5, 0.4, 0.6, params={"eps": 0.1}),), "no such reading"),
        ((measured(0.5, 0.4, 0.6, slice={"sex": "F"}),), "no such reading"),
        ((measured(0.5, 0.4, 0.6), measured(0.5, 0.4, 0.6)), "2 readings at the very same place"),
        ((measured(0.5, 0.4, 0.6, version=2),), "version 2 of quality.accuracy"),
        ((measured(0.5, 0.4, 0.6, unit=Unit.SECOND),), "in the same unit"),
        ((measured("good"),), "no figure"),
        ((measured(0.5, 0.4, 0.6, doubted=True),), "doubted"),
        ((measured(0.5, 0.4, 0.6, confidence=0.5),), "sure of its figure at 0.5 alone"),
    ],
)
def test_a_figure_that_cannot_be_held_against_leaves_the_rule_unknown(
    then: tuple[Reading, ...], said: str
) -> None:
    for value in (0.0, 1.0):
        finding = held(NOT_WORSE, measured(value, value, value), *then)
        assert finding.outcome is Outcome.UNKNOWN
        assert said in finding.message
        assert finding.would_decide is not None


def test_times_of_another_machine_are_not_compared() -> None:
    now, then = (measured(value, value, value, unit=Unit.SECOND) for value in (0.1, 0.2))
    here, there = (
        MeasurementConditions(machines={"cpu": name}) for name in ("sha256:a", "sha256:b")
    )
    for under, outcome in ((here, Outcome.PASSED), (there, Outcome.UNKNOWN)):
        old = baseline(then, under=under)
        assert judge_one(NO_SLOWER, now, baseline=old, under=here).outcome is outcome


def test_figures_of_another_model_are_not_compared() -> None:
    then = baseline(measured(0.5, 0.4, 0.6), name="other")
    finding = judge_one(NOT_WORSE, measured(0.9, 0.89, 0.91), baseline=then)
    assert finding.outcome is Outcome.UNKNOWN
    assert finding.would_decide == {"needs": "a baseline that is a record of model"}


def test_figures_of_other_rows_say_so() -> None:
    here, there = (
        MeasurementConditions(data={"evaluation": name}) for name in ("sha256:a", "sha256:b")
    )
    then = baseline(measured(0.5, 0.4, 0.6), under=there)
    finding = judge_one(NOT_WORSE, measured(0.9, 0.89, 0.91), baseline=then, under=here)
    assert "of different rows" in finding.message


def test_counts_of_other_data_are_not_compared() -> None:
    now, then = (measured(value, unit=Unit.COUNT) for value in (1.0, 2.0))
    here, there = (
        MeasurementConditions(data={"training": name}) for name in ("sha256:a", "sha256:b")
    )
    for under, outcome in ((here, Outcome.PASSED), (there, Outcome.UNKNOWN)):
        old = baseline(then, under=under)
        assert judge_one(NO_SLOWER, now, baseline=old, under=here).outcome is outcome


def test_two_bounds_that_face_away_can_only_be_withstood() -> None:
    accepting = replace(NOT_WORSE, accept_withstood=True)
    then = measured(0.6, 0.55, 0.65, bound=BoundKind.AT_MOST)
    for rule, value, outcome in (
        (NOT_WORSE, 0.9, Outcome.UNKNOWN),
        (accepting, 0.9, Outcome.WITHSTOOD),
        (accepting, 0.1, Outcome.UNKNOWN),
    ):
        now = measured(value, value - 0.05, value + 0.05, bound=BoundKind.AT_MOST)
        assert held(rule, now, then).outcome is outcome


@pytest.mark.parametrize(
    "other",
    [
        {"budget": Budget.SMOKE},
        {"under": MeasurementConditions(params={("cpu", "quality.accuracy"): "sha256:5"})},
    ],
)
def test_what_a_weaker_search_did_not_find_withstands_nothing(other: dict[str, Any]) -> None:
    rule = replace(NOT_WORSE, accept_withstood=True)
    then, now = (
        measured(value, value, value, bound=BoundKind.AT_MOST, version=1) for value in (0.5, 0.9)
    )
    finding = judge_one(rule, now, baseline=baseline(then, **other))
    assert finding.outcome is Outcome.UNKNOWN
    assert finding.would_decide == {"needs": SAME_SUITE}


def test_a_figure_that_is_a_bound_fails_against_an_estimate_and_never_passes() -> None:
    then = measured(0.9, 0.89, 0.91)
    for value, outcome in ((0.5, Outcome.FAILED), (0.99, Outcome.UNKNOWN)):
        now = measured(value, value, value, bound=BoundKind.AT_MOST)
        assert held(NOT_WORSE, now, then).outcome is outcome


def test_rows_decide_where_the_baseline_leaves_one_side_and_not_between() -> None:
    then = measured(0.95, 0.94, 0.96)
    finding = held(NOT_WORSE, measured(0.97, 0.94, 0.99), then)
    assert finding.would_decide is not None
    assert finding.would_decide.keys() == {"rows"}
    between = held(NOT_WORSE, measured(0.94, 0.93, 0.95), then)
    assert "closer figure" in str(between.would_decide)


def test_one_end_may_be_a_claim_and_the_other_a_baseline() -> None:
    rule = replace(
        NOT_WORSE, anchored=AnchoredLimits(LimitAnchor("floor"), LimitAnchor(None, 0.02))
    )
    then = measured(0.95, 0.94, 0.96)
    seen = [
        held(rule, measured(value, value, value), then, claims={"floor": 0.9}).outcome
        for value in (0.89, 0.95, 0.99)
    ]
    assert seen == [Outcome.FAILED, Outcome.PASSED, Outcome.FAILED]


def test_only_the_interval_of_this_record_widens_with_the_correction() -> None:
    rules = tuple(replace(NOT_WORSE, id=f"rule-{at}") for at in range(2))
    then = baseline(measured(0.95, 0.94, 0.96))

    def readings_at(confidence: float) -> list[Reading]:
        high = 0.92 if confidence <= CONTEXT.confidence else 0.935
        return [measured(0.9, 0.88, high, confidence=confidence)]

    context = replace(CONTEXT, baseline=then)
    policy = replace(POLICY, rules=rules)
    seen = {finding.outcome for finding in judge_readings(policy, readings_at, context)}
    assert seen == {Outcome.UNKNOWN}


@given(SHARE, SHARE, SHARE, SHARE, st.floats(0, 0.5), st.floats(0, 0.5), st.sampled_from(BoundKind))
def test_a_better_figure_or_a_larger_margin_never_turns_a_pass_into_a_failure(
    one: float, other: float, first: float, last: float, up: float, more: float, bound: BoundKind
) -> None:
    low, high = sorted((one, other))
    then = measured(first, *sorted((first, last)), bound=bound)
    then = replace(then, value=then.low)
    now = measured(low, low, high)
    better = measured(low + up, low + up, high + up)
    laxer = replace(NOT_WORSE, anchored=AnchoredLimits(least=LimitAnchor(None, -0.01 - more)))
    outcomes = [
        held(rule, figure, then).outcome
        for rule, figure in ((NOT_WORSE, now), (NOT_WORSE, better), (laxer, now))
    ]
    if outcomes[0] is Outcome.PASSED:
        assert outcomes == [Outcome.PASSED] * 3
    if Outcome.FAILED in outcomes[1:]:
        assert outcomes[0] is Outcome.FAILED


@given(SHARE, SHARE, SHARE, SHARE, SHARE, SHARE)
def test_no_pass_is_wrong_while_both_intervals_hold_the_truth(
    one: float, other: float, first: float, last: float, here: float, there: float
) -> None:
    low, high = sorted((one, other))
    old_low, old_high = sorted((first, last))
    truth, before = low + here * (high - low), old_low + there * (old_high - old_low)
    outcome = held(
        NOT_WORSE, measured(low, low, high), measured(old_low, old_low, old_high)
    ).outcome
    if outcome is Outcome.PASSED:
        assert truth - before >= -0.01 - 1e-12
    if outcome is Outcome.FAILED:
        assert truth - before < -0.01 + 1e-12
