"""The ledger from the command line: every record is in it, and anyone can hold it to that."""

import shutil
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from auditor.reports.folder import PROOF
from auditor.trust.keys.ledger_key import load_note_key
from auditor.trust.ledger.events import open_receipt
from auditor.trust.ledger.notes import (
    MemoryNoteSigner,
    SignedNote,
    add_signatures,
    cosign_checkpoint,
    to_witness_key,
)
from auditor.trust.ledger.receipts import LedgerReceipt

ONLY = ("--only", "quality.accuracy", "--only", "provenance.signature")
Command = Callable[..., Any]
Once = Callable[[str, Callable[[], None]], None]


@pytest.fixture
def audited(auditor: Command, example: Path, once: Once) -> Path:
    def make() -> None:
        ended = auditor("audit", example / "audit.yaml", *ONLY, "--out", example / "out")
        assert ended.code == 0, ended.said

    once("audited", make)
    return example / "out"


@pytest.fixture
def verify(auditor: Command, audited: Path, home: Path) -> Command:
    def call(*more: object, folder: Path = audited) -> Any:  # noqa: ANN401 -- how a command ended
        return auditor("verify", folder, "--key", home / "signer.pub", *more)

    return call


def test_a_record_is_proved_to_be_in_the_ledger(verify: Command, home: Path) -> None:
    ended = verify("--ledger-key", home / "ledger.pub")
    assert ended.code == 0, ended.said
    assert "the record is leaf 4 of 5 in the ledger auditor-ledger/" in ended.said


def test_without_the_ledgers_key_the_proof_is_not_checked(verify: Command) -> None:
    ended = verify()
    assert ended.code == 0
    assert "not checked inclusion proof no ledger key given" in ended.said


def test_a_folder_without_a_proof_says_so_and_fails_who_asks_for_one(
    verify: Command, audited: Path, home: Path
) -> None:
    (audited / PROOF).unlink()
    silent, asked = verify(), verify("--ledger-key", home / "ledger.pub")
    assert silent.code == 0
    assert "not present inclusion proof the folder holds no ledger proof" in silent.said
    assert asked.code == 1
    assert "and a ledger key was given" in asked.said


@pytest.mark.slow
def test_a_proof_of_another_record_or_another_ledger_fails(
    auditor: Command, verify: Command, audited: Path, example: Path, home: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    again = example / "again"
    assert auditor("audit", example / "audit.yaml", *ONLY, "--out", again).code == 0
    swapped = shutil.copytree(audited, tmp_path / "swapped")
    shutil.copy(again / PROOF, swapped / PROOF)
    ended = verify("--ledger-key", home / "ledger.pub", folder=swapped)
    assert ended.code == 1
    assert "is of another record or signature" in ended.said
    monkeypatch.setenv("AUDITOR_HOME", str(tmp_path / "elsewhere"))
    assert auditor("audit", example / "audit.yaml", *ONLY, "--out", tmp_path / "x").code == 0
    ended = verify("--ledger-key", tmp_path / "elsewhere" / "ledger.pub")
    assert ended.code == 1
    assert "is not signed by" in ended.said


def test_a_rejudged_record_is_in_the_ledger_too(
    auditor: Command, verify: Command, audited: Path, example: Path, home: Path
) -> None:
    ended = auditor("judge", audited, "--policy", example / "policy.yaml")
    assert ended.code == 0, ended.said
    checked = verify("--ledger-key", home / "ledger.pub", folder=audited.with_name("out-judged"))
    assert checked.code == 0, checked.said
    assert auditor("ledger", "verify").code == 0


def test_a_request_is_registered_in_the_ledger_before_its_record(
    auditor: Command, audited: Path
) -> None:
    shown = auditor("ledger", "show").out
    kinds = [line.split("│")[2].strip() for line in shown.splitlines() if line.count("│") > 3]
    assert kinds == ["key-event", "key-event", "policy", "request", "record"]


def test_the_ledger_audits_itself_against_what_was_kept_elsewhere(
    auditor: Command, audited: Path, home: Path, tmp_path: Path
) -> None:
    kept = tmp_path / "checkpoint"
    assert auditor("ledger", "checkpoint", "--out", kept).code == 0
    ended = auditor("ledger", "verify", "--checkpoint", kept, "--checkpoint", audited / PROOF)
    assert ended.code == 0, ended.said
    assert ended.said.count("the ledger continues the checkpoint of 5 leaves") == 2
    assert auditor("ledger", "checkpoint").out == kept.read_text()
    with sqlite3.connect(home / "auditor.db") as database:
        database.execute("DROP TRIGGER records_refuse_update")
        database.execute("UPDATE records SET verdict = 'fail'")
    ended = auditor("ledger", "verify", "--checkpoint", kept)
    assert ended.code == 1
    assert "the column verdict of record aud-" in ended.said


def test_checkpoints_of_one_file_name_are_all_held_against_the_ledger(
    auditor: Command, audited: Path, tmp_path: Path
) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    good, bad = tmp_path / "a" / "checkpoint", tmp_path / "b" / "checkpoint"
    assert auditor("ledger", "checkpoint", "--out", good).code == 0
    bad.write_bytes(good.read_bytes().replace(b"\n5\n", b"\n9\n"))
    for both in ((good, bad), (bad, good)):
        ended = auditor("ledger", "verify", "--checkpoint", both[0], "--checkpoint", both[1])
        assert ended.code == 1, ended.said


def test_a_record_needs_each_witness_by_its_key_and_not_by_its_name(
    auditor: Command, verify: Command, audited: Path, home: Path, tmp_path: Path
) -> None:
    first, second = (
        MemoryNoteSigner("witness.example/w", Ed25519PrivateKey.from_private_bytes(seed * 32))
        for seed in (b"v", b"w")
    )
    for name, signer in (("first", first), ("second", second)):
        (tmp_path / name).write_text(f"{to_witness_key(signer.key)}\n")
    receipt = LedgerReceipt.parse((audited / PROOF).read_bytes())
    made = cosign_checkpoint(SignedNote.parse(receipt.note).text, 5, first)
    note = add_signatures(receipt.note, [made])
    (audited / PROOF).write_bytes(replace(receipt, note=note).emit())
    known = ("--ledger-key", home / "ledger.pub", "--witness-key", tmp_path / "first")
    ended = verify(*known)
    assert ended.code == 0, ended.said
    ended = verify(*known, "--witness-key", tmp_path / "second")
    assert ended.code == 1
    assert "did not cosign" in ended.said


def test_a_proof_made_later_leads_to_the_same_entry(
    auditor: Command, audited: Path, example: Path, home: Path
) -> None:
    key = load_note_key(home / "ledger.pub")
    first = open_receipt((audited / PROOF).read_bytes(), key)
    assert auditor("audit", example / "audit.yaml", *ONLY, "--out", example / "again").code == 0
    later = auditor("ledger", "prove", first.opening.leaf.id)
    found = open_receipt(later.out.encode(), key)
    assert found.opening == first.opening
    assert (first.head.size, found.head.size) == (5, 7)
    assert LedgerReceipt.parse(later.out.encode()).index == first.index


def test_a_ledger_goes_on_under_its_own_key_alone(
    auditor: Command, audited: Path, example: Path, home: Path
) -> None:
    (home / "ledger.key").rename(home / "away")
    ended = auditor("audit", example / "audit.yaml", *ONLY, "--out", example / "again")
    assert ended.code == 2
    assert "has no ledger.key to go on with" in ended.said
    assert not (example / "again").exists()


def test_an_empty_ledger_verifies_nothing(auditor: Command, audited: Path, home: Path) -> None:
    for path in home.glob("auditor.db*"):
        path.unlink()
    ended = auditor("ledger", "verify")
    assert ended.code == 1
    assert "the ledger is empty" in ended.said


def test_what_the_ledger_does_not_have_is_said(auditor: Command, audited: Path) -> None:
    for words in (("prove", "aud-none"), ("checkpoint", "--size", "99")):
        ended = auditor("ledger", *words)
        assert ended.code == 2
        assert "auditor ledger show" in ended.said
    assert auditor("ledger", "verify", "--checkpoint", "nowhere").code == 2


def test_a_witness_key_alone_is_refused(verify: Command, home: Path) -> None:
    ended = verify("--witness-key", home / "ledger.pub")
    assert ended.code == 2
    ended = verify("--ledger-key", home / "ledger.pub", "--witness-key", home / "ledger.pub")
    assert ended.code == 1
    assert "did not cosign" in ended.said
