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
from auditor.store.ledger_reading import AT_ONCE, LedgerEntry, entries_at
from auditor.store.ledger_tables import LedgerOpeningRow

CHALLENGES, APPROVALS = f"{EventType.CHALLENGE.value}-", f"{EventType.APPROVAL.value}-"
STARTS = (KEYS, CHALLENGES, APPROVALS)
MOST = 2000
"""So many documents of approvals are remembered."""
ONCE, LOOKED = "auditor.once", "auditor.looked"
"""Stand in what is known of a transaction: that one look at what is new is enough, and how far that
saw the ledger.
"""


@dataclass(slots=True)
class AboutRecords:
    """Finds what gates ask of the ledger, and looks at what is new in it alone.

    Entries are put down one after another, so that none comes later with a smaller index, and
    nothing that was seen is ever another. Other transactions may have seen more than one does:
    each is told what it sees itself, and no entry after that.
    """

    _lock: threading.RLock = field(default_factory=threading.RLock)
    _seen: int = -1
    _keys: list[LedgerEntry] = field(default_factory=list)
    _challenges: list[tuple[int, str, bytes]] = field(default_factory=list)
    _approvals: dict[str, list[int]] = field(default_factory=dict)
    _documents: OrderedDict[int, bytes] = field(default_factory=OrderedDict)

    def keys(self, session: Session) -> tuple[LedgerEntry, ...]:
        """Return the entries of all key events, the oldest first."""
        last = self._look(session)
        with self._lock:
            return tuple(it for it in self._keys if it.index <= last)

    def challenges(self, session: Session) -> tuple[tuple[str, bytes], ...]:
        """Return the record's digest and the document of every challenge, the oldest first."""
        last = self._look(session)
        with self._lock:
            return tuple((about, raw) for place, about, raw in self._challenges if place <= last)

    def approvals(self, session: Session, record: str) -> tuple[bytes, ...]:
        """Return the documents of the approvals of a record (its digest), the oldest first."""
        return self.approvals_of(session, (record,)).get(record, ())

    def approvals_of(
        self, session: Session, records: Collection[str]
    ) -> dict[str, tuple[bytes, ...]]:
        """Return the documents of the approvals of records that have any, by their digests.

        However many records there are, what is not remembered is asked for at once.
        """
        last = self._look(session)
        with self._lock:
            seen = {
                name: [it for it in self._approvals.get(name, ()) if it <= last] for name in records
            }
            known = self._read(session, {it for found in seen.values() for it in found})
        return {name: tuple(known[it] for it in found) for name, found in seen.items() if found}

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

    def _look(self, session: Session) -> int:
        """Look at what the ledger got since, and return the last index that a transaction sees.

        One that says so looks once, and sees from then on what it saw.
        """
        looked = session.info.get(LOOKED)
        if looked is not None:
            return int(looked)
        session.connection()  # a writer waits for its turn here, and holds nobody up meanwhile
        with self._lock:
            found = self._new(session)
            self._remember(session, [it for it in found if it[0] > self._seen])
            last = found[-1][0] if found else self._behind(session)
        if session.info.get(ONCE):
            session.info[LOOKED] = last
        return last

    def _remember(self, session: Session, found: Sequence[tuple[int, str, str]]) -> None:
        about = {place: str(json.loads(it).get("record")) for place, name, it in found
                 if name.startswith((APPROVALS, CHALLENGES))}  # fmt: skip
        challenges = [place for place, name, _ in found if name.startswith(CHALLENGES)]
        documents = self._asked(session, challenges)
        keys = entries_at(session.connection(), [it[0] for it in found if it[1].startswith(KEYS)])
        # Only now, when all of it could be read: what fails is looked at again.
        self._challenges += [(it, about[it], documents.get(it, b"")) for it in challenges]
        self._keys += [it for it in keys if it.leaf.type is EventType.KEY_EVENT]
        for place in sorted(about.keys() - set(challenges)):
            self._approvals.setdefault(about[place], []).append(place)
        if found:
            self._seen = found[-1][0]

    def _behind(self, session: Session) -> int:
        """Return how far a transaction sees that does not see the last that is remembered."""
        last = session.scalar(select(func.max(LedgerOpeningRow.idx)))
        return -1 if last is None else min(last, self._seen)

    def _new(self, session: Session) -> list[tuple[int, str, str]]:
        """Return the last that is remembered, if it is seen, and what came since.

        At the first look it is of all before what gates ask for, and the last.
        """
        row = LedgerOpeningRow
        asked = select(row.idx, row.event_id, row.subjects).order_by(row.idx)
        if self._seen < 0:
            last = select(func.max(row.idx)).scalar_subquery()
            named = (begins(session.connection(), row.event_id, it) for it in STARTS)
            asked = asked.where(or_(*named, row.idx == last))
        else:
            asked = asked.where(row.idx >= self._seen)
        return [(place, name, subjects) for place, name, subjects in session.execute(asked)]
