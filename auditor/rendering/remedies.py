"""What to do about a finding: the policy's remedy only where a figure calls for it."""

from collections.abc import Mapping

from auditor.domain.canonical import Json
from auditor.domain.findings import Finding
from auditor.domain.readings import Gap, Measurement
from auditor.domain.records import AuditRecord
from auditor.domain.verdicts import Outcome
from auditor.rendering.doubting import doubt_cure
from auditor.rendering.numbers import count, scalar

GOOD = frozenset({Outcome.PASSED, Outcome.NOT_APPLICABLE})
TERMS = "policy/"
"""Begins the measure of findings about the policy's own terms, which no check answers."""


def remedy(record: AuditRecord, finding: Finding) -> str:
    """Return what would help a finding, or nothing where there is nothing to mend.

    Where nothing was measured, or too little, there is no fault to mend yet: the cure of the Gap
    stands instead, how to run a check that was left out, what would let a doubted figure be
    believed, or how many rows would decide.
    """
    if finding.outcome in GOOD:
        return ""
    deciding = record.readings[finding.readings[0]] if finding.readings else None
    if isinstance(deciding, Gap):
        return deciding.cure
    if isinstance(deciding, Measurement) and finding.outcome is Outcome.UNKNOWN:
        more = would_decide_text(finding.would_decide)
        return doubt_cure(record, deciding) or more or finding.remediation
    silent = finding.outcome is Outcome.UNKNOWN and deciding is None
    if silent and not finding.measure.startswith(TERMS):
        return _run_it(record, finding)
    return finding.remediation


def would_decide_text(needed: Mapping[str, Json] | None) -> str:
    """Say what would turn an unknown into an answer."""
    if not needed:
        return ""
    rows = needed.get("rows")
    if isinstance(rows, int | float) and not isinstance(rows, bool):
        return f"About {count(round(rows))} rows would decide it, if the figure stays where it is."
    if "needs" in needed:
        return f"What would decide it: {scalar(needed['needs']).rstrip('.')}."
    return "; ".join(f"{name.replace('_', ' ')}: {scalar(value)}" for name, value in needed.items())


def _run_it(record: AuditRecord, finding: Finding) -> str:
    check, only = finding.measure.partition("/")[0], record.request.only
    if only and check not in only:
        return f"Audit again without --only, or with --only {check} too: the check was not run."
    return ""
