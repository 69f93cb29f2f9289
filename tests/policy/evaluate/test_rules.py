"""One rule: which readings it takes, and what becomes of it."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from judging_cases import CONTEXT, GAP, POLICY, RULE, judge_one, measured

from auditor.domain.baselines import MeasurementConditions
from auditor.domain.budgets import Budget
from auditor.domain.findings import Outcome, Verdict
from auditor.domain.isolation import IsolationLevel
from auditor.domain.policies import AssuranceLevel, MetricLimits, MinimumEvidence, Rule, RuleEffect
from auditor.domain.readings import BiasDirection, BoundKind, Unit
from auditor.domain.targets import EvidenceLevel
from auditor.policy.evaluate.engine import judge_readings
from auditor.policy.evaluate.messages import describe_rule

AT_MOST = BoundKind.AT_MOST
AT_LEAST = BoundKind.AT_LEAST
ESTIMATE = BoundKind.ESTIMATE


@pytest.mark.parametrize(
    ("bound", "limits", "low", "high", "outcome"),
    [
        (ESTIMATE, MetricLimits(least=0.8), 0.8, 0.9, Outcome.PASSED),
        (ESTIMATE, MetricLimits(least=0.8), 0.79, 0.9, Outcome.UNKNOWN),
        (ESTIMATE, MetricLimits(least=0.8), 0.7, 0.8, Outcome.UNKNOWN),
        (ESTIMATE, MetricLimits(least=0.8), 0.7, 0.79, Outcome.FAILED),
        (ESTIMATE, MetricLimits(most=0.1), 0.0, 0.1, Outcome.PASSED),
        (ESTIMATE, MetricLimits(most=0.1), 0.11, 0.2, Outcome.FAILED),
        (ESTIMATE, MetricLimits(0.8, 1.25), 0.9, 1.2, Outcome.PASSED),
        (ESTIMATE, MetricLimits(0.8, 1.25), 1.26, 1.3, Outcome.FAILED),
        (ESTIMATE, MetricLimits(0.8, 1.25), 0.7, 1.3, Outcome.UNKNOWN),
        (AT_MOST, MetricLimits(least=0.8), 0.8, 0.9, Outcome.WITHSTOOD),
        (AT_MOST, MetricLimits(least=0.8), 0.7, 0.79, Outcome.FAILED),
        (AT_MOST, MetricLimits(least=0.8), 0.7, 0.9, Outcome.UNKNOWN),
        (AT_MOST, MetricLimits(most=0.8), 0.6, 0.7, Outcome.PASSED),
        (AT_MOST, MetricLimits(most=0.8), 0.85, 0.9, Outcome.UNKNOWN),
        (AT_MOST, MetricLimits(0.2, 0.8), 0.3, 0.7, Outcome.WITHSTOOD),
        (AT_MOST, MetricLimits(0.2, 0.8), 0.1, 0.15, Outcome.FAILED),
        (AT_MOST, MetricLimits(0.2, 0.8), 0.85, 0.9, Outcome.UNKNOWN),
        (AT_LEAST, MetricLimits(most=0.6), 0.4, 0.5, Outcome.WITHSTOOD),
        (AT_LEAST, MetricLimits(most=0.6), 0.7, 0.8, Outcome.FAILED),
        (AT_LEAST, MetricLimits(least=0.6), 0.7, 0.8, Outcome.PASSED),
        (AT_LEAST, MetricLimits(least=0.6), 0.4, 0.5, Outcome.UNKNOWN),
    ],
)
def test_the_whole_interval_decides_and_a_bound_speaks_for_one_side_only(
    bound: BoundKind, limits: MetricLimits, low: float, high: float, outcome: Outcome
) -> None:
    rule = replace(RULE, limits=limits, accept_withstood=True)
    assert judge_one(rule, measured((low + high) / 2, low, high, bound=bound)).outcome is outcome


def test_what_withstood_is_unknown_unless_the_policy_accepts_that() -> None:
    finding = judge_one(RULE, measured(0.9, 0.85, 0.95, bound=AT_MOST))
    assert finding.outcome is Outcome.UNKNOWN
    assert "the policy asks for one" in finding.message
    assert finding.would_decide == {
        "needs": "a proof such as a certificate, or a policy that accepts withstood"
    }


def test_an_exact_figure_decides_by_itself() -> None:
    rule = replace(RULE, limits=MetricLimits(most=0.0))
    assert judge_one(rule, measured(0, unit=Unit.COUNT)).outcome is Outcome.PASSED
    assert judge_one(rule, measured(1, unit=Unit.COUNT)).outcome is Outcome.FAILED


@pytest.mark.parametrize("value", [True, False, "high", None])
def test_a_limit_does_not_apply_to_what_is_no_number(value: bool | str | None) -> None:  # noqa: FBT001 -- the reading's value
    assert judge_one(RULE, measured(value)).outcome is Outcome.UNKNOWN


def test_a_doubted_figure_may_fail_but_never_passes_or_withstands() -> None:
    accepting = replace(RULE, accept_withstood=True)
    assert judge_one(RULE, measured(0.9, 0.85, 0.95, doubted=True)).outcome is Outcome.UNKNOWN
    withstood = measured(0.9, 0.85, 0.95, doubted=True, bound=AT_MOST)
    assert judge_one(accepting, withstood).outcome is Outcome.UNKNOWN
    assert judge_one(RULE, measured(0.5, 0.4, 0.6, doubted=True)).outcome is Outcome.FAILED


@pytest.mark.parametrize(
    ("astray", "above", "below"),
    [
        (None, Outcome.FAILED, Outcome.FAILED),
        (BiasDirection.TOO_HIGH, Outcome.UNKNOWN, Outcome.FAILED),
        (BiasDirection.TOO_LOW, Outcome.FAILED, Outcome.UNKNOWN),
        (BiasDirection.EITHER, Outcome.UNKNOWN, Outcome.UNKNOWN),
    ],
)
def test_a_doubted_figure_does_not_fail_on_the_side_of_its_doubt(
    astray: BiasDirection | None, above: Outcome, below: Outcome
) -> None:
    rule = replace(RULE, limits=MetricLimits(least=0.2, most=0.5))
    for found, outcome in ((measured(0.9, 0.8, 0.95), above), (measured(0.1, 0.05, 0.15), below)):
        finding = judge_one(rule, replace(found, doubted=True, astray=astray))
        assert finding.outcome is outcome
        assert ("doubt" in finding.message) == (outcome is Outcome.UNKNOWN)
    kept = replace(measured(0.3, 0.25, 0.35), doubted=True, astray=astray)
    assert judge_one(rule, kept).outcome is Outcome.UNKNOWN


BELOW = replace(RULE, limits=MetricLimits(most=0.5))
ABOVE = replace(RULE, limits=MetricLimits(least=0.5))
SIDES = [BiasDirection.TOO_HIGH, BiasDirection.TOO_LOW]
NUMBERS = st.floats(0, 1)


def test_a_noisy_figure_passes_a_limit_beyond_its_worst_case() -> None:
    slow = measured(0.1, 0.1, 0.2, doubted=True, astray=BiasDirection.TOO_HIGH, worst_case=0.4)
    finding = judge_one(BELOW, slow)
    assert finding.outcome is Outcome.PASSED
    assert finding.message.endswith(
        "The figure is doubted, but other work on the machine can only make it worse. Without it, "
        "the figure is at most 0.4, which meets the limit."
    )
    for limits in (MetricLimits(most=0.3), MetricLimits(least=0.0, most=0.5)):
        assert judge_one(replace(RULE, limits=limits), slow).outcome is Outcome.UNKNOWN
    rate = measured(0.9, 0.8, 0.9, doubted=True, astray=BiasDirection.TOO_LOW, worst_case=0.6)
    assert judge_one(ABOVE, rate).outcome is Outcome.PASSED
    assert judge_one(replace(RULE, limits=MetricLimits(least=0.7)), rate).outcome is Outcome.UNKNOWN


@given(st.lists(NUMBERS, min_size=3, max_size=3).map(sorted), st.none() | NUMBERS, NUMBERS)
@pytest.mark.parametrize("rule", [BELOW, ABOVE], ids=["at_most", "at_least"])
@pytest.mark.parametrize("astray", [None, *BiasDirection])
def test_a_disturbance_towards_the_limit_never_passes(
    rule: Rule, astray: BiasDirection | None, span: list[float], worst: float | None, at: float
) -> None:
    """A figure that is flattered by its doubt, or in a way that is not known, shows nothing."""
    limits = MetricLimits(most=at) if rule is BELOW else MetricLimits(least=at)
    low, value, high = span
    found = measured(value, low, high, doubted=True, astray=astray, worst_case=worst)
    outcome = judge_one(replace(rule, limits=limits), found).outcome
    far = BiasDirection.TOO_HIGH if rule is BELOW else BiasDirection.TOO_LOW
    if astray is not far or worst is None:
        assert outcome is not Outcome.PASSED
    else:
        beyond = (max(worst, high) <= at) if rule is BELOW else (min(worst, low) >= at)
        assert (outcome is Outcome.PASSED) is beyond


@given(st.lists(NUMBERS, min_size=3, max_size=3).map(sorted), NUMBERS, st.sampled_from(SIDES))
def test_a_worst_case_changes_no_failure(
    span: list[float], worst: float, astray: BiasDirection
) -> None:
    low, value, high = span
    plain = measured(value, low, high, doubted=True, astray=astray)
    for rule in (BELOW, ABOVE):
        with_worst = judge_one(rule, replace(plain, worst_case=worst)).outcome
        without = judge_one(rule, plain).outcome
        assert with_worst is without or (with_worst, without) == (Outcome.PASSED, Outcome.UNKNOWN)


def test_a_worst_case_passes_no_condition_and_no_bound_that_faces_the_other_way() -> None:
    slow = measured(0.1, 0.1, 0.2, doubted=True, astray=BiasDirection.TOO_HIGH, worst_case=0.2)
    asked = replace(RULE, limits=None, require="reading.value < 0.5")
    assert judge_one(asked, slow).outcome is Outcome.UNKNOWN
    bound = replace(slow, bound=BoundKind.AT_LEAST)
    assert judge_one(BELOW, bound).outcome is Outcome.UNKNOWN
    accepting = replace(BELOW, accept_withstood=True)
    assert judge_one(accepting, bound).outcome is Outcome.UNKNOWN


def test_no_reading_is_unknown() -> None:
    finding = judge_one(RULE, measured(0.9, 0.85, 0.95, metric="auc"))
    assert finding.outcome is Outcome.UNKNOWN
    assert "Found: nothing. No check reported quality.accuracy/accuracy." in finding.message
    assert finding.readings == ()


def test_a_gap_is_the_reading_where_nothing_else_matches_and_says_its_cure() -> None:
    finding = judge_one(RULE, replace(GAP, check="quality.calibration"), GAP)
    assert finding.outcome is Outcome.UNKNOWN
    assert finding.readings == (1,)
    assert finding.would_decide == {"needs": "Name the label column"}
    assert "Not measured: The evaluation data has no labels." in finding.message


def test_a_gap_of_the_rules_own_metric_keeps_it_from_passing_on_the_rest() -> None:
    race = replace(GAP, metric="accuracy", params={"group_column": "race"})
    passing = measured(0.9, 0.85, 0.95, params={"group_column": "sex"})
    held = judge_one(RULE, passing, race)
    assert (held.outcome, held.readings) == (Outcome.UNKNOWN, (1, 0))
    assert held.would_decide == {"needs": "Name the label column"}
    failing = measured(0.5, 0.4, 0.6, params={"group_column": "sex"})
    assert judge_one(RULE, failing, race).outcome is Outcome.FAILED
    elsewhere = replace(RULE, where={"group_column": "sex"})
    assert judge_one(elsewhere, passing, race).outcome is Outcome.PASSED
    assert judge_one(RULE, passing, replace(race, metric="auc")).outcome is Outcome.PASSED
    assert judge_one(replace(RULE, where={"group_column": "race"}), passing, race).readings == (1,)


def test_of_several_readings_the_worst_decides_and_stands_first() -> None:
    groups = [("a", 0.95), ("b", 0.85), ("c", 0.9)]
    readings = [measured(v, v - 0.02, v + 0.02, params={"group": name}) for name, v in groups]
    passed = judge_one(RULE, *readings)
    assert (passed.outcome, passed.readings) == (Outcome.PASSED, (1, 0, 2))
    assert "at group b" in passed.message
    assert "Of 3 readings, its interval is the least favourable." in passed.message
    worse = measured(0.7, 0.65, 0.75, params={"group": "d"})
    failed = judge_one(RULE, *readings, worse)
    assert (failed.outcome, failed.readings) == (Outcome.FAILED, (3, 0, 1, 2))


def test_of_undecided_readings_one_beyond_the_limit_leads_whatever_the_others_intervals() -> None:
    """More rows that leave all figures where they are would let the rule fail, not pass."""
    rule = replace(RULE, limits=MetricLimits(most=0.1))
    within = measured(0.08, 0.0, 0.25, params={"group_column": "age"})
    beyond = measured(0.105, 0.03, 0.18, params={"group_column": "sex"})
    found = judge_one(rule, within, beyond)
    assert (found.outcome, found.readings) == (Outcome.UNKNOWN, (1, 0))
    assert "Of 2 readings, this is the least favourable." in found.message
    assert "the rule would then fail." in found.message
    assert judge_one(rule, within, within).message.endswith("the rule would then pass.")


def test_where_selects_by_parameter_slice_and_target() -> None:
    readings = [
        measured(0.9, 0.85, 0.95, params={"eps": 0.1}),
        measured(0.5, 0.4, 0.6, params={"eps": 0.2}),
        measured(0.3, 0.2, 0.4, slice={"age": "old"}),
    ]
    assert judge_one(replace(RULE, where={"eps": 0.1 + 1e-15}), *readings).readings == (0,)
    assert judge_one(replace(RULE, where={"eps": 0.2}), *readings).readings == (1,)
    assert judge_one(replace(RULE, where={"age": "old"}), *readings).readings == (2,)
    assert judge_one(replace(RULE, where={"eps": 0.3}), *readings).readings == ()
    assert set(judge_one(replace(RULE, where={"target": "cpu"}), *readings).readings) == {0, 1, 2}


def test_a_one_is_not_a_yes() -> None:
    reading = measured(0.9, 0.85, 0.95, params={"clipped": True})
    assert judge_one(replace(RULE, where={"clipped": 1}), reading).readings == ()


def test_a_rule_for_one_target_is_not_asked_of_the_others_but_never_lost() -> None:
    rule = replace(RULE, where={"target": "cpu"})
    policy = replace(POLICY, rules=(rule,))
    reading = measured(0.9, 0.85, 0.95)
    both = judge_readings(policy, lambda _: [reading], replace(CONTEXT, targets=("cpu", "gpu")))
    assert [item.outcome for item in both] == [Outcome.PASSED, Outcome.NOT_APPLICABLE]
    elsewhere = judge_readings(policy, lambda _: [], replace(CONTEXT, targets=("gpu",)))
    assert [item.outcome for item in elsewhere] == [Outcome.UNKNOWN]


@pytest.mark.parametrize(
    ("value", "identity", "outcome"),
    [
        (True, "release@example.org", Outcome.PASSED),
        (True, "stranger@example.org", Outcome.FAILED),
        (False, None, Outcome.FAILED),
        (True, None, Outcome.UNKNOWN),
    ],
)
def test_a_required_condition_passes_fails_or_has_no_answer(
    value: bool,  # noqa: FBT001 -- the reading's value
    identity: str | None,
    outcome: Outcome,
) -> None:
    rule = replace(
        RULE, limits=None, require="reading.value && reading.details.identity in params.trusted"
    )
    policy = replace(POLICY, params={"trusted": ["release@example.org"]})
    details = {} if identity is None else {"identity": identity}
    finding = judge_one(rule, measured(value, details=details), policy=policy)
    assert finding.outcome is outcome
    assert finding.limits == f"`{rule.require}`"
    assert finding.message.startswith(f"Required: The model is accurate (`{rule.require}`).")


def test_a_condition_on_a_bound_that_faces_one_way_never_passes_outright() -> None:
    rule = replace(RULE, limits=None, require="reading.high >= 0.8")
    reading = measured(0.9, 0.85, 0.95, bound=AT_MOST)
    assert judge_one(rule, reading).outcome is Outcome.UNKNOWN
    assert judge_one(replace(rule, accept_withstood=True), reading).outcome is Outcome.WITHSTOOD


def test_when_is_false_the_rule_does_not_apply_and_when_unanswered_it_is_unknown() -> None:
    people = replace(RULE, when='model.tags.exists(t, t == "people")')
    reading = measured(0.5, 0.4, 0.6)
    assert judge_one(people, reading).outcome is Outcome.NOT_APPLICABLE
    assert judge_one(people, reading, tags=("people",)).outcome is Outcome.FAILED
    claimed = replace(RULE, when="claims.accuracy > 0.9")
    assert judge_one(claimed, reading).outcome is Outcome.UNKNOWN


def test_a_policy_for_other_models_applies_to_none_of_its_rules() -> None:
    policy = replace(POLICY, applies_to='model.name == "other"')
    finding = judge_one(RULE, measured(0.5, 0.4, 0.6), policy=policy)
    assert finding.outcome is Outcome.NOT_APPLICABLE
    assert Verdict.of([finding.outcome]) is Verdict.INCONCLUSIVE


def test_a_smaller_budget_or_assurance_than_asked_leaves_the_audit_inconclusive() -> None:
    policy = replace(POLICY, least_budget=Budget.FULL, least_assurance=AssuranceLevel.A1)
    findings = judge_readings(policy, lambda _: [measured(0.9, 0.85, 0.95)], CONTEXT)
    assert [item.rule for item in findings] == [
        "policy.least_budget",
        "policy.least_assurance",
        "accurate",
    ]
    assert [item.outcome for item in findings] == [
        Outcome.UNKNOWN,
        Outcome.UNKNOWN,
        Outcome.PASSED,
    ]
    assert Verdict.of(item.outcome for item in findings) is Verdict.INCONCLUSIVE
    assert findings[0].effect is RuleEffect.DENY
    assert "Required: budget full or more. Found: budget ci." in findings[0].message


@pytest.mark.parametrize(
    ("least", "level", "kept"),
    [
        (MinimumEvidence.NATIVE, EvidenceLevel.VERIFIED, True),
        (MinimumEvidence.NATIVE, EvidenceLevel.MEASURED, True),
        (MinimumEvidence.NATIVE, EvidenceLevel.SIMULATED, False),
        (MinimumEvidence.NATIVE, EvidenceLevel.EMULATED, False),
        (MinimumEvidence.NATIVE, None, True),  # a record that is older than levels
        (MinimumEvidence.VERIFIED, EvidenceLevel.VERIFIED, True),
        (MinimumEvidence.VERIFIED, EvidenceLevel.MEASURED, False),
        (MinimumEvidence.VERIFIED, None, False),  # nothing was opened
        (MinimumEvidence.ANY, EvidenceLevel.SIMULATED, True),
        (MinimumEvidence.ANY, EvidenceLevel.EMULATED, True),
    ],
)
def test_figures_that_do_not_speak_of_the_target_as_asked_leave_the_audit_inconclusive(
    least: MinimumEvidence,
    level: EvidenceLevel | None,
    kept: bool,  # noqa: FBT001 -- pytest's
) -> None:
    policy = replace(POLICY, least_evidence=least)
    told = {} if level is None else dict.fromkeys(CONTEXT.targets, level)
    context = replace(CONTEXT, under=MeasurementConditions(evidence=told))
    findings = judge_readings(policy, lambda _: [measured(0.9, 0.85, 0.95)], context)
    asked = ["accurate"] if kept else ["policy.least_evidence", "accurate"]
    assert [item.rule for item in findings] == asked
    verdict = Verdict.PASS if kept else Verdict.INCONCLUSIVE
    assert Verdict.of(item.outcome for item in findings) is verdict
    assert all(item.effect is RuleEffect.DENY for item in findings)


@pytest.mark.parametrize(
    ("least", "level", "kept"),
    [
        (None, None, True),
        (IsolationLevel.LIMITS, "limits", True),
        (IsolationLevel.LIMITS, None, False),  # a record that does not tell
        (IsolationLevel.LIMITS, "magic", False),
        (IsolationLevel.LANDLOCK, "bubblewrap", True),
        (IsolationLevel.LANDLOCK, "landlock", True),
        (IsolationLevel.LANDLOCK, "namespaces", False),
        (IsolationLevel.BUBBLEWRAP, "landlock", False),
        (IsolationLevel.BUBBLEWRAP, "remote", True),  # no file was opened here
    ],
)
def test_models_that_were_isolated_less_than_asked_leave_the_audit_inconclusive(
    least: IsolationLevel | None,
    level: str | None,
    kept: bool,  # noqa: FBT001 -- pytest's
) -> None:
    policy = replace(POLICY, least_isolation=least)
    told = {} if level is None else dict.fromkeys(CONTEXT.targets, level)
    context = replace(CONTEXT, under=MeasurementConditions(isolation=told))
    findings = judge_readings(policy, lambda _: [measured(0.9, 0.85, 0.95)], context)
    asked = ["accurate"] if kept else ["policy.least_isolation", "accurate"]
    assert [item.rule for item in findings] == asked
    verdict = Verdict.PASS if kept else Verdict.INCONCLUSIVE
    assert Verdict.of(item.outcome for item in findings) is verdict
    assert kept or "--require-isolation" in findings[0].remediation


def test_a_finding_is_told_in_words_and_with_the_figures() -> None:
    finding = judge_one(RULE, measured(0.853, 0.8154, 0.8861, unit=Unit.SHARE))
    assert finding.message == (
        "Required: accuracy of at least 80 %. Found: 85.3 % (95 % interval 81.5\u201388.6 %, "
        "n = 450). The requirement is met."
    )
    assert finding.limits == "at least 0.8"


@pytest.mark.parametrize(
    ("check", "metric", "said"),
    [
        ("fairness.groups", "tpr_gap", "largest gap in true positive rate"),
        ("privacy.membership", "auc", "AUC of the membership attack"),
        ("quality.accuracy", "brier", "Brier score"),
        ("acme.tests", "own_metric", "own metric"),
    ],
)
def test_a_finding_names_its_metric_by_its_title(check: str, metric: str, said: str) -> None:
    rule = replace(RULE, check=check, metric=metric)
    assert describe_rule(rule) == f"Required: {said} of at least 0.8."


def test_a_figure_is_never_rounded_across_its_limit() -> None:
    finding = judge_one(RULE, measured(0.78, 0.77, 0.7999999, unit=Unit.SHARE))
    assert finding.outcome is Outcome.FAILED
    assert "77\u201379.99999 %" in finding.message


def test_a_figure_is_rounded_across_neither_end_of_a_range() -> None:
    rule = replace(RULE, limits=MetricLimits(0.5, 0.8))
    finding = judge_one(rule, measured(0.80000001, 0.8000000001, 0.81))
    assert finding.outcome is Outcome.FAILED
    assert "between 0.5 and 0.8. Found: 0.80000001 (95 % interval 0.8000000001\u20130.81" in (
        finding.message
    )


@pytest.mark.parametrize(
    ("limit", "unit", "said"),
    [
        (0.8325, Unit.SHARE, "of at least 83.25 %"),
        (0.9995, Unit.SHARE, "of at least 99.95 %"),
        (0.999, Unit.SHARE, "of at least 99.9 %"),
        (1000.0, Unit.PER_SECOND, "of at least 1000 per second"),
        (5_242_880.0, Unit.BYTE, "of at least 5,242,880 bytes"),
        (1.0, Unit.SECOND, "of at least 1000 ms"),
        (0.00002, Unit.NONE, "of at least 2e-05"),
    ],
)
def test_a_limit_is_written_with_every_digit_that_it_has(
    limit: float, unit: Unit, said: str
) -> None:
    rule = replace(RULE, limits=MetricLimits(least=limit))
    message = judge_one(rule, measured(limit * 2, limit * 1.5, limit * 3, unit=unit)).message
    assert f"{said}. Found: " in message
    assert "e+" not in message


@pytest.mark.parametrize(
    ("value", "said"),
    [(1234.0, "1234 ("), (1500.0, "1500 ("), (9994.4, "9994 ("), (0.00123, "0.00123 (")],
)
def test_whole_numbers_are_written_whole(value: float, said: str) -> None:
    rule = replace(RULE, limits=None, require="reading.n > 1000.0")
    assert f"Found: {said}" in judge_one(rule, measured(value, value / 2, value * 2)).message


def test_the_worst_of_several_without_an_interval_is_told_without_one() -> None:
    rule = replace(RULE, limits=None, require="reading.value == true")
    exact = measured(1.0, 1.0, 1.0)
    answers = [replace(exact, value=it, low=None, high=None) for it in (True, False)]
    message = judge_one(rule, *answers).message
    assert "Found: no. Of 2 readings, this is the least favourable." in message


def test_a_bound_that_faces_the_wrong_way_is_told_as_such() -> None:
    rule = replace(RULE, limits=MetricLimits(most=0.8))
    finding = judge_one(rule, measured(0.9, 0.85, 0.95, bound=AT_MOST))
    assert finding.outcome is Outcome.UNKNOWN
    assert "cannot show that a limit is broken" in finding.message
    assert "includes the limit" in judge_one(rule, measured(0.79, 0.7, 0.95)).message


def test_a_figure_without_a_limit_is_told_in_few_digits() -> None:
    rule = replace(RULE, limits=None, require="reading.n > 1000.0")
    assert "Found: 0.333 (" in judge_one(rule, measured(1 / 3, 0.3, 0.4)).message


def test_an_attack_is_told_as_a_bound() -> None:
    rule = replace(RULE, accept_withstood=True, where={"eps": 0.02})
    reading = measured(0.9, 0.85, 0.95, bound=AT_MOST, params={"eps": 0.02, "norm": "linf"})
    message = judge_one(rule, reading).message
    assert "Required: accuracy at eps 0.02 of at least 0.8." in message
    assert "at norm linf. This is an upper bound: a stronger search may find less." in message
    assert "That is no proof, and the policy accepts it." in message


def test_a_large_figure_is_told_to_the_digit_that_keeps_it_off_its_limit() -> None:
    rule = replace(RULE, limits=MetricLimits(most=12_000))
    finding = judge_one(rule, measured(12_000.2, 12_000.1, 12_001.0, unit=Unit.BYTE))
    assert "12,000.2 bytes (95 % interval 12,000.1\u201312,001 bytes" in finding.message


def test_bounds_of_arithmetic_are_told_without_confidence_or_sample() -> None:
    worked_out = measured(2.0, 1.99, 2.0, confidence=None, n=0)
    assert "Found: 2 (bounds 1.99\u20132)." in judge_one(RULE, worked_out).message


@pytest.mark.parametrize(
    ("require", "said"),
    [
        ('reading.value != "shown"', "(anything but “shown”)"),
        ("reading.value", "(yes)"),
        ('reading.value != "a" || true', '(`reading.value != "a" || true`)'),
    ],
)
def test_a_condition_is_told_in_words_where_it_asks_for_one(require: str, said: str) -> None:
    rule = replace(RULE, limits=None, require=require)
    assert judge_one(rule, measured("shown")).message.startswith(f"Required: {RULE.title} {said}.")
