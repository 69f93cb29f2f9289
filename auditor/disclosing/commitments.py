"""Hiding commitments: a Merkle root over salted rows, by which a record names its evidence.

The tree is that of RFC 6962 (section 2.1). A leaf is the salt of its row followed by the row's
bytes: who has not the salt cannot try out what a row is, however few values it may have.
"""

import hashlib
import hmac
from dataclasses import dataclass
from operator import add

from auditor.disclosing.rows import Form, Header, take_apart
from auditor.domain.canonical import Json, canonical, digest, parse
from auditor.domain.evidence import Item
from auditor.domain.json_parts import Part, wrong
from auditor.errors import RecordError
from auditor.ledgers.hashing import leaf_hashes, root_of

KEY = 32
"""Bytes of a record's key, and of a salt."""
KIND = "auditor/commitment/v1"
_SALTS = b"auditor/salts/v1\x00"
_MEMBERS = {"columns", "dtype", "form", "kind", "leaves", "root", "shape"}


@dataclass(frozen=True, slots=True)
class Place:
    """Which item of a record's evidence: salts of two places have nothing in common."""

    target: str
    check: str
    item: str


@dataclass(frozen=True, slots=True)
class Commitment:
    """What a record binds an item by: its header in the clear, and the root over its rows."""

    header: Header
    root: bytes

    def emit(self) -> bytes:
        """Return canonical JSON, whose digest is the name of the item in the record."""
        header = self.header
        return canonical(
            {
                "kind": KIND,
                "form": header.form.value,
                "leaves": header.leaves,
                "dtype": header.dtype,
                "shape": list(header.shape),
                "columns": list(header.columns),
                "root": self.root.hex(),
            }
        )

    @property
    def digest(self) -> str:
        """The name under which a record lists the item."""
        return digest(self.emit())

    @classmethod
    def parse(cls, raw: bytes) -> "Commitment":
        """Read the JSON, which must be spelled the one way. Raises ``RecordError``."""
        try:
            found = cls(*_members(Part(parse(raw), "commitment")))
            sound = found.emit() == raw
        except (ValueError, TypeError, RecursionError, RecordError):
            sound = False
        if not sound:
            raise RecordError(
                "a piece of evidence is no commitment to rows, and the record says it is",
                cure="Take the folder as auditor wrote it, unchanged.",
            )
        return found


def salts(key: bytes, place: Place, count: int) -> list[bytes]:
    """Return the salt of each row, under a record's key.

    The key of an item is HMAC-SHA256 of its place; a salt is SHA-256 over that and the row's number
    in eight bytes (a one-step key derivation, NIST SP 800-56C rev. 2, section 4): a salt that is
    shown tells nothing of another.
    """
    named: list[Json] = [place.target, place.check, place.item]
    own = hmac.digest(key, _SALTS + canonical(named), "sha256")
    sha256 = hashlib.sha256
    return [sha256(own + row.to_bytes(8, "big")).digest() for row in range(count)]


def commit(key: bytes, place: Place, item: Item, rows: int | None) -> Commitment:
    """Commit to an item under a record's key; ``rows`` is ``None`` where it has none."""
    header, parts = take_apart(item, rows)
    salted = map(add, salts(key, place, len(parts)), parts)
    return Commitment(header, root_of(leaf_hashes(salted)))


def _members(part: Part) -> tuple[Header, bytes]:
    if set(part.value) != _MEMBERS or part.get("kind", str) != KIND:
        raise wrong(part.place, "a commitment")
    header = Header(
        form=part.choice("form", Form),
        leaves=part.get("leaves", int),
        dtype=part.get("dtype", str),
        shape=part.numbers("shape"),
        columns=part.texts("columns"),
    )
    return header, bytes.fromhex(part.get("root", str))
