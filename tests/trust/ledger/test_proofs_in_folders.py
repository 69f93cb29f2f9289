"""What the proof in a record's folder shows: that a ledger holds this record, or its erasure."""

import shutil
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from auditor.domain.records import AuditRecord
from auditor.domain.verification_steps import StepResult, VerificationStep
from auditor.reports.folder import BUNDLE, ERASURE, LEDGER, PROOF, RecordFolder
from auditor.trust.keys.ledger_key import load_note_key
from auditor.trust.ledger.events import LeafOpening, LedgerEvent, build_erasure_event
from auditor.trust.ledger.merkle import TreeHead, leaf_hash, merkle_root
from auditor.trust.ledger.notes import (
    LogCheckpoint,
    MemoryNoteSigner,
    NoteKey,
    SignedNote,
    add_signatures,
    cosign_checkpoint,
    sign_checkpoint,
)
from auditor.trust.ledger.receipts import LedgerReceipt
from auditor.workflows.verify.inclusion import check_erasure, check_inclusion

GOLDEN = Path(__file__).parents[2] / "golden" / "records" / "v1.zip"
NOW = "2026-11-28T09:00:00Z"
ERASED = "erasure"


def made(name: str, seed: bytes) -> MemoryNoteSigner:
    return MemoryNoteSigner(name, Ed25519PrivateKey.from_private_bytes(seed * 32))


LOG, STRANGER = made("log.example/1", b"l"), made("log.example/1", b"s")
ONE, TWO = made("one.example/w", b"1"), made("two.example/w", b"2")
PROVEN = "the record is leaf 3 of 4 in the ledger "


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("golden")
    with zipfile.ZipFile(GOLDEN) as packed:
        packed.extractall(folder)
    return folder


@pytest.fixture
def out(unpacked: Path, tmp_path: Path) -> Path:
    """A copy of the golden record's folder."""
    return Path(shutil.copytree(unpacked / "out", tmp_path / "out"))


@pytest.fixture(scope="module")
def key(unpacked: Path) -> NoteKey:
    return load_note_key(unpacked / "ledger.pub")


def look(out: Path, key: NoteKey | None, *witnesses: MemoryNoteSigner) -> VerificationStep:
    folder = RecordFolder(out)
    return check_inclusion(folder, folder.record, key, tuple(item.key for item in witnesses))


def test_the_proof_of_a_record_holds_under_the_ledgers_key(out: Path, key: NoteKey) -> None:
    found = look(out, key)
    assert (found.name, found.result) == ("inclusion proof", StepResult.HOLDS)
    assert found.detail == f"{PROVEN}{key.name}"
    (out / LEDGER).unlink()  # the copy of the key is there for people alone
    assert look(out, key) == found


def test_without_a_key_a_proof_is_not_checked_and_with_one_it_must_be_there(
    out: Path, key: NoteKey
) -> None:
    name = "inclusion proof"
    unknown = "no ledger key given (--ledger-key)"
    assert look(out, None) == VerificationStep(name, StepResult.NOT_CHECKED, unknown)
    (out / PROOF).unlink()
    missing = "the folder holds no ledger proof"
    assert look(out, None) == VerificationStep(name, StepResult.NOT_PRESENT, missing)
    assert look(out, key) == VerificationStep(
        name, StepResult.FAILED, f"{missing}, and a ledger key was given"
    )


def failure(step: VerificationStep) -> str:
    assert step.result is StepResult.FAILED
    return step.detail


def test_a_proof_of_something_else_fails(out: Path, key: NoteKey) -> None:
    assert failure(look(out, STRANGER.key)).startswith(f"{PROOF}: ")
    folder = RecordFolder(out)
    other = replace(folder.record, finished=NOW)
    assert (
        failure(check_inclusion(folder, other, key)) == f"{PROOF} is of another record or signature"
    )
    (out / BUNDLE).write_bytes(folder.read(BUNDLE) + b"\n")
    assert failure(look(out, key)) == f"{PROOF} is of another record or signature"


def test_the_copy_of_a_ledgers_key_must_be_that_key(out: Path, key: NoteKey) -> None:
    (out / LEDGER).write_text(f"{STRANGER.key}\n")
    assert failure(look(out, key)) == f"{LEDGER} is not the ledger key given"


def cosigned(out: Path, *witnesses: MemoryNoteSigner) -> None:
    receipt = LedgerReceipt.parse((out / PROOF).read_bytes())
    text = SignedNote.parse(receipt.note).text
    added = [cosign_checkpoint(text, 1_700_000_000, item) for item in witnesses]
    note = add_signatures(receipt.note, added)
    (out / PROOF).write_bytes(replace(receipt, note=note).emit())


def test_every_witness_that_is_named_must_have_cosigned(out: Path, key: NoteKey) -> None:
    assert failure(look(out, key, ONE, TWO)) == (
        "one.example/w did not cosign the checkpoint; two.example/w did not cosign the checkpoint"
    )
    cosigned(out, ONE)
    assert look(out, key, ONE).detail == f"{PROVEN}{key.name}, cosigned by one.example/w"
    assert failure(look(out, key, ONE, TWO)) == "two.example/w did not cosign the checkpoint"
    cosigned(out, TWO)
    both = look(out, key, ONE, TWO)
    assert both.result is StepResult.HOLDS
    assert both.detail == f"{PROVEN}{key.name}, cosigned by one.example/w, two.example/w"


def proof_of(event: LedgerEvent, document: bytes) -> bytes:
    """Return the receipt of a log whose second leaf is an event."""
    leaf = event.leaf(b"s" * 32, 1)
    other = leaf_hash(b"another entry")
    head = TreeHead(2, merkle_root([other, leaf_hash(leaf.entry())]))
    opening = LeafOpening(leaf, b"s" * 32, event.digest, event.subjects, document)
    note = sign_checkpoint(LogCheckpoint(LOG.name, head), LOG)
    return LedgerReceipt(1, (other,), note, opening.emit()).emit()


@pytest.fixture
def record(out: Path) -> AuditRecord:
    found = RecordFolder(out).record
    (out / ERASURE).write_bytes(proof_of(*build_erasure_event(found, NOW)))
    return found


def test_an_erasure_is_proven_by_the_ledgers_key_and_told_without(
    out: Path, record: AuditRecord
) -> None:
    folder = RecordFolder(out)
    assert check_erasure(folder, record, LOG.key) == VerificationStep(
        ERASED, StepResult.HOLDS, f"{NOW}: leaf 1 of 2 of {LOG.name}"
    )
    unknown = f"{NOW}, as the folder says; no ledger key given (--ledger-key)"
    assert check_erasure(folder, record, None) == VerificationStep(
        ERASED, StepResult.NOT_CHECKED, unknown
    )
    assert failure(check_erasure(folder, record, STRANGER.key)).startswith(f"{ERASURE}: ")


def test_the_proof_of_another_erasure_fails(out: Path, record: AuditRecord) -> None:
    other = replace(record, id="aud-2")
    for key in (LOG.key, None):
        found = check_erasure(RecordFolder(out), other, key)
        assert failure(found) == f"{ERASURE} is of another record"
    (out / ERASURE).write_bytes(b"no proof")
    assert failure(check_erasure(RecordFolder(out), record, None)).startswith(f"{ERASURE}: ")
