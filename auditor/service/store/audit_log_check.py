"""Holds the rows of what callers did against the leaves of the ledger, both ways."""

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType

from sqlalchemy import select
from sqlalchemy.orm import Session

from auditor.errors import RecordError
from auditor.ledgers.events import EventType
from auditor.store.reaudits.reaudit import RowAudit
from auditor.store.reaudits.walking import Met
from auditor.store.service.act_tables import ActRow
from auditor.store.service.acts import act_done, read_act


def act_mistakes(session: Session, met: Sequence[Met]) -> Iterator[str]:
    """Name every act that was changed, lost, or put in by hand."""
    told = {item.event.id: item for item in met if item.event.type is EventType.ACT}
    there = set()
    for row in session.scalars(select(ActRow).order_by(ActRow.number)):
        there.add(row.id)
        entry = told.get(row.id)
        if entry is None:
            yield f"the act {row.id} is in no leaf of the ledger"
            continue
        try:
            same = act_done(read_act(row)) == entry.event
        except (RecordError, ValueError, AttributeError):
            same = False
        if not same:
            yield f"the act {row.id} (leaf {entry.index}) was changed"
    for name in sorted(name for name in told if name is not None and name not in there):
        yield f"the act {name} (leaf {told[name].index}) is missing from acts"


SERVICE_ROWS: Mapping[str, RowAudit] = MappingProxyType({"acts": act_mistakes})
"""Of a service the ledger has acts, requests and records; its other tables are not there."""
