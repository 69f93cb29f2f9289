"""Private keys under a password: opened by a file or by asking, and never from the command line."""

import subprocess
from pathlib import Path

import pytest

from auditor.errors import KeyFileError
from auditor.trust.keys.files import (
    MOST_PASSWORD_BYTES,
    PasswordSource,
    create_key_pair,
    load_public_key,
)
from auditor.trust.keys.ledger_key import create_ledger_key, load_ledger_signer
from auditor.trust.keys.signers import open_signer

SECRET = b"correct horse"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "password"
    path.write_bytes(SECRET + b"\r\nwhat follows is not read\n")
    return path


def test_a_locked_key_signs_with_the_password_of_a_file(tmp_path: Path, file: Path) -> None:
    made = create_key_pair(tmp_path / "home", password=SECRET)
    assert b"BEGIN ENCRYPTED PRIVATE KEY" in made.private.read_bytes()
    signer = open_signer(str(made.private), PasswordSource(file))
    assert load_public_key(made.public).holds(signer.sign(b"text"), b"text")


def test_who_sits_there_is_asked_for_a_locked_key_by_its_name(tmp_path: Path) -> None:
    locked = create_key_pair(tmp_path / "locked", password=SECRET).private
    plain = create_key_pair(tmp_path / "plain").private
    asked: list[str] = []

    def ask(what: str) -> str:
        asked.append(what)
        return SECRET.decode()

    open_signer(str(locked), PasswordSource(ask=ask))
    open_signer(str(plain), PasswordSource(ask=ask))
    assert asked == [str(locked)]


def test_a_locked_key_stays_shut_without_its_password(tmp_path: Path, file: Path) -> None:
    made = str(create_key_pair(tmp_path / "home", password=SECRET).private)
    with pytest.raises(KeyFileError, match="nobody is there to be asked") as raised:
        open_signer(made)
    assert "AUDITOR_PASSWORD_FILE" in raised.value.cure
    file.write_bytes(b"wrong\n")
    with pytest.raises(KeyFileError, match="does not open with the given password"):
        open_signer(made, PasswordSource(file))


BAD_FILES = {"is empty": b"\nlater", "more than": b"x" * (MOST_PASSWORD_BYTES + 1)}


@pytest.mark.parametrize("words", BAD_FILES)
def test_a_password_file_that_cannot_be_one_is_named(
    tmp_path: Path, file: Path, words: str
) -> None:
    made = str(create_key_pair(tmp_path / "home", password=SECRET).private)
    file.write_bytes(BAD_FILES[words])
    with pytest.raises(KeyFileError, match=words):
        open_signer(made, PasswordSource(file))
    file.unlink()
    with pytest.raises(KeyFileError, match="cannot be read"):
        open_signer(made, PasswordSource(file))


def test_the_ledgers_key_is_locked_like_any_other(home: Path, file: Path) -> None:
    create_ledger_key(home, "log.example", password=SECRET)
    assert load_ledger_signer(home, PasswordSource(file)).name == "log.example"
    with pytest.raises(KeyFileError, match="nobody is there"):
        load_ledger_signer(home)
    file.write_bytes(b"wrong")
    with pytest.raises(KeyFileError, match="does not open with the given password"):
        load_ledger_signer(home, PasswordSource(file))


def test_openssl_opens_our_locked_keys_and_we_open_its(tmp_path: Path, file: Path) -> None:
    made = create_key_pair(tmp_path / "home", password=SECRET)
    file.write_bytes(SECRET + b"\n")
    words = ("-in", str(made.private), "-passin", f"file:{file}")
    shown = subprocess.run(
        ["openssl", "pkey", *words, "-pubout"], check=True, capture_output=True, text=True
    )
    assert shown.stdout == made.public.read_text()
    parsed = ["openssl", "asn1parse", "-in", str(made.private)]
    rounds = subprocess.run(parsed, check=True, capture_output=True, text=True).stdout
    assert f":{600_000:06X}" in rounds
    theirs = tmp_path / "theirs.key"
    command = ["openssl", "pkcs8", "-topk8", "-v2", "aes-256-cbc", *words, "-out", str(theirs)]
    other = tmp_path / "other"  # of one file it reads two lines
    other.write_bytes(SECRET)
    subprocess.run([*command, "-passout", f"file:{other}"], check=True, capture_output=True)
    assert theirs.read_bytes() != made.private.read_bytes()
    assert open_signer(str(theirs), PasswordSource(file)).public_pem() == made.public.read_bytes()
