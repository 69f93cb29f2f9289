"""What is signed elsewhere, as by a browser, is the same bundle as what is signed here."""

import json

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from auditor.trust.signatures.keys import KeySigner
from auditor.trust.signatures.sigstore_bundle import sign_bundle
from auditor.trust.signatures.verify import (
    assemble_signed_bundle,
    convert_signature_to_der,
    prepare_unsigned_statement,
)
from auditor.trust.verification_result import VerificationError

PAYLOAD = b'{"_type":"https://in-toto.io/Statement/v1"}'
CURVES = [ec.SECP256R1(), ec.SECP384R1(), ec.SECP521R1()]


def side_by_side(der: bytes, size: int) -> bytes:
    one, other = decode_dss_signature(der)
    return one.to_bytes(size) + other.to_bytes(size)


@pytest.mark.parametrize("curve", CURVES, ids=lambda item: item.name)
def test_two_numbers_side_by_side_become_the_bundle_that_is_signed_here(
    curve: ec.EllipticCurve,
) -> None:
    signer = KeySigner(ec.generate_private_key(curve))
    draft = prepare_unsigned_statement(PAYLOAD, signer.public_pem())
    der = signer.sign(draft.to_sign)
    raw = side_by_side(der, (curve.key_size + 7) // 8)
    here = sign_bundle(PAYLOAD, signer)
    assert assemble_signed_bundle(PAYLOAD, raw, signer.public_pem()) == here
    assert assemble_signed_bundle(PAYLOAD, der, signer.public_pem()) == here
    assert convert_signature_to_der(here, signer.public_pem()) == here
    template = json.loads(draft.bundle)
    assert template["dsseEnvelope"]["signatures"] == [{"keyid": "", "sig": ""}]


def test_what_is_no_signature_is_left_to_be_refused() -> None:
    signer = KeySigner(ec.generate_private_key(ec.SECP256R1()))
    draft = prepare_unsigned_statement(PAYLOAD, signer.public_pem())
    assert convert_signature_to_der(draft.bundle, signer.public_pem()) == draft.bundle
    with pytest.raises(VerificationError):
        convert_signature_to_der(b"{}", signer.public_pem())
    with pytest.raises(VerificationError):
        prepare_unsigned_statement(PAYLOAD, b"no key")
