"""Which Gaps matter to a policy: those that a rule waits for, and what broke."""

from auditor.domain.findings import Finding
from auditor.domain.readings import Gap, Reason
from auditor.domain.records import AuditRecord
from auditor.domain.verdicts import Outcome

BROKE = frozenset(
    {
        Reason.MODEL_CRASHED,
        Reason.MODEL_HUNG,
        Reason.MODEL_OUT_OF_MEMORY,
        Reason.MODEL_FAILED,
        Reason.ENDPOINT_LOST,
        Reason.TARGET_CHANGED,
        Reason.CHECK_CRASHED,
        Reason.FELL_BACK,
        Reason.TWIN_DIFFERS,
    }
)
"""Reasons that nobody chose: told in any case."""
POLICY = "policy"
"""What the policy's own preconditions measure, which no check does."""


def asked_gaps(record: AuditRecord) -> tuple[list[Gap], list[Gap]]:
    """Return the Gaps that a rule waits for, that broke, or that were asked for by name; the rest.

    A rule that does not apply waits for nothing.
    """
    asking = [item for item in record.findings if item.outcome is not Outcome.NOT_APPLICABLE]
    measured = {finding.measure for finding in asking}
    checks = {measure.partition("/")[0] for measure in measured}
    asked: list[Gap] = []
    others: list[Gap] = []
    for gap in record.readings:
        if isinstance(gap, Gap):
            waited = f"{gap.check}/{gap.metric}" in measured if gap.metric else gap.check in checks
            told = waited or gap.reason in BROKE or gap.check in record.request.only
            (asked if told else others).append(gap)
    return asked, others


def left_out(record: AuditRecord, finding: Finding) -> bool:
    """Return whether a rule has no reading because somebody asked for other checks only."""
    only, check = record.request.only, finding.measure.partition("/")[0]
    unanswered = finding.outcome is Outcome.UNKNOWN and not finding.readings
    return unanswered and bool(only) and check not in (*only, POLICY)
