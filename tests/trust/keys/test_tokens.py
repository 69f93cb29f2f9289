"""Keys in a token (PKCS#11), with SoftHSM of Debian as the token."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from auditor.errors import KeyFileError
from auditor.trust.keys.files import PasswordSource
from auditor.trust.keys.pkcs11 import Pkcs11Uri
from auditor.trust.keys.signers import open_signer
from auditor.trust.signatures.keys import HASHES, read_public_key

MODULE = Path("/usr/lib/softhsm/libsofthsm2.so")
PIN = "1234"
LABEL = "acme"
CURVES = ("secp256r1", "secp384r1", "secp521r1")


@pytest.fixture(scope="module")
def token(tmp_path_factory: pytest.TempPathFactory) -> None:
    """A token with a pair of keys on each curve, in this process's own SoftHSM."""
    if shutil.which("softhsm2-util") is None or not MODULE.is_file():
        reason = "no SoftHSM here (apt-get install softhsm2)"
        (pytest.fail if os.environ.get("AUDITOR_REQUIRE_SERVICES") == "1" else pytest.skip)(reason)
    import pkcs11  # noqa: PLC0415 -- an extra
    from pkcs11.util.ec import encode_named_curve_parameters  # noqa: PLC0415 -- an extra

    folder = tmp_path_factory.mktemp("softhsm")
    (folder / "tokens").mkdir()
    (folder / "softhsm2.conf").write_text(f"directories.tokendir = {folder / 'tokens'}\n")
    os.environ["SOFTHSM2_CONF"] = str(folder / "softhsm2.conf")  # read once, by the library
    words = ["--init-token", "--free", "--label", "acme", "--pin", PIN, "--so-pin", "5678"]
    subprocess.run(["softhsm2-util", *words], check=True, capture_output=True)
    with pkcs11.lib(str(MODULE)).get_token(token_label=LABEL).open(rw=True, user_pin=PIN) as made:
        for curve in CURVES:
            named = {pkcs11.Attribute.EC_PARAMS: encode_named_curve_parameters(curve)}
            parameters = made.create_domain_parameters(pkcs11.KeyType.EC, named, local=True)
            parameters.generate_keypair(store=True, label=f"key {curve}", id=curve.encode())


@pytest.fixture
def pin(tmp_path: Path) -> Path:
    path = tmp_path / "pin"
    path.write_text(f"{PIN}\n")
    return path


@pytest.mark.parametrize("curve", CURVES)
def test_a_key_in_a_token_signs_and_its_public_half_verifies(
    token: None, pin: Path, curve: str
) -> None:
    uri = f"pkcs11:token=acme;object=key%20{curve}?module-path={MODULE}"
    signer = open_signer(uri, PasswordSource(pin))
    signature = signer.sign(b"text")
    public = load_pem_public_key(signer.public_pem())
    assert isinstance(public, ec.EllipticCurvePublicKey)
    public.verify(signature, b"text", ec.ECDSA(HASHES[curve]))
    assert not read_public_key(signer.public_pem()).holds(signature, b"another text")


def test_the_pin_may_lie_where_the_uri_says_and_the_library_where_the_environment_says(
    token: None, pin: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AUDITOR_PKCS11_MODULE", str(MODULE))
    first = open_signer(f"pkcs11:token=acme;id=secp256r1?pin-source=file:{pin}")
    second = open_signer(f"pkcs11:token=acme;id=secp384r1?pin-source={pin}")
    assert first.public_pem() != second.public_pem()


@pytest.mark.parametrize(
    ("named", "words"),
    [
        ("token=acme;object=none", "no such pair of elliptic-curve keys"),
        ("token=none;object=key%20secp256r1", "no such token"),
    ],
)
def test_what_the_token_does_not_have_is_named(
    token: None, pin: Path, named: str, words: str
) -> None:
    with pytest.raises(KeyFileError, match=words):
        open_signer(f"pkcs11:{named}?module-path={MODULE}", PasswordSource(pin))


def test_a_library_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AUDITOR_PKCS11_MODULE", raising=False)
    for more in ("", "?module-path=/nowhere.so"):
        with pytest.raises(KeyFileError, match="no PKCS#11 library"):
            open_signer(f"pkcs11:token=a;object=b{more}")


BAD = {
    "no key by its object or id": "pkcs11:token=a",
    "no token": "pkcs11:object=a",
    "of type private": "pkcs11:token=a;object=b;type=public",
    "unknown, empty or there twice": "pkcs11:token=a;token=b;object=c",
    "'slot-id' is unknown": "pkcs11:token=a;object=c;slot-id=3",
    "every user of the machine": "pkcs11:token=a;object=b?pin-value=1234",
    "not UTF-8": "pkcs11:token=%ff;object=b",
}


@pytest.mark.parametrize("words", BAD)
def test_a_uri_that_names_no_key_or_gives_the_pin_away_is_refused(words: str) -> None:
    with pytest.raises(KeyFileError, match=words) as raised:
        Pkcs11Uri.parse(BAD[words])
    assert "1234" not in str(raised.value)


def test_a_uri_is_read_as_rfc_7512_writes_it() -> None:
    found = Pkcs11Uri.parse("pkcs11:token=My%20token;id=%01%ff;type=private?module-path=/a%20b.so")
    assert (found.token, found.id, found.module) == ("My token", b"\x01\xff", Path("/a b.so"))


def test_a_command_signs_a_model_with_a_key_in_a_token(
    token: None, pin: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from auditor.cli.main import auditor  # noqa: PLC0415 -- loads every command's group

    model = tmp_path / "model"
    model.mkdir()
    (model / "weights").write_bytes(b"weights")
    monkeypatch.setenv("AUDITOR_PASSWORD_FILE", str(pin))
    monkeypatch.setenv("AUDITOR_PKCS11_MODULE", str(MODULE))
    uri, out = "pkcs11:token=acme;id=secp256r1", tmp_path / "model.sig"
    words = ["sign", str(model), "--out", str(out), "--key", uri]
    assert auditor.main(words, standalone_mode=False) == 0
    public = tmp_path / "token.pub"
    public.write_bytes(open_signer(uri, PasswordSource(pin)).public_pem())
    asked = ["verify", str(model), "--signature", str(out), "--key", str(public)]
    assert auditor.main(asked, standalone_mode=False) == 0
    if shutil.which("openssl"):
        shown = ["openssl", "pkey", "-pubin", "-in", str(public), "-noout", "-text"]
        assert b"P-256" in subprocess.run(shown, check=True, capture_output=True).stdout
