"""Draws seeds from the ledger: unpredictable to the requester, and reproducible by anyone."""

import hashlib
from dataclasses import dataclass

from auditor.errors import LedgerError
from auditor.trust.ledger.events import LeafOpening, LedgerEventType
from auditor.trust.ledger.merkle import TreeHead, leaf_hash, verify_inclusion
from auditor.trust.ledger.notes import LogCheckpoint, NoteKey, SignedNote, open_checkpoint
from auditor.trust.ledger.receipts import LedgerReceipt

TAG = "auditor/sealed-seed/v1"
UNUSED = 64 - 53
"""Bits of eight bytes that a seed leaves out, so that JSON writes it exactly."""
_CURE = "Take the record as the service wrote it, unchanged."


@dataclass(frozen=True, slots=True)
class SeedDraw:
    """A seed, and the ledger and its size from which it was drawn."""

    seed: int
    origin: str
    size: int


def derive_ledger_seed(request: str, head: TreeHead) -> int:
    """Return the seed that a ledger's head gives the request of a digest: 53 bits of SHA-256."""
    text = f"{TAG}\n{request}\n{head.size}\n".encode()
    return int.from_bytes(hashlib.sha256(text + head.root).digest()[:8], "big") >> UNUSED


def draw_seed(proof: bytes, request: str, key: NoteKey | None = None) -> SeedDraw:
    """Return the seed of a request (a digest) by the proof that a ledger holds it.

    The checkpoint is the one that registering the request ended in, so that one registration has
    one seed; with the ledger's key it must be signed. Raises ``LedgerError`` for any other proof.
    """
    receipt = LedgerReceipt.parse(proof)
    opening = LeafOpening.parse(receipt.extra)
    event = opening.event
    if event.type is not LedgerEventType.REQUEST or event.digest != request:
        raise LedgerError(
            f"the seed was drawn for another request than {request}: its proof is of the "
            f"{event.type} {event.digest}",
            cure=_CURE,
        )
    found = (
        LogCheckpoint.parse(SignedNote.parse(receipt.note).text)
        if key is None
        else open_checkpoint(receipt.note, key)
    )
    if not verify_inclusion(
        found.head, receipt.index, leaf_hash(opening.leaf.entry()), receipt.proof
    ):
        raise LedgerError("the proof does not lead from the request to its checkpoint", cure=_CURE)
    if found.head.size != receipt.index + 1:
        raise LedgerError(
            f"the seed was drawn from the checkpoint of {found.head.size} leaves, and the request "
            f"is leaf {receipt.index}: another checkpoint could have been chosen",
            cure=_CURE,
        )
    return SeedDraw(derive_ledger_seed(request, found.head), found.origin, found.head.size)
