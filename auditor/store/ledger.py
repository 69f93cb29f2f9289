"""Ledger of the store: appends events, signs checkpoints, and reads tiles, entries and proofs.

Events are appended inside a transaction, and the checkpoint is signed before it ends. The index of
key events, challenges and approvals can be cached because the ledger only grows. A new ledger
starts with the records that were stored before it existed.
"""

import json
import threading
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, bindparam, func, insert, or_, select, update
from sqlalchemy.orm import Session

from auditor.domain.json import compute_digest, parse_json, read_json
from auditor.domain.record_json import read_record
from auditor.domain.requests import AuditRequest
from auditor.errors import LedgerError, RecordError, StoreError
from auditor.store.sql import PositionalStatement, build_prefix_condition
from auditor.store.tables import (
    LedgerCheckpointRow,
    LedgerCosignatureRow,
    LedgerLeafRow,
    LedgerOpeningRow,
    LedgerStateRow,
    LedgerTileRow,
    RecordRow,
    RegistrationRow,
    RequestRow,
)
from auditor.trust.ledger.events import (
    LedgerEvent,
    LedgerEventType,
    LedgerLeaf,
    build_record_event,
    build_registration_event,
    encode_digests,
)
from auditor.trust.ledger.key_events import KEYS
from auditor.trust.ledger.merkle import SIZE, MerkleTree, TreeHead, leaf_hash
from auditor.trust.ledger.notes import (
    LogCheckpoint,
    NoteSignature,
    NoteSigner,
    add_signatures,
    open_checkpoint,
    sign_checkpoint,
)
from auditor.trust.ledger.tiles import (
    HEIGHT,
    SPAN,
    FullTile,
    LogTile,
    NodeCache,
    RightEdge,
    TilePath,
    append_leaf_hashes,
    count_tile_levels,
    encode_entry_bundle,
    require_entry_size,
    tile_width,
)

_CURE = "See what `auditor ledger verify` finds, and restore the database from a copy."
AT_ONCE = 500
"""So many entries are asked for by one question."""
_STATE = select(LedgerStateRow.size, LedgerStateRow.root).where(LedgerStateRow.id == 1)
_HASHES = select(LedgerTileRow.hashes, LedgerTileRow.inner).where(
    LedgerTileRow.level == bindparam("level"), LedgerTileRow.idx == bindparam("idx")
)
_TILE = PositionalStatement(_HASHES, "level", "idx")
_CHECKPOINTS = select(LedgerCheckpointRow.size, LedgerCheckpointRow.note)
_LATEST = _CHECKPOINTS.order_by(LedgerCheckpointRow.size.desc()).limit(1)
_LOCKED = _STATE.with_for_update()
_ENTRIES = select(
    LedgerLeafRow.idx,
    LedgerLeafRow.body,
    LedgerOpeningRow.salt,
    LedgerOpeningRow.digest,
    LedgerOpeningRow.subjects,
    LedgerOpeningRow.document,
).join(LedgerOpeningRow, LedgerOpeningRow.idx == LedgerLeafRow.idx)


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """A leaf of the ledger, and what opens it."""

    index: int
    leaf: LedgerLeaf
    body: bytes
    salt: bytes
    event: LedgerEvent
    document: bytes | None


@dataclass(frozen=True, slots=True)
class LedgerReader:
    """What may be asked of the ledger in one transaction that appends nothing.

    Raises ``StoreError`` for what should be there and is not, ``LedgerError`` for what it never
    had.
    """

    connection: Connection
    nodes: NodeCache

    def head(self) -> TreeHead:
        """Return how far the log has grown."""
        return read_head(self.connection)

    def checkpoint(self, size: int | None = None) -> bytes:
        """Return the checkpoint of that size, or the last one, with all its cosignatures."""
        asked = _CHECKPOINTS.order_by(LedgerCheckpointRow.size.desc()).limit(1)
        if size is not None:
            asked = asked.where(LedgerCheckpointRow.size == size)
        row = self.connection.execute(asked).first()
        if row is None:
            raise LedgerError(
                "the ledger has no such checkpoint", cure="`auditor ledger show` lists them."
            )
        line, of = LedgerCosignatureRow.line, LedgerCosignatureRow.size
        lines = self.connection.scalars(select(line).where(of == row.size).order_by(line))
        return add_signatures(row.note, [NoteSignature.parse(item) for item in lines])

    def size_for(self, index: int) -> int:
        """Return the size of the checkpoint that proves a leaf best: a cosigned one, else the last.

        Raises ``LedgerError`` where none covers the leaf.
        """
        own, cosigned = LedgerCheckpointRow.size, LedgerCosignatureRow.size
        for column in (cosigned, own):
            found = self.connection.scalar(select(func.max(column)).where(column > index))
            if found is not None:
                return int(found)
        raise LedgerError(
            f"no checkpoint of the ledger covers leaf {index}",
            cure="Open the store with the ledger's key, which signs one.",
        )

    def cosigned_size(self, name: str) -> int:
        """Return the largest size that a witness is known to have cosigned; 0 for none."""
        line, of = LedgerCosignatureRow.line, LedgerCosignatureRow.size
        asked = select(line, of).order_by(of.desc())
        found = (
            size
            for text, size in self.connection.execute(asked)
            if NoteSignature.parse(text).name == name
        )
        return next(found, 0)

    def tree(self, size: int) -> MerkleTree:
        """Return the tree over the first ``size`` leaves."""
        return self.nodes.tree(size, lambda *at: read_tile(self.connection, *at))

    def tile(self, level: int, index: int) -> bytes:
        """Return the hashes of a tile, as wide as it is by now."""
        return read_tile(self.connection, level, index).hashes

    def served(self, path: str) -> bytes:
        """Return what a tiled log serves below its prefix: ``checkpoint``, a tile, or entries.

        Raises ``LedgerError`` for what is not there, or is spelled otherwise than C2SP tlog-tiles
        spells it.
        """
        if path == "checkpoint":
            return self.checkpoint()
        asked, size = TilePath.parse(path), self.head().size
        if asked.width > tile_width(asked.level or 0, asked.index, size):
            raise LedgerError(
                f"a ledger of {size} leaves has no {path}", cure="Ask for what its checkpoint has."
            )
        if asked.level is not None:
            return self.tile(asked.level, asked.index)[: asked.width * SIZE]
        start = asked.index * SPAN
        return encode_entry_bundle(self.entries(start, start + asked.width))

    def entries(self, start: int, end: int) -> tuple[bytes, ...]:
        """Return the entries from ``start`` up to ``end``."""
        row = LedgerLeafRow
        asked = select(row.body).where(row.idx >= start, row.idx < end).order_by(row.idx)
        return tuple(self.connection.scalars(asked))

    def find(self, event_id: str) -> tuple[LedgerEntry, ...]:
        """Return the entries with that id, the oldest first."""
        asked = _ENTRIES.where(LedgerOpeningRow.event_id == event_id)
        found = self.connection.execute(asked.order_by(LedgerOpeningRow.idx))
        return tuple(_entry(row) for row in found)

    def places(self, event_ids: Collection[str]) -> dict[str, int]:
        """Return the last leaf with each of some ids, by the id."""
        row = LedgerOpeningRow
        asked = select(row.event_id, row.idx).where(row.event_id.in_(event_ids)).order_by(row.idx)
        return {row.event_id: row.idx for row in self.connection.execute(asked)}

    def key_entries(self) -> tuple[LedgerEntry, ...]:
        """Return the entries of all key events, the oldest first."""
        return read_key_entries(self.connection)

    def find_under(self, prefix: str) -> tuple[LedgerEntry, ...]:
        """Return the entries whose id begins so, the oldest first."""
        row = LedgerOpeningRow
        named = build_prefix_condition(self.connection, row.event_id, prefix)
        asked = select(row.idx).where(named).order_by(row.idx)
        return tuple(self.entry(index) for index in self.connection.scalars(asked))

    def entry(self, index: int) -> LedgerEntry:
        """Return one entry."""
        found = self.connection.execute(_ENTRIES.where(LedgerLeafRow.idx == index)).first()
        if found is None:
            raise LedgerError(
                f"the ledger has no leaf {index}, or nothing that opens it",
                cure="`auditor ledger show` lists what it has.",
            )
        return _entry(found)


def read_key_entries(connection: Connection) -> tuple[LedgerEntry, ...]:
    """Return the entries of all key events, the oldest first."""
    row = LedgerOpeningRow
    named = select(row.idx).where(build_prefix_condition(connection, row.event_id, KEYS))
    asked = _ENTRIES.where(LedgerLeafRow.idx.in_(named)).order_by(LedgerLeafRow.idx)
    found = (_entry(row) for row in connection.execute(asked))
    return tuple(item for item in found if item.leaf.type is LedgerEventType.KEY_EVENT)


def read_entries(connection: Connection, places: Sequence[int]) -> tuple[LedgerEntry, ...]:
    """Return some entries, in order."""
    found: list[LedgerEntry] = []
    for start in range(0, len(places), AT_ONCE):
        asked = _ENTRIES.where(LedgerLeafRow.idx.in_(places[start : start + AT_ONCE]))
        rows = connection.execute(asked.order_by(LedgerLeafRow.idx))
        found.extend(_entry(row) for row in rows)
    return tuple(found)


def _entry(row: Sequence[Any]) -> LedgerEntry:
    index, body, salt, digest, subjects, document = row
    read = LedgerLeaf.parse(body)
    return LedgerEntry(index, read, body, salt, read_event(read, digest, subjects), document)


def read_event(leaf: LedgerLeaf, digest: str, subjects: str) -> LedgerEvent:
    """Return the event that an opening says a leaf stands for."""
    return LedgerEvent(leaf.type, digest, leaf.time, json.loads(subjects), leaf.id)


def read_head(connection: Connection, *, lock: bool = False) -> TreeHead:
    """Return the state of the log; ``lock`` keeps others from appending until the end."""
    row = connection.execute(_LOCKED if lock else _STATE).first()
    if row is None:
        raise StoreError("the ledger's state is missing from ledger_state", cure=_CURE)
    return TreeHead(row.size, row.root)


def read_tile(connection: Connection, level: int, index: int) -> LogTile:
    """Return a tile. Raises ``StoreError`` where it is missing."""
    found = _TILE.execute(connection, [(level, index)]).first()
    if found is None:
        raise StoreError(f"the ledger's tile {index} of level {level} is missing", cure=_CURE)
    return LogTile(found[0], found[1])


def read_right_edge(connection: Connection, size: int) -> RightEdge:
    """Return the partial tiles of a log of ``size`` leaves."""
    places = [
        (level, size >> (HEIGHT * (level + 1)))
        for level in range(count_tile_levels(size))
        if (size >> (HEIGHT * level)) % SPAN
    ]
    found = {}
    for level, index in places:
        row = _TILE.execute(connection, [(level, index)]).first()
        if row is not None:
            found[level] = row.hashes
    return RightEdge(size, found)


_LEAVES, _OPENINGS = (
    PositionalStatement(insert(LedgerLeafRow), "idx", "body"),
    insert(LedgerOpeningRow),
)
_TILES, _CHECKPOINTS_LEDGER_WRITING = insert(LedgerTileRow), insert(LedgerCheckpointRow)
_WIDEN = (
    update(LedgerTileRow)
    .where(LedgerTileRow.level == bindparam("of_level"), LedgerTileRow.idx == bindparam("of_idx"))
    .values(width=bindparam("width"), hashes=bindparam("hashes"), inner=bindparam("inner"))
)
_ADVANCE = (
    update(LedgerStateRow)
    .where(
        LedgerStateRow.id == 1,
        LedgerStateRow.size == bindparam("old_size"),
        LedgerStateRow.root == bindparam("old_root"),
    )
    .values(size=bindparam("size"), root=bindparam("root"))
)


@dataclass(frozen=True, slots=True)
class PendingEvent:
    """An event on its way into the ledger, with the signed thing where no table keeps it."""

    event: LedgerEvent
    document: bytes | None = None


@dataclass(frozen=True, slots=True)
class LedgerWriter:
    """The ledger's growing end. Every method belongs to the transaction of ``connection``."""

    connection: Connection
    signer: NoteSigner | None
    salt: Callable[[], bytes]

    def append(self, pending: Sequence[PendingEvent]) -> TreeHead:
        """Append events and, with a signer, sign the checkpoint that they end in.

        All of it is kept or undone with the transaction, so that no checkpoint is published
        that the store could forget. Raises ``StoreError`` where the ledger does not continue
        its own last checkpoint, or that one carries another key's signature.
        """
        before = read_head(self.connection, lock=True)
        last = self._last(before)
        openings, entries = [], []
        for at, item in enumerate(pending):
            salt = self.salt()
            leaf = item.event.leaf(salt, last.size)
            entries.append(leaf.entry())
            openings.append(
                {
                    "idx": before.size + at,
                    "event_id": leaf.id,
                    "salt": salt,
                    "digest": item.event.digest,
                    "subjects": encode_digests(item.event.subjects),
                    "document": item.document,
                }
            )
        after = self.append_entries(before, entries)
        self.connection.execute(_OPENINGS, openings)
        if self.signer is not None:
            note = sign_checkpoint(LogCheckpoint(self.signer.key.name, after), self.signer)
            self.connection.execute(_CHECKPOINTS_LEDGER_WRITING, {"size": after.size, "note": note})
        return after

    def append_entries(self, before: TreeHead, entries: Sequence[bytes]) -> TreeHead:
        """Append entries to the log of the head ``before``, which must be the one at hand.

        Raises ``StoreError`` where it is not, or where the tiles do not give its root, and
        ``LedgerError`` for an entry that is too long.
        """
        edge = read_right_edge(self.connection, before.size)
        mistake = edge.mistake()
        if mistake or edge.root() != before.root:
            raise StoreError(
                f"the ledger's tiles are damaged: {mistake or 'they have another root'}", cure=_CURE
            )
        grown, full = append_leaf_hashes(
            edge, b"".join([leaf_hash(require_entry_size(entry)) for entry in entries])
        )
        _LEAVES.execute(self.connection, list(enumerate(entries, before.size)))
        there = {_place(edge, level): hashes for level, hashes in edge.partial.items()}
        fresh = []
        for tile in _tiles(grown, full):
            tiles_before = there.get((tile.level, tile.index))
            if tiles_before is None:
                fresh.append(_columns(tile))
            elif tiles_before != tile.hashes:
                place = {"of_level": tile.level, "of_idx": tile.index}
                self.connection.execute(_WIDEN, {**_columns(tile), **place})
        if fresh:
            self.connection.execute(_TILES, fresh)
        after = TreeHead(grown.size, grown.root())
        moved = self.connection.execute(
            _ADVANCE,
            {
                "old_size": before.size,
                "old_root": before.root,
                "size": after.size,
                "root": after.root,
            },
        )
        if moved.rowcount != 1:
            raise StoreError(
                f"the ledger has not {before.size} leaves any more: another process appended",
                cure="Repeat what was done.",
            )
        return after

    def _last(self, before: TreeHead) -> TreeHead:
        """Return the head of the last checkpoint, which the ledger must still continue."""
        row = self.connection.execute(_LATEST).first()
        if row is None or self.signer is None:
            return TreeHead(0, b"")
        size, note = row.size, row.note
        try:
            last = open_checkpoint(note, self.signer.key).head
            continued = last == before or (
                last.size <= before.size
                and NodeCache().tree(last.size, lambda *at: read_tile(self.connection, *at)).root()
                == last.root
            )
        except LedgerError as error:
            raise StoreError(
                f"the ledger's checkpoint of {size} leaves cannot be continued: {error.problem}",
                cure="Use the AUDITOR_HOME whose ledger.key began this ledger.",
            ) from error
        if last.size != size or not continued:
            raise StoreError(
                f"the ledger does not continue its own checkpoint of {last.size} leaves, so that "
                "nothing is signed",
                cure=_CURE,
            )
        return last


def _tiles(grown: RightEdge, full: Sequence[FullTile]) -> Iterator[FullTile]:
    yield from full
    for level, hashes in grown.partial.items():
        yield FullTile(*_place(grown, level), hashes, b"")


def _place(edge: RightEdge, level: int) -> tuple[int, int]:
    return level, edge.size >> (HEIGHT * (level + 1))


def _columns(tile: FullTile) -> Mapping[str, object]:
    width = len(tile.hashes) // SIZE
    return {
        "level": tile.level,
        "idx": tile.index,
        "width": width,
        "hashes": tile.hashes,
        "inner": tile.inner,
    }


CHALLENGES, APPROVALS = f"{LedgerEventType.CHALLENGE.value}-", f"{LedgerEventType.APPROVAL.value}-"
STARTS = (KEYS, CHALLENGES, APPROVALS)
MOST = 2000
"""So many documents of approvals are remembered."""
ONCE, LOOKED = "auditor.once", "auditor.looked"
"""Stand in what is known of a transaction: that one look at what is new is enough, and how far that
saw the ledger.
"""


@dataclass(slots=True)
class LedgerRecordIndex:
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
            places = {it for found in seen.values() for it in found}
            known = {it: self._documents[it] for it in places if it in self._documents}
            known |= self._asked(session, sorted(set(places) - known.keys()))
            self._documents.update(known)
            while len(self._documents) > MOST:
                self._documents.popitem(last=False)
            # What is missing cannot be read, and shuts a gate as well.
            known = {place: known.get(place, b"") for place in places}
        return {name: tuple(known[it] for it in found) for name, found in seen.items() if found}

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
            # The last that is remembered, if it is seen, and what came since. At the first look it
            # is of all before what gates ask for, and the last.
            row = LedgerOpeningRow
            asked = select(row.idx, row.event_id, row.subjects).order_by(row.idx)
            if self._seen < 0:
                new_last = select(func.max(row.idx)).scalar_subquery()
                named = (
                    build_prefix_condition(session.connection(), row.event_id, it) for it in STARTS
                )
                asked = asked.where(or_(*named, row.idx == new_last))
            else:
                asked = asked.where(row.idx >= self._seen)
            found = [(place, name, subjects) for place, name, subjects in session.execute(asked)]
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
        keys = read_entries(session.connection(), [it[0] for it in found if it[1].startswith(KEYS)])
        # Only now, when all of it could be read: what fails is looked at again.
        self._challenges += [(it, about[it], documents.get(it, b"")) for it in challenges]
        self._keys += [it for it in keys if it.leaf.type is LedgerEventType.KEY_EVENT]
        for place in sorted(about.keys() - set(challenges)):
            self._approvals.setdefault(about[place], []).append(place)
        if found:
            self._seen = found[-1][0]

    def _behind(self, session: Session) -> int:
        """Return how far a transaction sees that does not see the last that is remembered."""
        last = session.scalar(select(func.max(LedgerOpeningRow.idx)))
        return -1 if last is None else min(last, self._seen)


def build_adoption_events(session: Session) -> Iterator[PendingEvent]:
    """Give an event for each registration and record that is there; none once a ledger is begun.

    So only an empty ledger adopts, and a row that was put in by hand later stays without a leaf.
    """
    if read_head(session.connection(), lock=True).size:
        return
    asked = (
        select(RequestRow.body, RegistrationRow.registered)
        .join(RequestRow, RequestRow.digest == RegistrationRow.request_digest)
        .order_by(RegistrationRow.id)
    )
    for body, registered in session.execute(asked):
        request = read_json(AuditRequest, parse_json(body.encode()), "request")
        yield PendingEvent(build_registration_event(request, registered))
    for row in session.scalars(select(RecordRow).order_by(RecordRow.finished, RecordRow.digest)):
        # The event of a record; of one that this version cannot read, no more than its row
        try:
            kept = build_record_event(read_record(row.body), row.bundle)
        except RecordError:
            subjects = {"record": row.digest}
            kept = LedgerEvent(
                LedgerEventType.RECORD, compute_digest(row.bundle), row.finished, subjects, row.id
            )
        yield PendingEvent(kept)
