"""Checks audit log rows against the leaves of the ledger, in both directions."""

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType

from sqlalchemy import select
from sqlalchemy.orm import Session

from auditor.errors import RecordError
from auditor.service.store.projects import build_action_event, read_audit_log_entry
from auditor.service.store.tables import AuditLogRow
from auditor.store.ledger_audit import RowAudit
from auditor.store.merkle_tree_audit import LeafEvent
from auditor.trust.ledger.events import LedgerEventType


def find_audit_log_mistakes(session: Session, met: Sequence[LeafEvent]) -> Iterator[str]:
    """Name every act that was changed, lost, or put in by hand."""
    told = {item.event.id: item for item in met if item.event.type is LedgerEventType.ACT}
    there = set()
    for row in session.scalars(select(AuditLogRow).order_by(AuditLogRow.number)):
        there.add(row.id)
        entry = told.get(row.id)
        if entry is None:
            yield f"the act {row.id} is in no leaf of the ledger"
            continue
        try:
            same = build_action_event(read_audit_log_entry(row)) == entry.event
        except (RecordError, ValueError, AttributeError):
            same = False
        if not same:
            yield f"the act {row.id} (leaf {entry.index}) was changed"
    for name in sorted(name for name in told if name is not None and name not in there):
        yield f"the act {name} (leaf {told[name].index}) is missing from acts"


SERVICE_ROWS: Mapping[str, RowAudit] = MappingProxyType({"acts": find_audit_log_mistakes})
"""Of a service the ledger has acts, requests and records; its other tables are not there."""
