"""What a rule makes of a check's readings."""

from collections.abc import Mapping
from dataclasses import replace

from judging_cases import CONTEXT, POLICY

from auditor.domain.checks import Check
from auditor.domain.findings import Outcome
from auditor.domain.policies import MetricLimits, Rule, RuleEffect, Severity
from auditor.domain.readings import Reading, Scalar
from auditor.policy.evaluate.engine import judge_readings

TARGET = "cpu"


def outcome(
    check: type[Check],
    readings: tuple[Reading, ...],
    metric: str,
    limits: MetricLimits | None = None,
    where: Mapping[str, Scalar] | None = None,
    *,
    require: str | None = None,
) -> Outcome:
    """Judge one metric of a check, as a policy of one rule does."""
    rule = Rule(
        id="asked",
        title="What is asked",
        severity=Severity.HIGH,
        effect=RuleEffect.DENY,
        check=check.id,
        metric=metric,
        where=where or {},
        limits=limits,
        require=require,
    )
    placed = [replace(reading, target=TARGET, check=check.id) for reading in readings]
    (finding,) = judge_readings(replace(POLICY, rules=(rule,)), lambda _: placed, CONTEXT)
    return finding.outcome
