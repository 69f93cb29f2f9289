"""The life of keys from the command line, and what the proof of it says of a record offline."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import sleep
from typing import Any

import pytest

from auditor.reports.folder import KEY_PROOF
from auditor.trust.ledger.events import LeafOpening
from auditor.trust.ledger.key_events import key_event_id
from auditor.trust.ledger.receipts import LedgerReceipt

ONLY = ("--only", "quality.accuracy")
Command = Callable[..., Any]


@pytest.fixture
def audited(auditor: Command, finished: Path) -> Path:
    """A finished audit, and nothing else in the ledger."""
    return finished / "out"


def proof_of(auditor: Command, folder: Path, home: Path) -> None:
    """Put the last thing that the ledger says of the record's key into its folder."""
    name = key_event_id("report", (folder / "signer.pub").read_text())
    ended = auditor("ledger", "prove", name, "--out", folder / KEY_PROOF)
    assert ended.code == 0, ended.said


def verified(auditor: Command, folder: Path, home: Path) -> Any:  # noqa: ANN401 -- how it ended
    key = folder / "signer.pub"
    return auditor("verify", folder, "--key", key, "--ledger-key", home / "ledger.pub")


def test_an_audit_signs_with_a_locked_key_and_the_ledger_too(
    auditor: Command, inside: Path, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "password"
    file.write_text("secret\n")
    asked = auditor("keys", "new", "--encrypt").said
    assert "needs a password, and there is no terminal to ask for one" in asked
    monkeypatch.setenv("AUDITOR_PASSWORD_FILE", str(file))
    for role in ("report", "ledger"):
        assert auditor("keys", "new", "--encrypt", "--role", role).code == 0
        name = {"report": "signer", "ledger": "ledger"}[role]
        assert b"ENCRYPTED" in (home / f"{name}.key").read_bytes()
    ended = auditor("audit", "audit.yaml", *ONLY, "--out", "out")
    assert ended.code == 0, ended.said
    monkeypatch.delenv("AUDITOR_PASSWORD_FILE")
    ended = auditor("audit", "audit.yaml", *ONLY, "--out", "again")
    assert ended.code == 2
    assert "signer.key is locked" in ended.said
    assert not (inside / "again").exists()


def test_a_rotated_key_signs_no_more_and_its_records_still_verify(
    auditor: Command, audited: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = (home / "signer.key").read_bytes()
    proof_of(auditor, audited, home)
    first = verified(auditor, audited, home)
    assert first.code == 0, first.said
    assert "holds key's life the ledger took the key into use" in first.said
    ended = auditor("keys", "rotate")
    assert ended.code == 0, ended.said
    assert (home / "signer.key").read_bytes() != old
    (aside,) = home.glob("signer.*.key")
    assert aside.read_bytes() == old
    proof_of(auditor, audited, home)
    ended = verified(auditor, audited, home)
    assert ended.code == 0, ended.said
    assert "retired after the record" in ended.said
    monkeypatch.setenv("AUDITOR_SIGNER", str(aside))
    ended = auditor("audit", "audit.yaml", *ONLY, "--out", "again")
    assert ended.code == 2
    assert "may sign no more: it is retired" in ended.said
    assert auditor("ledger", "verify").code == 0
    statuses = [
        item["status"] for item in json.loads(auditor("keys", "list", "--format", "json").out)
    ]
    assert sum(item == "in use" for item in statuses) == 2
    assert sum(item.startswith("retired on") for item in statuses) == 1


def test_a_rotation_that_was_interrupted_is_gone_on_with(
    auditor: Command, audited: Path, home: Path, tmp_path: Path
) -> None:
    before = shutil.copytree(home, tmp_path / "before")
    assert auditor("keys", "rotate").code == 0
    # The ledger was told, and the files were not swapped yet.
    (home / "signer.key").rename(home / "signer.next.key")
    for name in ("signer.key", "signer.pub"):
        shutil.copy(before / name, home / name)
    new = (home / "signer.next.key").read_bytes()
    assert "retired" in auditor("audit", "audit.yaml", *ONLY, "--out", "again").said
    assert auditor("keys", "rotate").code == 0
    assert (home / "signer.key").read_bytes() == new
    assert auditor("audit", "audit.yaml", *ONLY, "--out", "again").code == 0


@pytest.mark.parametrize(("later", "code"), [(0, 1), (1, 0)])
def test_a_revoked_key_is_known_offline_only_by_its_proof(
    auditor: Command, audited: Path, home: Path, later: int, code: int
) -> None:
    finished = json.loads((audited / "record.json").read_bytes())["finished"]
    since = datetime.fromisoformat(finished) + timedelta(seconds=later)
    sleep(max(0.0, (since - datetime.now(UTC)).total_seconds()))  # what is revoked has been
    identity = auditor("keys", "show").out.split()[1]
    words = ("--since", since.strftime("%Y-%m-%dT%H:%M:%SZ"), "--reason", "a stolen laptop")
    ended = auditor("keys", "revoke", identity, *words)
    assert ended.code == 0, ended.said
    silent = verified(auditor, audited, home)
    assert silent.code == 0
    assert "not present key's life" in silent.said
    proof_of(auditor, audited, home)
    told = verified(auditor, audited, home)
    assert told.code == code, told.said
    assert "the key was revoked since" in told.said
    assert auditor("ledger", "verify").code == code
    unknown = auditor("verify", audited, "--key", audited / "signer.pub")
    assert "not checked key's life no ledger key given" in unknown.said


def test_a_proof_whose_document_was_changed_fails(
    auditor: Command, audited: Path, home: Path
) -> None:
    proof_of(auditor, audited, home)
    whole = LedgerReceipt.parse((audited / KEY_PROOF).read_bytes())
    for old, new in (("in-use", "unused"), ('\\"role\\"', '\\"rule\\"')):
        extra = whole.extra.replace(old.encode(), new.encode())
        assert extra != whole.extra
        (audited / KEY_PROOF).write_bytes(replace(whole, extra=extra).emit())
        ended = verified(auditor, audited, home)
        assert (ended.code, "cannot be opened" in ended.said) == (1, True), ended.said
    opening = LeafOpening.parse(whole.extra)
    (audited / KEY_PROOF).write_bytes(
        replace(whole, extra=replace(opening, document=None).emit()).emit()
    )
    assert "cannot be read" in verified(auditor, audited, home).said


def test_the_proof_of_another_key_fails(auditor: Command, audited: Path, home: Path) -> None:
    assert auditor("keys", "enrol", home / "model.pub", "--role", "model").code == 0
    name = key_event_id("model", (home / "model.pub").read_text())
    assert auditor("ledger", "prove", name, "--out", audited / KEY_PROOF).code == 0
    ended = verified(auditor, audited, home)
    assert ended.code == 1
    assert "is of another key or role" in ended.said


def test_a_key_has_one_role_from_the_command_line_too(
    auditor: Command, audited: Path, home: Path
) -> None:
    ended = auditor("sign", "model.onnx", "--out", "x.sig", "--key", home / "signer.key")
    assert ended.code == 2
    assert "is the report key, and may not be the model key too" in ended.said
    away = home / "signer.pub"
    kept = away.read_bytes()
    away.unlink()  # the ledger knows it as well
    ended = auditor("sign", "model.onnx", "--out", "x.sig", "--key", home / "signer.key")
    assert "is the report key of leaf" in ended.said
    away.write_bytes(kept)
    assert auditor("keys", "enrol", home / "signer.pub", "--role", "trust").code == 2
    ended = auditor("keys", "enrol", home / "model.pub", "--role", "report")
    assert "is the model key, and may not be the report key too" in ended.said
    ended = auditor("keys", "rotate", "--to", home / "model.key")
    assert "is the model key, and may not be the report key too" in ended.said


def test_a_key_with_an_end_signs_until_then(auditor: Command, inside: Path, home: Path) -> None:
    assert auditor("keys", "new", "--not-after", "2020-01-01T00:00:00Z").code == 0
    ended = auditor("audit", "audit.yaml", *ONLY, "--out", "out")
    assert ended.code == 2
    assert "expired on 2020-01-01T00:00:00Z" in ended.said
    assert "expired" in auditor("keys", "show").out


def test_the_ledgers_own_key_is_for_good(auditor: Command, inside: Path) -> None:
    for words in (("rotate", "--role", "ledger"), ("new", "--role", "ledger", "--not-after",
                                                   "2030-01-01T00:00:00Z")):  # fmt: skip
        ended = auditor("keys", *words)
        assert ended.code == 2
        assert "Begin another ledger" in ended.said


def test_a_gate_asks_the_ledger_here_what_became_of_the_records_key(
    auditor: Command, audited: Path
) -> None:
    asked = ("gate", "--artifact", "model.onnx", "--policy", "policy.yaml", "--record", audited,
             "--key", audited / "signer.pub")  # fmt: skip
    opened = auditor(*asked)
    assert (opened.code, "signer's key the ledger here" in opened.said) == (0, True), opened.said
    revoked = ("--since", "2020-01-01T00:00:00Z", "--reason", "stolen")
    assert auditor("keys", "revoke", audited / "signer.pub", *revoked).code == 0
    shut = auditor(*asked)
    assert (shut.code, "revoked since 2020-01-01" in shut.said) == (1, True), shut.said


def test_a_gate_takes_no_record_that_came_after_the_end_of_its_key_or_from_elsewhere(
    auditor: Command, audited: Path, home: Path
) -> None:
    asked = ("gate", "--artifact", "model.onnx", "--policy", "policy.yaml", "--record", audited,
             "--key", audited / "signer.pub")  # fmt: skip
    # A ledger that knows the key and its end, and not the record.
    for path in home.glob("*.db*"):
        path.unlink()
    assert auditor("keys", "enrol", audited / "signer.pub", "--role", "report").code == 0
    sleep(1.1)  # so that the record says that it is older
    since = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    lost = ("--since", since, "--reason", "lost")
    assert auditor("keys", "revoke", audited / "signer.pub", *lost).code == 0
    shut = auditor(*asked)
    assert (shut.code, "nothing shows the record before" in shut.said) == (1, True), shut.said


def test_what_no_challenge_is_called_is_a_stranger(auditor: Command, audited: Path) -> None:
    (audited / "challenges").mkdir()
    (audited / "challenges" / "evil.exe").write_bytes(b"MZ")
    ended = auditor("verify", audited, "--key", audited / "signer.pub")
    assert (ended.code, "challenges/evil.exe" in ended.said) == (1, True), ended.said
