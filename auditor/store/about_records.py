"""Which entries of the ledger are about which record, remembered: the ledger only grows."""

import json
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection, func, select

from auditor.ledgers.events import EventType
from auditor.store.beginnings import begins
from auditor.store.ledger_tables import LedgerOpeningRow


@dataclass(slots=True)
class AboutRecords:
    """Finds entries of one kind by their record, and looks each time at what is new alone.

    Entries are put down one after another, so that none comes later with a smaller index.
    """

    kind: EventType
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _seen: int = -1
    _found: dict[str, list[int]] = field(default_factory=dict)

    def documents(self, connection: Connection, record: str) -> tuple[bytes, ...]:
        """Return the documents of the entries about a record (its digest), the oldest first."""
        row = LedgerOpeningRow
        places = self._places(connection, record)
        asked = select(row.document).where(row.idx.in_(places)).order_by(row.idx)
        # What is missing cannot be read, and shuts a gate as well.
        return tuple(document or b"" for document in connection.scalars(asked)) if places else ()

    def _places(self, connection: Connection, record: str) -> Sequence[int]:
        row, start = LedgerOpeningRow, f"{self.kind.value}-"
        with self._lock:
            last = connection.scalar(select(func.max(row.idx)))
            if last is not None and last > self._seen:
                new = [row.idx > self._seen, row.idx <= last]
                if self._seen < 0:
                    new.append(begins(connection, row.event_id, start))
                asked = select(row.idx, row.event_id, row.subjects).where(*new).order_by(row.idx)
                for index, name, subjects in connection.execute(asked):
                    if name.startswith(start):
                        about = str(json.loads(subjects).get("record"))
                        self._found.setdefault(about, []).append(index)
                self._seen = last
            return tuple(self._found.get(record, ()))
