"""What the ledger says of keys, challenges and approvals, remembered: it only grows."""

import json
import threading
from collections import OrderedDict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from auditor.ledgers.events import EventType
from auditor.ledgers.key_events import KEYS
from auditor.store.beginnings import begins
from auditor.store.ledger_reading import LedgerEntry, entries_at
from auditor.store.ledger_tables import LedgerOpeningRow

CHALLENGES, APPROVALS = f"{EventType.CHALLENGE.value}-", f"{EventType.APPROVAL.value}-"
STARTS = (KEYS, CHALLENGES, APPROVALS)
AT_ONCE = 500
"""So many entries are asked for by one question."""
MOST = 2000
"""So many documents of approvals are remembered."""
ONCE, LOOKED = "auditor.once", "auditor.looked"
"""Stand in what is known of a transaction: that one look at what is new is enough, and was had."""


@dataclass(slots=True)
class AboutRecords:
    """Finds what gates ask of the ledger, and looks at what is new in it alone.

    Entries are put down one after another, so that none comes later with a smaller index, and
    nothing that was seen is ever another.
    """

    _lock: threading.RLock = field(default_factory=threading.RLock)
    _seen: int = -1
    _keys: list[LedgerEntry] = field(default_factory=list)
    _challenges: list[tuple[str, bytes]] = field(default_factory=list)
    _approvals: dict[str, list[int]] = field(default_factory=dict)
    _documents: OrderedDict[int, bytes] = field(default_factory=OrderedDict)

    def keys(self, session: Session) -> tuple[LedgerEntry, ...]:
        """Return the entries of all key events, the oldest first."""
        with self._lock:
            self._look(session)
            return tuple(self._keys)

    def challenges(self, session: Session) -> tuple[tuple[str, bytes], ...]:
        """Return the record's digest and the document of every challenge, the oldest first."""
        with self._lock:
            self._look(session)
            return tuple(self._challenges)

    def approvals(self, session: Session, record: str) -> tuple[bytes, ...]:
        """Return the documents of the approvals of a record (its digest), the oldest first."""
        return self.approvals_of(session, (record,)).get(record, ())

    def approvals_of(
        self, session: Session, records: Collection[str]
    ) -> dict[str, tuple[bytes, ...]]:
        """Return the documents of the approvals of records that have any, by their digests.

        However many records there are, what is not remembered is asked for at once.
        """
        with self._lock:
            self._look(session)
            places = {name: self._approvals[name] for name in records if name in self._approvals}
            known = self._read(session, {it for found in places.values() for it in found})
            return {name: tuple(known[it] for it in found) for name, found in places.items()}

    def _read(self, session: Session, places: Collection[int]) -> dict[int, bytes]:
        known = {it: self._documents[it] for it in places if it in self._documents}
        known |= self._asked(session, sorted(set(places) - known.keys()))
        self._documents.update(known)
        while len(self._documents) > MOST:
            self._documents.popitem(last=False)
        # What is missing cannot be read, and shuts a gate as well.
        return {place: known.get(place, b"") for place in places}

    @staticmethod
    def _asked(session: Session, places: Sequence[int]) -> dict[int, bytes]:
        row, found = LedgerOpeningRow, dict[int, bytes]()
        for start in range(0, len(places), AT_ONCE):
            some = row.idx.in_(places[start : start + AT_ONCE])
            for place, document in session.execute(select(row.idx, row.document).where(some)):
                found[place] = document or b""
        return found

    def _look(self, session: Session) -> None:
        """Look at what the ledger got since, once in a transaction that says so."""
        if session.info.get(LOOKED):
            return
        found = self._new(session)
        about = {place: str(json.loads(it).get("record")) for place, name, it in found
                 if name.startswith((APPROVALS, CHALLENGES))}  # fmt: skip
        challenges = [place for place, name, _ in found if name.startswith(CHALLENGES)]
        documents = self._asked(session, challenges)
        keys = entries_at(session.connection(), [it[0] for it in found if it[1].startswith(KEYS)])
        # Only now, when all of it could be read: what fails is looked at again.
        self._challenges += [(about[it], documents.get(it, b"")) for it in challenges]
        self._keys += [it for it in keys if it.leaf.type is EventType.KEY_EVENT]
        for place in sorted(about.keys() - set(challenges)):
            self._approvals.setdefault(about[place], []).append(place)
        if found:
            self._seen = found[-1][0]
        session.info[LOOKED] = session.info.get(ONCE, False)

    def _new(self, session: Session) -> list[tuple[int, str, str]]:
        """Return what came since; of all before the first look what gates ask for, and the last."""
        row = LedgerOpeningRow
        asked = select(row.idx, row.event_id, row.subjects).order_by(row.idx)
        if self._seen < 0:
            last = select(func.max(row.idx)).scalar_subquery()
            named = (begins(session.connection(), row.event_id, it) for it in STARTS)
            asked = asked.where(or_(*named, row.idx == last))
        else:
            asked = asked.where(row.idx > self._seen)
        return [(place, name, subjects) for place, name, subjects in session.execute(asked)]
