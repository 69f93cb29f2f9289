"""Appending: the tiles at the right edge of a log, and what they become with more leaves."""

from collections.abc import Mapping
from dataclasses import dataclass

from auditor.ledgers.hashing import EMPTY, SIZE, node_hash
from auditor.ledgers.tiles import FULL, HALF, HEIGHT, SPAN, expand


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
        for level in range(levels_of(self.size)):
            expected = (self.size >> (HEIGHT * level)) % SPAN * SIZE
            if len(self.partial.get(level, b"")) != expected:
                return f"the partial tile of level {level} has not {expected // SIZE} hashes"
        return ""

    def root(self) -> bytes:
        """Return the Merkle tree hash."""
        fold = b""
        for level in range(levels_of(self.size)):
            rows = expand(self.partial.get(level, b""))
            for row in rows:
                if row and len(row) // SIZE % 2:
                    peak = row[-SIZE:]
                    fold = node_hash(peak, fold) if fold else peak
        return fold or EMPTY


def levels_of(size: int) -> int:
    """Return how many levels of tiles a log of ``size`` leaves has."""
    return -(-size.bit_length() // HEIGHT)


def grow(edge: RightEdge, leaves: bytes) -> tuple[RightEdge, tuple[FullTile, ...]]:
    """Return the edge after more leaf hashes, side by side, and the tiles that became full."""
    size, partial, full = edge.size + len(leaves) // SIZE, dict(edge.partial), []
    fresh, level = leaves, 0
    while fresh:
        index = edge.size >> (HEIGHT * (level + 1))
        row = partial.get(level, b"") + fresh
        ends = range(FULL, len(row) + 1, FULL)
        done = [expand(row[end - FULL : end]) for end in ends]
        full += [FullTile(level, index + at, rows[0], rows[HALF]) for at, rows in enumerate(done)]
        partial[level] = row[len(done) * FULL :]
        fresh, level = b"".join([rows[HEIGHT] for rows in done]), level + 1
    return RightEdge(size, {key: row for key, row in partial.items() if row}), tuple(full)
