"""Records of one finding, as the command shows them."""

import io
from collections.abc import Sequence

from rich.console import Console

from auditor.checks.registry import discover_checks
from auditor.cli.record_output import show_record
from auditor.domain.budgets import Budget
from auditor.domain.findings import Finding, Outcome
from auditor.domain.policies import AssuranceLevel, MetricLimits, Policy, Rule, RuleEffect, Severity
from auditor.domain.readings import Reading
from auditor.domain.records import AuditRecord
from auditor.domain.requests import AuditRequest, PolicyRef
from auditor.domain.targets import TargetSpec
from auditor.reports.rendering_inputs import ReportInputs

LONG = "accuracy-under-a-bounded-attack"


def rule(measure: str, *, limits: MetricLimits | None = None, require: str | None = None) -> Rule:
    """A denying rule with a long name."""
    check, metric = measure.split("/")
    return Rule(
        id=LONG, title="It holds", severity=Severity.HIGH, effect=RuleEffect.DENY, check=check,
        metric=metric, limits=limits, require=require,
    )  # fmt: skip


def record_of(asked: Rule, readings: Sequence[Reading], only: tuple[str, ...] = ()) -> AuditRecord:
    """A record in which the first reading leaves a rule undecided."""
    request = AuditRequest(
        name="m", version="1", artifact=None, targets=(TargetSpec("cpu"),), datasets=(),
        policy=PolicyRef("p", "1", "sha256:0"), audit_file="sha256:1", seed=1, budget=Budget.CI,
        only=only,
    )  # fmt: skip
    finding = Finding(
        rule=asked.id, title=asked.title, target="cpu", measure=asked.measure,
        outcome=Outcome.UNKNOWN, effect=asked.effect, severity=asked.severity, readings=(0,),
        controls=(), message="", remediation="",
        limits=f"`{asked.require}`" if asked.limits is None else asked.limits.words(),
    )  # fmt: skip
    return AuditRecord(
        id="aud-0", derived_from=None, assurance=AssuranceLevel.A0, request=request,
        confidence=0.95, fingerprints={}, observations=(), readings=tuple(readings),
        findings=(finding,), lineage=(), tool={}, registered="2026-01-01T00:00:00Z",
        finished="2026-01-01T00:00:00Z",
    )  # fmt: skip


def shown(asked: Rule, *readings: Reading, width: int = 80) -> str:
    """What a terminal of a width shows of such a record."""
    return table_of(record_of(asked, readings), asked, width=width)


def table_of(record: AuditRecord, asked: Rule, width: int = 80) -> str:
    """What a terminal of a width shows of a record that was judged by one rule."""
    policy = Policy(
        name="p", version="1", owner="o", digest="sha256:0", document={}, source="p", rules=(asked,)
    )
    written = io.StringIO()
    nothing: dict[str, bytes] = {}
    inputs = ReportInputs(
        record=record, policy=policy, checks=discover_checks(), blob=nothing.__getitem__
    )
    show_record(Console(file=written, width=width), inputs)
    return written.getvalue()
