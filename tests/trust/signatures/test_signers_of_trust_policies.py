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

from auditor.declaring.believing import ByPolicy
from auditor.declaring.believing import Standing as Signing
from auditor.declaring.reading import read_told
from auditor.domain.artifacts import FileDigest
from auditor.domain.canonical import JsonObject
from auditor.domain.trust import Standing, TrustGiven
from auditor.signatures.keyless import verify_keyless
from auditor.signatures.objections import Code, Verification
from auditor.signatures.oms import Measured
from auditor.signatures.trust import Moment
from auditor.trusting.asking import Asked, Presented, When
from auditor.trusting.demands import object_to_claims
from auditor.trusting.evidence import read_asked, read_presented
from auditor.trusting.judging import judge
from auditor.trusting.policies import Claimed, TrustPolicy

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


def look(trust: TrustPolicy, bundle: bytes, **when: Any) -> Verification:  # noqa: ANN401
    return judged(trust, bundle, files=FILES, **{"looked": NOW, **when})


def test_a_certificate_of_the_identity_under_its_root_signs() -> None:
    found = look(signed_by(ACME), PKI.sign())
    assert (found.verified, found.identity) == (True, f"email:{EMAIL}")


@pytest.mark.parametrize(
    ("signers", "code"),
    [
        ([{"root": "acme", "identity": "someone@else.example"}], Code.IDENTITY),
        ([{"root": "other", "identity": EMAIL}], Code.CERT_ROOT),
        ([{"key": "release"}], Code.METHOD_UNTRUSTED),
        # Root and identity are trusted, and not together.
        ([{"root": "other", "identity": EMAIL}, {"root": "acme", "identity": "x@y.z"}], None),
    ],
)
def test_any_other_certificate_is_refused(signers: list[dict[str, str]], code: Code | None) -> None:
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
    assert look(trust, ended.sign(), looked=later).codes == (Code.CERT_TIME,)
    assert look(trust, ended.sign(), looked=later, stamped=Moment(NOW, proven=True)).verified


def test_a_revoked_certificate_is_refused() -> None:
    revoked = PKI.leaf.read.digest
    trust = policy(
        lambda d: d.update(roots=ROOTS, revoked={"certs": [revoked]}),
        ruled(models=["*"], require=[{"predicate": PREDICATE, "any_of": [ACME]}]),
    )
    assert look(trust, PKI.sign()).codes == (Code.REVOKED,)


def keyless(trust: TrustPolicy, days: int = 0) -> Verification:
    bundle = json.dumps(SIGSTORE.bundle()).encode()
    when = When(NOW + timedelta(days=days))
    asked = Asked(trust, Claimed("credit-risk", "1.0"), when, verify_keyless)
    return judge(asked, Presented(bundle, standing=Standing.ACCEPTED), Measured.of(FILES), FILES)


BY_WORKFLOW = {"root": "sigstore", "identity": f"uri:{WORKFLOW}", "issuer": ISSUER}


def test_a_keyless_identity_signs_under_the_pinned_root_and_brings_its_time() -> None:
    found = keyless(signed_by(BY_WORKFLOW, timestamp="required", max_age="30d"), days=20)
    assert (found.verified, found.identity) == (True, f"sigstore:{WORKFLOW}?issuer={ISSUER}")
    assert keyless(signed_by(BY_WORKFLOW, max_age="30d"), days=40).codes == (Code.TOO_OLD,)


def test_a_keyless_signature_brings_no_time_where_nobody_says_when_it_is_looked_at() -> None:
    timed = signed_by(BY_WORKFLOW, timestamp="required")
    asked = Asked(timed, Claimed("credit-risk", "1.0"), None, verify_keyless)
    bundle = json.dumps(SIGSTORE.bundle()).encode()
    payload = json.dumps({"subject": []}).encode()
    found = object_to_claims(asked, timed.rules[0], payload, Presented(bundle))
    assert [item.code for item in found] == [Code.NO_TIME]


def test_a_keyless_signature_in_evidence_is_verified_by_the_root_that_the_policy_pins() -> None:
    trust = signed_by(BY_WORKFLOW)
    seen: JsonObject = {
        "model": {"name": "credit-risk", "version": "1.0"},
        "trust": TrustGiven(trust.document, str(Moment(NOW))).to_json(),
        "bundle": {"text": json.dumps(SIGSTORE.bundle())},
    }
    asked = read_asked(seen)
    assert asked is not None
    found = judge(asked, read_presented(seen), Measured.of(FILES), FILES)
    assert (found.verified, found.codes) == (True, (Code.POLICY_UNACCEPTED,))


def test_a_keyless_identity_of_another_issuer_or_workflow_is_refused() -> None:
    for other in ({"issuer": "https://accounts.example"}, {"identity": f"uri:{URI}"}):
        assert keyless(signed_by({**BY_WORKFLOW, **other})).codes == (Code.KEYLESS,)
    assert keyless(signed_by(ACME)).codes == (Code.METHOD_UNTRUSTED,)


def slsa(files: tuple[FileDigest, ...] = FILES) -> Document:
    """A plain statement about a model's files."""
    subjects = [{"name": item.name, "digest": {"sha256": item.sha256}} for item in files]
    return {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": subjects,
        "predicateType": TESTS,
        "predicate": {},
    }


def believing(*any_of: dict[str, str]) -> ByPolicy:
    model = {"predicate": PREDICATE, "any_of": [ACME]}
    require = [model, {"predicate": TESTS, "any_of": list(any_of)}]
    trust = policy(lambda d: d.update(roots=ROOTS), ruled(models=["*"], require=require))
    return ByPolicy(Asked(trust, Claimed("credit-risk", "1.0"), When(NOW)), Standing.ACCEPTED)


def test_a_document_that_a_certificate_signed_counts_where_the_rule_says_so() -> None:
    (told,) = read_told("tests.json", PKI.sign(slsa()), believing(ACME))
    assert (told.signed.standing, told.signed.identity) == (Signing.VERIFIED, f"email:{EMAIL}")
    for other in ({"key": "release"}, {"root": "other", "identity": EMAIL}):
        (told,) = read_told("tests.json", PKI.sign(slsa()), believing(other))
        assert told.signed.standing is Signing.REFUSED


def test_a_statement_that_a_rule_asks_for_may_be_signed_by_a_certificate() -> None:
    asked = believing(ACME).asked
    presented = Presented(PKI.sign(), (PKI.sign(slsa()),), standing=Standing.ACCEPTED)
    assert judge(asked, presented, Measured.of(FILES), FILES).verified
    other = replace(presented, papers=(PKI.sign(slsa(FILES[:1])),))
    assert judge(asked, other, Measured.of(FILES), FILES).codes == (Code.PREDICATE_MISSING,)
