"""The records of a ledger in the order of their leaves, with the time that each was put down at."""

import json
from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from auditor.errors import LedgerError
from auditor.ledgers.events import EventType, Leaf
from auditor.store.ledger_tables import LedgerLeafRow, LedgerOpeningRow
from auditor.store.reaudits.walking import AT_ONCE, as_bytes
from auditor.store.tables import RecordRow


@dataclass(frozen=True, slots=True)
class SignedRecord:
    """A record's leaf and signature; ``at`` is the latest time of its leaf and all before it.

    Whoever puts a record down later than it says has to put it behind leaves of later times.
    """

    index: int
    id: str
    at: str
    digest: str
    bundle: bytes


def signed_records(session: Session) -> Iterator[SignedRecord]:
    """Give every record that a leaf names and the store has; what is amiss in rows is not named."""
    leaf, row = LedgerLeafRow, LedgerOpeningRow
    asked = (
        select(leaf.idx, leaf.body, row.subjects)
        .join(row, row.idx == leaf.idx, isouter=True)
        .order_by(leaf.idx)
    )
    latest = ""
    for index, body, subjects in session.execute(asked, execution_options={"yield_per": AT_ONCE}):
        try:
            read = Leaf.parse(as_bytes(body))
        except LedgerError:
            continue
        latest = max(latest, read.time)
        name = _record_of(subjects) if read.type is EventType.RECORD else None
        if name is None:
            continue
        bundle = session.scalar(select(RecordRow.bundle).where(RecordRow.digest == name))
        if bundle is not None:
            yield SignedRecord(index, read.id, latest, name, as_bytes(bundle))


def _record_of(subjects: str | None) -> str | None:
    try:
        found = json.loads(subjects or "{}")
    except ValueError:
        return None
    name = found.get("record") if isinstance(found, dict) else None
    return name if isinstance(name, str) else None
