"""Whatever one byte is changed, a signature no longer verifies, and nothing crashes."""

import base64
import json

from authority_forge import MOMENT, Pki
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st
from signature_forge import FILES, Forge, file_digest, key_of

from auditor.domain.artifacts import FileDigest
from auditor.trust.signatures.model_signing import sign_files, verify_model
from auditor.trust.verification_result import IssueCode

SIGNER = key_of(ec.SECP256R1(), 7)
PEM = SIGNER.public_pem()
BUNDLE = sign_files(FILES, SIGNER, name="model")
ENVELOPE = json.loads(BUNDLE)["dsseEnvelope"]
PAYLOAD = base64.b64decode(ENVELOPE["payload"])
SIGNATURE = base64.b64decode(ENVELOPE["signatures"][0]["sig"])
HINT_PLACE = BUNDLE.index(b'"hint":"') + len(b'"hint":"')
HINT = range(HINT_PLACE, HINT_PLACE + 64)
flips = st.integers(1, 255)
PKI = Pki.made()


def flipped(raw: bytes, place: int, by: int) -> bytes:
    place %= len(raw)
    return raw[:place] + bytes([raw[place] ^ by]) + raw[place + 1 :]


def rewrapped(payload: bytes, signature: bytes) -> bytes:
    bundle = json.loads(BUNDLE)
    bundle["dsseEnvelope"]["payload"] = base64.b64encode(payload).decode()
    bundle["dsseEnvelope"]["signatures"][0]["sig"] = base64.b64encode(signature).decode()
    return json.dumps(bundle).encode()


@given(st.integers(0, len(BUNDLE) - 1).filter(lambda place: place not in HINT), flips)
def test_a_changed_byte_of_the_bundle_is_refused(place: int, by: int) -> None:
    assert not verify_model(flipped(BUNDLE, place, by), PEM, FILES).verified


@given(st.sampled_from(HINT), flips)
def test_a_changed_byte_of_the_hint_is_never_passed_over(place: int, by: int) -> None:
    assert verify_model(flipped(BUNDLE, place, by), PEM, FILES).objections


@given(st.integers(0, len(PAYLOAD) - 1), flips)
def test_a_changed_byte_of_the_payload_is_refused(place: int, by: int) -> None:
    assert not verify_model(rewrapped(flipped(PAYLOAD, place, by), SIGNATURE), PEM, FILES).verified


@given(st.integers(0, len(SIGNATURE) - 1), flips)
def test_a_changed_byte_of_the_signature_is_refused(place: int, by: int) -> None:
    assert not verify_model(rewrapped(PAYLOAD, flipped(SIGNATURE, place, by)), PEM, FILES).verified


@given(st.integers(0, 31), flips, st.sampled_from(range(len(FILES))))
def test_a_changed_byte_of_a_file_is_refused(place: int, by: int, which: int) -> None:
    digest = flipped(bytes.fromhex(FILES[which].sha256), place, by).hex()
    changed = FileDigest(FILES[which].name, FILES[which].size, digest)
    files = (*FILES[:which], changed, *FILES[which + 1 :])
    assert not verify_model(BUNDLE, PEM, files).verified


@given(st.binary(max_size=400))
def test_no_bytes_for_a_bundle_crash_or_verify(raw: bytes) -> None:
    assert not verify_model(raw, PEM, FILES).verified


@given(st.binary(max_size=400))
def test_no_bytes_for_a_key_crash_or_verify(pem: bytes) -> None:
    assert not verify_model(BUNDLE, pem, FILES).verified


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def places_in(value: object, path: tuple[object, ...] = ()) -> list[tuple[object, ...]]:
    found = [path]
    items = value.items() if isinstance(value, dict) else []
    items = enumerate(value) if isinstance(value, list) else items
    for key, item in items:
        found += places_in(item, (*path, key))
    return found


STATEMENT = json.loads(PAYLOAD)
SPOTS = [path for path in places_in(STATEMENT) if path]


@given(st.sampled_from(SPOTS), json_values)
def test_no_other_value_anywhere_in_a_signed_statement_crashes_or_verifies(
    path: tuple[object, ...], value: object
) -> None:
    changed = json.loads(PAYLOAD)
    inner = changed
    for key in path[:-1]:
        inner = inner[key]
    before, inner[path[-1]] = inner[path[-1]], value
    found = verify_model(Forge(SIGNER).sign(changed), PEM, FILES)
    informational = path == ("subject", 0, "name")
    assert not found.verified or value == before or informational


def test_the_unchanged_bundle_verifies() -> None:
    assert verify_model(BUNDLE, PEM, FILES).verified


def test_an_added_empty_file_is_refused() -> None:
    assert not verify_model(BUNDLE, PEM, (*FILES, file_digest("empty", b""))).verified


@given(st.sampled_from(range(len(PKI.chain))), st.integers(0, 2**16), flips)
def test_a_changed_byte_of_a_certificate_is_refused(which: int, place: int, by: int) -> None:
    chain = [item.der for item in PKI.chain]
    chain[which] = flipped(chain[which], place, by)
    found = verify_model(PKI.sign(chain=chain), PKI.trusted, FILES, moment=MOMENT)
    assert not found.verified


@given(st.sampled_from(range(len(PKI.chain))), st.integers(1, 255))
def test_bits_that_no_signature_covers_are_refused(which: int, unused: int) -> None:
    chain = [item.der for item in PKI.chain]
    place = len(chain[which]) - len(PKI.chain[which].read.parsed.signature) - 1
    chain[which] = flipped(chain[which], place, unused)
    found = verify_model(PKI.sign(chain=chain), PKI.trusted, FILES, moment=MOMENT)
    assert [item.code for item in found.objections] == [IssueCode.CERT_FORMAT]
