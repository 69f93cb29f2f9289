"""Checkpoints: what a log says of itself, in a signed note (C2SP tlog-checkpoint)."""

import base64
import re
from dataclasses import dataclass

from auditor.errors import LedgerError
from auditor.ledgers.hashing import SIZE
from auditor.ledgers.notes import NoteKey, NoteSigner, open_note, read_base64, sign_note
from auditor.ledgers.proofs import Head

NUMBER = re.compile(r"0|[1-9][0-9]{0,18}")
"""How whole numbers are written: without leading zeroes."""
_LINES = 3


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The log that ``origin`` names has this size and root."""

    origin: str
    head: Head

    def text(self) -> str:
        """Return the text that is signed; this writer adds no extension lines."""
        root = base64.b64encode(self.head.root).decode()
        return f"{self.origin}\n{self.head.size}\n{root}\n"

    @classmethod
    def parse(cls, text: str) -> "Checkpoint":
        """Read the text of a note; extension lines mean nothing here. Raises ``LedgerError``."""
        lines = text.removesuffix("\n").split("\n")
        sound = text.endswith("\n") and len(lines) >= _LINES and all(lines)
        root = read_base64(lines[2]) if sound else b""
        if not sound or not NUMBER.fullmatch(lines[1]) or len(root) != SIZE:
            raise LedgerError(
                "a checkpoint is not an origin, a size and a root, a line each",
                cure="Take the checkpoint as the log published it, unchanged.",
            )
        return cls(lines[0], Head(int(lines[1]), root))


def sign_checkpoint(checkpoint: Checkpoint, signer: NoteSigner) -> bytes:
    """Return the checkpoint as a note that the log's key signed."""
    return sign_note(checkpoint.text(), (signer,))


def open_checkpoint(raw: bytes, key: NoteKey) -> Checkpoint:
    """Return the checkpoint in a note that the log's key signed, under the key's own name.

    Raises ``LedgerError`` for any other note.
    """
    found = Checkpoint.parse(open_note(raw, key).text)
    if found.origin != key.name:
        raise LedgerError(
            f"the checkpoint is of the log {found.origin[:80]!r}, and the key is of {key.name}",
            cure="Give that log's own key.",
        )
    return found
