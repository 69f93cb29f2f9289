"""Verifying proofs of inclusion and of consistency (RFC 9162, sections 2.1.3.2 and 2.1.4.2)."""

from collections.abc import Sequence
from dataclasses import dataclass

from auditor.ledgers.hashing import EMPTY, SIZE, node_hash


@dataclass(frozen=True, slots=True)
class Head:
    """How many leaves a tree has, and its root."""

    size: int
    root: bytes


def includes(head: Head, index: int, leaf: bytes, proof: Sequence[bytes]) -> bool:
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


def continues(head: Head, old: Head, proof: Sequence[bytes]) -> bool:
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


def _both(head: Head, old: Head, rest: list[bytes]) -> bool:
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
