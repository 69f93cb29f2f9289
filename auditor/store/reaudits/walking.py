"""Walks through all leaves of the ledger: their hashes, what they say, and what opens them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from sqlalchemy import Connection, select

from auditor.domain.canonical import digest
from auditor.errors import LedgerError
from auditor.ledgers.events import Event, EventType, Leaf
from auditor.ledgers.hashing import SIZE, leaf_hash
from auditor.ledgers.tiles import SPAN
from auditor.store.ledger_reading import opened
from auditor.store.ledger_tables import LedgerLeafRow, LedgerOpeningRow, LedgerTileRow

AT_ONCE = 10_000
MOST_MISSING = 2**20
"""Leaves in a row whose absence is named one by one."""
IN_TABLES = {EventType.REQUEST, EventType.RECORD, EventType.COSIGNATURE, EventType.ACT}
"""Events whose signed thing is a row of another table."""
_UNKNOWN = bytes(SIZE)


@dataclass(frozen=True, slots=True)
class Met:
    """An event that a leaf stands for."""

    index: int
    event: Event


@dataclass(frozen=True, slots=True)
class Stored:
    """A row of leaves with the row that opens it; all but the first two are ``None`` without."""

    index: int
    body: bytes
    salt: bytes | None
    digest: str
    subjects: str
    event_id: str
    document: bytes | None


@dataclass(slots=True)
class Walk:
    """What the leaves gave: ``hashes`` side by side, with the tiles' where a leaf is missing."""

    hashes: bytearray = field(default_factory=bytearray)
    met: list[Met] = field(default_factory=list)
    sizes: set[int] = field(default_factory=set)
    mistakes: list[str] = field(default_factory=list)
    disagree: list[int] = field(default_factory=list)

    @property
    def size(self) -> int:
        """How many leaves there are, the missing ones included."""
        return len(self.hashes) // SIZE


def walk(connection: Connection, size: int) -> Walk:
    """Look at every leaf that is there or, by the log's ``size``, should be."""
    done = Walk()
    kept = _tile_hashes(connection)
    for row in _rows(connection):
        if _reached(done, row.index, kept):
            _look(done, row, kept)
        else:
            done.mistakes.append(f"there is a leaf {row.index}, and nothing before it")
    if not _reached(done, size, kept):
        done.mistakes.append(f"leaves {done.size} to {size - 1} are missing from ledger_leaves")
    _strays(connection, done)
    return done


def _rows(connection: Connection) -> Iterator[Stored]:
    leaf, row = LedgerLeafRow, LedgerOpeningRow
    asked = (
        select(leaf.idx, leaf.body, row.salt, row.digest, row.subjects, row.event_id, row.document)
        .join(row, row.idx == leaf.idx, isouter=True)
        .order_by(leaf.idx)
    )
    for found in connection.execute(asked, execution_options={"yield_per": AT_ONCE}):
        index, body, salt, named, subjects, event_id, document = found
        opener = None if salt is None else as_bytes(salt)
        yield Stored(index, as_bytes(body), opener, named, subjects, event_id, document)


def as_bytes(value: object) -> bytes:
    """Return what a column of bytes holds, where a hand has put anything else in as well."""
    return value if isinstance(value, bytes) else str(value).encode()


def _tile_hashes(connection: Connection) -> dict[int, bytes]:
    row = LedgerTileRow
    asked = select(row.idx, row.hashes).where(row.level == 0)
    return {index: as_bytes(hashes) for index, hashes in connection.execute(asked)}


def _kept(kept: dict[int, bytes], index: int) -> bytes:
    at = index % SPAN * SIZE
    return kept.get(index // SPAN, b"")[at : at + SIZE]


def _reached(done: Walk, index: int, kept: dict[int, bytes]) -> bool:
    """Note every leaf before ``index`` that is not there, unless it is too far to be true."""
    if index - done.size > MOST_MISSING:
        return False
    for missing in range(done.size, index):
        done.mistakes.append(f"leaf {missing} is missing from ledger_leaves")
        done.hashes += _kept(kept, missing) or _UNKNOWN
    return True


def _look(done: Walk, row: Stored, kept: dict[int, bytes]) -> None:
    found = leaf_hash(row.body)
    done.hashes += found
    if found != _kept(kept, row.index):
        done.disagree.append(row.index)
    try:
        leaf = Leaf.parse(row.body)
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
    done.met.append(Met(row.index, opened(leaf, row.digest, row.subjects)))


def _unopened(leaf: Leaf, row: Stored, salt: bytes) -> str:
    try:
        event = opened(leaf, row.digest, row.subjects)
    except (ValueError, TypeError):
        return "its subjects are not JSON"
    if row.event_id != leaf.id:
        return f"it is kept under the id {str(row.event_id)[:80]!r}"
    if not isinstance(event.subjects, Mapping) or not leaf.opens(event, salt):
        return "salt, digest or subjects are not those of the leaf"
    if (row.document is None) != (leaf.type in IN_TABLES):
        return "its document is missing" if row.document is None else "it was given a document"
    whole = row.document is None or digest(as_bytes(row.document)) == row.digest
    return "" if whole else "its document was changed"


def _strays(connection: Connection, done: Walk) -> None:
    row = LedgerOpeningRow
    there = select(LedgerLeafRow.idx).where(LedgerLeafRow.idx == row.idx).exists()
    for index in connection.scalars(select(row.idx).where(~there)):
        done.mistakes.append(f"there is an opening of leaf {index}, and no such leaf")
