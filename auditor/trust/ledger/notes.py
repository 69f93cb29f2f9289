"""Signed notes, log checkpoints, and witness cosignatures (C2SP transparency log formats).

Sources: C2SP signed-note (Ed25519), tlog-checkpoint, tlog-cosignature/v1, and tlog-witness for the
messages by which a log requests a cosignature.
"""

import base64
import binascii
import hashlib
import re
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Protocol

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from auditor.errors import LedgerError
from auditor.trust.ledger.merkle import SIZE, TreeHead

MOST_BYTES = 2**20
MOST_SIGNATURES = 64
_DASH = "\u2014"
_ID = 4
_NAME = re.compile(r"[^\s+]{1,255}")
_KEY = re.compile(r"([^\s+]{1,255})\+([0-9a-f]{8})\+([A-Za-z0-9+/=]{1,4096})")
_CURE = "Take the note as its author published it, unchanged."


class NoteKeyType(IntEnum):
    """What a key signs, by the byte that stands for it."""

    ED25519 = 1
    COSIGNATURE = 4


@dataclass(frozen=True, slots=True)
class NoteKey:
    """A named public key: ``raw`` are the 32 bytes of an Ed25519 key (RFC 8032)."""

    name: str
    raw: bytes
    kind: NoteKeyType = NoteKeyType.ED25519

    @property
    def key_id(self) -> bytes:
        """The four bytes by which a signature names its key, together with the name."""
        named = self.name.encode() + b"\n" + bytes([self.kind]) + self.raw
        return hashlib.sha256(named).digest()[:_ID]

    def __str__(self) -> str:
        """Return the key in its text form (vkey)."""
        material = base64.b64encode(bytes([self.kind]) + self.raw).decode()
        return f"{self.name}+{self.key_id.hex()}+{material}"

    @classmethod
    def parse(cls, text: str) -> "NoteKey":
        """Read a key's text form. Raises ``LedgerError``."""
        match = _KEY.fullmatch(text)
        material = read_base64(match[3]) if match else b""
        kinds = {int(kind) for kind in NoteKeyType}
        if match and len(material) == 1 + 32 and material[0] in kinds:
            found = cls(match[1], material[1:], NoteKeyType(material[0]))
            if str(found) == text:
                return found
        raise LedgerError(
            "a note's key is not NAME+HASH+KEY with an Ed25519 key",
            cure="Give it as C2SP signed-note writes verifier keys.",
        )

    def holds(self, signature: bytes, message: bytes) -> bool:
        """Whether 64 bytes are this key's Ed25519 signature over ``message``."""
        try:
            Ed25519PublicKey.from_public_bytes(self.raw).verify(signature, message)
        except (InvalidSignature, ValueError):
            return False
        return True


class NoteSigner(Protocol):
    """Signs notes; where its private key lives is its own affair."""

    @property
    def key(self) -> NoteKey:
        """The public half, with its name."""
        ...

    def sign(self, message: bytes) -> bytes:
        """Return an Ed25519 signature."""
        ...


@dataclass(frozen=True, slots=True)
class MemoryNoteSigner:
    """Signs with a private key in memory."""

    name: str
    private: Ed25519PrivateKey

    @property
    def key(self) -> NoteKey:
        """The public half, with its name."""
        return NoteKey(self.name, self.private.public_key().public_bytes_raw())

    def sign(self, message: bytes) -> bytes:
        """Return an Ed25519 signature."""
        return self.private.sign(message)


@dataclass(frozen=True, slots=True)
class NoteSignature:
    """One signature line: the key it names, and what that key wrote."""

    name: str
    key_id: bytes
    raw: bytes

    def __str__(self) -> str:
        """Return the line, without its newline."""
        return f"{_DASH} {self.name} {base64.b64encode(self.key_id + self.raw).decode()}"

    @classmethod
    def parse(cls, line: str) -> "NoteSignature":
        """Read a line. Raises ``LedgerError``."""
        parts = line.split(" ")
        raw = read_base64(parts[-1])
        if len(parts) != 3 or parts[0] != _DASH or len(raw) <= _ID:  # noqa: PLR2004 -- dash, name, value
            raise LedgerError("a note has a line that is not a signature", cure=_CURE)
        if not _NAME.fullmatch(parts[1]):
            raise LedgerError("a signature on a note names no key", cure=_CURE)
        return cls(parts[1], raw[:_ID], raw[_ID:])


@dataclass(frozen=True, slots=True)
class SignedNote:
    """A text that ends in a newline, and the signatures under it."""

    text: str
    signatures: tuple[NoteSignature, ...]

    def emit(self) -> bytes:
        """Return the note's bytes."""
        lines = "".join(f"{item}\n" for item in self.signatures)
        return f"{self.text}\n{lines}".encode()

    def by(self, key: NoteKey) -> tuple[NoteSignature, ...]:
        """Return the signatures that name ``key``, whether they hold or not."""
        return tuple(
            item for item in self.signatures if (item.name, item.key_id) == (key.name, key.key_id)
        )

    @classmethod
    def parse(cls, raw: bytes) -> "SignedNote":
        """Read a note. Raises ``LedgerError`` where it is none."""
        if len(raw) > MOST_BYTES:
            raise LedgerError(f"a note has more than {MOST_BYTES} bytes", cure=_CURE)
        try:
            whole = raw.decode()
        except UnicodeDecodeError:
            raise LedgerError("a note is not UTF-8", cure=_CURE) from None
        text, blank, lines = whole.rpartition("\n\n")
        printable = all(sign >= " " or sign == "\n" for sign in whole)
        if not blank or not text or not lines.endswith("\n") or not printable:
            raise LedgerError("a note has no text, or no signatures", cure=_CURE)
        found = tuple(NoteSignature.parse(line) for line in lines[:-1].split("\n"))
        if len(found) > MOST_SIGNATURES:
            raise LedgerError(f"a note has more than {MOST_SIGNATURES} signatures", cure=_CURE)
        return cls(f"{text}\n", found)


def sign_note(text: str, signers: Iterable[NoteSigner]) -> bytes:
    """Sign a text that ends in a newline, and return the note."""
    message = text.encode()
    signatures = [
        NoteSignature(item.key.name, item.key.key_id, item.sign(message)) for item in signers
    ]
    return SignedNote(text, tuple(signatures)).emit()


def open_note(raw: bytes, key: NoteKey) -> SignedNote:
    """Return a note that ``key`` signed. Raises ``LedgerError`` for any other.

    Signatures of keys that are not asked about are ignored; one that names the key and does not
    hold refuses the note.
    """
    note = SignedNote.parse(raw)
    mine = note.by(key)
    if not mine:
        raise LedgerError(f"the note is not signed by {key.name}", cure="Give that log's own key.")
    if not all(key.holds(item.raw, note.text.encode()) for item in mine):
        raise LedgerError(f"the signature of {key.name} on the note does not hold", cure=_CURE)
    return note


def read_base64(text: str) -> bytes:
    """Return what base64 in its one canonical spelling says, or nothing for any other text."""
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return b""
    return raw if base64.b64encode(raw).decode() == text else b""


NUMBER = re.compile(r"0|[1-9][0-9]{0,18}")
"""How whole numbers are written: without leading zeroes."""
_LINES = 3


@dataclass(frozen=True, slots=True)
class LogCheckpoint:
    """The log that ``origin`` names has this size and root."""

    origin: str
    head: TreeHead

    def text(self) -> str:
        """Return the text that is signed; this writer adds no extension lines."""
        root = base64.b64encode(self.head.root).decode()
        return f"{self.origin}\n{self.head.size}\n{root}\n"

    @classmethod
    def parse(cls, text: str) -> "LogCheckpoint":
        """Read the text of a note; extension lines mean nothing here. Raises ``LedgerError``."""
        lines = text.removesuffix("\n").split("\n")
        sound = text.endswith("\n") and len(lines) >= _LINES and all(lines)
        root = read_base64(lines[2]) if sound else b""
        if not sound or not NUMBER.fullmatch(lines[1]) or len(root) != SIZE:
            raise LedgerError(
                "a checkpoint is not an origin, a size and a root, a line each",
                cure="Take the checkpoint as the log published it, unchanged.",
            )
        return cls(lines[0], TreeHead(int(lines[1]), root))


def sign_checkpoint(checkpoint: LogCheckpoint, signer: NoteSigner) -> bytes:
    """Return the checkpoint as a note that the log's key signed."""
    return sign_note(checkpoint.text(), (signer,))


def open_checkpoint(raw: bytes, key: NoteKey) -> LogCheckpoint:
    """Return the checkpoint in a note that the log's key signed, under the key's own name.

    Raises ``LedgerError`` for any other note.
    """
    found = LogCheckpoint.parse(open_note(raw, key).text)
    if found.origin != key.name:
        raise LedgerError(
            f"the checkpoint is of the log {found.origin[:80]!r}, and the key is of {key.name}",
            cure="Give that log's own key.",
        )
    return found


MOST_PROOF = 63
_TIME = 8
_LATEST = 2**63
_OLD = re.compile(rf"old ({NUMBER.pattern})")
_CURE_COSIGNING = "Take the message as its sender wrote it, unchanged."


def to_witness_key(key: NoteKey) -> NoteKey:
    """Return a key as one that cosigns."""
    return replace(key, kind=NoteKeyType.COSIGNATURE)


def cosign_checkpoint(text: str, time: int, signer: NoteSigner) -> NoteSignature:
    """Cosign the text of a checkpoint at ``time`` (POSIX seconds)."""
    key = to_witness_key(signer.key)
    raw = struct.pack(">Q", time) + signer.sign(_message(text, time))
    return NoteSignature(key.name, key.key_id, raw)


def find_cosignature_time(text: str, signature: NoteSignature, key: NoteKey) -> int:
    """Return when ``key`` cosigned a checkpoint's text (POSIX seconds).

    Raises ``LedgerError`` where the signature is another's or does not hold.
    """
    key = to_witness_key(key)
    time = int.from_bytes(signature.raw[:_TIME], "big")
    named = (signature.name, signature.key_id) == (key.name, key.key_id)
    if not named or time >= _LATEST or not key.holds(signature.raw[_TIME:], _message(text, time)):
        raise LedgerError(
            f"a cosignature of {signature.name[:80]!r} does not hold under the key of {key.name}",
            cure="See that the witness's key is the right one, and ask the witness again.",
        )
    return time


def find_cosigners(note: SignedNote, keys: Sequence[NoteKey]) -> tuple[NoteKey, ...]:
    """Return those among ``keys`` that cosigned a note; a name is no key, and two may share one.

    Raises ``LedgerError`` where one of them is named, and its cosignature does not hold.
    """
    found = []
    for key in keys:
        mine = note.by(to_witness_key(key))
        for item in mine:
            find_cosignature_time(note.text, item, key)
        found += [key] if mine else []
    return tuple(found)


def add_signatures(raw: bytes, added: Sequence[NoteSignature]) -> bytes:
    """Return a note with further signatures under it; one that is there is not repeated."""
    note = SignedNote.parse(raw)
    fresh = [item for item in added if item not in note.signatures]
    return SignedNote(note.text, (*note.signatures, *fresh)).emit()


@dataclass(frozen=True, slots=True)
class WitnessRequest:
    """What a log sends to a witness: a checkpoint, and that it continues one of ``old`` leaves."""

    old: int
    proof: tuple[bytes, ...]
    note: bytes

    def emit(self) -> bytes:
        """Return the body of the request ``add-checkpoint``."""
        lines = [f"old {self.old}", *(base64.b64encode(item).decode() for item in self.proof)]
        return "\n".join([*lines, "", ""]).encode() + self.note

    @classmethod
    def parse(cls, raw: bytes) -> "WitnessRequest":
        """Read the body of a request. Raises ``LedgerError``."""
        head, blank, note = raw.partition(b"\n\n")
        first, *rest = head.decode("ascii", "replace").split("\n")
        match = _OLD.fullmatch(first)
        proof = tuple(read_base64(line) for line in rest)
        short = any(len(item) != SIZE for item in proof)
        if not blank or match is None or short or len(proof) > MOST_PROOF:
            raise LedgerError("a request to a witness is malformed", cure=_CURE_COSIGNING)
        return cls(int(match[1]), proof, note)


def read_cosignatures(raw: bytes) -> tuple[NoteSignature, ...]:
    """Read a witness's answer: signature lines. Raises ``LedgerError``."""
    text = raw.decode("utf-8", "replace")
    if not text.endswith("\n"):
        raise LedgerError("a witness's answer holds no signature lines", cure=_CURE_COSIGNING)
    return tuple(NoteSignature.parse(line) for line in text[:-1].split("\n"))


def read_witness_size(raw: bytes) -> int:
    """Read the size that a witness answers when it knows another one. Raises ``LedgerError``."""
    text = raw.decode("ascii", "replace").removesuffix("\n")
    if not NUMBER.fullmatch(text):
        raise LedgerError("a witness's answer names no size", cure=_CURE_COSIGNING)
    return int(text)


def _message(text: str, time: int) -> bytes:
    return f"cosignature/v1\ntime {time}\n{text}".encode()
