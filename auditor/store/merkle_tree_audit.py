"""Audit of the ledger's Merkle tree: rebuilt from its leaves, and compared with checkpoints."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from sqlalchemy import Connection, select

from auditor.domain.json import compute_digest
from auditor.domain.verification_steps import StepResult, VerificationStep
from auditor.errors import LedgerError, StoreError
from auditor.store.ledger import read_event, read_head
from auditor.store.tables import LedgerCheckpointRow, LedgerLeafRow, LedgerOpeningRow, LedgerTileRow
from auditor.trust.ledger.events import LedgerEvent, LedgerEventType, LedgerLeaf
from auditor.trust.ledger.merkle import SIZE, MerkleTree, TreeHead, leaf_hash, merkle_root
from auditor.trust.ledger.notes import LogCheckpoint, NoteKey, SignedNote, open_checkpoint
from auditor.trust.ledger.tiles import (
    HEIGHT,
    SPAN,
    LogTile,
    NodeCache,
    RightEdge,
    TilePath,
    append_leaf_hashes,
)

AT_ONCE = 10_000
MOST_MISSING = 2**20
"""Leaves in a row whose absence is named one by one."""
IN_TABLES = {
    LedgerEventType.REQUEST,
    LedgerEventType.RECORD,
    LedgerEventType.COSIGNATURE,
    LedgerEventType.ACT,
}
"""Events whose signed thing is a row of another table."""
_UNKNOWN = bytes(SIZE)


@dataclass(frozen=True, slots=True)
class LeafEvent:
    """An event that a leaf stands for."""

    index: int
    event: LedgerEvent


@dataclass(frozen=True, slots=True)
class LeafRow:
    """A row of leaves with the row that opens it; all but the first two are ``None`` without."""

    index: int
    body: bytes
    salt: bytes | None
    digest: str
    subjects: str
    event_id: str
    document: bytes | None


@dataclass(slots=True)
class LeafWalk:
    """What the leaves gave: ``hashes`` side by side, with the tiles' where a leaf is missing."""

    hashes: bytearray = field(default_factory=bytearray)
    met: list[LeafEvent] = field(default_factory=list)
    sizes: set[int] = field(default_factory=set)
    mistakes: list[str] = field(default_factory=list)
    disagree: list[int] = field(default_factory=list)

    @property
    def size(self) -> int:
        """How many leaves there are, the missing ones included."""
        return len(self.hashes) // SIZE


def walk_leaves(connection: Connection, size: int) -> LeafWalk:
    """Look at every leaf that is there or, by the log's ``size``, should be."""
    done = LeafWalk()
    hashes_row = LedgerTileRow
    asked = select(hashes_row.idx, hashes_row.hashes).where(hashes_row.level == 0)
    kept = {index: read_bytes_column(hashes) for index, hashes in connection.execute(asked)}
    for row in _rows(connection):
        if _reached(done, row.index, kept):
            _look(done, row, kept)
        else:
            done.mistakes.append(f"there is a leaf {row.index}, and nothing before it")
    if not _reached(done, size, kept):
        done.mistakes.append(f"leaves {done.size} to {size - 1} are missing from ledger_leaves")
    strays_row = LedgerOpeningRow
    there = select(LedgerLeafRow.idx).where(LedgerLeafRow.idx == strays_row.idx).exists()
    for index in connection.scalars(select(strays_row.idx).where(~there)):
        done.mistakes.append(f"there is an opening of leaf {index}, and no such leaf")
    return done


def _rows(connection: Connection) -> Iterator[LeafRow]:
    leaf, row = LedgerLeafRow, LedgerOpeningRow
    asked = (
        select(leaf.idx, leaf.body, row.salt, row.digest, row.subjects, row.event_id, row.document)
        .join(row, row.idx == leaf.idx, isouter=True)
        .order_by(leaf.idx)
    )
    for found in connection.execute(asked, execution_options={"yield_per": AT_ONCE}):
        index, body, salt, named, subjects, event_id, document = found
        opener = None if salt is None else read_bytes_column(salt)
        yield LeafRow(index, read_bytes_column(body), opener, named, subjects, event_id, document)


def read_bytes_column(value: object) -> bytes:
    """Return what a column of bytes holds, where a hand has put anything else in as well."""
    return value if isinstance(value, bytes) else str(value).encode()


def _kept(kept: dict[int, bytes], index: int) -> bytes:
    at = index % SPAN * SIZE
    return kept.get(index // SPAN, b"")[at : at + SIZE]


def _reached(done: LeafWalk, index: int, kept: dict[int, bytes]) -> bool:
    """Note every leaf before ``index`` that is not there, unless it is too far to be true."""
    if index - done.size > MOST_MISSING:
        return False
    for missing in range(done.size, index):
        done.mistakes.append(f"leaf {missing} is missing from ledger_leaves")
        done.hashes += _kept(kept, missing) or _UNKNOWN
    return True


def _look(done: LeafWalk, row: LeafRow, kept: dict[int, bytes]) -> None:
    found = leaf_hash(row.body)
    done.hashes += found
    if found != _kept(kept, row.index):
        done.disagree.append(row.index)
    try:
        leaf = LedgerLeaf.parse(row.body)
    except LedgerError as error:
        done.mistakes.append(f"leaf {row.index}: {error.problem}")
        return
    done.sizes.add(leaf.after)
    if row.salt is None:
        done.mistakes.append(f"the opening of leaf {row.index} ({leaf.id}) is missing")
        return
    mistake = _unopened(leaf, row, row.salt)
    if mistake:
        done.mistakes.append(f"the opening of leaf {row.index} ({leaf.id}) was changed: {mistake}")
        return
    done.met.append(LeafEvent(row.index, read_event(leaf, row.digest, row.subjects)))


def _unopened(leaf: LedgerLeaf, row: LeafRow, salt: bytes) -> str:
    try:
        event = read_event(leaf, row.digest, row.subjects)
    except (ValueError, TypeError):
        return "its subjects are not JSON"
    if row.event_id != leaf.id:
        return f"it is kept under the id {str(row.event_id)[:80]!r}"
    if not isinstance(event.subjects, Mapping) or not leaf.opens(event, salt):
        return "salt, digest or subjects are not those of the leaf"
    if (row.document is None) != (leaf.type in IN_TABLES):
        return "its document is missing" if row.document is None else "it was given a document"
    whole = row.document is None or compute_digest(read_bytes_column(row.document)) == row.digest
    return "" if whole else "its document was changed"


Tiles = Mapping[tuple[int, int], LogTile]


@dataclass(frozen=True, slots=True)
class _StoredTile:
    width: int
    tile: LogTile


@dataclass(frozen=True, slots=True)
class RebuiltTree:
    """The tiles that the leaves give, and what the signed checkpoints say of which sizes."""

    tiles: Tiles
    size: int
    signed: Mapping[int, TreeHead]

    def tree(self, size: int) -> MerkleTree:
        """Return the tree over the first leaves."""
        return NodeCache().tree(size, lambda *at: self.tiles.get(at, LogTile(b"")))

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


def rebuild_tree(connection: Connection, walked: LeafWalk, key: NoteKey | None) -> RebuiltTree:
    """Return the tree that the leaves give."""
    edge, full = append_leaf_hashes(RightEdge(0, {}), bytes(walked.hashes))
    tiles = {(tile.level, tile.index): LogTile(tile.hashes, tile.inner) for tile in full}
    for level, hashes in edge.partial.items():
        tiles[level, edge.size >> (HEIGHT * (level + 1))] = LogTile(hashes)
    signed = {}
    row = LedgerCheckpointRow
    for note in connection.scalars(select(row.note)):
        try:
            head = _read(note, key).head
        except LedgerError:
            continue  # named by checkpoint_mistakes
        signed[head.size] = head
    return RebuiltTree(tiles, walked.size, signed)


def find_tile_mistakes(
    connection: Connection, walked: LeafWalk, rebuilt: RebuiltTree
) -> Iterator[str]:
    """Name every leaf and tile that contradict each other, by the checkpoint that knows better."""
    row = LedgerTileRow
    there = {
        (level, index): _StoredTile(
            width, LogTile(read_bytes_column(hashes), read_bytes_column(inner))
        )
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


def _tiles_hold(there: Mapping[tuple[int, int], _StoredTile], rebuilt: RebuiltTree) -> bool:
    """Whether the tiles, unlike the leaves, give the last root that was signed."""
    if not rebuilt.signed:
        return False
    head = rebuilt.signed[max(rebuilt.signed)]
    rows = [
        there[0, at].tile.hashes if (0, at) in there else b"" for at in range(-(-head.size // SPAN))
    ]
    hashes = b"".join(rows)[: head.size * SIZE]
    return merkle_root(hashes[at : at + SIZE] for at in range(0, len(hashes), SIZE)) == head.root


def find_state_mistakes(connection: Connection, rebuilt: RebuiltTree) -> Iterator[str]:
    """Hold the row that says how far the log has grown against the leaves."""
    try:
        state = read_head(connection)
    except StoreError as error:
        yield error.problem
        return
    if not rebuilt.size:
        yield "the ledger is empty: it was never begun, or was deleted"
    elif state.size != rebuilt.size:
        yield f"ledger_state says {state.size} leaves, and there are {rebuilt.size}"
    elif state.root != rebuilt.root(rebuilt.size):
        yield f"ledger_state has another root than its {state.size} leaves"


def find_checkpoint_mistakes(
    connection: Connection, walked: LeafWalk, rebuilt: RebuiltTree, key: NoteKey | None
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


def _read(note: object, key: NoteKey | None) -> LogCheckpoint:
    raw = read_bytes_column(note)
    return (
        LogCheckpoint.parse(SignedNote.parse(raw).text)
        if key is None
        else open_checkpoint(raw, key)
    )


def check_external_checkpoint(
    raw: bytes, rebuilt: RebuiltTree, key: NoteKey, name: str
) -> VerificationStep:
    """Hold the ledger against a checkpoint that somebody else kept."""
    try:
        head = open_checkpoint(raw, key).head
    except LedgerError as error:
        return VerificationStep(name, StepResult.FAILED, error.problem)
    detail = f"the ledger continues the checkpoint of {head.size} leaves"
    if head.size > rebuilt.size:
        lost = f"leaves {rebuilt.size} to {head.size - 1} were lost: the checkpoint has {head.size}"
        return VerificationStep(name, StepResult.FAILED, lost)
    mistakes = []
    if rebuilt.root(head.size) != head.root:
        broken = rebuilt.broken_at()
        first, last = broken if broken is not None and broken[1] < head.size else (0, head.size - 1)
        mistakes.append(
            f"a leaf from {first} to {last} was changed: its first {head.size} leaves give "
            "another root than the checkpoint"
        )
    if rebuilt.signed.get(head.size, head) != head:
        mistakes.append(f"the ledger keeps another checkpoint of {head.size} leaves")
    if head.size and head.size not in rebuilt.signed:
        mistakes.append(f"the ledger has forgotten its checkpoint of {head.size} leaves")
    return VerificationStep.of(name, mistakes, detail)
