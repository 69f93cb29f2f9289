"""A model's signature judged at the time that timestamps beside it prove by a policy's clocks."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any, cast

import pytest
from authority_forge import EMAIL, INTERMEDIATE, NOW, Pki, Wish
from keyless_forge import ISSUER, SIGNED_AT, WORKFLOW, Sigstore
from signature_forge import FILES as CHAIN_FILES
from time_forge import POLICY, ROOT, Clock, Saying
from trust_papers import (
    BUILD,
    CREDIT,
    FILES,
    PREDICATE,
    RELEASE,
    RULE,
    SLSA,
    Change,
    document,
    headed,
    named,
    policy,
    provenance,
    revoking,
    ruled,
    signature,
)
from unopened_subjects import unopened

from auditor.checks.provenance.signature import CHECK as SIGNATURE
from auditor.domain.artifacts import FileDigest, SignatureMaterial
from auditor.domain.check_subject import CheckShard
from auditor.domain.evidence import decode_evidence, encode_evidence
from auditor.domain.readings import Measurement
from auditor.domain.trust_context import TrustContext, TrustPolicyStatus
from auditor.errors import TrustPolicyError
from auditor.trust.policies.evaluate_signature import evaluate_signature
from auditor.trust.policies.query import ModelAttestations, QueryTime, TrustQuery
from auditor.trust.policies.read import find_policy_warnings
from auditor.trust.policies.trust_policy import TrustPolicy
from auditor.trust.signatures.model_signing import ModelFileDigests
from auditor.trust.signatures.trusted_signers import VerificationTime
from auditor.trust.signatures.verify import verify_keyless
from auditor.trust.timestamps import build_renewal_content
from auditor.trust.verification_result import IssueCode, SignatureVerification

DAY = timedelta(days=1)
CLOCK, STRANGE = Clock.made(), Clock.made(root=replace(ROOT, name="Another root"), seed=951)
LOOKED = NOW + 20 * DAY
BUNDLE = signature()
STAMP = CLOCK.stamp(BUNDLE)
REQUIRED = ruled(timestamp="required")


def clocked(clock: Clock = CLOCK, **settings: object) -> Change:
    """Let the policy name one clock."""

    def change(found: dict[str, Any]) -> None:
        found.setdefault("roots", {})["tsa"] = {"pem": clock.root.pem.decode()}
        found["clocks"] = {"roots": ["tsa"], **settings}

    return change


def look(
    trust: TrustPolicy,
    timestamps: bytes | None = STAMP,
    bundle: bytes = BUNDLE,
    *,
    looked: datetime = LOOKED,
    stamped: VerificationTime | None = None,
    papers: tuple[bytes, ...] = (),
    files: tuple[FileDigest, ...] = FILES,
) -> SignatureVerification:
    asked = TrustQuery(trust, CREDIT, QueryTime(looked, stamped), verify_keyless)
    shown = ModelAttestations(
        bundle, papers, standing=TrustPolicyStatus.ACCEPTED, timestamps=timestamps
    )
    return evaluate_signature(asked, shown, ModelFileDigests.of(files), files)


def test_a_timestamp_that_is_asked_for_is_proven_by_the_clocks_of_the_policy() -> None:
    found = look(policy(clocked(), REQUIRED))
    assert (found.verified, found.identity, found.codes) == (True, RELEASE.identity, ())
    assert look(policy(clocked(policies=["1.2.3", POLICY]), REQUIRED)).verified
    # The one who looks just afterwards may have a clock that is a little late.
    assert look(policy(clocked(), REQUIRED), looked=NOW - timedelta(minutes=4)).verified


def certificates_of(clock: Clock, since: str | None = None) -> Change:
    return revoking("certs", {"sha256": sha256(clock.signer.der).hexdigest(), "since": since})


def key_of_clock(clock: Clock) -> Change:
    return revoking("keys", clock.signer.read.key_digest)


LACKING: dict[str, tuple[tuple[Change, ...], bytes, IssueCode]] = {
    "over another signature": ((clocked(),), CLOCK.stamp(b"x" + BUNDLE),
                               IssueCode.TIMESTAMP_IMPRINT),
    "of a clock that the policy does not name": ((clocked(),), STRANGE.stamp(BUNDLE),
                                                 IssueCode.CERT_ROOT),
    "under another policy of the clock": ((clocked(policies=["1.2.3"]),), STAMP,
                                          IssueCode.TIMESTAMP_POLICY),
    "of a revoked certificate": ((clocked(), certificates_of(CLOCK)), STAMP, IssueCode.REVOKED),
    # Whoever has the clock's key writes any time, also one from before the theft.
    "revoked since": ((clocked(), certificates_of(CLOCK, "2026-06-10")), STAMP, IssueCode.REVOKED),
    "of a revoked key": ((clocked(), key_of_clock(CLOCK)), STAMP, IssueCode.REVOKED),
    "of a time to come": ((clocked(),), CLOCK.stamp(BUNDLE, Saying(at=LOOKED + DAY)),
                          IssueCode.TIMESTAMP_TIME),
    "malformed": ((clocked(),), b"not a timestamp", IssueCode.TIMESTAMP),
    "empty": ((clocked(),), b"", IssueCode.TIMESTAMP),
    "cut off": ((clocked(),), STAMP[:-1], IssueCode.TIMESTAMP),
}  # fmt: skip


@pytest.mark.parametrize(("changes", "raw", "code"), LACKING.values(), ids=LACKING)
def test_a_timestamp_that_does_not_hold_is_a_finding_and_proves_nothing(
    changes: tuple[Change, ...], raw: bytes, code: IssueCode
) -> None:
    asking = look(policy(*changes, REQUIRED), raw)
    assert (asking.verified, asking.codes) == (False, (code, IssueCode.NO_TIME))
    assert asking.objections[0].text.isascii()
    # Nobody asked for it: a warning, and everything is judged at the time of looking.
    loose = look(policy(*changes), raw)
    assert (loose.verified, loose.codes) == (True, (code,))
    ended = policy(*changes, lambda d: d["keys"]["release"].update(not_after="2026-06-10"))
    assert look(ended, raw).codes == (code, IssueCode.KEY_TIME)


def test_a_timestamp_that_is_asked_for_and_absent_or_without_clocks_is_none() -> None:
    assert look(policy(clocked(), REQUIRED), None).codes == (IssueCode.NO_TIME,)
    assert look(policy(clocked()), None).codes == ()
    assert look(policy(REQUIRED)).codes == (IssueCode.NO_TIME,)
    assert look(policy(), b"not a timestamp").codes == ()


def test_a_signature_must_not_be_older_than_the_rule_allows_from_the_proven_time_on() -> None:
    assert look(policy(clocked(), ruled(max_age="20d"))).verified
    assert look(policy(clocked(), ruled(max_age="19d"))).codes == (IssueCode.TOO_OLD,)
    assert look(policy(clocked(), ruled(max_age="20d")), None).codes == (IssueCode.NO_TIME,)


@pytest.mark.parametrize(
    ("since", "codes"),
    [("2026-06-02", ()), ("2026-06-01", (IssueCode.REVOKED,)), (None, (IssueCode.REVOKED,))],
)
def test_a_key_that_was_revoked_after_the_proven_time_had_signed(
    since: str | None, codes: tuple[IssueCode, ...]
) -> None:
    gone = revoking("keys", {"sha256": named(RELEASE), "since": since})
    assert look(policy(clocked(), gone)).codes == codes
    assert look(policy(clocked(), gone), None).codes == (IssueCode.REVOKED,)


def test_a_certificate_that_ended_was_valid_at_the_proven_time() -> None:
    pki = Pki.made(Wish(until=10 * DAY), INTERMEDIATE)
    signer = {"root": "acme", "identity": f"email:{EMAIL}"}
    trust = policy(
        lambda d: d.update(roots={"acme": {"pem": pki.root.pem.decode()}}),
        clocked(),
        ruled(require=[{"predicate": PREDICATE, "any_of": [signer]}]),
    )
    bundle = pki.sign()
    stamped = CLOCK.stamp(bundle)
    assert look(trust, stamped, bundle, files=CHAIN_FILES).verified
    late = CLOCK.stamp(bundle, Saying(at=NOW + 11 * DAY))
    assert look(trust, late, bundle, files=CHAIN_FILES).codes == (IssueCode.CERT_TIME,)
    assert look(trust, None, bundle, files=CHAIN_FILES).codes == (IssueCode.CERT_TIME,)


def test_a_time_stays_proven_by_the_clock_that_stamped_it_again() -> None:
    short = Clock.of(NOW - DAY, NOW + 5 * DAY, seed=961)
    once = short.stamp(BUNDLE)
    again = CLOCK.stamp(build_renewal_content(once, BUNDLE), Saying(at=NOW + 4 * DAY))
    both = policy(
        clocked(),
        lambda d: d["roots"].update(old={"pem": short.root.pem.decode()}),
        lambda d: d["clocks"].update(roots=["tsa", "old"]),
        ruled(max_age="20d"),
    )
    assert look(both, once).codes == (IssueCode.CERT_TIME, IssueCode.NO_TIME)
    assert look(both, once + again).verified
    assert look(both, once + again, looked=LOOKED + DAY).codes == (IssueCode.TOO_OLD,)


def test_a_time_that_the_one_who_asks_vouches_for_comes_first() -> None:
    trust = policy(clocked(), ruled(max_age="5d"))
    vouched = VerificationTime(LOOKED - DAY, proven=True)
    assert look(trust, stamped=vouched).verified
    assert look(trust).codes == (IssueCode.TOO_OLD,)


def test_what_is_proven_of_the_signature_says_nothing_of_the_statements_beside_it() -> None:
    asked = {"predicate": SLSA, "any_of": [{"key": "build"}]}
    beside = ruled(require=[*RULE["require"], asked])
    gone = revoking("keys", {"sha256": named(BUILD), "since": "2026-06-10"})
    papers = (provenance(),)
    assert look(policy(clocked(), beside), papers=papers).verified
    stolen = look(policy(clocked(), beside, gone), papers=papers)
    assert (stolen.verified, stolen.codes) == (False, (IssueCode.PREDICATE_MISSING,))


def test_stamping_an_old_keyless_signature_again_makes_it_no_younger() -> None:
    sigstore = Sigstore()
    signer = {"root": "sigstore", "identity": f"uri:{WORKFLOW}", "issuer": ISSUER}
    bundle = json.dumps(sigstore.bundle()).encode()
    late = CLOCK.stamp(bundle, Saying(at=SIGNED_AT + 39 * DAY))
    for changes, codes in (((), ()), ((ruled(max_age="30d"),), (IssueCode.TOO_OLD,))):
        trust = policy(
            lambda d: d.update(
                roots={"sigstore": {"trusted_root": sigstore.trusted_root.decode()}}
            ),
            clocked(),
            ruled(require=[{"predicate": PREDICATE, "any_of": [signer]}]),
            *changes,
        )
        found = look(trust, late, bundle, looked=SIGNED_AT + 40 * DAY, files=CHAIN_FILES)
        assert found.codes == codes


def kept(changes: tuple[Change, ...], timestamps: bytes | None) -> tuple[bytes, Measurement]:
    """The bytes of a check's evidence as a record keeps it, and what they come to."""
    given = TrustContext(
        document(*changes), f"{VerificationTime(LOOKED)}", TrustPolicyStatus.ACCEPTED
    )
    material = SignatureMaterial(BUNDLE, trust=given, timestamps=timestamps)
    seen = SIGNATURE().observe(unopened(*FILES, signature=material), CheckShard())
    raw = encode_evidence(seen["signature"]).raw
    (found,) = SIGNATURE().figures({"signature": decode_evidence(raw)}, 0.95)
    assert isinstance(found, Measurement)
    return raw, found


ASKED = (clocked(), ruled(models=["*"], timestamp="required", max_age="30d"))


def test_the_evidence_of_an_audit_comes_to_the_proven_time_whenever_it_is_judged() -> None:
    raw, found = kept(ASKED, STAMP)
    assert (found.value, found.details["findings"]) == (True, [])
    trust = cast("dict[str, object]", found.details["trust"])
    assert trust["stamped"] == "2026-06-01T00:00:00Z"
    assert kept(ASKED, STAMP) == (raw, found)
    # The clock's certificates have ended by now: what counts is the recorded time of looking.
    late = (clocked(Clock.of(NOW - DAY, NOW + DAY)), *ASKED[1:])
    _, refused = kept(late, Clock.of(NOW - DAY, NOW + DAY).stamp(BUNDLE))
    findings = cast("list[dict[str, str]]", refused.details["findings"])
    assert (refused.value, [it["code"] for it in findings]) == (False, ["CERT_TIME", "NO_TIME"])
    assert "stamped" not in cast("dict[str, object]", refused.details["trust"])


def test_evidence_without_a_timestamp_has_the_bytes_that_it_always_had() -> None:
    raw, found = kept((ruled(models=["*"]),), None)
    assert set(cast("dict[str, object]", decode_evidence(raw))) == {
        *("bundle", "key", "files", "model", "bindings", "trust", "papers"),
    }
    assert set(cast("dict[str, object]", found.details["trust"])) == {
        *("name", "version", "digest", "standing", "rule"),
    }


REFUSED: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "a list": (lambda d: d.update(clocks=["tsa"]), "clocks is not a mapping"),
    "no roots": (lambda d: d.update(clocks={}), "clocks names no authority"),
    "an unknown root": (lambda d: d["clocks"].update(roots=["x"]), r"clocks.roots\[0\] names 'x'"),
    "Sigstore's": (
        lambda d: d.update(roots={"tsa": {"trusted_root": "{}"}}), "is not a pem under roots",
    ),
    "no policies": (lambda d: d["clocks"].update(policies=[]), "clocks.policies lists no policy"),
    "no OID": (lambda d: d["clocks"].update(policies=["1.02"]), "is '1.02', which is not an OID"),
    "a number": (lambda d: d["clocks"].update(policies=[1.2]), "is not a single line of text"),
    "misspelt": (lambda d: d["clocks"].update(policy=["1.2.3"]), "'policy' is an unknown setting"),
}  # fmt: skip


@pytest.mark.parametrize(("change", "said"), REFUSED.values(), ids=REFUSED)
def test_clocks_that_make_no_sense_are_refused(change: Change, said: str) -> None:
    with pytest.raises(TrustPolicyError, match=said):
        policy(clocked(), change)


def test_other_clocks_are_another_policy() -> None:
    digests = {policy(*it).digest for it in ((), (clocked(),), (clocked(policies=[POLICY]),))}
    assert len({*digests, policy(clocked(STRANGE)).digest}) == 4


def lint(*changes: Change) -> str:
    found = find_policy_warnings(policy(headed(expires="2027-01-01"), *changes), NOW)
    return "\n".join(it for it in found if "clocks" in it or "roots" in it)


def test_who_asks_for_a_time_and_names_no_clock_is_told() -> None:
    for asking in (REQUIRED, ruled(max_age="9d")):
        assert "rules[0] (credit-*) asks for a trusted time, and the policy names no" in lint(
            asking
        )
        assert lint(clocked(), asking) == ""
    assert lint() == lint(clocked()) == ""
    signer = {"root": "log", "identity": f"uri:{WORKFLOW}", "issuer": ISSUER}
    keyless = (
        lambda d: d.update(roots={"log": {"trusted_root": "{}"}}),
        ruled(require=[{"predicate": PREDICATE, "any_of": [signer]}], timestamp="required"),
    )
    assert lint(*keyless) == ""
