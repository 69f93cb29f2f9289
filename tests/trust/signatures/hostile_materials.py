"""Bundles that leave it open, or say twice, by what they are to be checked."""

import json
from collections.abc import Callable
from typing import Any

from hostile_corpus import Made, bundle_case, case, envelope, material
from signature_forge import FILES, Forge

from auditor.trust.verification_result import IssueCode


def replaced(value: object) -> Callable[[dict[str, Any]], object]:
    return lambda bundle: bundle.update(verificationMaterial=value)


CERTIFICATE = {"rawBytes": "AAAA"}
bundle_case("material_is_empty", IssueCode.FORMAT, replaced({}))
bundle_case("material_is_a_list", IssueCode.FORMAT, replaced([]))
bundle_case("material_of_an_unknown_kind", IssueCode.FORMAT, replaced({"spiffe": {}}))
bundle_case(
    "keyless_without_a_log_entry", IssueCode.KEYLESS, replaced({"certificate": CERTIFICATE})
)
bundle_case(
    "keyless_with_an_empty_log",
    IssueCode.KEYLESS,
    replaced({"certificate": CERTIFICATE, "tlogEntries": []}),
)
bundle_case(
    "keyless_certificate_is_a_text",
    IssueCode.FORMAT,
    replaced({"certificate": "AAAA", "tlogEntries": [{}]}),
)
bundle_case(
    "keyless_certificate_beside_a_chain",
    IssueCode.FORMAT,
    replaced({"certificate": CERTIFICATE, "x509CertificateChain": {"certificates": [CERTIFICATE]}}),
)
bundle_case(
    "chain_of_no_certificate",
    IssueCode.CERT_FORMAT,
    replaced({"x509CertificateChain": {"certificates": []}}),
)
bundle_case("chain_is_a_list", IssueCode.FORMAT, replaced({"x509CertificateChain": [CERTIFICATE]}))
bundle_case(
    "chain_of_texts",
    IssueCode.FORMAT,
    replaced({"x509CertificateChain": {"certificates": ["AAAA"]}}),
)
bundle_case(
    "chain_with_an_unchecked_log_entry",
    IssueCode.UNSUPPORTED,
    replaced({"x509CertificateChain": {"certificates": [CERTIFICATE]}, "tlogEntries": [{}]}),
)
bundle_case(
    "unchecked_timestamp",
    IssueCode.UNSUPPORTED,
    material(lambda m: m.update(timestampVerificationData={"rfc3161Timestamps": [{}]})),
)
bundle_case("hint_is_a_number", IssueCode.FORMAT, material(lambda m: m["publicKey"].update(hint=7)))
bundle_case("no_hint_at_all", IssueCode.FORMAT, material(lambda m: m["publicKey"].clear()))
bundle_case("key_is_a_text", IssueCode.FORMAT, material(lambda m: m.update(publicKey="AAAA")))
bundle_case("media_type_is_missing", IssueCode.MEDIA_TYPE, lambda b: b.pop("mediaType"))
bundle_case("media_type_is_a_list", IssueCode.MEDIA_TYPE, lambda b: b.update(mediaType=[]))
bundle_case("envelope_is_missing", IssueCode.FORMAT, lambda b: b.pop("dsseEnvelope"))
bundle_case(
    "signatures_are_an_object", IssueCode.FORMAT, envelope(lambda e: e.update(signatures={}))
)
bundle_case(
    "signature_is_a_text", IssueCode.FORMAT, envelope(lambda e: e.update(signatures=["AAAA"]))
)
bundle_case(
    "payload_type_is_a_list", IssueCode.FORMAT, envelope(lambda e: e.update(payloadType=[]))
)
bundle_case(
    "signature_is_base64_for_urls",
    IssueCode.BASE64,
    envelope(lambda e: e["signatures"][0].update(sig="-_-_")),
)
bundle_case(
    "certificate_within_the_signature",
    IssueCode.FORMAT,
    envelope(lambda e: e["signatures"][0].update(cert="AAAA")),
)
bundle_case(
    "two_copies_of_the_good_signature",
    IssueCode.SIGNATURE_COUNT,
    envelope(lambda e: e["signatures"].append(e["signatures"][0])),
)


@case(IssueCode.SIGNATURE_COUNT)
def good_signature_after_garbage(forge: Forge) -> Made:
    bundle = forge.bundle(json.dumps(forge.statement()).encode())
    bundle["dsseEnvelope"]["signatures"].insert(0, {"sig": "AAAA", "keyid": ""})
    return json.dumps(bundle).encode(), FILES


@case(IssueCode.FORMAT)
def text_after_the_bundle(forge: Forge) -> Made:
    return forge.sign(forge.statement()) + b"{}", FILES


@case(IssueCode.FORMAT)
def byte_order_mark_before_the_bundle(forge: Forge) -> Made:
    return b"\xef\xbb\xbf" + forge.sign(forge.statement()), FILES


@case(IssueCode.FORMAT)
def comment_in_the_bundle(forge: Forge) -> Made:
    return forge.sign(forge.statement()).replace(b"{", b"{/**/", 1), FILES


@case(IssueCode.FORMAT)
def payload_in_latin_1(forge: Forge) -> Made:
    payload = json.dumps({**forge.statement(), "x": "ä"}, ensure_ascii=False).encode("latin-1")
    return json.dumps(forge.bundle(payload)).encode(), FILES


@case(IssueCode.FORMAT)
def payload_with_a_number_without_end(forge: Forge) -> Made:
    payload = json.dumps(forge.statement())[:-1] + ', "x": ' + "9" * 5000 + "}"
    return json.dumps(forge.bundle(payload.encode())).encode(), FILES


@case(IssueCode.STATEMENT)
def payload_of_no_type(forge: Forge) -> Made:
    statement = forge.statement()
    del statement["_type"]
    return forge.sign(statement), FILES


@case(IssueCode.STATEMENT)
def payload_whose_type_is_an_object(forge: Forge) -> Made:
    return forge.sign({**forge.statement(), "_type": {}}), FILES


@case(IssueCode.DUPLICATE_KEY)
def a_resource_with_two_digests(forge: Forge) -> Made:
    text = json.dumps(forge.statement()).replace(
        '"digest": "', f'"digest": "{"0" * 64}", "digest": "', 1
    )
    return json.dumps(forge.bundle(text.encode())).encode(), FILES
