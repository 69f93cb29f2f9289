"""The events that an audit brings about: a request is registered, a record is kept."""

from collections.abc import Mapping

from auditor.domain.canonical import canonical, digest
from auditor.domain.records import AuditRecord
from auditor.domain.requests import AuditRequest
from auditor.ledgers.events import Event, EventType


def registration_of(request: AuditRequest, at: str) -> Event:
    """Return the event that a request was registered, before anything ran.

    The request's digest covers everything that it asks for, the seed too.
    """
    subjects = {"audit_file": request.audit_file, **_inputs(request)}
    return Event(EventType.REQUEST, request.digest, at, subjects)


def record_kept(record: AuditRecord, bundle: bytes) -> Event:
    """Return the event that a signed record was kept; ``bundle`` carries its signature."""
    subjects = {
        "record": record.digest,
        "request": record.request.digest,
        **_inputs(record.request),
    }
    if record.derived_from is not None:
        subjects["derived_from"] = record.derived_from
    return Event(EventType.RECORD, digest(bundle), record.finished, subjects, record.id)


def cosignature_kept(size: int, line: str, at: str) -> Event:
    """Return the event that a witness cosigned the checkpoint of ``size`` leaves."""
    return Event(EventType.COSIGNATURE, digest(f"{size}\n{line}".encode()), at)


def erasure_of(record: AuditRecord, at: str) -> tuple[Event, bytes]:
    """Return the event that what opens a record's evidence was destroyed, and its document."""
    document = canonical({"erased": "evidence", "record": record.digest})
    subjects = {"record": record.digest}
    return Event(EventType.ERASURE, digest(document), at, subjects, erasure_id(record)), document


def erasure_id(record: AuditRecord) -> str:
    """Return the id under which the ledger notes a record's erasure."""
    return f"{EventType.ERASURE}:{record.id}"


def notes_erasure(event: Event, record: AuditRecord) -> bool:
    """Whether an event is the erasure of this very record."""
    return event == erasure_of(record, event.time)[0]


def _inputs(request: AuditRequest) -> Mapping[str, str]:
    named = {"policy": request.policy.digest}
    if request.artifact is not None:
        named["artifact"] = request.artifact.digest
    by_role: dict[str, list[str]] = {}
    for item in request.datasets:
        by_role.setdefault(item.role, []).append(item.digest)
    for role, digests in by_role.items():
        many = len(digests) > 1
        named |= {
            f"data.{role}.{at}" if many else f"data.{role}": item for at, item in enumerate(digests)
        }
    return named
