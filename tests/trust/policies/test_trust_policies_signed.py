"""A trust policy's own signature, and the auditors whom it names."""

from datetime import UTC, datetime, timedelta

import pytest
from trust_papers import (
    BUILD,
    CI,
    OWNER,
    RELEASE,
    STRANGER,
    TODAY,
    headed,
    named,
    policy,
    provenance,
    revoking,
    ruled,
    signer,
)

from auditor.domain.policies import AssuranceLevel
from auditor.domain.trust_context import TrustPolicyStatus, TrustRef
from auditor.errors import TrustPolicyError
from auditor.trust.encoding.dsse import InTotoStatement, SubjectDigest
from auditor.trust.policies.auditors import (
    AuditorMatch,
    compare_policy_versions,
    find_auditor,
    find_expiry_issues,
    find_succession_issues,
)
from auditor.trust.policies.query import QueryTime
from auditor.trust.policies.read import find_policy_warnings
from auditor.trust.policies.signed_statements import (
    PREDICATE,
    describe_owner_conflict,
    open_policy_document,
    sign_trust_policy,
    verify_trust_policy,
)
from auditor.trust.policies.trust_policy import AuditorRole
from auditor.trust.signatures.keys import read_public_key
from auditor.trust.signatures.sigstore_bundle import sign_bundle
from auditor.trust.signatures.trusted_signers import VerificationTime
from auditor.trust.verification_result import (
    IssueCode,
    IssueGrade,
    VerificationError,
    VerificationIssue,
)

OWNED = OWNER.public_pem()
RECORD = provenance(CI, predicate="urn:auditor:record:v1")
NOW = QueryTime(TODAY)


def test_what_the_owner_signed_holds_and_gives_the_document_back() -> None:
    bundle = sign_trust_policy(policy(), OWNER)
    found = verify_trust_policy(bundle, policy(), OWNED)
    assert (found.verified, found.identity) == (True, OWNER.identity)
    assert open_policy_document(bundle, OWNED) == policy().document
    assert bundle == sign_trust_policy(policy(), OWNER)


def test_another_policy_than_the_signed_one_is_refused() -> None:
    bundle = sign_trust_policy(policy(), OWNER)
    for other in (policy(headed(version=4)), policy(ruled(models=["*"]))):
        assert verify_trust_policy(bundle, other, OWNED).codes == (IssueCode.CONTRADICTION,)


def test_another_key_than_the_owners_is_refused() -> None:
    bundle = sign_trust_policy(policy(), STRANGER)
    assert verify_trust_policy(bundle, policy(), OWNED).codes == (IssueCode.KEY,)
    with pytest.raises(VerificationError):
        open_policy_document(bundle, OWNED)


def test_what_the_owner_signed_as_something_else_is_no_policy() -> None:
    subject = SubjectDigest("acme", policy().digest.removeprefix("sha256:"))
    other = InTotoStatement((subject,), "urn:auditor:record:v1", dict(policy().document))
    found = verify_trust_policy(sign_bundle(other.emit(), OWNER), policy(), OWNED)
    assert found.codes == (IssueCode.PREDICATE,)


def test_who_is_judged_by_a_policy_does_not_own_it() -> None:
    for judged in (RELEASE, CI):
        with pytest.raises(TrustPolicyError, match="the owner's key is"):
            sign_trust_policy(policy(), judged)
        subject = SubjectDigest("acme", policy().digest.removeprefix("sha256:"))
        bundle = sign_bundle(
            InTotoStatement((subject,), PREDICATE, dict(policy().document)).emit(), judged
        )
        found = verify_trust_policy(bundle, policy(), judged.public_pem())
        assert (found.verified, found.codes) == (False, (IssueCode.POLICY_OWNER,))


def test_a_policy_that_another_key_signed_gives_no_document() -> None:
    with pytest.raises(VerificationError) as refused:
        open_policy_document(sign_trust_policy(policy(), STRANGER), OWNED)
    assert refused.value.code is IssueCode.SIGNATURE
    assert refused.value.problem == "the trust policy's signature does not hold"


def test_a_key_that_cannot_be_read_is_none_of_the_policys() -> None:
    assert (
        describe_owner_conflict(policy(), b"no key")
        == describe_owner_conflict(policy(), OWNED)
        == ""
    )
    said = "the owner's key is build, which the policy lets sign what it judges"
    assert describe_owner_conflict(policy(), BUILD.public_pem()) == said


def ref(version: int, digest: str = "sha256:a") -> TrustRef:
    return TrustRef("acme", version, digest)


@pytest.mark.parametrize(
    ("mine", "accepted", "standing"),
    [
        (ref(2), [], TrustPolicyStatus.UNKNOWN),
        (ref(2), [ref(1), ref(2)], TrustPolicyStatus.ACCEPTED),
        (ref(2), [ref(2), ref(1)], TrustPolicyStatus.ACCEPTED),
        (ref(3), [ref(1), ref(2)], TrustPolicyStatus.NEWER),
        (ref(1), [ref(1), ref(2)], TrustPolicyStatus.OLDER),
        (ref(2), [ref(2, "sha256:b")], TrustPolicyStatus.CHANGED),
        (ref(2), [ref(2), ref(2, "sha256:b")], TrustPolicyStatus.CHANGED),
        (ref(2), [ref(1, "sha256:b"), ref(2)], TrustPolicyStatus.ACCEPTED),
        (ref(2), [ref(1), ref(2, "sha256:b")], TrustPolicyStatus.CHANGED),
    ],
)
def test_a_policy_stands_to_what_was_accepted(
    mine: TrustRef, accepted: list[TrustRef], standing: TrustPolicyStatus
) -> None:
    assert compare_policy_versions(mine, accepted) is standing


STANDINGS = {
    TrustPolicyStatus.UNKNOWN: "nobody accepted {} on this machine (auditor trust accept)",
    TrustPolicyStatus.NEWER: "{} is newer than the accepted one (auditor trust accept)",
    TrustPolicyStatus.OLDER: "{} is older than one that was accepted",
    TrustPolicyStatus.CHANGED: "{} was accepted with another content; a change needs a higher "
    "version",
}


def test_how_a_policy_stands_is_told() -> None:
    assert list(find_succession_issues(ref(3), TrustPolicyStatus.ACCEPTED)) == []
    for standing, text in STANDINGS.items():
        (said,) = find_succession_issues(ref(3), standing)
        assert said.text == text.format("the trust policy acme 3")
        assert (said.grade is IssueGrade.WARNING) is (standing is TrustPolicyStatus.UNKNOWN)


def test_a_policy_ends_at_its_moment_and_says_when() -> None:
    end = datetime(2027, 1, 1, tzinfo=UTC)
    assert list(find_expiry_issues(policy(), QueryTime(end - timedelta(seconds=1)))) == []
    (ended,) = find_expiry_issues(policy(), QueryTime(end))
    text = "the trust policy acme 3 ended at 2027-01-01T00:00:00Z, and trusts nobody since"
    assert ended == VerificationIssue(IssueCode.POLICY_EXPIRED, text)
    (never,) = find_expiry_issues(policy(), None)
    text = "nobody says when the trust policy acme 3 was looked at"
    assert never == VerificationIssue(IssueCode.POLICY_EXPIRED, text)


def codes(found: AuditorMatch) -> list[str]:
    assert found.auditor is None
    return [said.partition(":")[0] for said in found.mistakes]


def test_an_auditor_may_claim_what_the_policy_says() -> None:
    found = find_auditor(policy(), RECORD, NOW, standing=TrustPolicyStatus.ACCEPTED)
    assert found.auditor is not None
    assert (found.auditor.name, found.auditor.highest) == ("ci", AssuranceLevel.A1)
    assert found.objections == ()


def test_an_auditor_is_believed_beside_others_with_a_warning_of_an_unaccepted_policy() -> None:
    two = policy(lambda d: d["auditors"].insert(0, {"key": "build", "highest": "A3"}))
    found = find_auditor(two, RECORD, NOW)
    assert found.auditor is not None
    assert (found.auditor.name, found.auditor.highest) == ("ci", AssuranceLevel.A1)
    assert [(it.code, it.grade) for it in found.objections] == [
        (IssueCode.POLICY_UNACCEPTED, IssueGrade.WARNING)
    ]
    assert found.mistakes == ()


def test_why_no_auditor_is_believed_is_told_once_and_with_its_code() -> None:
    two = policy(lambda d: d["auditors"].insert(0, {"key": "build"}))
    stranger = provenance(STRANGER, predicate="urn:auditor:record:v1")
    # The bundle names an auditor's key, under which its signature does not hold.
    forged = sign_bundle(b"{}", STRANGER, hint=read_public_key(CI.public_pem()).cosign_hint)
    nobody = ("AUDITOR: not signed by an auditor of the trust policy acme 3",)
    for trust, bundle in ((two, stranger), (two, forged), (policy(ruled()), forged)):
        found = find_auditor(trust, bundle, NOW)
        assert (found.auditor, found.mistakes) == (None, nobody)
        assert found.objections[0].code is IssueCode.POLICY_UNACCEPTED
    malformed = find_auditor(policy(), b"{", NOW)
    assert [it.partition(":")[0] for it in malformed.mistakes] == [IssueCode.FORMAT]


def test_who_signed_in_another_role_is_named() -> None:
    approver = policy(lambda d: d["auditors"][0].update(roles=["approval"]))
    found = find_auditor(approver, RECORD, NOW, standing=TrustPolicyStatus.ACCEPTED)
    text = "signed by ci, who does not have the role record in the trust policy"
    assert found == AuditorMatch(None, (VerificationIssue(IssueCode.AUDITOR, text),))


def test_a_key_that_signs_models_or_nothing_is_no_auditors() -> None:
    for key in (RELEASE, STRANGER):
        bundle = provenance(key, predicate="urn:auditor:record:v1")
        assert codes(find_auditor(policy(), bundle, NOW)) == [IssueCode.AUDITOR]


def test_a_key_signs_in_its_roles_only() -> None:
    approver = policy(lambda d: d["auditors"][0].update(roles=["approval"]))
    assert codes(find_auditor(approver, RECORD, NOW)) == [IssueCode.AUDITOR]
    found = find_auditor(approver, RECORD, NOW, role=AuditorRole.APPROVAL)
    assert found.auditor is not None


def test_an_auditor_who_was_revoked_is_believed_no_more() -> None:
    gone = policy(revoking("keys", {"sha256": named(CI), "since": "2026-05-28"}))
    assert codes(find_auditor(gone, RECORD, NOW)) == [IssueCode.REVOKED]
    stamped = QueryTime(TODAY, VerificationTime(TODAY - timedelta(days=30), proven=True))
    assert find_auditor(gone, RECORD, stamped).auditor is not None


def test_a_policy_that_ended_or_was_rolled_back_believes_no_auditor() -> None:
    end = QueryTime(datetime(2027, 1, 1, tzinfo=UTC))
    assert codes(find_auditor(policy(), RECORD, end)) == [IssueCode.POLICY_EXPIRED]
    older = find_auditor(policy(), RECORD, NOW, standing=TrustPolicyStatus.OLDER)
    assert codes(older) == [IssueCode.POLICY_ROLLBACK]


def test_an_auditors_key_has_its_time() -> None:
    ended = policy(lambda d: d["keys"]["ci"].update(not_after="2026-05-01"))
    assert codes(find_auditor(ended, RECORD, NOW)) == [IssueCode.KEY_TIME]


def test_doubts_about_a_policy_are_told() -> None:
    spare = {"pem": signer(7100).public_pem().decode()}
    doubtful = policy(
        lambda d: d["keys"].update(
            spare=spare, release={**d["keys"]["release"], "not_after": "2026-05-01"}
        ),
        revoking("keys", named(CI)),
        headed(expires="2026-06-20"),
        ruled(profile="compat"),
    )
    said = " / ".join(find_policy_warnings(doubtful, TODAY))
    for words in (
        "it ends at 2026-06-20", "keys.build is trusted for nothing", "keys.spare is trusted for",
        "keys.ci is revoked", "keys.release ended", "profile: compat", "set signed_name",
        "no min_version",
    ):  # fmt: skip
        assert words in said
    assert "trusts nobody" in " ".join(find_policy_warnings(doubtful, TODAY + timedelta(days=90)))


def test_a_sound_policy_gives_nothing_to_remark() -> None:
    def sound(found: dict[str, dict[str, object]]) -> None:
        found["keys"].pop("build")
        found.update(bind_versions=True)  # type: ignore[call-overload]

    assert (
        list(find_policy_warnings(policy(sound, ruled(min_version="1.0", signed_name=True)), TODAY))
        == []
    )
    (said,) = find_policy_warnings(policy(sound, ruled(min_version="1.0")), TODAY)
    assert "no signed_name that proves which version" in said
