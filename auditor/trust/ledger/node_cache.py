"""The nodes of a log, worked out from its tiles; those used last stay in memory."""

from collections.abc import Callable

from auditor.errors import LedgerError
from auditor.trust.ledger.merkle import MerkleTree
from auditor.trust.ledger.tiles import (
    HEIGHT,
    SPAN,
    LogTile,
    TilePath,
    expand_tile_rows,
    find_tile_node,
)

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
                rows = self._fetched(key, fetch)
                found = find_tile_node(rows, row, at)
            self._tiles[key] = rows  # the last one in is the last one to go
            if not found:
                raise _short(key, index, level)
            return found

        return MerkleTree(size, node)

    def _fetched(self, key: tuple[int, int], fetch: Fetch) -> tuple[bytes, ...]:
        rows = fetch(*key).rows()
        while len(self._tiles) >= self._most:
            self._tiles.pop(next(iter(self._tiles)), None)
        return rows


def _short(key: tuple[int, int], index: int, level: int) -> LedgerError:
    return LedgerError(
        f"{TilePath(*key)} does not reach node {index} of level {level}",
        cure="See what `auditor ledger verify` finds.",
    )
