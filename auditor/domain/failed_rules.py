"""The rules that keep a record from passing, as messages name them."""

from auditor.domain.findings import Outcome
from auditor.domain.policies import RuleEffect
from auditor.domain.records import AuditRecord

MOST = 100


def list_failed_rules(record: AuditRecord) -> tuple[str, ...]:
    """Return the denying rules that failed, each with its target; the first hundred."""
    failed = [
        f"{item.name} on {item.target}"
        for item in record.findings
        if item.outcome is Outcome.FAILED and item.effect is RuleEffect.DENY
    ]
    return tuple(failed[:MOST])
