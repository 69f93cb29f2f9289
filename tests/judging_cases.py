"""Policies, readings and contexts to judge with."""

from dataclasses import replace
from typing import Any

from auditor.domain.budgets import Budget
from auditor.domain.findings import Finding
from auditor.domain.policies import AssuranceLevel, MetricLimits, Policy, Rule, RuleEffect, Severity
from auditor.domain.readings import BoundKind, Gap, GapReason, Measurement, Reading
from auditor.policy.evaluate.context import JudgingContext
from auditor.policy.evaluate.engine import judge_readings

RULE = Rule(
    id="accurate",
    title="The model is accurate",
    severity=Severity.HIGH,
    effect=RuleEffect.DENY,
    check="quality.accuracy",
    metric="accuracy",
    limits=MetricLimits(least=0.8),
)
POLICY = Policy(
    name="tests",
    version="1.0.0",
    owner="tests@example.org",
    digest="sha256:0",
    document={},
    source="tests.yaml",
    rules=(RULE,),
)
CONTEXT = JudgingContext(
    confidence=0.95,
    targets=("cpu",),
    name="model",
    version="1.0.0",
    budget=Budget.CI,
    assurance=AssuranceLevel.A0,
)
GAP = Gap(
    reason=GapReason.NEEDS_LABELS,
    detail="The evaluation data has no labels.",
    cure="Name the label column.",
    target="cpu",
    check="quality.accuracy",
)


def measured(
    value: Any,  # noqa: ANN401 -- a number, a yes or no, a text, or nothing
    low: float | None = None,
    high: float | None = None,
    **changes: Any,  # noqa: ANN401 -- any field of a measurement
) -> Measurement:
    """Return a reading of the accuracy on the target ``cpu``, changed where asked."""
    reading = Measurement(
        metric="accuracy",
        value=value,
        low=low,
        high=high,
        confidence=None if low is None else 0.95,
        bound=BoundKind.ESTIMATE,
        method="clopper-pearson",
        n=450,
        target="cpu",
        check="quality.accuracy",
        version=1,
    )
    return replace(reading, **changes)


def judge_one(rule: Rule, *readings: Reading, policy: Policy = POLICY, **context: Any) -> Finding:  # noqa: ANN401 -- any field of a context
    """Return the one finding of a policy of one rule on one target."""
    policy = replace(policy, rules=(rule,))
    (finding,) = judge_readings(policy, lambda _: readings, replace(CONTEXT, **context))
    return finding
