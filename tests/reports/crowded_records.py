"""The largest records that one could hand in: many findings, each with long texts everywhere."""

from dataclasses import replace

from rendering_records import FAILING, FINGERPRINT, READINGS, RULES, inputs_of

from auditor.domain.findings import Finding, Outcome
from auditor.domain.policies import FrameworkControl
from auditor.domain.readings import Gap, GapReason, Reading
from auditor.domain.records import AuditRecord
from auditor.domain.targets import TargetSpec
from auditor.reports.rendering_inputs import ReportInputs

LENGTH = 1_500
OUTCOMES = (Outcome.FAILED, Outcome.UNKNOWN, Outcome.WAIVED, Outcome.PASSED)


def long(name: str, number: int) -> str:
    """Return text of its own, as long as a policy's words may be, half of it to be escaped."""
    return (f"{name} {number} \N{EURO SIGN}<&'\"> " * LENGTH)[:LENGTH]


def crowded(findings: int = 800, targets: int = 3, readings: int = 1_200) -> ReportInputs:
    """Return a record of so many findings, targets and measurements, and its policy."""
    names = [f"target-{number}" for number in range(targets)]
    record = replace(
        FAILING,
        request=replace(FAILING.request, targets=tuple(TargetSpec(name) for name in names)),
        fingerprints=dict.fromkeys(names, FINGERPRINT),
        readings=_readings(names, readings),
        findings=tuple(_finding(names, place) for place in range(findings)),
    )
    return _under_its_policy(record, findings)


def _readings(names: list[str], many: int) -> tuple[Reading, ...]:
    each = [
        replace(READINGS[place % len(READINGS)], target=names[place % len(names)])
        for place in range(many)
    ]
    gaps = [
        Gap(
            reason=GapReason.UNSUPPORTED,
            detail=long("detail", n),
            cure=long("cure", n),
            target=names[0],
            check=f"quality.c{n}",
        )
        for n in range(100)
    ]
    return (*each, *gaps)


def _finding(names: list[str], place: int) -> Finding:
    return replace(
        FAILING.findings[place % len(FAILING.findings)],
        rule=f"rule-{place}",
        title=long("title", place),
        message=long("message", place),
        remediation=long("remedy", place),
        controls=tuple(FrameworkControl("frame", long("ref", place % 50 + n)) for n in range(2)),
        outcome=OUTCOMES[place % len(OUTCOMES)],
        would_decide=None,
        readings=tuple(range(place, place + 9)),
        target=names[place % len(names)],
    )


def _under_its_policy(record: AuditRecord, many: int) -> ReportInputs:
    inputs = inputs_of(record)
    rules = tuple(
        replace(
            RULES[place % len(RULES)],
            id=f"rule-{place}",
            title=long("title", place),
            rationale=long("rationale", place),
            remediation=long("remedy", place),
        )
        for place in range(many)
    )
    return replace(inputs, policy=replace(inputs.policy, rules=rules))
