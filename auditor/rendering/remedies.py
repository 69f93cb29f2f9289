"""What to do about a finding: the policy's remedy only where a figure calls for it."""

from auditor.domain.findings import Finding
from auditor.domain.readings import Gap, Measurement
from auditor.domain.records import AuditRecord
from auditor.domain.verdicts import Outcome
from auditor.rendering.doubting import doubt_cure

GOOD = frozenset({Outcome.PASSED, Outcome.NOT_APPLICABLE})
TERMS = "policy/"
"""Begins the measure of findings about the policy's own terms, which no check answers."""


def remedy(record: AuditRecord, finding: Finding) -> str:
    """Return what would help a finding, or nothing where there is nothing to mend.

    Where nothing was measured there is no fault to mend yet: the cure of the Gap stands instead,
    how to run a check that was left out, or what would let a doubted figure be believed.
    """
    if finding.outcome in GOOD:
        return ""
    deciding = record.readings[finding.readings[0]] if finding.readings else None
    if isinstance(deciding, Gap):
        return deciding.cure
    if isinstance(deciding, Measurement) and finding.outcome is Outcome.UNKNOWN:
        return doubt_cure(record, deciding) or finding.remediation
    silent = finding.outcome is Outcome.UNKNOWN and deciding is None
    if silent and not finding.measure.startswith(TERMS):
        return _run_it(record, finding)
    return finding.remediation


def _run_it(record: AuditRecord, finding: Finding) -> str:
    check, only = finding.measure.partition("/")[0], record.request.only
    if only and check not in only:
        return f"Audit again without --only, or with --only {check} too: the check was not run."
    return ""
