"""Key files: made once, read with a clear word on what is wrong."""

import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from auditor.errors import KeyFileError
from auditor.trust.keys.files import create_key_pair, load_public_key, load_signer

RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)


def test_a_new_pair_signs_and_verifies(tmp_path: Path) -> None:
    made = create_key_pair(tmp_path / "home")
    signer, public = load_signer(made.private), load_public_key(made.public)
    assert public.holds(signer.sign(b"text"), b"text")
    assert made.identity == public.identity == signer.identity


def test_only_the_owner_reads_the_private_key(tmp_path: Path) -> None:
    made = create_key_pair(tmp_path / "home")
    assert stat.S_IMODE(made.private.stat().st_mode) == 0o600
    assert stat.S_IMODE(made.private.parent.stat().st_mode) == 0o700


def test_nothing_else_is_left_beside_the_pair(tmp_path: Path) -> None:
    made = create_key_pair(tmp_path)
    assert sorted(tmp_path.iterdir()) == [made.private, made.public]


@pytest.mark.parametrize("there", ["signer.key", "signer.pub"])
def test_an_existing_key_is_never_replaced_silently(tmp_path: Path, there: str) -> None:
    (tmp_path / there).write_text("precious")
    with pytest.raises(KeyFileError, match="exists"):
        create_key_pair(tmp_path)
    assert (tmp_path / there).read_text() == "precious"


def test_a_dangling_link_is_not_written_through(tmp_path: Path) -> None:
    (tmp_path / "signer.key").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(KeyFileError, match="exists"):
        create_key_pair(tmp_path)
    create_key_pair(tmp_path, overwrite=True)
    assert not (tmp_path / "elsewhere").exists()


def test_a_pair_is_replaced_when_asked(tmp_path: Path) -> None:
    first = create_key_pair(tmp_path)
    assert create_key_pair(tmp_path, overwrite=True).identity != first.identity


def test_a_folder_that_is_a_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(KeyFileError, match="file"):
        create_key_pair(tmp_path / "file")


def written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def private_pem(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey, password: str = "") -> bytes:
    guard = BestAvailableEncryption(password.encode()) if password else NoEncryption()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, guard)


def public_pem(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


EC = ec.derive_private_key(21, ec.SECP384R1())
BAD_PRIVATE = {
    "not a private key": b"hello",
    "public key": public_pem(EC),
    "no password": private_pem(EC, "secret"),
    "elliptic-curve": private_pem(RSA),
    "P-256": private_pem(ec.derive_private_key(5, ec.SECP256K1())),
    "too large": b"x" * 100_000,
}


@pytest.mark.parametrize("words", BAD_PRIVATE)
def test_a_private_key_file_that_cannot_be_used_says_why(tmp_path: Path, words: str) -> None:
    path = written(tmp_path / "my.key", BAD_PRIVATE[words])
    with pytest.raises(KeyFileError, match=words) as raised:
        load_signer(path)
    assert "my.key" in raised.value.problem
    assert raised.value.cure


BAD_PUBLIC = {
    "not one public key": b"hello",
    "private one": private_pem(EC),
    "elliptic-curve": public_pem(RSA),
}


@pytest.mark.parametrize("words", BAD_PUBLIC)
def test_a_public_key_file_that_cannot_be_used_says_why(tmp_path: Path, words: str) -> None:
    path = written(tmp_path / "my.pub", BAD_PUBLIC[words])
    with pytest.raises(KeyFileError, match=words) as raised:
        load_public_key(path)
    assert "my.pub" in raised.value.problem


def test_a_missing_key_file_is_named(tmp_path: Path) -> None:
    for load in (load_signer, load_public_key):
        with pytest.raises(KeyFileError, match="no key file"):
            load(tmp_path / "my.key")


def test_an_encrypted_key_opens_with_its_password_alone(tmp_path: Path) -> None:
    path = written(tmp_path / "my.key", private_pem(EC, "secret"))
    assert load_signer(path, password=b"secret").public_pem() == public_pem(EC)
    with pytest.raises(KeyFileError, match="does not open"):
        load_signer(path, password=b"wrong")


def test_a_password_for_a_plain_key_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "my.key", private_pem(EC))
    with pytest.raises(KeyFileError, match="not encrypted"):
        load_signer(path, password=b"secret")
