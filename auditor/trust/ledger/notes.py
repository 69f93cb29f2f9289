"""Signed notes: a text, and Ed25519 signatures by named keys (C2SP signed-note)."""

import base64
import binascii
import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from typing import Protocol

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from auditor.errors import LedgerError

MOST_BYTES = 2**20
MOST_SIGNATURES = 64
_DASH = "\u2014"
_ID = 4
_NAME = re.compile(r"[^\s+]{1,255}")
_KEY = re.compile(r"([^\s+]{1,255})\+([0-9a-f]{8})\+([A-Za-z0-9+/=]{1,4096})")
_CURE = "Take the note as its author published it, unchanged."


class Kind(IntEnum):
    """What a key signs, by the byte that stands for it."""

    ED25519 = 1
    COSIGNATURE = 4


@dataclass(frozen=True, slots=True)
class NoteKey:
    """A named public key: ``raw`` are the 32 bytes of an Ed25519 key (RFC 8032)."""

    name: str
    raw: bytes
    kind: Kind = Kind.ED25519

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
        kinds = {int(kind) for kind in Kind}
        if match and len(material) == 1 + 32 and material[0] in kinds:
            found = cls(match[1], material[1:], Kind(material[0]))
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
class MemorySigner:
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
class Signature:
    """One signature line: the key it names, and what that key wrote."""

    name: str
    key_id: bytes
    raw: bytes

    def __str__(self) -> str:
        """Return the line, without its newline."""
        return f"{_DASH} {self.name} {base64.b64encode(self.key_id + self.raw).decode()}"

    @classmethod
    def parse(cls, line: str) -> "Signature":
        """Read a line. Raises ``LedgerError``."""
        parts = line.split(" ")
        raw = read_base64(parts[-1])
        if len(parts) != 3 or parts[0] != _DASH or len(raw) <= _ID:  # noqa: PLR2004 -- dash, name, value
            raise LedgerError("a note has a line that is no signature", cure=_CURE)
        if not _NAME.fullmatch(parts[1]):
            raise LedgerError("a signature on a note names no key", cure=_CURE)
        return cls(parts[1], raw[:_ID], raw[_ID:])


@dataclass(frozen=True, slots=True)
class Note:
    """A text that ends in a newline, and the signatures under it."""

    text: str
    signatures: tuple[Signature, ...]

    def emit(self) -> bytes:
        """Return the note's bytes."""
        lines = "".join(f"{item}\n" for item in self.signatures)
        return f"{self.text}\n{lines}".encode()

    def by(self, key: NoteKey) -> tuple[Signature, ...]:
        """Return the signatures that name ``key``, whether they hold or not."""
        return tuple(
            item for item in self.signatures if (item.name, item.key_id) == (key.name, key.key_id)
        )

    @classmethod
    def parse(cls, raw: bytes) -> "Note":
        """Read a note. Raises ``LedgerError`` where it is none."""
        if len(raw) > MOST_BYTES:
            raise LedgerError(f"a note has more than {MOST_BYTES} bytes", cure=_CURE)
        try:
            whole = raw.decode()
        except UnicodeDecodeError:
            raise LedgerError("a note is not UTF-8", cure=_CURE) from None
        text, blank, lines = whole.rpartition("\n\n")
        if not blank or not text or not lines.endswith("\n") or not _printable(whole):
            raise LedgerError("a note has no text, or no signatures", cure=_CURE)
        found = tuple(Signature.parse(line) for line in lines[:-1].split("\n"))
        if len(found) > MOST_SIGNATURES:
            raise LedgerError(f"a note has more than {MOST_SIGNATURES} signatures", cure=_CURE)
        return cls(f"{text}\n", found)


def sign_note(text: str, signers: Iterable[NoteSigner]) -> bytes:
    """Sign a text that ends in a newline, and return the note."""
    message = text.encode()
    signatures = [Signature(item.key.name, item.key.key_id, item.sign(message)) for item in signers]
    return Note(text, tuple(signatures)).emit()


def open_note(raw: bytes, key: NoteKey) -> Note:
    """Return a note that ``key`` signed. Raises ``LedgerError`` for any other.

    Signatures of keys that are not asked about are ignored; one that names the key and does not
    hold refuses the note.
    """
    note = Note.parse(raw)
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


def _printable(text: str) -> bool:
    return all(sign >= " " or sign == "\n" for sign in text)
