"""Which keys are accepted for verifying."""

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from signature_forge import key_of

from auditor.trust.signatures.keys import read_public_key
from auditor.trust.verification_result import IssueCode, VerificationError

EC = key_of(ec.SECP256R1(), 3)


def public_pem(
    key: rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey,
) -> bytes:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


REFUSED = {
    "nothing": b"",
    "no PEM": b"hello",
    "a private key": EC.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
    "two keys": EC.public_pem() * 2,
    "a cut key": EC.public_pem()[:60] + EC.public_pem()[80:],
    "an RSA key": public_pem(rsa.generate_private_key(public_exponent=65537, key_size=2048)),
    "an Ed25519 key": public_pem(ed25519.Ed25519PrivateKey.generate()),
    "a key on another curve": public_pem(ec.derive_private_key(5, ec.SECP256K1())),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_is_no_supported_public_key_is_refused(what: str) -> None:
    with pytest.raises(VerificationError) as refused:
        read_public_key(REFUSED[what])
    assert refused.value.code is IssueCode.KEY


def test_a_public_key_reads_back_as_written() -> None:
    assert read_public_key(EC.public_pem()).pem == EC.public_pem()


def test_a_key_does_not_hold_a_signature_of_another() -> None:
    assert read_public_key(EC.public_pem()).holds(EC.sign(b"text"), b"text")
    assert not read_public_key(EC.public_pem()).holds(EC.sign(b"text"), b"other")
    other = key_of(ec.SECP256R1(), 4)
    assert not read_public_key(other.public_pem()).holds(EC.sign(b"text"), b"text")
