"""Wording of a record's scope: the audited file, or an endpoint."""

from auditor.domain.confusable_names import quote_name
from auditor.domain.findings import Verdict
from auditor.domain.record_scope import find_unbound_targets
from auditor.domain.records import AuditRecord
from auditor.reports.waiver_text import EXCEPTION, SignedWaivers, describe_exceptions
from auditor.reports.wording import VERDICTS

ENDPOINT_ONLY = "Approved as the endpoint that answered; the file is not approved"
PREDICTIONS_ONLY = "Approved by predictions alone; no model file is approved"
NO_MODEL = (
    "This record is about the predictions in the data, not about a model, because no model was "
    "given. It opens no gate for a model file."
)
PARTLY = "Approved for deployment; where an endpoint answered, the endpoint and not the file"


def build_verdict_headline(record: AuditRecord, waivers: SignedWaivers = ()) -> str:
    """Return the verdict in a few words, which never say of a file what an endpoint showed.

    A pass that rests on waivers is one by exception; ``waivers`` are those at hand.
    """
    plain, exception = _build_plain_headline(record), describe_exceptions(record, waivers)
    if not exception:
        return plain
    if plain == VERDICTS[Verdict.PASS]:
        return f"{EXCEPTION}: {exception}"
    return f"{plain}; by exception: {exception}"


def _build_plain_headline(record: AuditRecord) -> str:
    unbound = _unbound(record)
    if record.verdict is Verdict.PASS and record.request.predictions_only:
        return PREDICTIONS_ONLY
    if record.verdict is not Verdict.PASS or not unbound:
        return VERDICTS[record.verdict]
    return ENDPOINT_ONLY if len(unbound) == len(record.request.targets) else PARTLY


def name_verdict_subject(record: AuditRecord) -> str:
    """Name what the verdict is of: the model, or the endpoint that answered in its place."""
    named = quote_name(f"{record.request.name} {record.request.version}")
    unbound = _unbound(record)
    everywhere = bool(unbound) and len(unbound) == len(record.request.targets)
    return f"The endpoint that answered for {named}" if everywhere else named


def describe_scope(record: AuditRecord) -> tuple[str, ...]:
    """Say where a record speaks for an endpoint or predictions and not for a model file."""
    if record.request.predictions_only:
        return (NO_MODEL,)
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
