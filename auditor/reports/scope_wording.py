"""What a record speaks for, in words: the file that the audit names, or an endpoint."""

from auditor.domain.findings import Verdict
from auditor.domain.record_scope import find_unbound_targets
from auditor.domain.records import AuditRecord
from auditor.reports.wording import VERDICTS

ENDPOINT_ONLY = "May be used as the endpoint that answered; the file may not be deployed"
PARTLY = "May be deployed; where an endpoint answered, the endpoint and not the file"


def build_verdict_headline(record: AuditRecord) -> str:
    """Return the verdict in a few words, which never say of a file what an endpoint showed."""
    unbound = _unbound(record)
    if record.verdict is not Verdict.PASS or not unbound:
        return VERDICTS[record.verdict]
    return ENDPOINT_ONLY if len(unbound) == len(record.request.targets) else PARTLY


def name_verdict_subject(record: AuditRecord) -> str:
    """Name what the verdict is of: the model, or the endpoint that answered in its place."""
    named = f"{record.request.name} {record.request.version}"
    unbound = _unbound(record)
    everywhere = bool(unbound) and len(unbound) == len(record.request.targets)
    return f"The endpoint that answered for {named}" if everywhere else named


def describe_scope(record: AuditRecord) -> tuple[str, ...]:
    """Say where a record speaks for an endpoint and not for the file that the audit names."""
    unbound = _unbound(record)
    if not unbound:
        return ()
    said = [
        f"On {name} this record speaks for the endpoint, not for the file: {reason}."
        for name, reason in unbound.items()
    ]
    return (*said, "A gate on the file stays shut there.")


def describe_bytes(record: AuditRecord, digest: str) -> str:
    """Say of which bytes a record speaks, ``digest`` being that of the file which it names."""
    unbound = _unbound(record)
    if len(unbound) == len(record.request.targets):
        return f"the endpoint, not the file {digest}"
    return f"{digest}, except where an endpoint answered" if unbound else digest


def _unbound(record: AuditRecord) -> dict[str, str]:
    return {} if record.request.artifact is None else dict(find_unbound_targets(record))
