"""Cosignatures: a witness says that it saw a log grow and nothing else (C2SP tlog-cosignature/v1).

The messages by which a log asks for one are those of C2SP tlog-witness.
"""

import base64
import re
import struct
from collections.abc import Sequence
from dataclasses import dataclass, replace

from auditor.errors import LedgerError
from auditor.ledgers.checkpoints import NUMBER
from auditor.ledgers.hashing import SIZE
from auditor.ledgers.notes import Kind, Note, NoteKey, NoteSigner, Signature, read_base64

MOST_PROOF = 63
_TIME = 8
_LATEST = 2**63
_OLD = re.compile(rf"old ({NUMBER.pattern})")
_CURE = "Take the message as its sender wrote it, unchanged."


def witness_key(key: NoteKey) -> NoteKey:
    """Return a key as one that cosigns."""
    return replace(key, kind=Kind.COSIGNATURE)


def cosign(text: str, time: int, signer: NoteSigner) -> Signature:
    """Cosign the text of a checkpoint at ``time`` (POSIX seconds)."""
    key = witness_key(signer.key)
    raw = struct.pack(">Q", time) + signer.sign(_message(text, time))
    return Signature(key.name, key.key_id, raw)


def cosigned_at(text: str, signature: Signature, key: NoteKey) -> int:
    """Return when ``key`` cosigned a checkpoint's text (POSIX seconds).

    Raises ``LedgerError`` where the signature is another's or does not hold.
    """
    key = witness_key(key)
    time = int.from_bytes(signature.raw[:_TIME], "big")
    named = (signature.name, signature.key_id) == (key.name, key.key_id)
    if not named or time >= _LATEST or not key.holds(signature.raw[_TIME:], _message(text, time)):
        raise LedgerError(
            f"a cosignature of {signature.name[:80]!r} does not hold under the key of {key.name}",
            cure="See that the witness's key is the right one, and ask the witness again.",
        )
    return time


def cosigners(note: Note, keys: Sequence[NoteKey]) -> tuple[NoteKey, ...]:
    """Return those among ``keys`` that cosigned a note; a name is no key, and two may share one.

    Raises ``LedgerError`` where one of them is named, and its cosignature does not hold.
    """
    found = []
    for key in keys:
        mine = note.by(witness_key(key))
        for item in mine:
            cosigned_at(note.text, item, key)
        found += [key] if mine else []
    return tuple(found)


def with_signatures(raw: bytes, added: Sequence[Signature]) -> bytes:
    """Return a note with further signatures under it; one that is there is not repeated."""
    note = Note.parse(raw)
    fresh = [item for item in added if item not in note.signatures]
    return Note(note.text, (*note.signatures, *fresh)).emit()


@dataclass(frozen=True, slots=True)
class Submission:
    """What a log sends to a witness: a checkpoint, and that it continues one of ``old`` leaves."""

    old: int
    proof: tuple[bytes, ...]
    note: bytes

    def emit(self) -> bytes:
        """Return the body of the request ``add-checkpoint``."""
        lines = [f"old {self.old}", *(base64.b64encode(item).decode() for item in self.proof)]
        return "\n".join([*lines, "", ""]).encode() + self.note

    @classmethod
    def parse(cls, raw: bytes) -> "Submission":
        """Read the body of a request. Raises ``LedgerError``."""
        head, blank, note = raw.partition(b"\n\n")
        first, *rest = head.decode("ascii", "replace").split("\n")
        match = _OLD.fullmatch(first)
        proof = tuple(read_base64(line) for line in rest)
        short = any(len(item) != SIZE for item in proof)
        if not blank or match is None or short or len(proof) > MOST_PROOF:
            raise LedgerError("a request to a witness is malformed", cure=_CURE)
        return cls(int(match[1]), proof, note)


def read_cosignatures(raw: bytes) -> tuple[Signature, ...]:
    """Read a witness's answer: signature lines. Raises ``LedgerError``."""
    text = raw.decode("utf-8", "replace")
    if not text.endswith("\n"):
        raise LedgerError("a witness's answer holds no signature lines", cure=_CURE)
    return tuple(Signature.parse(line) for line in text[:-1].split("\n"))


def read_size(raw: bytes) -> int:
    """Read the size that a witness answers when it knows another one. Raises ``LedgerError``."""
    text = raw.decode("ascii", "replace").removesuffix("\n")
    if not NUMBER.fullmatch(text):
        raise LedgerError("a witness's answer names no size", cure=_CURE)
    return int(text)


def _message(text: str, time: int) -> bytes:
    return f"cosignature/v1\ntime {time}\n{text}".encode()
