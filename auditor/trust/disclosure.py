"""Openings: what shows rows of a commitment, each with its own salt, and withholds the others."""

import json
from base64 import b64decode, b64encode
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from auditor.disclosing.commitments import KEY, Commitment, Place, commit, salts
from auditor.disclosing.rows import Form, Header, put_together, take_apart
from auditor.domain.canonical import Json, parse
from auditor.domain.evidence import Item
from auditor.errors import RecordError
from auditor.ledgers.hashing import SIZE, leaf_hash, root_of

KIND = "auditor/opening/v1"
_CURE = "Take the folder as auditor wrote it, unchanged."
# For texts in ASCII this is the form of RFC 8785.
_write = json.JSONEncoder(sort_keys=True, separators=(",", ":")).encode
_PAIR = 2


@dataclass(frozen=True, slots=True)
class Shown:
    """A row that is shown, with what hides its leaf from those who do not see it."""

    salt: bytes
    row: bytes

    @property
    def leaf(self) -> bytes:
        """The hash of its leaf."""
        return leaf_hash(self.salt + self.row)


@dataclass(frozen=True, slots=True)
class Opening:
    """All rows of one commitment in their order: shown, or withheld and then a hash alone."""

    commitment: str
    rows: tuple[Shown | bytes, ...]

    @property
    def withheld(self) -> frozenset[int]:
        """The numbers of the rows that are withheld."""
        return frozenset(at for at, row in enumerate(self.rows) if isinstance(row, bytes))

    def withhold(self, rows: Collection[int]) -> "Opening":
        """Return an opening that withholds these rows too."""
        kept = (
            row.leaf if at in rows and isinstance(row, Shown) else row
            for at, row in enumerate(self.rows)
        )
        return replace(self, rows=tuple(kept))

    def emit(self) -> bytes:
        """Return canonical JSON."""
        rows = [
            row.hex() if isinstance(row, bytes) else [row.salt.hex(), b64encode(row.row).decode()]
            for row in self.rows
        ]
        told = {"kind": KIND, "commitment": self.commitment, "rows": rows}
        return _write(told).encode()

    @classmethod
    def parse(cls, raw: bytes) -> "Opening":
        """Read the JSON, which must be spelled the one way. Raises ``RecordError``."""
        try:
            found = _read(parse(raw))
        except (ValueError, RecursionError):
            found = None
        if found is None or found.emit() != raw:
            raise RecordError("an opening is not of its form", cure=_CURE)
        return found

    def item(self, commitment: Commitment) -> Item:
        """Return the item that the shown rows make. Raises ``RecordError`` where they are others.

        They must be the very rows, of the length and in the order, that were committed to.
        """
        header = commitment.header
        if self.commitment != commitment.digest:
            raise RecordError("an opening is of another commitment", cure=_CURE)
        if len(self.rows) != header.leaves:
            problem = f"an opening has {len(self.rows)} rows, and {header.leaves} were bound"
            raise RecordError(problem, cure=_CURE)
        hashes = (row if isinstance(row, bytes) else row.leaf for row in self.rows)
        if root_of(hashes) != commitment.root:
            problem = "rows were changed, moved or replaced: they are not those that were bound"
            raise RecordError(problem, cure=_CURE)
        return _made(header, [row.row for row in self.rows if isinstance(row, Shown)])


def open_all(key: bytes, place: Place, item: Item, commitment: Commitment) -> Opening:
    """Return the opening that shows every row of an item.

    Raises ``RecordError`` where key and item are not those that were committed to.
    """
    header = commitment.header
    rows = None if header.form is Form.WHOLE else header.leaves
    if commit(key, place, item, rows) != commitment:
        raise RecordError(
            f"{place.item} of {place.check} on {place.target} is not what was bound",
            cure=_CURE,
        )
    _, parts = take_apart(item, rows)
    shown = zip(salts(key, place, len(parts)), parts, strict=True)
    return Opening(commitment.digest, tuple(Shown(salt, row) for salt, row in shown))


def _made(header: Header, rows: Sequence[bytes]) -> Item:
    try:
        size = header.row_bytes
        if size is None or all(len(row) == size for row in rows):
            return put_together(header, rows)
    except (ValueError, EOFError, TypeError, SyntaxError, OverflowError, MemoryError):
        raise RecordError("rows are not what their header says", cure=_CURE) from None
    raise RecordError("a row has another length than its header says", cure=_CURE)


def _read(found: Json) -> Opening | None:
    if not isinstance(found, Mapping) or set(found) != {"kind", "commitment", "rows"}:
        return None
    name, rows = found["commitment"], found["rows"]
    if found["kind"] != KIND or not isinstance(name, str) or not isinstance(rows, list):
        return None
    return Opening(name, tuple(_row(row) for row in rows))


def _row(told: Json) -> Shown | bytes:
    """Read one row. Raises ``ValueError`` for what is none."""
    if isinstance(told, str):
        return _exactly(bytes.fromhex(told), SIZE)
    if not isinstance(told, list) or len(told) != _PAIR:
        message = "a row is a hash, or a salt and bytes"
        raise ValueError(message)
    salt, row = (str(item) for item in told)
    return Shown(_exactly(bytes.fromhex(salt), KEY), b64decode(row, validate=True))


def _exactly(raw: bytes, size: int) -> bytes:
    if len(raw) != size:
        message = f"{len(raw)} bytes where there must be {size}"
        raise ValueError(message)
    return raw
