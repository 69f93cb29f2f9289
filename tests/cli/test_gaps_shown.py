import io
from dataclasses import replace

import pytest
from rich.console import Console

from auditor.checks.discovery import discover
from auditor.cli.showing import show_record
from auditor.domain.budgets import Budget
from auditor.domain.findings import Finding
from auditor.domain.policies import Assurance, Effect, Policy, Severity
from auditor.domain.readings import Gap, Reason
from auditor.domain.records import AuditRecord
from auditor.domain.requests import AuditRequest, PolicyRef
from auditor.domain.targets import TargetSpec
from auditor.domain.verdicts import Outcome
from auditor.rendering.askings import is_asked

GAP = Gap(
    reason=Reason.NEEDS_LABELS,
    detail="No labels.",
    cure="Name them.",
    target="cpu",
    check="quality.accuracy",
)


def record(*gaps: Gap, only: tuple[str, ...] = ()) -> AuditRecord:
    """A record whose one rule asks for the accuracy."""
    request = AuditRequest(
        name="m", version="1", artifact=None, targets=(TargetSpec("cpu"),), datasets=(),
        policy=PolicyRef("p", "1", "sha256:0"), audit_file="sha256:1", seed=1, budget=Budget.CI,
        only=only,
    )  # fmt: skip
    finding = Finding(
        rule="accuracy", title="Right", target="cpu", measure="quality.accuracy/accuracy",
        outcome=Outcome.UNKNOWN, effect=Effect.DENY, severity=Severity.HIGH, readings=(0,),
        controls=(), message="", remediation="", limits="",
    )  # fmt: skip
    return AuditRecord(
        id="aud-0", derived_from=None, assurance=Assurance.A0, request=request, confidence=0.95,
        fingerprints={}, observations=(), readings=gaps, findings=(finding,), lineage=(),
        tool={}, registered="2026-01-01T00:00:00Z", finished="2026-01-01T00:00:00Z",
    )  # fmt: skip


def shown(*gaps: Gap) -> str:
    policy = Policy(
        name="p", version="1", owner="o", digest="sha256:0", document={}, source="p", rules=()
    )
    written = io.StringIO()
    show_record(Console(file=written, width=100), record(*gaps), policy, discover())
    return written.getvalue()


def test_what_a_rule_waits_for_is_told_and_the_rest_is_counted() -> None:
    other = replace(GAP, check="data.drift", detail="No earlier data.")
    said = shown(GAP, other, other)
    assert "No labels" in said
    assert "No earlier data" not in said
    assert "2 figures that no rule asks for are not there" in said


def test_a_check_that_crashed_is_told_though_no_rule_asks_for_it() -> None:
    said = shown(replace(GAP, check="data.drift", reason=Reason.CHECK_CRASHED, detail="It fell."))
    assert "It fell" in said
    assert "figures that no rule" not in said


@pytest.mark.parametrize(
    ("gap", "asked"),
    [
        (GAP, True),
        (replace(GAP, metric="accuracy"), True),
        (replace(GAP, metric="auc"), False),
        (replace(GAP, check="quality.claims"), False),
    ],
)
def test_a_rule_asks_for_its_own_metric(gap: Gap, asked: bool) -> None:  # noqa: FBT001 -- of a table
    assert is_asked(gap, record(gap)) is asked


def test_what_was_asked_for_by_name_is_told() -> None:
    gap = replace(GAP, check="data.drift")
    assert is_asked(gap, record(gap, only=("data.drift",)))


def test_a_rule_that_does_not_apply_waits_for_nothing() -> None:
    idle = record(GAP)
    findings = tuple(replace(item, outcome=Outcome.NOT_APPLICABLE) for item in idle.findings)
    assert not is_asked(GAP, replace(idle, findings=findings))
