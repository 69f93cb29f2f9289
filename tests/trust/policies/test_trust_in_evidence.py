"""What evidence keeps of a trust policy, of what it was asked, and of what stood beside a model."""

import sys
from datetime import UTC, datetime

import pytest
from trust_papers import BUILD, FILES, RULE, SLSA, document, policy, provenance, ruled, signature

from auditor.domain.json import JsonObject
from auditor.domain.trust_context import ModelBinding, TrustContext, TrustPolicyStatus
from auditor.errors import TrustPolicyError
from auditor.trust.policies.evidence import (
    build_trust_query,
    decode_evidence_bytes,
    describe_missing_extra,
    encode_evidence_bytes,
    list_requested_documents,
    read_given_policy,
    read_model_attestations,
    read_model_digests,
    read_trust_query,
    verify_pinned_keyless,
)
from auditor.trust.policies.query import ModelAttestations, QueryTime
from auditor.trust.policies.trust_policy import ModelClaim
from auditor.trust.signatures.model_serialisations import HashAlgorithm, ModelSerialisation
from auditor.trust.signatures.model_signing import ModelFileDigests
from auditor.trust.signatures.sigstore_bundle import sign_bundle
from auditor.trust.signatures.trusted_signers import SignerIdentity, TrustedSigners
from auditor.trust.verification_result import IssueCode, VerificationError

GIVEN = TrustContext(document(), "2026-06-01T12:00:00Z", TrustPolicyStatus.NEWER, ("high-risk",))
ASKING = ruled(require=[*RULE["require"], {"predicate": SLSA, "any_of": [{"key": "build"}]}])


@pytest.mark.parametrize(
    ("raw", "kept"),
    [
        (None, None),
        (b"", {"text": ""}),
        ("Prüfung\n".encode(), {"text": "Prüfung\n"}),
        (b"\xff\x00", {"base64": "/wA="}),
    ],
)
def test_bytes_are_kept_as_text_where_they_are_text(raw: bytes | None, kept: object) -> None:
    assert encode_evidence_bytes(raw) == kept
    assert decode_evidence_bytes(encode_evidence_bytes(raw)) == raw


def test_the_policy_of_an_audit_is_read_from_its_document() -> None:
    assert read_given_policy(GIVEN).document == policy().document
    with pytest.raises(TrustPolicyError, match=r"^the trust policy in the evidence: ") as refused:
        read_given_policy(TrustContext({**document(), "rules": 5}))
    assert refused.value.cure


def test_a_policy_is_asked_about_the_model_of_its_audit_at_the_moment_of_it() -> None:
    asked = build_trust_query(GIVEN, "credit-risk", "3.2.0")
    assert asked.policy.ref == policy().ref
    assert asked.claimed == ModelClaim("credit-risk", "3.2.0", ("high-risk",))
    assert asked.when == QueryTime(datetime(2026, 6, 1, 12, tzinfo=UTC))
    assert build_trust_query(TrustContext(document()), "credit-risk", "3.2.0").when is None


def test_documents_are_kept_where_a_rule_may_find_in_them_what_it_asks_for() -> None:
    documents = (None, provenance(), b"no paper", b"", provenance(files=()))
    kept = [{"text": provenance().decode()}, {"text": provenance(files=()).decode()}]
    asking = TrustContext(document(ASKING))
    assert (
        list_requested_documents(build_trust_query(asking, "credit-risk", "1"), documents) == kept
    )
    assert list_requested_documents(build_trust_query(asking, "lottery", "1"), documents) == []
    assert list_requested_documents(build_trust_query(GIVEN, "credit-risk", "1"), documents) == []


KEYLESS = b"""{"mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
"verificationMaterial": {"certificate": {"rawBytes": "AAAA"}, "tlogEntries": [{}]},
"dsseEnvelope": {"payload": "e30=", "payloadType": "application/vnd.in-toto+json",
"signatures": [{"sig": "AAAA"}]}}"""


def test_that_a_keyless_signature_cannot_be_verified_is_kept_where_there_is_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cases: list[tuple[bytes | None, tuple[bytes | None, ...], bool]] = [
        (KEYLESS, (), True),
        (None, (KEYLESS,), True),
        (signature(), (None, provenance(), KEYLESS), True),
        (signature(), (None, provenance()), False),
        (b"no bundle", (b"no paper",), False),
        (None, (), False),
    ]
    assert [describe_missing_extra(*it[:2]) for it in cases] == [{}] * len(cases)
    monkeypatch.setitem(sys.modules, "sigstore", None)
    lacking = [{"without": "sigstore"} if keyless else {} for *_, keyless in cases]
    assert [describe_missing_extra(*it[:2]) for it in cases] == lacking


def test_a_trust_root_that_cannot_be_read_refuses_a_keyless_signature() -> None:
    trusted = TrustedSigners(
        trusted_root=b"{", identities=(SignerIdentity.parse("a@b.example", "https://x.example"),)
    )
    with pytest.raises(VerificationError) as refused:
        verify_pinned_keyless(KEYLESS, trusted)
    assert refused.value.code is IssueCode.KEYLESS
    assert refused.value.problem == "The trust root of Sigstore cannot be read"


LISTED: list[JsonObject] = [
    {"name": item.name, "size": item.size, "sha256": item.sha256} for item in FILES
]


def test_files_are_read_as_they_are_and_as_their_signer_hashed_them() -> None:
    assert read_model_digests({"files": LISTED}) == (FILES, ModelFileDigests.of(FILES))
    assert read_model_digests({"files": LISTED, "measured": None}) == (
        FILES,
        ModelFileDigests.of(FILES),
    )
    digests = {f"{FILES[0].name}:0": "00"}
    told: JsonObject = {"hash": "blake3", "shard": 1024, "digests": digests}
    assert read_model_digests({"files": LISTED, "measured": told}) == (
        FILES,
        ModelFileDigests(
            {FILES[0].name: FILES[0].size}, digests, ModelSerialisation(HashAlgorithm.BLAKE3, 1024)
        ),
    )


def test_what_stood_beside_a_model_is_read_whole() -> None:
    bound = ModelBinding("credit-risk", "3.2.0", "sha256:aa", "2026-01-01T00:00:00Z")
    paper = sign_bundle(b"{}", BUILD)
    seen: JsonObject = {
        "bundle": encode_evidence_bytes(signature()),
        "papers": [encode_evidence_bytes(paper), None],
        "bindings": [bound.to_json()],
        "timestamps": encode_evidence_bytes(b"\xff"),
        "trust": GIVEN.to_json(),
    }
    assert read_model_attestations(seen) == ModelAttestations(
        signature(), (paper,), (bound,), TrustPolicyStatus.NEWER, b"\xff"
    )
    for absent in ({}, dict.fromkeys(("papers", "bindings", "timestamps", "trust"))):
        assert read_model_attestations({"bundle": None, **absent}) == ModelAttestations(None)


def test_what_a_policy_was_asked_is_read_where_one_was_asked() -> None:
    model: JsonObject = {"name": "credit-risk", "version": "3.2.0"}
    seen: JsonObject = {"model": model, "trust": GIVEN.to_json()}
    asked = read_trust_query(seen)
    assert asked is not None
    assert asked.claimed == ModelClaim("credit-risk", "3.2.0", ("high-risk",))
    assert asked.when == QueryTime(datetime(2026, 6, 1, 12, tzinfo=UTC))
    assert asked.keyless is verify_pinned_keyless
    # What could not be verified when the evidence was taken is not verified later either.
    without = read_trust_query({**seen, "without": "sigstore"})
    assert without is not None
    assert without.keyless is None
    assert read_trust_query({"model": model}) is None
    assert read_trust_query({"model": model, "trust": None}) is None
