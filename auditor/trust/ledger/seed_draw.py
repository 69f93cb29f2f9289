"""Seeds that a ledger gives: nobody who asks for an audit knows them, and anybody can recompute."""

import hashlib
from dataclasses import dataclass

from auditor.errors import LedgerError
from auditor.ledgers.checkpoints import Checkpoint, open_checkpoint
from auditor.ledgers.events import EventType
from auditor.ledgers.hashing import leaf_hash
from auditor.ledgers.notes import Note, NoteKey
from auditor.ledgers.openings import Opening
from auditor.ledgers.proofs import Head, includes
from auditor.ledgers.receipts import Receipt

TAG = "auditor/sealed-seed/v1"
UNUSED = 64 - 53
"""Bits of eight bytes that a seed leaves out, so that JSON writes it exactly."""
_CURE = "Take the record as the service wrote it, unchanged."


@dataclass(frozen=True, slots=True)
class Drawn:
    """A seed, and the ledger and its size from which it was drawn."""

    seed: int
    origin: str
    size: int


def seed_of(request: str, head: Head) -> int:
    """Return the seed that a ledger's head gives the request of a digest: 53 bits of SHA-256."""
    text = f"{TAG}\n{request}\n{head.size}\n".encode()
    return int.from_bytes(hashlib.sha256(text + head.root).digest()[:8], "big") >> UNUSED


def draw(proof: bytes, request: str, key: NoteKey | None = None) -> Drawn:
    """Return the seed of a request (a digest) by the proof that a ledger holds it.

    The checkpoint is the one that registering the request ended in, so that one registration has
    one seed; with the ledger's key it must be signed. Raises ``LedgerError`` for any other proof.
    """
    receipt = Receipt.parse(proof)
    opening = Opening.parse(receipt.extra)
    event = opening.event
    if event.type is not EventType.REQUEST or event.digest != request:
        raise LedgerError(
            f"the seed was drawn for another request than {request}: its proof is of the "
            f"{event.type} {event.digest}",
            cure=_CURE,
        )
    found = _checkpoint(receipt.note, key)
    if not includes(found.head, receipt.index, leaf_hash(opening.leaf.entry()), receipt.proof):
        raise LedgerError("the proof does not lead from the request to its checkpoint", cure=_CURE)
    if found.head.size != receipt.index + 1:
        raise LedgerError(
            f"the seed was drawn from the checkpoint of {found.head.size} leaves, and the request "
            f"is leaf {receipt.index}: another checkpoint could have been chosen",
            cure=_CURE,
        )
    return Drawn(seed_of(request, found.head), found.origin, found.head.size)


def _checkpoint(note: bytes, key: NoteKey | None) -> Checkpoint:
    return Checkpoint.parse(Note.parse(note).text) if key is None else open_checkpoint(note, key)
