"""Submits ledger checkpoints to a witness over HTTP (C2SP tlog-witness) and stores cosignatures."""

from collections.abc import Callable
from dataclasses import dataclass

from auditor._http import HttpResponse, NoResponseError, is_http_url, request_bytes
from auditor.errors import LedgerError, UsageError, WitnessLostError
from auditor.store.record_store import RecordStore
from auditor.trust.ledger.notes import (
    LogCheckpoint,
    NoteKey,
    NoteSignature,
    SignedNote,
    WitnessRequest,
    find_cosignature_time,
    read_cosignatures,
    read_witness_size,
    to_witness_key,
)

OK, CONFLICT = 200, 409
REFUSALS = {
    400: "the request makes no sense to it",
    403: "it does not trust the ledger's key",
    404: "it does not know this ledger",
    422: "it saw another ledger under this key: the checkpoint does not continue what it cosigned",
}
Submit = Callable[[bytes], HttpResponse]


@dataclass(frozen=True, slots=True)
class CheckpointCosignature:
    """A witness cosigned a checkpoint of ``size`` leaves at ``time`` (POSIX seconds)."""

    name: str
    size: int
    time: int


def cosign_checkpoint(
    store: RecordStore, key: NoteKey, submit: Submit, at: str
) -> CheckpointCosignature:
    """Ask the witness of ``key`` to cosign the last checkpoint; keep the cosignature.

    ``at`` is now (UTC, RFC 3339). Raises ``LedgerError`` where the witness refuses, or answers
    with what its key did not sign.
    """
    with store.ledger() as ledger:
        note = ledger.checkpoint()
        head = LogCheckpoint.parse(SignedNote.parse(note).text).head
        tree = ledger.tree(head.size)
        old = ledger.cosigned_size(key.name)
        answer = submit(WitnessRequest(old, tree.consistency(old), note).emit())
        if answer.status == CONFLICT:
            old = read_witness_size(answer.body)
            if old > head.size:
                raise LedgerError(
                    f"the witness {key.name} cosigned {old} leaves of this ledger, which has "
                    f"{head.size}: leaves were lost",
                    cure="Restore the database from a copy; `auditor ledger verify` says more.",
                )
            answer = submit(WitnessRequest(old, tree.consistency(old), note).emit())
    signature, time = _cosignature(answer, key, SignedNote.parse(note))
    with store.unit_of_work() as work:
        work.cosigned(head.size, str(signature), at)
    return CheckpointCosignature(key.name, head.size, time)


def _cosignature(answer: HttpResponse, key: NoteKey, note: SignedNote) -> tuple[NoteSignature, int]:
    if answer.status != OK:
        reason = REFUSALS.get(answer.status, "no reason that auditor knows")
        raise LedgerError(
            f"the witness {key.name} refused with status {answer.status}: {reason}",
            cure="See that witness and ledger know each other's keys, and what "
            "`auditor ledger verify` finds.",
        )
    for item in read_cosignatures(answer.body):
        if (item.name, item.key_id) == (key.name, to_witness_key(key).key_id):
            return item, find_cosignature_time(note.text, item, key)
    raise LedgerError(
        f"the witness's answer carries no cosignature by {key.name}",
        cure="Give the key of the witness at this address.",
    )


MOST_BYTES = 2**16
TEXT = {"Content-Type": "text/plain"}


def submit_checkpoint(url: str, body: bytes) -> HttpResponse:
    """Post a checkpoint to the witness at the prefix ``url``.

    Raises ``UsageError`` for what is no HTTP address, ``WitnessLostError`` where nobody answers.
    """
    if not is_http_url(url):
        raise UsageError(
            f"{url!r} is not an address of a witness", cure="Write it as https://HOST/PREFIX."
        )
    try:
        place = f"{url.rstrip('/')}/add-checkpoint"
        return request_bytes("POST", place, body=body, headers=TEXT, most_bytes=MOST_BYTES)
    except NoResponseError as error:
        raise WitnessLostError(
            f"the witness at {url} does not answer: {error}",
            cure="See that the address is right and that the witness runs; then repeat.",
        ) from None
