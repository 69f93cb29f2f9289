"""Builds the tree again from the leaves, and holds tiles, state and checkpoints against it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, select

from auditor.domain.steps import Step, StepResult
from auditor.errors import LedgerError, StoreError
from auditor.ledgers.checkpoints import Checkpoint, open_checkpoint
from auditor.ledgers.growing import RightEdge, grow
from auditor.ledgers.hashing import SIZE, root_of
from auditor.ledgers.nodes import Nodes
from auditor.ledgers.notes import Note, NoteKey
from auditor.ledgers.proofs import Head
from auditor.ledgers.tiles import HEIGHT, SPAN, Tile, TilePath
from auditor.ledgers.trees import Tree
from auditor.store.ledger_reading import head_of
from auditor.store.ledger_tables import LedgerCheckpointRow, LedgerTileRow
from auditor.store.reaudits.walking import Walk, as_bytes

Tiles = Mapping[tuple[int, int], Tile]


@dataclass(frozen=True, slots=True)
class _Kept:
    width: int
    tile: Tile


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """The tiles that the leaves give, and what the signed checkpoints say of which sizes."""

    tiles: Tiles
    size: int
    signed: Mapping[int, Head]

    def tree(self, size: int) -> Tree:
        """Return the tree over the first leaves."""
        return Nodes().tree(size, lambda *at: self.tiles.get(at, Tile(b"")))

    def root(self, size: int) -> bytes:
        """Return the root over the first leaves."""
        return self.tree(size).root()

    def broken_at(self) -> tuple[int, int] | None:
        """Return the first and the last leaf among which something signed was changed."""
        good = 0
        for size, head in sorted(self.signed.items()):
            if size > self.size or self.root(size) != head.root:
                return good, size - 1
            good = size
        return None


def rebuild(connection: Connection, walked: Walk, key: NoteKey | None) -> Rebuilt:
    """Return the tree that the leaves give."""
    edge, full = grow(RightEdge(0, {}), bytes(walked.hashes))
    tiles = {(tile.level, tile.index): Tile(tile.hashes, tile.inner) for tile in full}
    for level, hashes in edge.partial.items():
        tiles[level, edge.size >> (HEIGHT * (level + 1))] = Tile(hashes)
    signed = {}
    row = LedgerCheckpointRow
    for note in connection.scalars(select(row.note)):
        try:
            head = _read(note, key).head
        except LedgerError:
            continue  # named by checkpoint_mistakes
        signed[head.size] = head
    return Rebuilt(tiles, walked.size, signed)


def tile_mistakes(connection: Connection, walked: Walk, rebuilt: Rebuilt) -> Iterator[str]:
    """Name every leaf and tile that contradict each other, by the checkpoint that knows better."""
    row = LedgerTileRow
    there = {
        (level, index): _Kept(width, Tile(as_bytes(hashes), as_bytes(inner)))
        for level, index, width, hashes, inner in connection.execute(
            select(row.level, row.idx, row.width, row.hashes, row.inner)
        )
    }
    leaves_hold = rebuilt.broken_at() is None and bool(rebuilt.signed)
    tiles_hold = not leaves_hold and _tiles_hold(there, rebuilt)
    for index in walked.disagree:
        if not leaves_hold:
            who = "was changed" if tiles_hold else "or its tile was changed"
            yield f"leaf {index} {who}: it is not what {TilePath(0, index // SPAN)} has"
    for place in sorted(set(there) | set(rebuilt.tiles)):
        found, expected = there.get(place), rebuilt.tiles.get(place)
        if found is None:
            yield f"{TilePath(*place)} is missing from ledger_tiles"
        elif expected is None:
            yield f"{TilePath(*place)} belongs to no leaf"
        elif found.width * SIZE != len(found.tile.hashes):
            yield f"{TilePath(*place)} was changed: its width is not {found.width}"
        elif found.tile.hashes != expected.hashes and not tiles_hold:
            yield f"{TilePath(*place)} was changed: the leaves give other hashes"
        elif found.tile.inner != expected.inner and found.tile.hashes == expected.hashes:
            yield f"{TilePath(*place)} was changed: its own hashes give other nodes half-way up"


def _tiles_hold(there: Mapping[tuple[int, int], _Kept], rebuilt: Rebuilt) -> bool:
    """Whether the tiles, unlike the leaves, give the last root that was signed."""
    if not rebuilt.signed:
        return False
    head = rebuilt.signed[max(rebuilt.signed)]
    rows = [
        there[0, at].tile.hashes if (0, at) in there else b"" for at in range(-(-head.size // SPAN))
    ]
    hashes = b"".join(rows)[: head.size * SIZE]
    return root_of(hashes[at : at + SIZE] for at in range(0, len(hashes), SIZE)) == head.root


def state_mistakes(connection: Connection, rebuilt: Rebuilt) -> Iterator[str]:
    """Hold the row that says how far the log has grown against the leaves."""
    try:
        state = head_of(connection)
    except StoreError as error:
        yield error.problem
        return
    if not rebuilt.size:
        yield "the ledger is empty: it was never begun, or was deleted"
    elif state.size != rebuilt.size:
        yield f"ledger_state says {state.size} leaves, and there are {rebuilt.size}"
    elif state.root != rebuilt.root(rebuilt.size):
        yield f"ledger_state has another root than its {state.size} leaves"


def checkpoint_mistakes(
    connection: Connection, walked: Walk, rebuilt: Rebuilt, key: NoteKey | None
) -> Iterator[str]:
    """Hold every checkpoint against the tree, and name those that are not there any more."""
    there = set()
    row = LedgerCheckpointRow
    for size, note in connection.execute(select(row.size, row.note).order_by(row.size)):
        there.add(size)
        try:
            found = _read(note, key)
        except LedgerError as error:
            yield f"the checkpoint of {size} leaves was changed: {error.problem}"
            continue
        if found.head.size != size:
            yield f"the checkpoint of {size} leaves was changed: it speaks of {found.head.size}"
    broken = rebuilt.broken_at()
    if broken is not None:
        yield (
            f"a leaf from {broken[0]} to {broken[1]} was changed or lost: the checkpoint of "
            f"{broken[1] + 1} leaves was signed over another tree"
        )
    for size in sorted((walked.sizes | {rebuilt.size}) - there - {0}):
        yield f"the checkpoint of {size} leaves is missing from ledger_checkpoints"


def _read(note: object, key: NoteKey | None) -> Checkpoint:
    raw = as_bytes(note)
    return Checkpoint.parse(Note.parse(raw).text) if key is None else open_checkpoint(raw, key)


def outside(raw: bytes, rebuilt: Rebuilt, key: NoteKey, name: str) -> Step:
    """Hold the ledger against a checkpoint that somebody else kept."""
    try:
        head = open_checkpoint(raw, key).head
    except LedgerError as error:
        return Step(name, StepResult.FAILED, error.problem)
    detail = f"the ledger continues the checkpoint of {head.size} leaves"
    if head.size > rebuilt.size:
        lost = f"leaves {rebuilt.size} to {head.size - 1} were lost: the checkpoint has {head.size}"
        return Step(name, StepResult.FAILED, lost)
    mistakes = []
    if rebuilt.root(head.size) != head.root:
        first, last = _narrowed(rebuilt, head)
        mistakes.append(
            f"a leaf from {first} to {last} was changed: its first {head.size} leaves give "
            "another root than the checkpoint"
        )
    if rebuilt.signed.get(head.size, head) != head:
        mistakes.append(f"the ledger keeps another checkpoint of {head.size} leaves")
    if head.size and head.size not in rebuilt.signed:
        mistakes.append(f"the ledger has forgotten its checkpoint of {head.size} leaves")
    return Step.of(name, mistakes, detail)


def _narrowed(rebuilt: Rebuilt, head: Head) -> tuple[int, int]:
    broken = rebuilt.broken_at()
    return broken if broken is not None and broken[1] < head.size else (0, head.size - 1)
