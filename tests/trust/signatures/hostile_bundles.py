"""Bundles that are wrong around a good statement: envelope, material, encoding, signature."""

import base64
import json

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from hostile_corpus import Made, bundle_case, case, envelope, material
from signature_forge import FILES, Forge, key_of

from auditor.trust.verification_result import IssueCode

bundle_case(
    "second_signature_is_garbage",
    IssueCode.SIGNATURE_COUNT,
    envelope(lambda e: e["signatures"].append({"sig": "AAAA"})),
)
bundle_case("no_signature", IssueCode.SIGNATURE_COUNT, envelope(lambda e: e["signatures"].clear()))
bundle_case(
    "signature_is_empty", IssueCode.SIGNATURE, envelope(lambda e: e["signatures"][0].update(sig=""))
)
bundle_case(
    "payload_is_replaced",
    IssueCode.SIGNATURE,
    envelope(lambda e: e.update(payload=base64.b64encode(b"{}").decode())),
)
bundle_case(
    "payload_is_base64_with_a_line_break",
    IssueCode.BASE64,
    envelope(lambda e: e.update(payload=e["payload"][:4] + "\n" + e["payload"][4:])),
)
bundle_case("payload_is_no_text", IssueCode.FORMAT, envelope(lambda e: e.update(payload=None)))
bundle_case(
    "key_id_is_a_number", IssueCode.FORMAT, envelope(lambda e: e["signatures"][0].update(keyid=1))
)
bundle_case(
    "unknown_member_of_the_envelope", IssueCode.FORMAT, envelope(lambda e: e.update(extra=1))
)
bundle_case(
    "unknown_member_of_the_bundle", IssueCode.FORMAT, lambda b: b.update(messageSignature={})
)
bundle_case(
    "bundle_of_another_version",
    IssueCode.MEDIA_TYPE,
    lambda b: b.update(mediaType="application/vnd.dev.sigstore.bundle+json;version=0.1"),
)
bundle_case("no_material", IssueCode.FORMAT, lambda b: b.pop("verificationMaterial"))
bundle_case(
    "certificate_beside_the_key",
    IssueCode.FORMAT,
    material(lambda m: m.update(x509CertificateChain={"certificates": []})),
)
bundle_case(
    "single_certificate_beside_the_key",
    IssueCode.FORMAT,
    material(lambda m: m.update(certificate={"rawBytes": "AAAA"})),
)
bundle_case(
    "unchecked_log_entry",
    IssueCode.UNSUPPORTED,
    material(lambda m: m.update(tlogEntries=[{"logIndex": "1"}])),
)
bundle_case(
    "key_brought_along",
    IssueCode.LEGACY_KEY,
    material(lambda m: m["publicKey"].update(rawBytes="AAAA")),
)


@case(IssueCode.PAYLOAD_TYPE)
def another_payload_type(forge: Forge) -> Made:
    payload = json.dumps(forge.statement()).encode()
    return json.dumps(forge.bundle(payload, "application/json")).encode(), FILES


@case(IssueCode.SIGNATURE)
def payload_type_is_not_the_signed_one(forge: Forge) -> Made:
    bundle = forge.bundle(json.dumps(forge.statement()).encode(), "text/plain")
    bundle["dsseEnvelope"]["payloadType"] = "application/vnd.in-toto+json"
    return json.dumps(bundle).encode(), FILES


@case(IssueCode.LEGACY_PAE)
def the_encoding_that_version_0_2_signed(forge: Forge) -> Made:
    payload = json.dumps(forge.statement()).encode()
    bundle = forge.bundle(payload)
    kind = "application/vnd.in-toto+json"
    signed = f"DSSEV1 {len(kind)} {kind} {len(payload)} {payload!r}".encode()
    signature = base64.b64encode(forge.signer.sign(signed)).decode()
    bundle["dsseEnvelope"]["signatures"][0]["sig"] = signature
    return json.dumps(bundle).encode(), FILES


@case(IssueCode.SIGNATURE)
def a_signature_spelled_in_a_longer_way(forge: Forge) -> Made:
    bundle = forge.bundle(json.dumps(forge.statement()).encode())
    entry = bundle["dsseEnvelope"]["signatures"][0]
    first, second = decode_dss_signature(base64.b64decode(entry["sig"]))
    numbers = b"".join(b"\x02\x22\x00" + number.to_bytes(33, "big") for number in (first, second))
    entry["sig"] = base64.b64encode(b"\x30" + bytes([len(numbers)]) + numbers).decode()
    return json.dumps(bundle).encode(), FILES


@case(IssueCode.KEY)
def signed_by_another_key(forge: Forge) -> Made:
    other = Forge(key_of(ec.SECP256R1(), 99))
    return other.sign(other.statement()), FILES


@case(IssueCode.BASE64)
def a_payload_with_spare_bits_set(forge: Forge) -> Made:
    text = json.dumps(forge.statement())
    bundle = forge.bundle((text + " " * ((1 - len(text)) % 3)).encode())
    payload = bundle["dsseEnvelope"]["payload"]
    assert payload.endswith("==")
    bundle["dsseEnvelope"]["payload"] = payload[:-3] + chr(ord(payload[-3]) + 1) + "=="
    return json.dumps(bundle).encode(), FILES


@case(IssueCode.DUPLICATE_KEY)
def a_member_of_the_payload_stands_twice(forge: Forge) -> Made:
    text = json.dumps(forge.statement())
    doubled = text.replace('"predicate":', '"predicate": {}, "predicate":')
    return json.dumps(forge.bundle(doubled.encode())).encode(), FILES


@case(IssueCode.DUPLICATE_KEY)
def a_member_of_the_bundle_stands_twice(forge: Forge) -> Made:
    text = forge.sign(forge.statement()).decode()
    return text.replace('"payload":', '"payload": "", "payload":').encode(), FILES


@case(IssueCode.FORMAT)
def payload_with_nan(forge: Forge) -> Made:
    return json.dumps(forge.bundle(b'{"_type": NaN}')).encode(), FILES


@case(IssueCode.FORMAT)
def payload_that_is_a_list(forge: Forge) -> Made:
    return json.dumps(forge.bundle(b"[]")).encode(), FILES


@case(IssueCode.FORMAT)
def payload_in_utf_16(forge: Forge) -> Made:
    payload = json.dumps(forge.statement()).encode("utf-16")
    return json.dumps(forge.bundle(payload)).encode(), FILES


@case(IssueCode.FORMAT)
def nesting_without_end(forge: Forge) -> Made:
    return b'{"a":' * 100_000, FILES


@case(IssueCode.FORMAT)
def a_pickle_for_a_bundle(forge: Forge) -> Made:
    return b"\x80\x04N.", FILES


@case(IssueCode.FORMAT)
def an_empty_signature_file(forge: Forge) -> Made:
    return b"", FILES


@case(IssueCode.TOO_LARGE)
def a_bundle_without_measure(forge: Forge) -> Made:
    return b" " * (64 * 2**20 + 1), FILES
