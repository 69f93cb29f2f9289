"""Certificates and keyless identities as a trust policy names them, each under its own root."""

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from authority_forge import EMAIL, INTERMEDIATE, NOW, ROOT, URI, Pki, Wish, issue
from cryptography.hazmat.primitives.asymmetric import ec
from keyless_forge import ISSUER, WORKFLOW, Sigstore
from signature_forge import FILES, key_of
from trust_papers import PREDICATE, Document, judged, policy, ruled

from auditor.domain.artifacts import FileDigest
from auditor.domain.json import JsonObject
from auditor.domain.trust_context import TrustContext, TrustPolicyStatus
from auditor.trust.policies.evaluate_signature import evaluate_signature, find_claim_issues
from auditor.trust.policies.evidence import read_model_attestations, read_trust_query
from auditor.trust.policies.query import ModelAttestations, QueryTime, TrustQuery
from auditor.trust.policies.trust_policy import ModelClaim, TrustPolicy
from auditor.trust.signatures.model_signing import ModelFileDigests
from auditor.trust.signatures.trusted_signers import VerificationTime
from auditor.trust.signatures.verify import verify_keyless
from auditor.trust.supply_chain.verify import (
    DocumentSignatureStatus,
    PolicyDocumentVerifier,
    read_supply_document,
)
from auditor.trust.verification_result import IssueCode, SignatureVerification

PKI, SIGSTORE = Pki.made(), Sigstore()
OTHER_ROOT = issue(ROOT, key_of(ec.SECP256R1(), 911).key)
TESTS = "https://in-toto.io/attestation/test-result/v0.1"
ACME = {"root": "acme", "identity": f"email:{EMAIL}"}
ROOTS: Document = {
    "acme": {"pem": PKI.root.pem.decode()},
    "other": {"pem": OTHER_ROOT.pem.decode()},
    "sigstore": {"trusted_root": SIGSTORE.trusted_root.decode()},
}


def signed_by(*any_of: dict[str, str], **settings: Any) -> TrustPolicy:  # noqa: ANN401
    require = [{"predicate": PREDICATE, "any_of": list(any_of)}]
    return policy(lambda d: d.update(roots=ROOTS), ruled(models=["*"], require=require, **settings))


def look(trust: TrustPolicy, bundle: bytes, **when: Any) -> SignatureVerification:  # noqa: ANN401
    return judged(trust, bundle, files=FILES, **{"looked": NOW, **when})


def test_a_certificate_of_the_identity_under_its_root_signs() -> None:
    found = look(signed_by(ACME), PKI.sign())
    assert (found.verified, found.identity) == (True, f"email:{EMAIL}")


@pytest.mark.parametrize(
    ("signers", "code"),
    [
        ([{"root": "acme", "identity": "someone@else.example"}], IssueCode.IDENTITY),
        ([{"root": "other", "identity": EMAIL}], IssueCode.CERT_ROOT),
        ([{"key": "release"}], IssueCode.METHOD_UNTRUSTED),
        # Root and identity are trusted, and not together.
        ([{"root": "other", "identity": EMAIL}, {"root": "acme", "identity": "x@y.z"}], None),
    ],
)
def test_any_other_certificate_is_refused(
    signers: list[dict[str, str]], code: IssueCode | None
) -> None:
    found = look(signed_by(*signers), PKI.sign())
    assert not found.verified
    assert code is None or code in found.codes


def test_of_several_signers_one_is_enough() -> None:
    trust = signed_by({"key": "release"}, {"root": "other", "identity": EMAIL}, ACME)
    assert look(trust, PKI.sign()).verified


def test_a_certificate_that_ended_needs_a_trusted_time() -> None:
    later = NOW + timedelta(days=180)
    ended = Pki.made(Wish(until=timedelta(days=60)), INTERMEDIATE)
    trust = signed_by(ACME)
    assert look(trust, ended.sign(), looked=later).codes == (IssueCode.CERT_TIME,)
    assert look(
        trust, ended.sign(), looked=later, stamped=VerificationTime(NOW, proven=True)
    ).verified


def test_a_revoked_certificate_is_refused() -> None:
    revoked = PKI.leaf.read.digest
    trust = policy(
        lambda d: d.update(roots=ROOTS, revoked={"certs": [revoked]}),
        ruled(models=["*"], require=[{"predicate": PREDICATE, "any_of": [ACME]}]),
    )
    assert look(trust, PKI.sign()).codes == (IssueCode.REVOKED,)


def keyless(trust: TrustPolicy, days: int = 0) -> SignatureVerification:
    bundle = json.dumps(SIGSTORE.bundle()).encode()
    when = QueryTime(NOW + timedelta(days=days))
    asked = TrustQuery(trust, ModelClaim("credit-risk", "1.0"), when, verify_keyless)
    return evaluate_signature(
        asked,
        ModelAttestations(bundle, standing=TrustPolicyStatus.ACCEPTED),
        ModelFileDigests.of(FILES),
        FILES,
    )


BY_WORKFLOW = {"root": "sigstore", "identity": f"uri:{WORKFLOW}", "issuer": ISSUER}


def test_a_keyless_identity_signs_under_the_pinned_root_and_brings_its_time() -> None:
    found = keyless(signed_by(BY_WORKFLOW, timestamp="required", max_age="30d"), days=20)
    assert (found.verified, found.identity) == (True, f"sigstore:{WORKFLOW}?issuer={ISSUER}")
    assert keyless(signed_by(BY_WORKFLOW, max_age="30d"), days=40).codes == (IssueCode.TOO_OLD,)


def test_a_keyless_signature_brings_no_time_where_nobody_says_when_it_is_looked_at() -> None:
    timed = signed_by(BY_WORKFLOW, timestamp="required")
    asked = TrustQuery(timed, ModelClaim("credit-risk", "1.0"), None, verify_keyless)
    bundle = json.dumps(SIGSTORE.bundle()).encode()
    payload = json.dumps({"subject": []}).encode()
    found = find_claim_issues(asked, timed.rules[0], payload, ModelAttestations(bundle))
    assert [item.code for item in found] == [IssueCode.NO_TIME]


def test_a_keyless_signature_in_evidence_is_verified_by_the_root_that_the_policy_pins() -> None:
    trust = signed_by(BY_WORKFLOW)
    seen: JsonObject = {
        "model": {"name": "credit-risk", "version": "1.0"},
        "trust": TrustContext(trust.document, str(VerificationTime(NOW))).to_json(),
        "bundle": {"text": json.dumps(SIGSTORE.bundle())},
    }
    asked = read_trust_query(seen)
    assert asked is not None
    found = evaluate_signature(
        asked, read_model_attestations(seen), ModelFileDigests.of(FILES), FILES
    )
    assert (found.verified, found.codes) == (True, (IssueCode.POLICY_UNACCEPTED,))


def test_a_keyless_identity_of_another_issuer_or_workflow_is_refused() -> None:
    for other in ({"issuer": "https://accounts.example"}, {"identity": f"uri:{URI}"}):
        assert keyless(signed_by({**BY_WORKFLOW, **other})).codes == (IssueCode.KEYLESS,)
    assert keyless(signed_by(ACME)).codes == (IssueCode.METHOD_UNTRUSTED,)


def slsa(files: tuple[FileDigest, ...] = FILES) -> Document:
    """A plain statement about a model's files."""
    subjects = [{"name": item.name, "digest": {"sha256": item.sha256}} for item in files]
    return {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": subjects,
        "predicateType": TESTS,
        "predicate": {},
    }


def believing(*any_of: dict[str, str]) -> PolicyDocumentVerifier:
    model = {"predicate": PREDICATE, "any_of": [ACME]}
    require = [model, {"predicate": TESTS, "any_of": list(any_of)}]
    trust = policy(lambda d: d.update(roots=ROOTS), ruled(models=["*"], require=require))
    return PolicyDocumentVerifier(
        TrustQuery(trust, ModelClaim("credit-risk", "1.0"), QueryTime(NOW)),
        TrustPolicyStatus.ACCEPTED,
    )


def test_a_document_that_a_certificate_signed_counts_where_the_rule_says_so() -> None:
    (told,) = read_supply_document("tests.json", PKI.sign(slsa()), believing(ACME))
    assert (told.signed.standing, told.signed.identity) == (
        DocumentSignatureStatus.VERIFIED,
        f"email:{EMAIL}",
    )
    for other in ({"key": "release"}, {"root": "other", "identity": EMAIL}):
        (told,) = read_supply_document("tests.json", PKI.sign(slsa()), believing(other))
        assert told.signed.standing is DocumentSignatureStatus.REFUSED


def test_a_statement_that_a_rule_asks_for_may_be_signed_by_a_certificate() -> None:
    asked = believing(ACME).asked
    presented = ModelAttestations(
        PKI.sign(), (PKI.sign(slsa()),), standing=TrustPolicyStatus.ACCEPTED
    )
    assert evaluate_signature(asked, presented, ModelFileDigests.of(FILES), FILES).verified
    other = replace(presented, papers=(PKI.sign(slsa(FILES[:1])),))
    assert evaluate_signature(asked, other, ModelFileDigests.of(FILES), FILES).codes == (
        IssueCode.PREDICATE_MISSING,
    )
