"""Which Gaps matter to a policy: those that a rule waits for, and what broke."""

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


def is_asked(gap: Gap, record: AuditRecord) -> bool:
    """Whether a rule waits for what is missing, it broke, or the audit was asked for it by name."""
    if gap.reason in BROKE or gap.check in record.request.only:
        return True
    asking = [item for item in record.findings if item.outcome is not Outcome.NOT_APPLICABLE]
    measured = {finding.measure for finding in asking}
    if gap.metric:
        return f"{gap.check}/{gap.metric}" in measured
    return gap.check in {measure.partition("/")[0] for measure in measured}
