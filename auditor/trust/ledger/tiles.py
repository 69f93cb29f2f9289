"""Tiles and entry bundles of a transparency log (C2SP tlog-tiles), appending, and node caching.

A tile of level L holds up to 256 hashes of complete nodes of tree level 8 L, side by side.
"""

import re
import struct
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from auditor.errors import LedgerError
from auditor.trust.ledger.merkle import EMPTY, SIZE, MerkleTree, hash_pairs, node_hash

HEIGHT = 8
SPAN = 1 << HEIGHT
FULL = SPAN * SIZE
"""Bytes of a full tile."""
HALF = HEIGHT // 2
"""The row of 16 nodes that is kept beside a full tile: with it a proof takes 26 hashes, not 247."""
INNER = (SPAN >> HALF) * SIZE
"""Bytes of that row."""
MOST_ENTRY = 2**16 - 1
"""Bytes of the longest entry that a bundle can hold."""
_LEVELS = 64
_PATH = re.compile(
    r"tile/(entries|0|[1-9][0-9]?)/((?:x[0-9]{3}/)*[0-9]{3})(?:\.p/([1-9][0-9]{0,2}))?"
)


@dataclass(frozen=True, slots=True)
class TilePath:
    """The name of a tile, or of the bundle of entries under a tile (``level`` is ``None``)."""

    level: int | None
    index: int
    width: int = SPAN

    def __str__(self) -> str:
        """Return the path below a log's prefix, such as ``tile/0/x001/234.p/7``."""
        groups = [f"{self.index % 1000:03}"]
        rest = self.index // 1000
        while rest:
            groups.insert(0, f"x{rest % 1000:03}")
            rest //= 1000
        partial = "" if self.width == SPAN else f".p/{self.width}"
        level = "entries" if self.level is None else self.level
        return f"tile/{level}/{'/'.join(groups)}{partial}"

    @classmethod
    def parse(cls, path: str) -> "TilePath":
        """Read a path; it must be spelled the one way. Raises ``LedgerError``."""
        match = _PATH.fullmatch(path)
        if match is not None:
            level = None if match[1] == "entries" else int(match[1])
            index = int(match[2].replace("x", "").replace("/", ""))
            found = cls(level, index, int(match[3] or SPAN))
            if str(found) == path and found.width <= SPAN and (level or 0) < _LEVELS:
                return found
        raise LedgerError(
            f"{path[:80]!r} is not a path of a tile",
            cure="Write it as C2SP tlog-tiles does, such as tile/0/x001/067.p/5.",
        )


def tile_width(level: int, index: int, size: int) -> int:
    """Return how many hashes a tile has in a tree of ``size`` leaves, at most 256; 0 for none."""
    return max(0, min(SPAN, (size >> (HEIGHT * level)) - index * SPAN))


def expand_tile_rows(tile: bytes) -> tuple[bytes, ...]:
    """Return the rows of complete nodes over a tile, its own hashes first: up to nine of them."""
    rows = [tile]
    while len(rows[-1]) >= 2 * SIZE:
        rows.append(hash_pairs(rows[-1]))
    return tuple(rows)


@dataclass(frozen=True, slots=True)
class LogTile:
    """The hashes of a tile, and of a full one the nodes half-way up, where they are kept."""

    hashes: bytes
    inner: bytes = b""

    def rows(self) -> tuple[bytes, ...]:
        """Return the rows of complete nodes; those below ``inner`` are empty but for the first."""
        if len(self.inner) != INNER or len(self.hashes) != FULL:
            return expand_tile_rows(self.hashes)
        return (self.hashes, *[b""] * (HALF - 1), *expand_tile_rows(self.inner))


def find_tile_node(rows: tuple[bytes, ...], row: int, at: int) -> bytes:
    """Return a node out of rows that ``LogTile.rows`` gave; nothing where it is not complete."""
    if row >= len(rows):
        return b""
    if rows[row]:
        return rows[row][at * SIZE : (at + 1) * SIZE]
    below = rows[0][(at << row) * SIZE : (at + 1 << row) * SIZE]
    for _ in range(row):
        below = hash_pairs(below)
    return below


def encode_entry_bundle(entries: Iterable[bytes]) -> bytes:
    """Return entries as one bundle. Raises ``LedgerError`` for one that is too long."""
    return b"".join(struct.pack(">H", len(require_entry_size(entry))) + entry for entry in entries)


def require_entry_size(entry: bytes) -> bytes:
    """Return an entry that a bundle can hold. Raises ``LedgerError`` for one that is too long."""
    if len(entry) > MOST_ENTRY:
        raise LedgerError(
            f"an entry has {len(entry)} bytes, and a ledger takes {MOST_ENTRY}",
            cure="Put the digest of what is long into the entry.",
        )
    return entry


def decode_entry_bundle(raw: bytes) -> tuple[bytes, ...]:
    """Return the entries of a bundle. Raises ``LedgerError`` where it breaks off."""
    entries, at = [], 0
    while at < len(raw):
        length = int.from_bytes(raw[at : at + 2], "big")
        end = at + 2 + length
        if at + 2 > len(raw) or end > len(raw):
            raise LedgerError("a bundle of entries breaks off", cure="Fetch it again.")
        entries.append(raw[at + 2 : end])
        at = end
    return tuple(entries)


@dataclass(frozen=True, slots=True)
class FullTile:
    """A tile that will never change again, with the row of its nodes half-way up."""

    level: int
    index: int
    hashes: bytes
    inner: bytes


@dataclass(frozen=True, slots=True)
class RightEdge:
    """All that a log of ``size`` leaves must remember to grow: its partial tiles, by level."""

    size: int
    partial: Mapping[int, bytes]

    def mistake(self) -> str:
        """Say what is wrong with the tiles for that size; nothing when they fit."""
        for level in range(count_tile_levels(self.size)):
            expected = (self.size >> (HEIGHT * level)) % SPAN * SIZE
            if len(self.partial.get(level, b"")) != expected:
                return f"the partial tile of level {level} has not {expected // SIZE} hashes"
        return ""

    def root(self) -> bytes:
        """Return the Merkle tree hash."""
        fold = b""
        for level in range(count_tile_levels(self.size)):
            rows = expand_tile_rows(self.partial.get(level, b""))
            for row in rows:
                if row and len(row) // SIZE % 2:
                    peak = row[-SIZE:]
                    fold = node_hash(peak, fold) if fold else peak
        return fold or EMPTY


def count_tile_levels(size: int) -> int:
    """Return how many levels of tiles a log of ``size`` leaves has."""
    return -(-size.bit_length() // HEIGHT)


def append_leaf_hashes(edge: RightEdge, leaves: bytes) -> tuple[RightEdge, tuple[FullTile, ...]]:
    """Return the edge after more leaf hashes, side by side, and the tiles that became full."""
    size, partial, full = edge.size + len(leaves) // SIZE, dict(edge.partial), []
    fresh, level = leaves, 0
    while fresh:
        index = edge.size >> (HEIGHT * (level + 1))
        row = partial.get(level, b"") + fresh
        ends = range(FULL, len(row) + 1, FULL)
        done = [expand_tile_rows(row[end - FULL : end]) for end in ends]
        full += [FullTile(level, index + at, rows[0], rows[HALF]) for at, rows in enumerate(done)]
        partial[level] = row[len(done) * FULL :]
        fresh, level = b"".join([rows[HEIGHT] for rows in done]), level + 1
    return RightEdge(size, {key: row for key, row in partial.items() if row}), tuple(full)


Fetch = Callable[[int, int], LogTile]
"""Gives a tile by level and index, as wide as it is by now."""
_MASK = SPAN - 1


class NodeCache:
    """Remembers the inner nodes of up to ``most`` tiles, some 10 kB each, the least used go first.

    Tiles only ever grow, so what is remembered stays true. What ``fetch`` gives must be kept for
    good already: what may still be undone has no place here.
    """

    def __init__(self, most: int = 4096) -> None:
        self._most = most
        self._tiles: dict[tuple[int, int], tuple[bytes, ...]] = {}

    def tree(self, size: int, fetch: Fetch) -> MerkleTree:
        """Return the tree over the first ``size`` leaves.

        Its methods raise ``LedgerError`` where a tile is missing or too short.
        """

        def node(level: int, index: int) -> bytes:
            row = level % HEIGHT
            at = index & (_MASK >> row)
            key = level // HEIGHT, index >> (HEIGHT - row)
            rows = self._tiles.pop(key, None)
            if not row and rows is not None and rows[1:2] == (b"",):
                rows = expand_tile_rows(rows[0])  # a second proof asks: more will
            found = find_tile_node(rows, row, at) if rows is not None else b""
            if rows is None or not found:
                rows = fetch(*key).rows()
                while len(self._tiles) >= self._most:
                    self._tiles.pop(next(iter(self._tiles)), None)
                found = find_tile_node(rows, row, at)
            self._tiles[key] = rows  # the last one in is the last one to go
            if not found:
                raise LedgerError(
                    f"{TilePath(*key)} does not reach node {index} of level {level}",
                    cure="See what `auditor ledger verify` finds.",
                )
            return found

        return MerkleTree(size, node)
