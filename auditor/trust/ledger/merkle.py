"""A Merkle tree of one size: its root, and proofs that it holds a leaf or continues a smaller one.

A node is named by its level (0 for leaves) and its index in that level. Only complete nodes, over
``2**level`` leaves, are asked for; what hangs over the ragged right edge is made here.
"""

from collections.abc import Callable

from auditor.ledgers.hashing import EMPTY, node_hash

Node = Callable[[int, int], bytes]
"""Gives the hash of a complete node by level and index."""


class Tree:
    """The tree over the first ``size`` leaves. Raises ``ValueError`` for what it does not have."""

    def __init__(self, size: int, node: Node) -> None:
        self.size = size
        self._node = node
        self._ragged: list[bytes] | None = None

    def root(self) -> bytes:
        """Return the Merkle tree hash."""
        return self._edge((self.size - 1).bit_length()) if self.size else EMPTY

    def inclusion(self, index: int) -> tuple[bytes, ...]:
        """Return the proof that a leaf is in the tree (RFC 9162, section 2.1.3.1)."""
        if not 0 <= index < self.size:
            message = f"there is no leaf {index} in a tree of {self.size}"
            raise ValueError(message)
        return tuple(self._siblings(0, index, self.size - 1))

    def consistency(self, old: int) -> tuple[bytes, ...]:
        """Return the proof that the tree continues its first ``old`` leaves (2.1.4.1).

        It is empty where ``old`` is 0 or the size itself.
        """
        if not 0 <= old <= self.size:
            message = f"a tree of {self.size} does not continue one of {old}"
            raise ValueError(message)
        if old in {0, self.size}:
            return ()
        level = (old & -old).bit_length() - 1  # the largest complete node at the old right edge
        at, last = (old - 1) >> level, (self.size - 1) >> level
        proof = self._siblings(level, at, last)
        return (self._node(level, at), *proof) if at else tuple(proof)

    def _siblings(self, level: int, at: int, last: int) -> list[bytes]:
        node, found = self._node, []
        while last:
            if at & 1:
                found.append(node(level, at - 1))
            elif at + 1 < last:
                found.append(node(level, at + 1))
            elif at < last:
                found.append(self._edge(level))
            at, last, level = at >> 1, last >> 1, level + 1
        return found

    def _edge(self, level: int) -> bytes:
        """Return the hash of the last node of a level, complete or not."""
        beyond = self.size & ((1 << level) - 1)
        if not beyond:
            return self._node(level, (self.size >> level) - 1)
        if self._ragged is None:
            self._ragged = self._folds()
        return self._ragged[level]

    def _folds(self) -> list[bytes]:
        """Return, by level, the root of the leaves that fill no complete node of that level."""
        folds, fold = [b""], b""
        for level in range(self.size.bit_length()):
            if self.size >> level & 1:
                peak = self._node(level, (self.size >> level) - 1)
                fold = node_hash(peak, fold) if fold else peak
            folds.append(fold)
        return folds
