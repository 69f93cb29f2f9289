"""Ledger receipts: text files that prove offline that a log holds an entry (C2SP tlog-proof)."""

import base64
import re
from dataclasses import dataclass

from auditor.errors import LedgerError
from auditor.trust.ledger.merkle import SIZE, leaf_hash, verify_inclusion
from auditor.trust.ledger.notes import (
    MOST_BYTES,
    NUMBER,
    LogCheckpoint,
    NoteKey,
    open_checkpoint,
    read_base64,
)

FIRST_LINE = "c2sp.org/tlog-proof@v1"
MOST_HASHES = 63
_INDEX = re.compile(rf"index ({NUMBER.pattern})")
_CURE = "Take the file as `auditor` wrote it, unchanged, or make it again: `auditor ledger prove`."


@dataclass(frozen=True, slots=True)
class LedgerReceipt:
    """The entry at ``index`` is in the log that ``note`` is a checkpoint of.

    ``extra`` is not covered by any signature: it helps to say what the entry was.
    """

    index: int
    proof: tuple[bytes, ...]
    note: bytes
    extra: bytes = b""

    def emit(self) -> bytes:
        """Return the file's bytes."""
        extra = [f"extra {base64.b64encode(self.extra).decode()}"] if self.extra else []
        proof = [base64.b64encode(item).decode() for item in self.proof]
        lines = [FIRST_LINE, *extra, f"index {self.index}", *proof, "", ""]
        return "\n".join(lines).encode() + self.note

    @classmethod
    def parse(cls, raw: bytes) -> "LedgerReceipt":
        """Read a file. Raises ``LedgerError`` where it is not one."""
        if len(raw) > MOST_BYTES:
            raise _malformed(f"it has more than {MOST_BYTES} bytes")
        head, blank, note = raw.partition(b"\n\n")
        lines = head.decode("ascii", "replace").split("\n")
        if not blank or lines.pop(0) != FIRST_LINE:
            raise _malformed(f"it does not begin with {FIRST_LINE}, or has no checkpoint")
        extra = b""
        if lines and lines[0].startswith("extra "):
            extra = read_base64(lines.pop(0).removeprefix("extra "))
            if not extra:
                raise _malformed("its extra line is not base64")
        match = _INDEX.fullmatch(lines.pop(0)) if lines else None
        proof = tuple(read_base64(line) for line in lines)
        if match is None or len(proof) > MOST_HASHES or any(len(item) != SIZE for item in proof):
            raise _malformed("it has no index, or a line that is not a hash")
        return cls(int(match[1]), proof, note, extra)

    def open(self, entry: bytes, key: NoteKey) -> LogCheckpoint:
        """Return the checkpoint, signed by the log's key, whose tree holds ``entry``.

        Raises ``LedgerError`` where it is not signed so, or the proof does not lead there.
        """
        found = open_checkpoint(self.note, key)
        if not verify_inclusion(found.head, self.index, leaf_hash(entry), self.proof):
            raise LedgerError(
                f"the proof does not lead from the entry to the checkpoint of {found.head.size}",
                cure=_CURE,
            )
        return found


def _malformed(reason: str) -> LedgerError:
    return LedgerError(f"a ledger proof is malformed: {reason}", cure=_CURE)
