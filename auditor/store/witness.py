"""Let a witness cosign the ledger's checkpoint, and keep what it signed."""

from collections.abc import Callable
from dataclasses import dataclass

from auditor.errors import LedgerError
from auditor.ledgers.checkpoints import Checkpoint
from auditor.ledgers.cosigning import (
    Submission,
    cosigned_at,
    read_cosignatures,
    read_size,
    witness_key,
)
from auditor.ledgers.notes import Note, NoteKey, Signature
from auditor.posting import Answer
from auditor.store.store import Store

OK, CONFLICT = 200, 409
REFUSALS = {
    400: "the request makes no sense to it",
    403: "it does not trust the ledger's key",
    404: "it does not know this ledger",
    422: "it saw another ledger under this key: the checkpoint does not continue what it cosigned",
}
Submit = Callable[[bytes], Answer]


@dataclass(frozen=True, slots=True)
class Cosigned:
    """A witness cosigned a checkpoint of ``size`` leaves at ``time`` (POSIX seconds)."""

    name: str
    size: int
    time: int


def witness(store: Store, key: NoteKey, submit: Submit, at: str) -> Cosigned:
    """Ask the witness of ``key`` to cosign the last checkpoint; keep the cosignature.

    ``at`` is now (UTC, RFC 3339). Raises ``LedgerError`` where the witness refuses, or answers
    with what its key did not sign.
    """
    with store.ledger() as ledger:
        note = ledger.checkpoint()
        head = Checkpoint.parse(Note.parse(note).text).head
        tree = ledger.tree(head.size)
        old = ledger.cosigned_size(key.name)
        answer = submit(Submission(old, tree.consistency(old), note).emit())
        if answer.status == CONFLICT:
            old = read_size(answer.body)
            if old > head.size:
                raise LedgerError(
                    f"the witness {key.name} cosigned {old} leaves of this ledger, which has "
                    f"{head.size}: leaves were lost",
                    cure="Restore the database from a copy; `auditor ledger verify` says more.",
                )
            answer = submit(Submission(old, tree.consistency(old), note).emit())
    signature, time = _cosignature(answer, key, Note.parse(note))
    with store.unit_of_work() as work:
        work.cosigned(head.size, str(signature), at)
    return Cosigned(key.name, head.size, time)


def _cosignature(answer: Answer, key: NoteKey, note: Note) -> tuple[Signature, int]:
    if answer.status != OK:
        reason = REFUSALS.get(answer.status, "no reason that auditor knows")
        raise LedgerError(
            f"the witness {key.name} refused with status {answer.status}: {reason}",
            cure="See that witness and ledger know each other's keys, and what "
            "`auditor ledger verify` finds.",
        )
    for item in read_cosignatures(answer.body):
        if (item.name, item.key_id) == (key.name, witness_key(key).key_id):
            return item, cosigned_at(note.text, item, key)
    raise LedgerError(
        f"the witness's answer carries no cosignature by {key.name}",
        cure="Give the key of the witness at this address.",
    )
