"""The Merkle tree hash of RFC 6962, section 2.1 (RFC 9162, section 2.1.1), over SHA-256."""

import hashlib
from collections.abc import Iterable

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


def pairs(row: bytes) -> bytes:
    """Return the hashes of the nodes over each pair in ``row``; an odd last one is left out.

    ``row`` is a sequence of hashes without anything between them, and so is what is returned.
    """
    return b"".join(
        [
            _sha256(_NODE + row[at : at + 2 * SIZE]).digest()
            for at in range(0, len(row) - SIZE, 2 * SIZE)
        ]
    )


def root_of(leaves: Iterable[bytes]) -> bytes:
    """Return the root over leaf hashes."""
    row = b"".join(leaves)
    if not row:
        return EMPTY
    while len(row) > SIZE:
        odd = row[-SIZE:] if len(row) // SIZE % 2 else b""
        row = pairs(row) + odd
    return row
