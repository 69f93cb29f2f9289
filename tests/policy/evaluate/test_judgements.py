"""What is told of a rule on a target: outcome, reason, readings, and what would decide."""

import json
from dataclasses import replace
from typing import Any

import pytest
from judging_cases import CONTEXT, GAP, POLICY, RULE, judge_one, measured

from auditor.domain.baselines import Baseline
from auditor.domain.budgets import Budget
from auditor.domain.findings import Outcome
from auditor.domain.json import compute_digest, encode_canonical
from auditor.domain.policies import AnchoredLimits, LimitAnchor, MetricLimits, Rule
from auditor.domain.readings import (
    BiasDirection,
    BoundKind,
    Gap,
    GapReason,
    Measurement,
    Unit,
    read_reading,
)
from auditor.policy.evaluate.engine import judge_readings

GOOD, BAD, OPEN = measured(0.9, 0.85, 0.95), measured(0.5, 0.4, 0.6), measured(0.8, 0.7, 0.9)
ACCURATE = "Required: accuracy of at least 0.8."


@pytest.mark.parametrize("text", ["applies_to", "when"])
def test_a_policy_or_rule_that_may_not_apply_says_what_is_missing(text: str) -> None:
    what = {"applies_to": "policy", "when": "rule"}[text]

    def told(condition: str, **context: Any) -> tuple[Outcome, str, Any]:  # noqa: ANN401 -- any field
        rule = replace(RULE, when=condition) if text == "when" else RULE
        policy = replace(POLICY, applies_to=condition) if text == "applies_to" else POLICY
        finding = judge_one(rule, GOOD, policy=policy, **context)
        return finding.outcome, finding.message, finding.would_decide

    assert told("claims.area > 1.0", claims={"area": 2}) == (
        Outcome.PASSED,
        judge_one(RULE, GOOD).message,
        None,
    )
    assert told("claims.area > 1.0", claims={"area": 1}) == (
        Outcome.NOT_APPLICABLE,
        f"The {what} does not apply to this model or its data. Condition: `claims.area > 1.0`.",
        None,
    )
    outcome, message, needed = told("claims.area > 1.0")
    assert outcome is Outcome.UNKNOWN
    assert message.startswith(f"Whether the {what} applies is unknown: ")
    assert needed["needs"]


def test_a_policy_is_asked_before_its_rules() -> None:
    rule = replace(RULE, when="claims.area > 1.0")
    finding = judge_one(rule, GOOD, policy=replace(POLICY, applies_to="served"))
    assert finding.outcome is Outcome.NOT_APPLICABLE
    served = judge_one(replace(RULE, when="served"), GOOD, served=frozenset({"cpu"}))
    assert served.outcome is Outcome.PASSED


def test_a_claim_that_is_not_made_is_named_as_it_is_written() -> None:
    ends = AnchoredLimits(LimitAnchor("floor"), LimitAnchor("ceiling"))
    rule = replace(RULE, limits=None, anchored=ends)
    for claims, missing in (({}, "floor"), ({"floor": 0.5}, "ceiling")):
        finding = judge_one(rule, GOOD, claims=claims)
        assert finding.outcome is Outcome.UNKNOWN
        assert finding.message == (
            "Required: accuracy within claims.floor and claims.ceiling. The audit file claims no "
            f"{missing}, so there is no limit."
        )
        assert finding.would_decide == {
            "needs": f"a claim {missing} that is a number, under claims in the audit file"
        }
    assert judge_one(rule, GOOD, claims={"floor": 0.5, "ceiling": 1}).outcome is Outcome.PASSED


def test_a_rule_of_one_target_says_which() -> None:
    policy = replace(POLICY, rules=(replace(RULE, where={"target": "gpu"}),))
    context = replace(CONTEXT, targets=("cpu", "gpu"))
    on_cpu, on_gpu = judge_readings(policy, lambda _: [replace(GOOD, target="gpu")], context)
    assert (on_cpu.outcome, on_cpu.message) == (
        Outcome.NOT_APPLICABLE,
        "The rule applies to gpu only.",
    )
    assert on_gpu.outcome is Outcome.PASSED


def test_silence_says_which_reading_there_should_be() -> None:
    finding = judge_one(RULE)
    assert (finding.outcome, finding.readings) == (Outcome.UNKNOWN, ())
    assert finding.message == (
        f"{ACCURATE} Found: nothing. No check reported quality.accuracy/accuracy."
    )
    assert finding.would_decide == {"needs": "a reading of quality.accuracy/accuracy"}


OF_METRIC = Gap(
    reason=GapReason.TOO_FEW_ROWS,
    detail="Only 3 rows are left.",
    cure="Give more rows.",
    target="cpu",
    check="quality.accuracy",
    metric="accuracy",
)
LABELS = "Not measured: The evaluation data has no labels. Name the label column."
FEW = "Not measured: Only 3 rows are left. Give more rows."


@pytest.mark.parametrize(
    ("gaps", "told", "readings", "cure"),
    [
        ((GAP,), LABELS, (0,), "Name the label column"),
        ((OF_METRIC,), FEW, (0,), "Give more rows"),
        ((GAP, OF_METRIC), FEW, (1,), "Give more rows"),  # of the metric itself, more is known
        ((OF_METRIC, replace(OF_METRIC, cure="Wait.")), FEW, (0, 1), "Give more rows"),
        ((GAP, replace(GAP, cure="Wait.")), LABELS, (0, 1), "Name the label column"),
    ],
)
def test_a_gap_says_why_and_what_helps(
    gaps: tuple[Gap, ...], told: str, readings: tuple[int, ...], cure: str
) -> None:
    finding = judge_one(RULE, *gaps)
    assert (finding.outcome, finding.readings) == (Outcome.UNKNOWN, readings)
    assert finding.message == f"{ACCURATE} {told}"
    assert finding.would_decide == {"needs": cure}


@pytest.mark.parametrize(
    ("reading", "outcome", "readings"),
    [
        (GOOD, Outcome.UNKNOWN, (0, 2, 1)),
        (BAD, Outcome.FAILED, (1, 0, 2)),
        (OPEN, Outcome.UNKNOWN, (1, 0, 2)),
    ],
)
def test_what_is_missing_beside_a_reading_holds_back_nothing_but_a_pass(
    reading: Measurement, outcome: Outcome, readings: tuple[int, ...]
) -> None:
    rule = replace(RULE, accept_withstood=True)
    alone = judge_one(rule, reading)
    held = judge_one(rule, OF_METRIC, reading, replace(OF_METRIC, cure="Wait."))
    assert (held.outcome, held.readings) == (outcome, readings)
    assert held.message == f"{alone.message} {FEW}"
    passes = alone.outcome is Outcome.PASSED
    assert held.would_decide == ({"needs": "Give more rows"} if passes else alone.would_decide)
    withstood = judge_one(rule, replace(GOOD, bound=BoundKind.AT_MOST), OF_METRIC)
    assert (withstood.outcome, withstood.readings) == (Outcome.UNKNOWN, (1, 0))


def test_a_gap_of_the_whole_check_beside_its_readings_holds_back_nothing() -> None:
    assert judge_one(RULE, GOOD, GAP).outcome is Outcome.PASSED


RANGE = replace(RULE, limits=MetricLimits(0.2, 0.8), accept_withstood=True)
FAILED = measured(0.15, 0.1, 0.19)
ASTRAY = measured(0.95, 0.9, 1.0, doubted=True, astray=BiasDirection.TOO_HIGH)
DOUBTED = measured(0.5, 0.45, 0.55, doubted=True)
WITHSTOOD = measured(0.5, 0.4, 0.6, bound=BoundKind.AT_MOST)
NARROW = measured(0.5, 0.45, 0.55, bound=BoundKind.AT_MOST)
PASSED = measured(0.3, 0.21, 0.4)


@pytest.mark.parametrize(
    ("readings", "worst", "outcome"),
    [
        ((ASTRAY, FAILED), 1, Outcome.FAILED),  # however far the other one lies outside
        ((FAILED, ASTRAY), 0, Outcome.FAILED),
        ((WITHSTOOD, DOUBTED), 1, Outcome.UNKNOWN),
        ((PASSED, WITHSTOOD), 1, Outcome.WITHSTOOD),
        ((WITHSTOOD, PASSED), 0, Outcome.WITHSTOOD),
        ((NARROW, WITHSTOOD), 1, Outcome.WITHSTOOD),
        ((WITHSTOOD, NARROW), 0, Outcome.WITHSTOOD),
        ((PASSED, PASSED), 0, Outcome.PASSED),
        ((WITHSTOOD, PASSED, DOUBTED, FAILED, ASTRAY), 3, Outcome.FAILED),
    ],
)
def test_the_worst_outcome_decides_and_of_equal_ones_the_worst_figure(
    readings: tuple[Measurement, ...], worst: int, outcome: Outcome
) -> None:
    finding = judge_one(RANGE, *readings)
    assert finding.outcome is outcome
    others = [at for at in range(len(readings)) if at != worst]
    assert finding.readings == (worst, *others)
    assert f"Of {len(readings)} readings, its interval is the least favourable." in finding.message


def test_one_reading_is_not_called_the_worst() -> None:
    assert "worst" not in judge_one(RANGE, PASSED).message


CONDITION = replace(RULE, limits=None, require="reading.details.size < params.most")
SIZES = replace(POLICY, params={"most": 10})


def sized(size: float | None, **changes: Any) -> Measurement:  # noqa: ANN401 -- any field of a measurement
    return replace(measured(1, details={} if size is None else {"size": size}), **changes)


def test_a_condition_that_one_reading_breaks_is_broken_whatever_another_answers() -> None:
    finding = judge_one(CONDITION, sized(9), sized(None), sized(10), policy=SIZES)
    assert (finding.outcome, finding.readings) == (Outcome.FAILED, (2, 0, 1))
    assert finding.message.endswith("The requirement is not met.")
    assert finding.would_decide is None


def test_a_condition_is_asked_alike_of_a_reading_just_measured_and_read_from_a_record() -> None:
    made = sized(9, evidence=(compute_digest(b"rows"),))
    read = read_reading(json.loads(encode_canonical(made.to_json())), "the reading")
    outcomes = [judge_one(CONDITION, it, policy=SIZES).outcome for it in (made, read)]
    assert outcomes == [Outcome.PASSED, Outcome.PASSED]


def test_a_condition_without_an_answer_says_why() -> None:
    finding = judge_one(CONDITION, sized(9), sized(None), policy=SIZES)
    assert (finding.outcome, finding.readings) == (Outcome.UNKNOWN, (1, 0))
    assert "The condition has no answer: " in finding.message
    assert finding.would_decide == {"needs": "a reading that the condition can be asked of"}


@pytest.mark.parametrize(
    ("bound", "accepts", "outcome", "needed"),
    [
        (BoundKind.ESTIMATE, False, Outcome.PASSED, None),
        (BoundKind.AT_LEAST, True, Outcome.WITHSTOOD, None),
        (BoundKind.AT_MOST, False, Outcome.UNKNOWN, {
            "needs": "a proof such as a certificate, or a policy that accepts withstood"
        }),
    ],
)  # fmt: skip
def test_a_condition_is_proven_by_an_estimate_alone(
    *, bound: BoundKind, accepts: bool, outcome: Outcome, needed: dict[str, str] | None
) -> None:
    rule = replace(CONDITION, accept_withstood=accepts)
    finding = judge_one(rule, sized(9, bound=bound), policy=SIZES)
    assert (finding.outcome, finding.would_decide) == (outcome, needed)


def test_a_condition_sees_all_readings_and_what_is_known_of_the_target() -> None:
    rule = replace(RULE, limits=None, require='readings.size() == 2 && target == "cpu"')
    assert judge_one(rule, GOOD, BAD).outcome is Outcome.PASSED
    assert judge_one(rule, GOOD).outcome is Outcome.FAILED


def needed(rule: Rule, reading: Measurement, **context: Any) -> Any:  # noqa: ANN401 -- JSON
    return judge_one(rule, reading, **context).would_decide


def test_what_would_decide_is_told_for_the_limit_that_is_open() -> None:
    wide = measured(0.81, 0.77, 0.85, n=100)
    assert needed(RULE, wide) == {"rows": 1600}
    assert (
        "About 1,600 rows like the 100 measured here would decide whether the limit is kept, "
        "if the figure stays the same; the rule would then pass." in judge_one(RULE, wide).message
    )
    below = judge_one(RULE, measured(0.79, 0.75, 0.83, n=100))
    assert below.outcome is Outcome.UNKNOWN
    assert below.message.endswith("if the figure stays the same; the rule would then fail.")
    then = measured(0.82, 0.81, 0.83)
    baseline = Baseline(
        name="model", version="0.9", digest="sha256:1", budget=Budget.CI, readings=(then,)
    )
    rule = replace(RULE, limits=None, anchored=AnchoredLimits(least=LimitAnchor(None, -0.03)))
    assert needed(rule, wide, baseline=baseline) == {"rows": 1600}
    assert needed(RULE, GOOD) is None
    assert needed(RULE, BAD) is None
    assert needed(RULE, measured("high")) == {"needs": "a figure that is a number"}


def test_a_place_is_told_in_what_is_asked_there() -> None:
    rule = replace(RULE, for_each=("group",), where={"eps": 0.1})
    finding = judge_one(rule, replace(GOOD, params={"eps": 0.1, "group": "b"}, unit=Unit.SHARE))
    assert finding.message.startswith(
        "Required: accuracy at eps 0.1, group b of at least 80 %. Found"
    )
    missing = judge_one(rule, replace(OF_METRIC, params={"eps": 0.1, "group": "b"}))
    assert missing.message == f"Required: accuracy at eps 0.1, group b of at least 0.8. {FEW}"
    assert missing.slice == {"group": "b"}
