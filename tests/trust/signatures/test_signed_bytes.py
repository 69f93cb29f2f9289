"""The encoding that is signed, against the examples of its specification."""

import base64
import json

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from signature_forge import Forge

from auditor.trust.encoding.dsse import InTotoStatement, SubjectDigest, pae, parse_statement
from auditor.trust.signatures.keys import PublicKey
from auditor.trust.signatures.sigstore_bundle import KeyMaterial, parse_bundle, sign_bundle
from auditor.trust.signatures.verify import verify_bundle


def test_the_encoding_is_that_of_the_specification() -> None:
    # DSSE protocol.md, section "Test Vectors".
    assert (
        pae("http://example.com/HelloWorld", b"hello world")
        == b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    )


def test_a_length_counts_bytes_and_not_characters() -> None:
    assert pae("ä", "ö".encode()) == b"DSSEv1 2 \xc3\xa4 2 \xc3\xb6"


def test_the_key_accepts_the_signature_of_the_specification() -> None:
    # DSSE protocol.md, section "Test Vectors": public point and signature.
    x = 46950820868899156662930047687818585632848591499744589407958293238635476079160
    y = 5640078356564379163099075877009565129882514886557779369047442380624545832820
    key = PublicKey(ec.EllipticCurvePublicNumbers(x, y, ec.SECP256R1()).public_key())
    raw = base64.b64decode(
        "A3JqsQGtVsJ2O2xqrI5IcnXip5GToJ3F+FnZ+O88SjtR6rDAajabZKciJTfUiHqJPcIAriEGAHTVeCUjW2JIZA=="
    )
    der = encode_dss_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))
    assert key.holds(der, pae("http://example.com/HelloWorld", b"hello world"))


def test_a_bundle_reads_back_as_written(forge: Forge) -> None:
    payload = json.dumps(forge.statement()).encode()
    bundle = parse_bundle(sign_bundle(payload, forge.signer, hint="mine"))
    assert bundle.material == KeyMaterial("mine")
    assert bundle.envelope.payload == payload
    assert bundle.envelope == parse_bundle(forge.sign(forge.statement())).envelope


def test_a_statement_reads_back_as_written() -> None:
    statement = InTotoStatement((SubjectDigest("a", "0" * 64),), "urn:kind", {"x": ["1"]})
    assert parse_statement(statement.emit(), "urn:kind") == statement


def test_an_opened_bundle_gives_the_signed_payload(forge: Forge) -> None:
    found = verify_bundle(forge.sign(forge.statement()), forge.pem)
    assert found.payload is not None
    assert json.loads(found.payload) == forge.statement()
