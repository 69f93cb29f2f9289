"""Merkle trees (RFC 6962, SHA-256): hashes, roots, and inclusion and consistency proofs.

Tree hash: RFC 6962, section 2.1 (RFC 9162, section 2.1.1). Proof verification: RFC 9162, sections
2.1.3.2 and 2.1.4.2.

A node is identified by its level (0 for leaves) and its index in that level. Only complete nodes,
over ``2**level`` leaves, are read; incomplete nodes at the right edge are computed here.
"""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

SIZE = 32
"""Bytes of a hash."""
EMPTY = hashlib.sha256(b"").digest()
"""The root of a tree without leaves."""
_LEAF = b"\x00"
_NODE = b"\x01"
_sha256 = hashlib.sha256


def leaf_hash(entry: bytes) -> bytes:
    """Return the hash of a leaf that holds ``entry``."""
    return _sha256(_LEAF + entry).digest()


def leaf_hashes(entries: Iterable[bytes]) -> list[bytes]:
    """Return the hashes of leaves that hold these entries."""
    return [_sha256(_LEAF + entry).digest() for entry in entries]


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of an inner node over its two children."""
    return _sha256(_NODE + left + right).digest()


def hash_pairs(row: bytes) -> bytes:
    """Return the hashes of the nodes over each pair in ``row``; an odd last one is left out.

    ``row`` is a sequence of hashes without anything between them, and so is what is returned.
    """
    return b"".join(
        [
            _sha256(_NODE + row[at : at + 2 * SIZE]).digest()
            for at in range(0, len(row) - SIZE, 2 * SIZE)
        ]
    )


def merkle_root(leaves: Iterable[bytes]) -> bytes:
    """Return the root over leaf hashes."""
    row = b"".join(leaves)
    if not row:
        return EMPTY
    while len(row) > SIZE:
        odd = row[-SIZE:] if len(row) // SIZE % 2 else b""
        row = hash_pairs(row) + odd
    return row


Node = Callable[[int, int], bytes]
"""Gives the hash of a complete node by level and index."""


class MerkleTree:
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
            # Return, by level, the root of the leaves that fill no complete node of that level
            folds, fold = [b""], b""
            for folds_level in range(self.size.bit_length()):
                if self.size >> folds_level & 1:
                    peak = self._node(folds_level, (self.size >> folds_level) - 1)
                    fold = node_hash(peak, fold) if fold else peak
                folds.append(fold)
            self._ragged = folds
        return self._ragged[level]


@dataclass(frozen=True, slots=True)
class TreeHead:
    """How many leaves a tree has, and its root."""

    size: int
    root: bytes


def verify_inclusion(head: TreeHead, index: int, leaf: bytes, proof: Sequence[bytes]) -> bool:
    """Whether ``proof`` shows that the leaf with the hash ``leaf`` is the one at ``index``."""
    if not 0 <= index < head.size or not _hashes((leaf, head.root, *proof)):
        return False
    at, last, found = index, head.size - 1, leaf
    for item in proof:
        if not last:
            return False
        if at & 1 or at == last:
            found = node_hash(item, found)
            at, last = at >> _zeros(at), last >> _zeros(at)
        else:
            found = node_hash(found, item)
        at, last = at >> 1, last >> 1
    return not last and found == head.root


def verify_consistency(head: TreeHead, old: TreeHead, proof: Sequence[bytes]) -> bool:
    """Whether ``proof`` shows that the tree of ``head`` begins with the one of ``old``.

    Every tree continues the empty one, and itself, without a proof.
    """
    if not 0 <= old.size <= head.size or not _hashes((old.root, head.root, *proof)):
        return False
    if old.size == head.size:
        return old.root == head.root and not proof
    if not old.size:
        return old.root == EMPTY and not proof
    rest = list(proof)
    if old.size & (old.size - 1) == 0:
        rest.insert(0, old.root)
    return bool(rest) and _both(head, old, rest)


def _both(head: TreeHead, old: TreeHead, rest: list[bytes]) -> bool:
    """Work out both roots from one proof."""
    level = _zeros(old.size)
    at, last = (old.size - 1) >> level, (head.size - 1) >> level
    before = after = rest[0]
    for item in rest[1:]:
        if not last:
            return False
        if at & 1 or at == last:
            before, after = node_hash(item, before), node_hash(item, after)
            at, last = at >> _zeros(at), last >> _zeros(at)
        else:
            after = node_hash(after, item)
        at, last = at >> 1, last >> 1
    return not last and before == old.root and after == head.root


def _zeros(number: int) -> int:
    """Return how many zeros a number above zero ends with, written in binary."""
    return (number & -number).bit_length() - 1


def _hashes(values: Sequence[bytes]) -> bool:
    return all(len(value) == SIZE for value in values)
