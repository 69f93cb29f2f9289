"""The ledger's key files: made once, read back, and refused when they are not a pair."""

import hashlib
import stat
from pathlib import Path

import pytest

from auditor.errors import KeyFileError
from auditor.trust.keys.files import create_key_pair
from auditor.trust.keys.ledger_key import (
    LEDGER_PRIVATE,
    LEDGER_PUBLIC,
    create_ledger_key,
    load_ledger_signer,
    load_note_key,
)
from auditor.trust.ledger.notes import NoteKey


def test_a_pair_is_made_privately_and_read_back(home: Path) -> None:
    made = create_ledger_key(home, "ledger.example/{key}")
    signer = load_ledger_signer(home)
    assert stat.S_IMODE(made.stat().st_mode) == 0o600
    assert b"BEGIN PRIVATE KEY" in made.read_bytes()
    assert signer.name == f"ledger.example/{hashlib.sha256(signer.key.raw).hexdigest()}"
    assert load_note_key(home / LEDGER_PUBLIC) == signer.key
    assert NoteKey.parse((home / LEDGER_PUBLIC).read_text().strip()) == signer.key
    assert signer.key.holds(signer.sign(b"x"), b"x")


@pytest.mark.parametrize("origin", ["", "two words", "a+b", "é", "x" * 201])
def test_an_origin_that_is_no_name_is_refused(home: Path, origin: str) -> None:
    with pytest.raises(KeyFileError, match="cannot be the origin"):
        create_ledger_key(home, origin)
    assert not home.exists()


def test_half_a_pair_is_never_completed(home: Path) -> None:
    made = create_ledger_key(home, "a")
    made.unlink()
    with pytest.raises(KeyFileError, match="exists without its other half"):
        create_ledger_key(home, "a")


def test_halves_of_two_pairs_are_refused(home: Path, tmp_path: Path) -> None:
    create_ledger_key(home, "a")
    create_ledger_key(tmp_path / "other", "a")
    (home / LEDGER_PRIVATE).write_bytes((tmp_path / "other" / LEDGER_PRIVATE).read_bytes())
    with pytest.raises(KeyFileError, match="are not one pair"):
        load_ledger_signer(home)


def test_a_signing_key_is_no_ledger_key(home: Path) -> None:
    create_ledger_key(home, "a")
    signing = create_key_pair(home)
    with pytest.raises(KeyFileError, match="NAME\\+HASH\\+KEY"):
        load_note_key(signing.public)
    (home / LEDGER_PRIVATE).write_bytes(signing.private.read_bytes())
    with pytest.raises(KeyFileError, match="not an Ed25519 key"):
        load_ledger_signer(home)


def test_who_lacks_a_ledgers_key_is_told_what_makes_one(tmp_path: Path) -> None:
    with pytest.raises(KeyFileError) as raised:
        load_note_key(tmp_path / "ledger.pub")
    assert "first audit" in raised.value.cure
    assert "keys new" not in raised.value.cure
