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

from auditor.domain.policies import Assurance
from auditor.domain.trust import Standing, TrustRef
from auditor.errors import TrustPolicyError
from auditor.signatures.bundles import seal
from auditor.signatures.keys import read_public_key
from auditor.signatures.objections import Code, Grade, Objection, Refused
from auditor.signatures.statements import Statement, SubjectDigest
from auditor.signatures.trust import Moment
from auditor.trusting.asking import When
from auditor.trusting.auditors import Vouched, auditor_of
from auditor.trusting.policies import Role
from auditor.trusting.remarks import remarks
from auditor.trusting.sealing import (
    PREDICATE,
    own_key,
    sign_trust_policy,
    signed_document,
    verify_trust_policy,
)
from auditor.trusting.standings import object_to_end, object_to_standing, standing_of

OWNED = OWNER.public_pem()
RECORD = provenance(CI, predicate="urn:auditor:record:v1")
NOW = When(TODAY)


def test_what_the_owner_signed_holds_and_gives_the_document_back() -> None:
    bundle = sign_trust_policy(policy(), OWNER)
    found = verify_trust_policy(bundle, policy(), OWNED)
    assert (found.verified, found.identity) == (True, OWNER.identity)
    assert signed_document(bundle, OWNED) == policy().document
    assert bundle == sign_trust_policy(policy(), OWNER)


def test_another_policy_than_the_signed_one_is_refused() -> None:
    bundle = sign_trust_policy(policy(), OWNER)
    for other in (policy(headed(version=4)), policy(ruled(models=["*"]))):
        assert verify_trust_policy(bundle, other, OWNED).codes == (Code.CONTRADICTION,)


def test_another_key_than_the_owners_is_refused() -> None:
    bundle = sign_trust_policy(policy(), STRANGER)
    assert verify_trust_policy(bundle, policy(), OWNED).codes == (Code.KEY,)
    with pytest.raises(Refused):
        signed_document(bundle, OWNED)


def test_what_the_owner_signed_as_something_else_is_no_policy() -> None:
    subject = SubjectDigest("acme", policy().digest.removeprefix("sha256:"))
    other = Statement((subject,), "urn:auditor:record:v1", dict(policy().document))
    found = verify_trust_policy(seal(other.emit(), OWNER), policy(), OWNED)
    assert found.codes == (Code.PREDICATE,)


def test_who_is_judged_by_a_policy_does_not_own_it() -> None:
    for judged in (RELEASE, CI):
        with pytest.raises(TrustPolicyError, match="the owner's key is"):
            sign_trust_policy(policy(), judged)
        subject = SubjectDigest("acme", policy().digest.removeprefix("sha256:"))
        bundle = seal(Statement((subject,), PREDICATE, dict(policy().document)).emit(), judged)
        found = verify_trust_policy(bundle, policy(), judged.public_pem())
        assert (found.verified, found.codes) == (False, (Code.POLICY_OWNER,))


def test_a_policy_that_another_key_signed_gives_no_document() -> None:
    with pytest.raises(Refused) as refused:
        signed_document(sign_trust_policy(policy(), STRANGER), OWNED)
    assert refused.value.code is Code.SIGNATURE
    assert refused.value.problem == "the trust policy's signature does not hold"


def test_a_key_that_cannot_be_read_is_none_of_the_policys() -> None:
    assert own_key(policy(), b"no key") == own_key(policy(), OWNED) == ""
    said = "the owner's key is build, which the policy lets sign what it judges"
    assert own_key(policy(), BUILD.public_pem()) == said


def ref(version: int, digest: str = "sha256:a") -> TrustRef:
    return TrustRef("acme", version, digest)


@pytest.mark.parametrize(
    ("mine", "accepted", "standing"),
    [
        (ref(2), [], Standing.UNKNOWN),
        (ref(2), [ref(1), ref(2)], Standing.ACCEPTED),
        (ref(2), [ref(2), ref(1)], Standing.ACCEPTED),
        (ref(3), [ref(1), ref(2)], Standing.NEWER),
        (ref(1), [ref(1), ref(2)], Standing.OLDER),
        (ref(2), [ref(2, "sha256:b")], Standing.CHANGED),
        (ref(2), [ref(2), ref(2, "sha256:b")], Standing.CHANGED),
        (ref(2), [ref(1, "sha256:b"), ref(2)], Standing.ACCEPTED),
        (ref(2), [ref(1), ref(2, "sha256:b")], Standing.CHANGED),
    ],
)
def test_a_policy_stands_to_what_was_accepted(
    mine: TrustRef, accepted: list[TrustRef], standing: Standing
) -> None:
    assert standing_of(mine, accepted) is standing


STANDINGS = {
    Standing.UNKNOWN: "nobody accepted {} on this machine (auditor trust accept)",
    Standing.NEWER: "{} is newer than the accepted one (auditor trust accept)",
    Standing.OLDER: "{} is older than one that was accepted",
    Standing.CHANGED: "{} was accepted with another content; a change needs a higher version",
}


def test_how_a_policy_stands_is_told() -> None:
    assert list(object_to_standing(ref(3), Standing.ACCEPTED)) == []
    for standing, text in STANDINGS.items():
        (said,) = object_to_standing(ref(3), standing)
        assert said.text == text.format("the trust policy acme 3")
        assert (said.grade is Grade.WARNING) is (standing is Standing.UNKNOWN)


def test_a_policy_ends_at_its_moment_and_says_when() -> None:
    end = datetime(2027, 1, 1, tzinfo=UTC)
    assert list(object_to_end(policy(), When(end - timedelta(seconds=1)))) == []
    (ended,) = object_to_end(policy(), When(end))
    text = "the trust policy acme 3 ended at 2027-01-01T00:00:00Z, and trusts nobody since"
    assert ended == Objection(Code.POLICY_EXPIRED, text)
    (never,) = object_to_end(policy(), None)
    text = "nobody says when the trust policy acme 3 was looked at"
    assert never == Objection(Code.POLICY_EXPIRED, text)


def codes(found: Vouched) -> list[str]:
    assert found.auditor is None
    return [said.partition(":")[0] for said in found.mistakes]


def test_an_auditor_may_claim_what_the_policy_says() -> None:
    found = auditor_of(policy(), RECORD, NOW, standing=Standing.ACCEPTED)
    assert found.auditor is not None
    assert (found.auditor.name, found.auditor.highest) == ("ci", Assurance.A1)
    assert found.objections == ()


def test_an_auditor_is_believed_beside_others_with_a_warning_of_an_unaccepted_policy() -> None:
    two = policy(lambda d: d["auditors"].insert(0, {"key": "build", "highest": "A3"}))
    found = auditor_of(two, RECORD, NOW)
    assert found.auditor is not None
    assert (found.auditor.name, found.auditor.highest) == ("ci", Assurance.A1)
    assert [(it.code, it.grade) for it in found.objections] == [
        (Code.POLICY_UNACCEPTED, Grade.WARNING)
    ]
    assert found.mistakes == ()


def test_why_no_auditor_is_believed_is_told_once_and_with_its_code() -> None:
    two = policy(lambda d: d["auditors"].insert(0, {"key": "build"}))
    stranger = provenance(STRANGER, predicate="urn:auditor:record:v1")
    # The bundle names an auditor's key, under which its signature does not hold.
    forged = seal(b"{}", STRANGER, hint=read_public_key(CI.public_pem()).cosign_hint)
    nobody = ("AUDITOR: no auditor of the trust policy acme 3 signed it",)
    for trust, bundle in ((two, stranger), (two, forged), (policy(ruled()), forged)):
        found = auditor_of(trust, bundle, NOW)
        assert (found.auditor, found.mistakes) == (None, nobody)
        assert found.objections[0].code is Code.POLICY_UNACCEPTED
    malformed = auditor_of(policy(), b"{", NOW)
    assert [it.partition(":")[0] for it in malformed.mistakes] == [Code.FORMAT]


def test_who_signed_in_another_role_is_named() -> None:
    approver = policy(lambda d: d["auditors"][0].update(roles=["approval"]))
    found = auditor_of(approver, RECORD, NOW, standing=Standing.ACCEPTED)
    text = "ci signed it, whom the trust policy does not give the role record"
    assert found == Vouched(None, (Objection(Code.AUDITOR, text),))


def test_a_key_that_signs_models_or_nothing_is_no_auditors() -> None:
    for key in (RELEASE, STRANGER):
        bundle = provenance(key, predicate="urn:auditor:record:v1")
        assert codes(auditor_of(policy(), bundle, NOW)) == [Code.AUDITOR]


def test_a_key_signs_in_its_roles_only() -> None:
    approver = policy(lambda d: d["auditors"][0].update(roles=["approval"]))
    assert codes(auditor_of(approver, RECORD, NOW)) == [Code.AUDITOR]
    found = auditor_of(approver, RECORD, NOW, role=Role.APPROVAL)
    assert found.auditor is not None


def test_an_auditor_who_was_revoked_is_believed_no_more() -> None:
    gone = policy(revoking("keys", {"sha256": named(CI), "since": "2026-05-28"}))
    assert codes(auditor_of(gone, RECORD, NOW)) == [Code.REVOKED]
    stamped = When(TODAY, Moment(TODAY - timedelta(days=30), proven=True))
    assert auditor_of(gone, RECORD, stamped).auditor is not None


def test_a_policy_that_ended_or_was_rolled_back_believes_no_auditor() -> None:
    end = When(datetime(2027, 1, 1, tzinfo=UTC))
    assert codes(auditor_of(policy(), RECORD, end)) == [Code.POLICY_EXPIRED]
    older = auditor_of(policy(), RECORD, NOW, standing=Standing.OLDER)
    assert codes(older) == [Code.POLICY_ROLLBACK]


def test_an_auditors_key_has_its_time() -> None:
    ended = policy(lambda d: d["keys"]["ci"].update(not_after="2026-05-01"))
    assert codes(auditor_of(ended, RECORD, NOW)) == [Code.KEY_TIME]


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
    said = " / ".join(remarks(doubtful, TODAY))
    for words in (
        "it ends at 2026-06-20", "keys.build is trusted for nothing", "keys.spare is trusted for",
        "keys.ci is revoked", "keys.release ended", "profile: compat", "set signed_name",
        "no min_version",
    ):  # fmt: skip
        assert words in said
    assert "trusts nobody" in " ".join(remarks(doubtful, TODAY + timedelta(days=90)))


def test_a_sound_policy_gives_nothing_to_remark() -> None:
    def sound(found: dict[str, dict[str, object]]) -> None:
        found["keys"].pop("build")
        found.update(bind_versions=True)  # type: ignore[call-overload]

    assert list(remarks(policy(sound, ruled(min_version="1.0", signed_name=True)), TODAY)) == []
    (said,) = remarks(policy(sound, ruled(min_version="1.0")), TODAY)
    assert "no signed_name that proves which version" in said
