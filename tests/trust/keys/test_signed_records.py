"""Records and statements under a signature."""

import base64
import json
from typing import Any

import pytest
from bare_records import ARTIFACT as BARE
from bare_records import bare_record, bare_request
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from auditor.domain.json import compute_digest, encode_canonical
from auditor.domain.targets import EndpointSpec, TargetSpec
from auditor.errors import RecordError
from auditor.trust.signatures.keys import KeySigner
from auditor.trust.signatures.records import (
    list_signed_files,
    sign_record,
    sign_statement,
    verify_record,
    verify_statement,
)
from auditor.trust.signatures.sigstore_bundle import sign_bundle
from auditor.trust.verification_result import IssueCode

SIGNER = KeySigner(ec.derive_private_key(31, ec.SECP256R1()))
KEY = SIGNER.public_pem()
ARTIFACT = "sha256:" + "ab" * 32


def record_of(**changes: object) -> dict[str, Any]:
    return {
        "id": "01",
        "verdict": "fail",
        "request": {
            "artifact": {"digest": ARTIFACT, "name": "credit"},
            "policy": {"digest": "sha256:" + "cd" * 32},
        },
        **changes,
    }


RECORD = encode_canonical(record_of())
BUNDLE = sign_record(RECORD, ARTIFACT, "credit", SIGNER)


def statement_in(bundle: bytes) -> dict[str, Any]:
    payload = json.loads(bundle)["dsseEnvelope"]["payload"]
    return dict(json.loads(base64.b64decode(payload)))


def test_a_signed_record_verifies() -> None:
    found = verify_record(BUNDLE, RECORD, KEY)
    assert found.verified
    assert found.objections == ()
    assert found.identity == SIGNER.identity


def test_the_same_record_and_key_give_the_same_bytes() -> None:
    assert sign_record(RECORD, ARTIFACT, "credit", SIGNER) == BUNDLE


def test_the_statement_names_record_and_artifact_and_repeats_the_verdict() -> None:
    statement = statement_in(BUNDLE)
    assert [item["name"] for item in statement["subject"]] == ["record.json", "credit"]
    assert statement["subject"][1]["digest"] == {"sha256": "ab" * 32}
    assert statement["predicateType"] == "urn:auditor:record:v1"
    assert statement["predicate"] == {
        "verdict": "fail",
        "policy": "sha256:" + "cd" * 32,
        "id": "01",
    }


def test_the_hint_is_the_one_that_cosign_writes() -> None:
    hint = json.loads(BUNDLE)["verificationMaterial"]["publicKey"]["hint"]
    assert len(base64.b64decode(hint, validate=True)) == 32


def test_a_record_of_predictions_only_has_no_artifact_subject() -> None:
    record = encode_canonical(
        record_of(request={"artifact": {"digest": None}, "policy": {"digest": "sha256:0"}})
    )
    bundle = sign_record(record, None, "credit", SIGNER)
    assert verify_record(bundle, record, KEY).verified
    assert len(statement_in(bundle)["subject"]) == 1


@given(st.integers(0, len(RECORD) - 1), st.integers(1, 255))
def test_a_changed_byte_of_the_record_is_found_and_named(place: int, by: int) -> None:
    changed = RECORD[:place] + bytes([RECORD[place] ^ by]) + RECORD[place + 1 :]
    found = verify_record(BUNDLE, changed, KEY)
    assert found.codes == (IssueCode.DIGEST_MISMATCH,)
    assert "record.json" in found.mistakes[0]


def test_another_key_is_refused() -> None:
    other = KeySigner(ec.derive_private_key(32, ec.SECP256R1())).public_pem()
    refused = verify_record(BUNDLE, RECORD, other)
    assert refused.codes == (IssueCode.KEY,)
    assert list_signed_files(refused) == {}
    assert verify_statement(sign_statement(STATEMENT, SIGNER), STATEMENT, other).codes == (
        IssueCode.KEY,
    )


PAGE = {"report.html": b"<p>", "VERIFY.md": b"#"}
NAMES = frozenset(PAGE)


@pytest.mark.parametrize("artifact", [ARTIFACT, None])
def test_files_are_signed_beside_the_record_and_told_with_their_digests(
    artifact: str | None,
) -> None:
    asked = {"artifact": {"digest": artifact, "name": "credit"}, "policy": {"digest": ARTIFACT}}
    record = encode_canonical(record_of(request=asked))
    bundle = sign_record(record, artifact, "credit", SIGNER, files=PAGE)
    found = verify_record(bundle, record, KEY, files=NAMES)
    assert found.objections == ()
    of_artifact = {} if artifact is None else {"credit": artifact}
    pages = {name: compute_digest(raw) for name, raw in PAGE.items()}
    assert list_signed_files(found) == {
        "record.json": compute_digest(record),
        **of_artifact,
        **pages,
    }
    fewer = verify_record(bundle, record, KEY, files=frozenset({"report.html"}))
    assert fewer.mistakes == ("files are signed that belong to no record",)


def test_a_file_that_is_signed_twice_is_signed_as_neither() -> None:
    pages = [{"name": "report.html", "digest": {"sha256": it * 64}} for it in "01"]
    twice = resealed({"subject": [*SUBJECTS, *pages]})
    found = verify_record(twice, RECORD, KEY, files=NAMES)
    assert found.mistakes == ("files are signed that belong to no record",)
    once = resealed({"subject": [*SUBJECTS, pages[0]]})
    assert verify_record(once, RECORD, KEY, files=NAMES).verified


def test_a_record_of_an_endpoint_may_name_its_artifact_as_earlier_versions_did_or_not() -> None:
    prod = TargetSpec("prod", "endpoint", endpoint=EndpointSpec(url="https://models.example"))
    served = encode_canonical(bare_record(request=bare_request(targets=(prod,))).to_json())
    here = encode_canonical(bare_record().to_json())
    for record, named, mistakes in (
        (served, None, ()),
        (served, BARE.digest, ()),
        (served, ARTIFACT, ("files are signed that belong to no record",)),
        (here, BARE.digest, ()),
        (here, None, (OTHER_ARTIFACT,)),
    ):
        bundle = sign_record(record, named, "m", SIGNER, files=PAGE)
        found = verify_record(bundle, record, KEY, files=NAMES)
        assert found.mistakes == mistakes


OTHER_ARTIFACT = "the signed artifact is not the one that the record speaks of"


def resealed(change: dict[str, Any]) -> bytes:
    return sign_bundle(json.dumps({**statement_in(BUNDLE), **change}).encode(), SIGNER)


SUBJECTS = statement_in(BUNDLE)["subject"]
STRANGER = {"name": "x", "digest": {"sha256": "0" * 64}}
PASSED = {"verdict": "pass", "policy": "sha256:" + "cd" * 32, "id": "01"}


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"predicate": PASSED}, IssueCode.CONTRADICTION),
        ({"subject": SUBJECTS[:1]}, IssueCode.SUBJECT),
        ({"subject": [*SUBJECTS, STRANGER]}, IssueCode.SUBJECT),
        ({"subject": SUBJECTS[::-1]}, IssueCode.DIGEST_MISMATCH),
        ({"subject": []}, IssueCode.DIGEST_MISMATCH),
        ({"predicateType": "https://slsa.dev/verification_summary/v1"}, IssueCode.PREDICATE),
        ({"_type": "https://in-toto.io/Statement/v0.1"}, IssueCode.STATEMENT),
    ],
)
def test_a_statement_that_says_otherwise_than_its_record_is_refused(
    change: dict[str, Any], code: IssueCode
) -> None:
    found = verify_record(resealed(change), RECORD, KEY)
    assert not found.verified
    assert code in found.codes


@pytest.mark.parametrize("raw", [b"", b"[]", b"{}", b'{"request": 1}', b"\xff"])
def test_what_is_no_record_is_not_signed(raw: bytes) -> None:
    with pytest.raises(RecordError):
        sign_record(raw, ARTIFACT, "credit", SIGNER)


def test_a_digest_that_is_none_is_not_signed() -> None:
    with pytest.raises(RecordError, match="SHA-256"):
        sign_record(RECORD, "sha256:short", "credit", SIGNER)


STATEMENT = {"_type": "https://in-toto.io/Statement/v1", "subject": [], "n": 0.5}


def test_a_signed_statement_verifies_as_the_one_expected() -> None:
    bundle = sign_statement(STATEMENT, SIGNER)
    assert verify_statement(bundle, STATEMENT, KEY).verified
    assert verify_statement(bundle, {**STATEMENT, "n": 1}, KEY).codes == (IssueCode.CONTRADICTION,)


def test_a_statement_with_a_number_that_json_lacks_is_not_signed() -> None:
    with pytest.raises(ValueError, match="nan"):
        sign_statement({"n": float("nan")}, SIGNER)


def compact(found: object) -> bytes:
    return json.dumps(found, sort_keys=True, separators=(",", ":")).encode()


def with_hint(hint: str) -> bytes:
    return compact(with_material(publicKey={"hint": hint}))


def with_material(**more: object) -> dict[str, Any]:
    found = json.loads(BUNDLE)
    return {**found, "verificationMaterial": {**found["verificationMaterial"], **more}}


def with_signature(**more: object) -> bytes:
    found = json.loads(BUNDLE)
    (said,) = found["dsseEnvelope"]["signatures"]
    found["dsseEnvelope"]["signatures"] = [{"sig": said["sig"], **more}]
    return compact(found)


SPELLINGS = {
    "a hint of words": with_hint("<b>release@example.org</b>"),
    "another hint that is known": with_hint(SIGNER.identity.removeprefix("key:sha256:")),
    "no log entries": compact(with_material(tlogEntries=None)),
    "no timestamps": compact(with_material(timestampVerificationData={})),
    "a keyid": with_signature(keyid="release@example.org"),
    "no keyid": with_signature(),
    "spaces": json.dumps(json.loads(BUNDLE), sort_keys=True).encode(),
    "order": json.dumps(dict(reversed(json.loads(BUNDLE).items())), separators=(",", ":")).encode(),
    "an end of the line": BUNDLE + b"\n",
    "escapes": BUNDLE.replace(b"mediaType", b"media\\u0054ype"),
}


@pytest.mark.parametrize("change", SPELLINGS)
def test_what_is_not_signed_has_one_spelling(change: str) -> None:
    other = SPELLINGS[change]
    assert other != BUNDLE
    found = verify_record(other, RECORD, KEY)
    assert not found.verified
    assert found.payload is None
    statement = {"_type": "https://in-toto.io/Statement/v1", "predicate": {"a": 1}}
    signed = sign_statement(statement, SIGNER)
    assert verify_statement(signed, statement, KEY).verified
    assert not verify_statement(signed + b" ", statement, KEY).verified


@given(st.integers(0, len(BUNDLE) - 1), st.integers(0, 255))
def test_no_byte_of_a_bundle_can_be_another(place: int, byte: int) -> None:
    changed = BUNDLE[:place] + bytes([byte]) + BUNDLE[place + 1 :]
    assert verify_record(changed, RECORD, KEY).verified == (changed == BUNDLE)
