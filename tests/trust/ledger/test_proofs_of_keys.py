"""What the proof of a key's last change says of a record, case by case as `docs/keys.md` lists."""

from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest
from bare_records import bare_record
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from auditor.domain.json import compute_digest
from auditor.domain.verification_steps import StepResult, VerificationStep
from auditor.reports.folder import KEY_PROOF, PROOF, RecordFolder
from auditor.trust.ledger.events import LeafOpening, LedgerEvent, LedgerEventType
from auditor.trust.ledger.key_events import KeyChange, KeyEvent
from auditor.trust.ledger.merkle import TreeHead, leaf_hash, merkle_root
from auditor.trust.ledger.notes import LogCheckpoint, MemoryNoteSigner, NoteKey, sign_checkpoint
from auditor.trust.ledger.receipts import LedgerReceipt
from auditor.trust.signatures.trusted_signers import VerificationTime
from auditor.workflows.verify.key_lifecycle import check_key_lifecycle

HOLDS, FAILED = StepResult.HOLDS, StepResult.FAILED
EARLIER, FINISHED, LATER = (f"2026-05-10T10:00:0{second}Z" for second in (0, 1, 2))
LOG = MemoryNoteSigner("log.example/1", Ed25519PrivateKey.from_private_bytes(bytes(32)))
OTHER = leaf_hash(b"another entry")
SALT = b"s" * 32
PEM = b"the key"
IN_USE = KeyEvent(KeyChange.IN_USE, "report", PEM.decode())
RETIRED = replace(IN_USE, change=KeyChange.RETIRED, replaced_by="next")
REVOKED = replace(IN_USE, change=KeyChange.REVOKED, since=LATER, reason="stolen")
AT_ONCE = replace(REVOKED, since=FINISHED)
RECORD = bare_record(finished=FINISHED)


def receipt(event: LedgerEvent, index: int, document: bytes | None = None) -> bytes:
    """Prove an event at one of the two leaves of a log."""
    leaf = event.leaf(SALT, 0)
    mine = leaf_hash(leaf.entry())
    head = TreeHead(2, merkle_root([OTHER, mine] if index else [mine, OTHER]))
    note = sign_checkpoint(LogCheckpoint(LOG.name, head), LOG)
    opening = LeafOpening(leaf, SALT, event.digest, event.subjects, document)
    return LedgerReceipt(index, (OTHER,), note, opening.emit()).emit()


def looked_at(
    folder: Path,
    told: KeyEvent,
    key_at: int,
    record_at: int | None,
    moment: str | None = None,
    *,
    ledger: NoteKey | None = LOG.key,
    pem: bytes = PEM,
) -> VerificationStep:
    """Look at a folder that proves what happened to the key, and where the record lies."""
    (folder / KEY_PROOF).write_bytes(receipt(*_parts(told, key_at)))
    if record_at is not None:
        event = LedgerEvent(
            LedgerEventType.RECORD, compute_digest(b"bundle"), FINISHED, {}, "aud-1"
        )
        (folder / PROOF).write_bytes(receipt(event, record_at))
    proven = (
        None if moment is None else VerificationTime(datetime.fromisoformat(moment), proven=True)
    )
    return check_key_lifecycle(RecordFolder(folder), RECORD, pem, ledger, proven)


def _parts(told: KeyEvent, at: int) -> tuple[LedgerEvent, int, bytes]:
    event, document = told.event(EARLIER)
    return event, at, document


SINCE = "what happened to it since cannot be known offline"
TAKEN = f"the ledger took the key into use for reports (leaf 1 of 2); {SINCE}"
AFTER = f"the key was retired after the record (leaf 1 of 2); {SINCE}"
OLDER = f"the key was revoked since {LATER} (leaf {{}} of 2), and the record is older"
UNSHOWN = "the key was retired by leaf {}, and nothing shows the record before"
GONE = f"the key was revoked since {LATER}: stolen"
CASES = {
    "in use": (IN_USE, 1, None, None, HOLDS, TAKEN),
    "in use, the record after": (IN_USE, 0, 1, None, HOLDS, TAKEN.replace("leaf 1", "leaf 0")),
    "in use until then": (replace(IN_USE, not_after=FINISHED), 1, None, None, HOLDS, TAKEN),
    "in use until before": (
        *(replace(IN_USE, not_after=EARLIER), 1, None, None),
        *(FAILED, f"the key was to sign until {EARLIER}"),
    ),
    "retired after": (RETIRED, 1, 0, None, HOLDS, AFTER),
    "retired before": (RETIRED, 0, 1, None, FAILED, UNSHOWN.format(0)),
    "retired by the record's own leaf": (RETIRED, 1, 1, None, FAILED, UNSHOWN.format(1)),
    "retired, and the record unproven": (RETIRED, 1, None, None, FAILED, UNSHOWN.format(1)),
    "revoked later": (REVOKED, 1, 0, None, HOLDS, OLDER.format(1)),
    "revoked later, put down after": (REVOKED, 0, 1, None, FAILED, GONE),
    "revoked later, the record unproven": (REVOKED, 1, None, None, FAILED, GONE),
    "revoked since then": (AT_ONCE, 1, 0, None, FAILED, GONE.replace(LATER, FINISHED)),
    "stamped before": (REVOKED, 0, 1, FINISHED, HOLDS, OLDER.format(0)),
    "stamped then": (REVOKED, 1, 0, LATER, FAILED, GONE),
    "stamped after": (REVOKED, 1, 0, "2026-05-10T10:00:03Z", FAILED, GONE),
    "stamped before, by a clock elsewhere": (
        *(REVOKED, 0, 1, "2026-05-10T12:00:01+02:00"),
        *(HOLDS, OLDER.format(0)),
    ),
    "stamped then, by a clock elsewhere": (
        *(REVOKED, 1, 0, "2026-05-10T08:00:02-02:00", FAILED, GONE),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_record_stands_or_falls_by_when_its_key_ended(case: str, tmp_path: Path) -> None:
    told, key_at, record_at, moment, result, words = CASES[case]
    found = looked_at(tmp_path, told, key_at, record_at, moment)
    assert found == VerificationStep("key's life", result, words)


@pytest.mark.parametrize(
    ("told", "pem"), [(IN_USE, b"another key"), (replace(IN_USE, role="model"), PEM)]
)
def test_a_proof_of_another_key_or_role_fails(told: KeyEvent, pem: bytes, tmp_path: Path) -> None:
    found = looked_at(tmp_path, told, 1, None, pem=pem)
    assert found == VerificationStep("key's life", FAILED, f"{KEY_PROOF} is of another key or role")


def test_a_folder_without_a_proof_or_a_key_to_check_it_shows_no_life(tmp_path: Path) -> None:
    missing = "the folder holds no proof of what the ledger says of the key"
    found = check_key_lifecycle(RecordFolder(tmp_path), RECORD, PEM, LOG.key)
    assert found == VerificationStep("key's life", StepResult.NOT_PRESENT, missing)
    found = looked_at(tmp_path, REVOKED, 0, None, ledger=None)
    unasked = "no ledger key given (--ledger-key)"
    assert found == VerificationStep("key's life", StepResult.NOT_CHECKED, unasked)


def test_a_proof_that_proves_nothing_fails_and_is_named(tmp_path: Path) -> None:
    stranger = MemoryNoteSigner(LOG.name, Ed25519PrivateKey.from_private_bytes(b"x" * 32))
    event, _ = IN_USE.event(EARLIER)
    of_nothing = receipt(event, 1)
    spoiled = looked_at(tmp_path, IN_USE, 1, None, ledger=stranger.key)
    (tmp_path / KEY_PROOF).write_bytes(of_nothing)
    without = check_key_lifecycle(RecordFolder(tmp_path), RECORD, PEM, LOG.key)
    (tmp_path / PROOF).write_bytes(b"noise")
    beside = looked_at(tmp_path, IN_USE, 1, None)
    for found, name, words in (
        (spoiled, KEY_PROOF, "not signed by"),
        (without, KEY_PROOF, "a key event of the ledger cannot be read"),
        (beside, PROOF, "a ledger proof is malformed"),
    ):
        assert found.result is FAILED
        assert found.detail.startswith(f"{name}: ")
        assert words in found.detail
