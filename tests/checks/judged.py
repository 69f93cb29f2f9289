"""What a rule makes of a check's readings."""

from collections.abc import Mapping
from dataclasses import replace

from auditor.domain.budgets import Budget
from auditor.domain.checks import Check
from auditor.domain.policies import Assurance, Effect, Limits, Policy, Rule, Severity
from auditor.domain.readings import Reading, Scalar
from auditor.domain.verdicts import Outcome
from auditor.judging.context import JudgingContext
from auditor.judging.judge import judge

TARGET = "cpu"


def outcome(
    check: type[Check],
    readings: tuple[Reading, ...],
    metric: str,
    limits: Limits,
    where: Mapping[str, Scalar] | None = None,
) -> Outcome:
    """Judge one metric of a check, as a policy of one rule does."""
    rule = Rule(
        id="asked",
        title="What is asked",
        severity=Severity.HIGH,
        effect=Effect.DENY,
        check=check.id,
        metric=metric,
        where=where or {},
        limits=limits,
    )
    policy = Policy(
        name="tests",
        version="1.0.0",
        owner="tests@example.org",
        digest="sha256:0",
        document={},
        source="tests.yaml",
        rules=(rule,),
    )
    context = JudgingContext(
        confidence=0.95,
        targets=(TARGET,),
        name="model",
        version="1.0.0",
        budget=Budget.CI,
        assurance=Assurance.A0,
    )
    placed = [replace(reading, target=TARGET, check=check.id) for reading in readings]
    (finding,) = judge(policy, lambda _: placed, context)
    return finding.outcome
