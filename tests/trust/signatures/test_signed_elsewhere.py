"""What is signed elsewhere, as by a browser, is the same bundle as what is signed here."""

import json

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from auditor.signatures.bundles import seal
from auditor.signatures.keys import KeySigner
from auditor.signatures.objections import Refused
from auditor.signatures.unsigned import in_der, signed_elsewhere, unsigned

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
    draft = unsigned(PAYLOAD, signer.public_pem())
    der = signer.sign(draft.to_sign)
    raw = side_by_side(der, (curve.key_size + 7) // 8)
    here = seal(PAYLOAD, signer)
    assert signed_elsewhere(PAYLOAD, raw, signer.public_pem()) == here
    assert signed_elsewhere(PAYLOAD, der, signer.public_pem()) == here
    assert in_der(here, signer.public_pem()) == here
    template = json.loads(draft.bundle)
    assert template["dsseEnvelope"]["signatures"] == [{"keyid": "", "sig": ""}]


def test_what_is_no_signature_is_left_to_be_refused() -> None:
    signer = KeySigner(ec.generate_private_key(ec.SECP256R1()))
    draft = unsigned(PAYLOAD, signer.public_pem())
    assert in_der(draft.bundle, signer.public_pem()) == draft.bundle
    with pytest.raises(Refused):
        in_der(b"{}", signer.public_pem())
    with pytest.raises(Refused):
        unsigned(PAYLOAD, b"no key")
