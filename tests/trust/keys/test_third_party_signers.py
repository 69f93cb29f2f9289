"""A scheme that another package serves under the entry-point group `auditor.signers`."""

import sys
from pathlib import Path

import pytest

from auditor.errors import KeyFileError
from auditor.trust.keys.files import PasswordSource
from auditor.trust.keys.signers import open_signer
from auditor.trust.signatures.keys import read_public_key

PLUGIN = """
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from auditor.trust.signatures.keys import KeySigner

class Other(KeySigner):
    def public_pem(self):
        return KeySigner(ec.derive_private_key(7, ec.SECP256R1())).public_pem()

class Raw(KeySigner):
    def sign(self, pae):
        return bytes(64)

class Down(KeySigner):
    def sign(self, pae):
        raise ConnectionError("no route to host")

class Unknown(KeySigner):
    def public_pem(self):
        key = ed25519.Ed25519PrivateKey.generate().public_key()
        return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)

KINDS = {"good": KeySigner, "other": Other, "raw": Raw, "down": Down, "unknown": Unknown}

def open_key(uri, passwords):
    kind, _, locked = uri.removeprefix("toykms:").partition("/")
    if locked:
        assert passwords.of(uri) == b"secret"
    return KINDS[kind](ec.derive_private_key(5, ec.SECP256R1()))
"""


@pytest.fixture(autouse=True)
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Install a package that serves `toykms:`, and one scheme that does not import."""
    folder = tmp_path / "site"
    (folder / "toykms-1.dist-info").mkdir(parents=True)
    (folder / "toykms_of_tests.py").write_text(PLUGIN)
    (folder / "toykms-1.dist-info" / "METADATA").write_text("Name: toykms\nVersion: 1\n")
    (folder / "toykms-1.dist-info" / "entry_points.txt").write_text(
        "[auditor.signers]\ntoykms = toykms_of_tests:open_key\nbroken = toykms_missing:open_key\n"
    )
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.delitem(sys.modules, "toykms_of_tests", raising=False)


def test_an_installed_package_opens_the_keys_of_its_scheme(tmp_path: Path) -> None:
    signer = open_signer("toykms:good")
    assert read_public_key(signer.public_pem()).holds(signer.sign(b"text"), b"text")
    file = tmp_path / "password"
    file.write_text("secret\n")
    assert (
        open_signer("toykms:good/locked", PasswordSource(file)).public_pem() == signer.public_pem()
    )


@pytest.mark.parametrize("kind", ["other", "raw"])
def test_what_does_not_hold_under_the_services_own_key_is_not_used(kind: str) -> None:
    signer = open_signer(f"toykms:{kind}")
    with pytest.raises(KeyFileError, match="does not hold under its own public key"):
        signer.sign(b"text")


FAILING = {
    "toykms:unknown": "elliptic-curve key",
    "toykms:none": "KeyError",
    "broken:key": "ModuleNotFoundError",
    "elsewhere:key": "served by no installed package",
}


@pytest.mark.parametrize("uri", FAILING)
def test_what_cannot_be_opened_is_named_with_the_reason(uri: str) -> None:
    with pytest.raises(KeyFileError, match=FAILING[uri]) as raised:
        open_signer(uri)
    assert raised.value.cure


def test_a_service_that_fails_while_signing_is_named() -> None:
    with pytest.raises(KeyFileError, match="no route to host"):
        open_signer("toykms:down").sign(b"text")


def test_a_file_whose_name_looks_like_a_uri_is_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("toykms:good").write_text("no key")
    with pytest.raises(KeyFileError, match="not a private key in PEM form"):
        open_signer("toykms:good")
