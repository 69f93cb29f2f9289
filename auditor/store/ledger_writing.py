"""Appends to the ledger inside a transaction, and signs a checkpoint before it ends."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, insert, update

from auditor.errors import LedgerError, StoreError
from auditor.ledgers.checkpoints import Checkpoint, open_checkpoint, sign_checkpoint
from auditor.ledgers.events import Event, written
from auditor.ledgers.growing import FullTile, RightEdge, grow
from auditor.ledgers.hashing import SIZE, leaf_hash
from auditor.ledgers.nodes import Nodes
from auditor.ledgers.notes import NoteSigner
from auditor.ledgers.proofs import Head
from auditor.ledgers.tiles import HEIGHT, checked
from auditor.store.ledger_reading import head_of, latest_checkpoint, read_tile, right_edge
from auditor.store.ledger_tables import (
    LedgerCheckpointRow,
    LedgerLeafRow,
    LedgerOpeningRow,
    LedgerStateRow,
    LedgerTileRow,
)
from auditor.store.ordered import Ordered

_LEAVES, _OPENINGS = Ordered(insert(LedgerLeafRow), "idx", "body"), insert(LedgerOpeningRow)
_TILES, _CHECKPOINTS = insert(LedgerTileRow), insert(LedgerCheckpointRow)
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
_CURE = "See what `auditor ledger verify` finds, and restore the database from a copy."


@dataclass(frozen=True, slots=True)
class Pending:
    """An event on its way into the ledger, with the signed thing where no table keeps it."""

    event: Event
    document: bytes | None = None


@dataclass(frozen=True, slots=True)
class LedgerWriter:
    """The ledger's growing end. Every method belongs to the transaction of ``connection``."""

    connection: Connection
    signer: NoteSigner | None
    salt: Callable[[], bytes]

    def append(self, pending: Sequence[Pending]) -> Head:
        """Append events and, with a signer, sign the checkpoint that they end in.

        All of it is kept or undone with the transaction, so that no checkpoint is published
        that the store could forget. Raises ``StoreError`` where the ledger does not continue
        its own last checkpoint, or that one carries another key's signature.
        """
        before = head_of(self.connection, lock=True)
        last = self._last(before)
        openings, entries = [], []
        for at, item in enumerate(pending):
            salt = self.salt()
            leaf = item.event.leaf(salt, last.size)
            entries.append(leaf.entry())
            openings.append(_opening(before.size + at, leaf.id, salt, item))
        after = self.append_entries(before, entries)
        self.connection.execute(_OPENINGS, openings)
        if self.signer is not None:
            self._seal(self.signer, after)
        return after

    def append_entries(self, before: Head, entries: Sequence[bytes]) -> Head:
        """Append entries to the log of the head ``before``, which must be the one at hand.

        Raises ``StoreError`` where it is not, or where the tiles do not give its root, and
        ``LedgerError`` for an entry that is too long.
        """
        edge = right_edge(self.connection, before.size)
        mistake = edge.mistake()
        if mistake or edge.root() != before.root:
            raise StoreError(
                f"the ledger's tiles are damaged: {mistake or 'they have another root'}", cure=_CURE
            )
        grown, full = grow(edge, b"".join([leaf_hash(checked(entry)) for entry in entries]))
        _LEAVES.execute(self.connection, list(enumerate(entries, before.size)))
        self._keep_tiles(edge, grown, full)
        after = Head(grown.size, grown.root())
        self._advance(before, after)
        return after

    def _last(self, before: Head) -> Head:
        """Return the head of the last checkpoint, which the ledger must still continue."""
        row = latest_checkpoint(self.connection)
        if row is None or self.signer is None:
            return Head(0, b"")
        size, note = row
        try:
            last = open_checkpoint(note, self.signer.key).head
            continued = last == before or (
                last.size <= before.size and self._root_at(last.size) == last.root
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

    def _root_at(self, size: int) -> bytes:
        return Nodes().tree(size, lambda *at: read_tile(self.connection, *at)).root()

    def _seal(self, signer: NoteSigner, head: Head) -> None:
        note = sign_checkpoint(Checkpoint(signer.key.name, head), signer)
        self.connection.execute(_CHECKPOINTS, {"size": head.size, "note": note})

    def _keep_tiles(self, edge: RightEdge, grown: RightEdge, full: Sequence[FullTile]) -> None:
        there = {_place(edge, level): hashes for level, hashes in edge.partial.items()}
        fresh = []
        for tile in _tiles(grown, full):
            before = there.get((tile.level, tile.index))
            if before is None:
                fresh.append(_columns(tile))
            elif before != tile.hashes:
                place = {"of_level": tile.level, "of_idx": tile.index}
                self.connection.execute(_WIDEN, {**_columns(tile), **place})
        if fresh:
            self.connection.execute(_TILES, fresh)

    def _advance(self, before: Head, after: Head) -> None:
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


def _opening(index: int, event_id: str, salt: bytes, item: Pending) -> Mapping[str, object]:
    return {
        "idx": index,
        "event_id": event_id,
        "salt": salt,
        "digest": item.event.digest,
        "subjects": written(item.event.subjects),
        "document": item.document,
    }


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
