"""What a policy asks of the audit itself: told for each target, before all rules."""

from dataclasses import replace
from typing import Any

import pytest
from judging_cases import CONTEXT, POLICY, measured

from auditor.domain.baselines import MeasurementConditions
from auditor.domain.budgets import Budget
from auditor.domain.findings import Finding, Outcome
from auditor.domain.isolation import IsolationLevel
from auditor.domain.policies import AssuranceLevel, MinimumEvidence, RuleEffect, Severity
from auditor.domain.targets import EvidenceLevel
from auditor.policy.evaluate.engine import REMEDIES, judge_readings

TARGETS = ("cpu", "gpu")


def unmet(context: dict[str, Any], **asked: Any) -> list[Finding]:  # noqa: ANN401 -- any field of a policy
    """Return the findings before those of the rule, which passes."""
    readings = [measured(0.9, 0.85, 0.95, target=target) for target in TARGETS]
    found = judge_readings(
        replace(POLICY, **asked),
        lambda _: readings,
        replace(CONTEXT, targets=TARGETS, **context),
    )
    assert [(item.rule, item.outcome) for item in found[-2:]] == [("accurate", Outcome.PASSED)] * 2
    return list(found[:-2])


@pytest.mark.parametrize(
    ("asked", "context", "what", "least", "given", "targets"),
    [
        ({"least_budget": Budget.CI}, {"budget": Budget.CI}, "budget", "ci", "ci", ()),
        ({"least_budget": Budget.SMOKE}, {"budget": Budget.CI}, "budget", "smoke", "ci", ()),
        ({"least_budget": Budget.FULL}, {"budget": Budget.CI}, "budget", "full", "ci", TARGETS),
        ({"least_assurance": AssuranceLevel.A1}, {"assurance": AssuranceLevel.A2}, "", "", "", ()),
        ({"least_assurance": AssuranceLevel.A1}, {"assurance": AssuranceLevel.A1}, "", "", "", ()),
        ({"least_assurance": AssuranceLevel.A2}, {"assurance": AssuranceLevel.A1},
         "assurance", "A2", "A1", TARGETS),
        ({}, {"under": MeasurementConditions(evidence={"gpu": EvidenceLevel.SIMULATED})},
         "evidence", "native", "simulated", ("gpu",)),
        ({"least_evidence": MinimumEvidence.VERIFIED},
         {"under": MeasurementConditions(evidence={"cpu": EvidenceLevel.VERIFIED})},
         "evidence", "verified", "none", ("gpu",)),
        ({"least_isolation": IsolationLevel.LANDLOCK},
         {"under": MeasurementConditions(isolation={"cpu": "landlock", "gpu": "limits"})},
         "isolation", "landlock", "limits", ("gpu",)),
        ({"least_isolation": IsolationLevel.LIMITS},
         {"under": MeasurementConditions(isolation={"cpu": "remote"})},
         "isolation", "limits", "none", ("gpu",)),
    ],
)  # fmt: skip
def test_an_audit_that_is_less_than_asked_is_undecided_on_the_targets_concerned(
    asked: dict[str, Any],
    context: dict[str, Any],
    what: str,
    least: str,
    given: str,
    targets: tuple[str, ...],
) -> None:
    found = unmet(context, **asked)
    assert [item.target for item in found] == list(targets)
    for item in found:
        assert item == Finding(
            rule=f"policy.least_{what}",
            title=f"The audit has the {what} that the policy asks for",
            target=item.target,
            measure=f"policy/{what}",
            outcome=Outcome.UNKNOWN,
            effect=RuleEffect.DENY,
            severity=Severity.HIGH,
            readings=(),
            controls=(),
            message=f"Required: {what} {least} or more. Found: {what} {given}. The policy "
            "accepts no such audit.",
            remediation=REMEDIES.get(what, f"Audit again with {what} {least} or more."),
            limits=f"{what} at least {least}",
            would_decide={"needs": f"{what} {least}"},
        )


def test_where_no_isolation_is_asked_for_any_will_do() -> None:
    for told in ({}, {"cpu": "limits"}, {"cpu": "magic", "gpu": "remote"}):
        assert unmet({"under": MeasurementConditions(isolation=told)}, least_isolation=None) == []


def test_all_that_is_less_than_asked_is_told() -> None:
    context = {"budget": Budget.SMOKE, "assurance": AssuranceLevel.A0}
    found = unmet(
        context,
        least_budget=Budget.FULL,
        least_assurance=AssuranceLevel.A1,
        least_evidence=MinimumEvidence.VERIFIED,
        least_isolation=IsolationLevel.LIMITS,
    )
    assert [(item.rule.removeprefix("policy.least_"), item.target) for item in found] == [
        ("budget", "cpu"),
        ("budget", "gpu"),
        ("assurance", "cpu"),
        ("assurance", "gpu"),
        ("evidence", "cpu"),
        ("isolation", "cpu"),
        ("evidence", "gpu"),
        ("isolation", "gpu"),
    ]
