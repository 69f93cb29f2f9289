"""Reads the ledger: its head, checkpoints, tiles, entries and proofs."""

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, bindparam, func, select

from auditor.errors import LedgerError, StoreError
from auditor.ledgers.cosigning import with_signatures
from auditor.ledgers.events import Event, EventType, Leaf
from auditor.ledgers.growing import RightEdge, levels_of
from auditor.ledgers.hashing import SIZE
from auditor.ledgers.key_events import KEYS
from auditor.ledgers.nodes import Nodes
from auditor.ledgers.notes import Signature
from auditor.ledgers.proofs import Head
from auditor.ledgers.tiles import HEIGHT, SPAN, Tile, TilePath, bundle, width_at
from auditor.ledgers.trees import Tree
from auditor.store.beginnings import begins
from auditor.store.ledger_tables import (
    LedgerCheckpointRow,
    LedgerCosignatureRow,
    LedgerLeafRow,
    LedgerOpeningRow,
    LedgerStateRow,
    LedgerTileRow,
)
from auditor.store.ordered import Ordered

_CURE = "See what `auditor ledger verify` finds, and restore the database from a copy."
AT_ONCE = 500
"""So many entries are asked for by one question."""
_STATE = select(LedgerStateRow.size, LedgerStateRow.root).where(LedgerStateRow.id == 1)
_HASHES = select(LedgerTileRow.hashes, LedgerTileRow.inner).where(
    LedgerTileRow.level == bindparam("level"), LedgerTileRow.idx == bindparam("idx")
)
_TILE = Ordered(_HASHES, "level", "idx")
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
    leaf: Leaf
    body: bytes
    salt: bytes
    event: Event
    document: bytes | None


@dataclass(frozen=True, slots=True)
class LedgerReader:
    """What may be asked of the ledger in one transaction that appends nothing.

    Raises ``StoreError`` for what should be there and is not, ``LedgerError`` for what it never
    had.
    """

    connection: Connection
    nodes: Nodes

    def head(self) -> Head:
        """Return how far the log has grown."""
        return head_of(self.connection)

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
        return with_signatures(row.note, [Signature.parse(item) for item in lines])

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
            if Signature.parse(text).name == name
        )
        return next(found, 0)

    def tree(self, size: int) -> Tree:
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
        if asked.width > width_at(asked.level or 0, asked.index, size):
            raise LedgerError(
                f"a ledger of {size} leaves has no {path}", cure="Ask for what its checkpoint has."
            )
        if asked.level is not None:
            return self.tile(asked.level, asked.index)[: asked.width * SIZE]
        start = asked.index * SPAN
        return bundle(self.entries(start, start + asked.width))

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
        return key_entries(self.connection)

    def find_under(self, prefix: str) -> tuple[LedgerEntry, ...]:
        """Return the entries whose id begins so, the oldest first."""
        row = LedgerOpeningRow
        named = begins(self.connection, row.event_id, prefix)
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


def key_entries(connection: Connection) -> tuple[LedgerEntry, ...]:
    """Return the entries of all key events, the oldest first."""
    row = LedgerOpeningRow
    named = select(row.idx).where(begins(connection, row.event_id, KEYS))
    asked = _ENTRIES.where(LedgerLeafRow.idx.in_(named)).order_by(LedgerLeafRow.idx)
    found = (_entry(row) for row in connection.execute(asked))
    return tuple(item for item in found if item.leaf.type is EventType.KEY_EVENT)


def entries_at(connection: Connection, places: Sequence[int]) -> tuple[LedgerEntry, ...]:
    """Return some entries, in order."""
    found: list[LedgerEntry] = []
    for start in range(0, len(places), AT_ONCE):
        asked = _ENTRIES.where(LedgerLeafRow.idx.in_(places[start : start + AT_ONCE]))
        rows = connection.execute(asked.order_by(LedgerLeafRow.idx))
        found.extend(_entry(row) for row in rows)
    return tuple(found)


def _entry(row: Sequence[Any]) -> LedgerEntry:
    index, body, salt, digest, subjects, document = row
    read = Leaf.parse(body)
    return LedgerEntry(index, read, body, salt, opened(read, digest, subjects), document)


def opened(leaf: Leaf, digest: str, subjects: str) -> Event:
    """Return the event that an opening says a leaf stands for."""
    return Event(leaf.type, digest, leaf.time, json.loads(subjects), leaf.id)


def head_of(connection: Connection, *, lock: bool = False) -> Head:
    """Return the state of the log; ``lock`` keeps others from appending until the end."""
    row = connection.execute(_LOCKED if lock else _STATE).first()
    if row is None:
        raise StoreError("the ledger's state is missing from ledger_state", cure=_CURE)
    return Head(row.size, row.root)


def latest_checkpoint(connection: Connection) -> tuple[int, bytes] | None:
    """Return size and note of the last checkpoint that was signed."""
    found = connection.execute(_LATEST).first()
    return None if found is None else (found.size, found.note)


def read_tile(connection: Connection, level: int, index: int) -> Tile:
    """Return a tile. Raises ``StoreError`` where it is missing."""
    found = _TILE.execute(connection, [(level, index)]).first()
    if found is None:
        raise StoreError(f"the ledger's tile {index} of level {level} is missing", cure=_CURE)
    return Tile(found[0], found[1])


def right_edge(connection: Connection, size: int) -> RightEdge:
    """Return the partial tiles of a log of ``size`` leaves."""
    places = [
        (level, size >> (HEIGHT * (level + 1)))
        for level in range(levels_of(size))
        if (size >> (HEIGHT * level)) % SPAN
    ]
    found = {}
    for level, index in places:
        row = _TILE.execute(connection, [(level, index)]).first()
        if row is not None:
            found[level] = row.hashes
    return RightEdge(size, found)
