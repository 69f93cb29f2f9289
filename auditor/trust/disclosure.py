"""Selective disclosure of evidence: salted Merkle commitments, openings, and disclosure keys.

A record names its evidence by hiding commitments instead of plain digests; an opening shows some
rows with their salts and withholds the others. The tree is that of RFC 6962 (section 2.1). A leaf
is the salt of its row followed by the row's bytes: without the salt a row cannot be guessed by
trial, however few values it may have. The disclosure key is stored separately from the record.
"""

import hashlib
import hmac
import json
import math
from base64 import b64decode, b64encode
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from operator import add
from typing import TypeAlias, TypeGuard

import numpy as np

from auditor.domain.artifacts import FileDigest, digest_files
from auditor.domain.digests import Digest
from auditor.domain.disclosure import DisclosureMode
from auditor.domain.evidence import Evidence, Item, decode_evidence, encode_evidence
from auditor.domain.json import (
    Json,
    JsonPart,
    build_field_error,
    compute_digest,
    encode_canonical,
    parse_json,
    read_json,
    write_fields,
)
from auditor.domain.observed_checks import ObservedCheck
from auditor.domain.requests import AuditRequest, InputFile
from auditor.domain.row_evidence import IDS
from auditor.errors import RecordError
from auditor.trust.ledger.merkle import SIZE, leaf_hash, leaf_hashes, merkle_root

Rows: TypeAlias = Sequence[bytes]


class RowEncoding(StrEnum):
    """What an item's rows are: of an array, a list, or an object of lists; or it is one leaf."""

    ARRAY = "array"
    LIST = "list"
    COLUMNS = "columns"
    WHOLE = "whole"


@dataclass(frozen=True, slots=True)
class CommitmentHeader:
    """What is said of an item in the clear. ``dtype`` and ``shape`` are those of an array.

    ``columns`` are the names of an object's lists; ``leaves`` is the number of rows.
    """

    form: RowEncoding
    leaves: int
    dtype: str = ""
    shape: tuple[int, ...] = ()
    columns: tuple[str, ...] = ()

    @property
    def row_bytes(self) -> int | None:
        """How long each row is, where all are equally long."""
        if self.form is not RowEncoding.ARRAY:
            return None
        return math.prod(self.shape[1:]) * np.dtype(self.dtype).itemsize


def split_item_rows(item: Item, rows: int | None) -> tuple[CommitmentHeader, Rows]:
    """Return the header and the rows of an item; ``rows`` is ``None`` where it has none.

    An item that has not that many rows is one leaf.
    """
    if rows is not None and isinstance(item, np.ndarray):
        plain = not item.dtype.hasobject and item.dtype.names is None
        if plain and item.ndim and len(item) == rows:
            header = CommitmentHeader(
                RowEncoding.ARRAY, len(item), dtype=item.dtype.str, shape=item.shape
            )
            raw, size = item.tobytes(), header.row_bytes or 0
            return header, [raw[at * size : (at + 1) * size] for at in range(len(item))]
    elif rows is not None and isinstance(item, Mapping):
        if all(_is_list(column) and len(column) == rows for column in item.values()):
            names = tuple(sorted(item))
            lists = {name: item[name] for name in names}
            made = [
                encode_canonical({name: _at(lists[name], row) for name in names})
                for row in range(rows)
            ]
            return CommitmentHeader(RowEncoding.COLUMNS, rows, columns=names), made
    elif rows is not None and _is_list(item) and len(item) == rows:
        return CommitmentHeader(RowEncoding.LIST, rows), [encode_canonical(value) for value in item]
    return CommitmentHeader(RowEncoding.WHOLE, 1), [encode_evidence(item).raw]


def join_item_rows(header: CommitmentHeader, rows: Rows) -> Item:
    """Return the item that these rows make, however many of its rows they are.

    Raises ``ValueError`` for bytes that are no rows of such an item.
    """
    match header.form:
        case RowEncoding.ARRAY:
            made = np.zeros((len(rows), *header.shape[1:]), np.dtype(header.dtype))
            if made.nbytes:
                made[...] = np.frombuffer(b"".join(rows), made.dtype).reshape(made.shape)
            return made
        case RowEncoding.LIST:
            return [_json(row) for row in rows]
        case RowEncoding.COLUMNS:
            found = [_json(row) for row in rows]
            return {name: [_member(row, name) for row in found] for name in header.columns}
        case RowEncoding.WHOLE:
            (raw,) = rows
            return decode_evidence(raw)


def _at(column: Json, row: int) -> Json:
    return column[row] if isinstance(column, Sequence) else None


def _is_list(item: Item) -> TypeGuard[Sequence[Json]]:
    return isinstance(item, Sequence) and not isinstance(item, str)


def _json(row: bytes) -> Json:
    value = parse_json(row)
    if encode_canonical(value) != row:
        message = "a row is not written in the one way"
        raise ValueError(message)
    return value


def _member(row: Json, name: str) -> Json:
    if not isinstance(row, Mapping) or name not in row:
        message = f"a row has no {name!r}"
        raise ValueError(message)
    return row[name]


KEY = 32
"""Bytes of a record's key, and of a salt."""
COMMITMENT_KIND = "auditor/commitment/v1"
_SALTS = b"auditor/salts/v1\x00"
_MEMBERS = {"columns", "dtype", "form", "kind", "leaves", "root", "shape"}


@dataclass(frozen=True, slots=True)
class EvidenceLocation:
    """Which item of a record's evidence: salts of two places have nothing in common."""

    target: str
    check: str
    item: str


@dataclass(frozen=True, slots=True)
class EvidenceCommitment:
    """What a record binds an item by: its header in the clear, and the root over its rows."""

    header: CommitmentHeader
    root: bytes

    def emit(self) -> bytes:
        """Return canonical JSON, whose digest is the name of the item in the record."""
        about: dict[str, Json] = {"kind": COMMITMENT_KIND, "root": self.root.hex()}
        return encode_canonical(about | write_fields(self.header))

    @property
    def digest(self) -> str:
        """The name under which a record lists the item."""
        return compute_digest(self.emit())

    @classmethod
    def parse(cls, raw: bytes) -> "EvidenceCommitment":
        """Read the JSON, which must be spelled the one way. Raises ``RecordError``."""
        try:
            part = JsonPart(parse_json(raw), "commitment")
            if set(part.value) != _MEMBERS or part.get("kind", str) != COMMITMENT_KIND:
                raise build_field_error(part.place, "a commitment")
            header = read_json(CommitmentHeader, part.value, part.place)
            found = cls(header, bytes.fromhex(part.get("root", str)))
            sound = found.emit() == raw
        except (ValueError, TypeError, RecursionError, RecordError):
            sound = False
        if not sound:
            raise RecordError(
                "a piece of evidence is not a commitment to rows, and the record says it is",
                cure="Take the folder as auditor wrote it, unchanged.",
            )
        return found


def derive_salts(key: bytes, place: EvidenceLocation, count: int) -> list[bytes]:
    """Return the salt of each row, under a record's key.

    The key of an item is HMAC-SHA256 of its place; a salt is SHA-256 over that and the row's number
    in eight bytes (a one-step key derivation, NIST SP 800-56C rev. 2, section 4): a salt that is
    shown tells nothing of another.
    """
    named: list[Json] = [place.target, place.check, place.item]
    own = hmac.digest(key, _SALTS + encode_canonical(named), "sha256")
    sha256 = hashlib.sha256
    return [sha256(own + row.to_bytes(8, "big")).digest() for row in range(count)]


def commit_evidence(
    key: bytes, place: EvidenceLocation, item: Item, rows: int | None
) -> EvidenceCommitment:
    """Commit to an item under a record's key; ``rows`` is ``None`` where it has none."""
    header, parts = split_item_rows(item, rows)
    salted = map(add, derive_salts(key, place, len(parts)), parts)
    return EvidenceCommitment(header, merkle_root(leaf_hashes(salted)))


OPENING_KIND = "auditor/opening/v1"
_CURE = "Take the folder as auditor wrote it, unchanged."
# For texts in ASCII this is the form of RFC 8785.
_write = json.JSONEncoder(sort_keys=True, separators=(",", ":")).encode
_PAIR = 2


@dataclass(frozen=True, slots=True)
class DisclosedRow:
    """A row that is shown, with what hides its leaf from those who do not see it."""

    salt: bytes
    row: bytes

    @property
    def leaf(self) -> bytes:
        """The hash of its leaf."""
        return leaf_hash(self.salt + self.row)


@dataclass(frozen=True, slots=True)
class CommitmentOpening:
    """All rows of one commitment in their order: shown, or withheld and then a hash alone."""

    commitment: str
    rows: tuple[DisclosedRow | bytes, ...]

    @property
    def withheld(self) -> frozenset[int]:
        """The numbers of the rows that are withheld."""
        return frozenset(at for at, row in enumerate(self.rows) if isinstance(row, bytes))

    def withhold(self, rows: Collection[int]) -> "CommitmentOpening":
        """Return an opening that withholds these rows too."""
        kept = (
            row.leaf if at in rows and isinstance(row, DisclosedRow) else row
            for at, row in enumerate(self.rows)
        )
        return replace(self, rows=tuple(kept))

    def emit(self) -> bytes:
        """Return canonical JSON."""
        rows = [
            row.hex() if isinstance(row, bytes) else [row.salt.hex(), b64encode(row.row).decode()]
            for row in self.rows
        ]
        told = {"kind": OPENING_KIND, "commitment": self.commitment, "rows": rows}
        return _write(told).encode()

    @classmethod
    def parse(cls, raw: bytes) -> "CommitmentOpening":
        """Read the JSON, which must be spelled the one way. Raises ``RecordError``."""
        try:
            found = _read(parse_json(raw))
        except (ValueError, RecursionError):
            found = None
        if found is None or found.emit() != raw:
            raise RecordError("an opening is not of its form", cure=_CURE)
        return found

    def item(self, commitment: EvidenceCommitment) -> Item:
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
        if merkle_root(hashes) != commitment.root:
            problem = "rows were changed, moved or replaced: they are not those that were bound"
            raise RecordError(problem, cure=_CURE)
        rows = [row.row for row in self.rows if isinstance(row, DisclosedRow)]
        try:
            size = header.row_bytes
            if size is None or all(len(row) == size for row in rows):
                return join_item_rows(header, rows)
        except (ValueError, EOFError, TypeError, SyntaxError, OverflowError, MemoryError):
            raise RecordError("rows are not what their header says", cure=_CURE) from None
        raise RecordError("a row has another length than its header says", cure=_CURE)


def build_full_opening(
    key: bytes, place: EvidenceLocation, item: Item, commitment: EvidenceCommitment
) -> CommitmentOpening:
    """Return the opening that shows every row of an item.

    Raises ``RecordError`` where key and item are not those that were committed to.
    """
    header = commitment.header
    rows = None if header.form is RowEncoding.WHOLE else header.leaves
    if commit_evidence(key, place, item, rows) != commitment:
        raise RecordError(
            f"{place.item} of {place.check} on {place.target} is not what was bound",
            cure=_CURE,
        )
    _, parts = split_item_rows(item, rows)
    shown = zip(derive_salts(key, place, len(parts)), parts, strict=True)
    return CommitmentOpening(
        commitment.digest, tuple(DisclosedRow(salt, row) for salt, row in shown)
    )


def _read(found: Json) -> CommitmentOpening | None:
    if not isinstance(found, Mapping) or set(found) != {"kind", "commitment", "rows"}:
        return None
    name, rows = found["commitment"], found["rows"]
    if found["kind"] != OPENING_KIND or not isinstance(name, str) or not isinstance(rows, list):
        return None
    return CommitmentOpening(name, tuple(_row(row) for row in rows))


def _row(told: Json) -> DisclosedRow | bytes:
    """Read one row. Raises ``ValueError`` for what is none."""
    if isinstance(told, str):
        return _exactly(bytes.fromhex(told), SIZE)
    if not isinstance(told, list) or len(told) != _PAIR:
        message = "a row is a hash, or a salt and bytes"
        raise ValueError(message)
    salt, row = (str(item) for item in told)
    return DisclosedRow(_exactly(bytes.fromhex(salt), KEY), b64decode(row, validate=True))


def _exactly(raw: bytes, size: int) -> bytes:
    if len(raw) != size:
        message = f"{len(raw)} bytes where there must be {size}"
        raise ValueError(message)
    return raw


DISCLOSURE_KEY_KIND = "auditor/disclosure-key/v1"
_DATA = b"auditor/data/v1\x00"
_MEMBERS_SECRETS = {"blobs", "inputs", "key", "kind"}


@dataclass(frozen=True, slots=True)
class DisclosureKey:
    """A record's key. Who has it can open everything; once it is destroyed nobody can.

    ``blobs`` maps commitments to the digests of the blobs that they stand for, ``inputs`` the
    hidden digests of data files to their own.
    """

    key: bytes
    blobs: Mapping[str, str] = field(default_factory=dict)
    inputs: Mapping[str, FileDigest] = field(default_factory=dict)

    def emit(self) -> bytes:
        """Return canonical JSON."""
        return encode_canonical(
            {
                "kind": DISCLOSURE_KEY_KIND,
                "key": self.key.hex(),
                "blobs": dict(self.blobs),
                "inputs": {name: item.to_json() for name, item in self.inputs.items()},
            }
        )

    @classmethod
    def parse(cls, raw: bytes) -> "DisclosureKey":
        """Read the JSON. Raises ``RecordError``."""
        try:
            part = JsonPart(parse_json(raw), "the record's key")
            key = bytes.fromhex(part.get("key", str))
            if (
                set(part.value) != _MEMBERS_SECRETS
                or part.get("kind", str) != DISCLOSURE_KEY_KIND
                or len(key) != KEY
            ):
                found = None
            else:
                blobs = part.get("blobs", dict[str, str])
                found = DisclosureKey(key, blobs, part.get("inputs", dict[str, FileDigest]))
            sound = found is not None and found.emit() == raw
        except (ValueError, RecursionError, RecordError):
            found, sound = None, False
        if found is None or not sound:
            raise RecordError(
                "the record's key is not of its form",
                cure="Take it as auditor wrote it, or remove it.",
            )
        return found


def conceal_inputs(
    request: AuditRequest, paths: Collection[str], key: bytes
) -> tuple[AuditRequest, DisclosureKey]:
    """Return a request that names its data by hidden digests, and what opens them.

    ``paths`` are those of data files, as the audit file writes them. A plain digest of a file
    lets whoever has all of it but one value try out that value; so does its size. The name of a
    picture may be its label.
    """
    opened: dict[str, FileDigest] = {}
    inputs = []
    for item in request.inputs:
        hidden = item
        if item.path in paths:
            file = _hidden(item.file, key)
            hidden, opened[file.digest] = InputFile(item.path, file), item.file
        inputs.append(hidden)
    datasets = tuple(replace(one, digest=hide_digest(key, one.digest)) for one in request.datasets)
    asked = replace(
        request, inputs=tuple(inputs), datasets=datasets, disclosure=DisclosureMode.ROWS
    )
    return asked, DisclosureKey(key, inputs=opened)


def reveal_inputs(request: AuditRequest, secret: DisclosureKey) -> AuditRequest:
    """Return a request whose inputs are named by their own digests again.

    Raises ``RecordError`` where the secret is another record's.
    """
    found = tuple(replace(item, file=_own(item.file, secret)) for item in request.inputs)
    return replace(request, inputs=found)


def hide_digest(key: bytes, digest: str) -> Digest:
    """Return what stands for the digest of data: HMAC-SHA256 under a record's key."""
    return Digest.of_hex(hmac.digest(key, _DATA + digest.encode(), "sha256").hex())


def _hidden(file: FileDigest, key: bytes) -> FileDigest:
    """Return what stands for a file, of whose name, size and bytes it tells nothing."""
    name = hide_digest(key, digest_files((file,))).hex
    return FileDigest(name, 0, name)


def _own(file: FileDigest, secret: DisclosureKey) -> FileDigest:
    own = secret.inputs.get(file.digest)
    if own is None:
        return file
    if _hidden(own, secret.key) != file:
        raise RecordError(
            f"the record's key does not stand for the input {own.name}",
            cure="Take the folder as auditor wrote it, unchanged.",
        )
    return own


@dataclass(frozen=True, slots=True)
class CommittedBlob:
    """A commitment, and the digest of the blob that it stands for, which the record never has."""

    commitment: EvidenceCommitment
    plain: str


def commit_observation(
    seen: ObservedCheck, key: bytes
) -> tuple[ObservedCheck, tuple[CommittedBlob, ...]]:
    """Return an observation that names commitments under a record's key, and what they seal.

    Items that the check says go by row are bound row by row, all others as one leaf.
    """
    origin, told = seen.observation, seen.check.by_row
    rows = count_evidence_rows(seen.evidence)
    found = {}
    for name, item in sorted(seen.evidence.items()):
        place = EvidenceLocation(origin.target, origin.check, name)
        bound = commit_evidence(key, place, item, rows if name in told.each else None)
        found[name] = CommittedBlob(bound, encode_evidence(item).digest)
    names = {name: item.commitment.digest for name, item in found.items()}
    sealed = replace(origin, evidence=names, committed=True)
    return replace(seen, observation=sealed), tuple(found.values())


def count_evidence_rows(evidence: Evidence) -> int | None:
    """Return over how many rows evidence runs, or ``None`` where it does not name them."""
    named = evidence.get(IDS)
    listed = isinstance(named, np.ndarray) and named.ndim == 1
    listed = listed or (isinstance(named, Sequence) and not isinstance(named, str))
    return len(named) if listed and isinstance(named, (np.ndarray, Sequence)) else None
