"""What a trust policy makes of a model's signature: whose it may be, and what else is asked."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256

import pytest
from trust_papers import (
    BUILD,
    CREDIT,
    FILES,
    OTHER_FILES,
    PREDICATE,
    RELEASE,
    RULE,
    SLSA,
    STRANGER,
    TODAY,
    Change,
    Document,
    files_of,
    headed,
    judged,
    named,
    payload_digest,
    policy,
    provenance,
    revoking,
    ruled,
    signature,
)

from auditor.domain.trust_context import ModelBinding, TrustPolicyStatus
from auditor.trust.encoding.dsse import InTotoStatement, SubjectDigest
from auditor.trust.policies.query import ModelAttestations
from auditor.trust.policies.trust_policy import ModelClaim
from auditor.trust.signatures.sigstore_bundle import sign_bundle
from auditor.trust.signatures.trusted_signers import VerificationTime
from auditor.trust.verification_result import IssueCode, SignatureVerification

DAY = timedelta(days=1)
STAMPED = VerificationTime(TODAY - 10 * DAY, proven=True)


def errors(found: SignatureVerification) -> list[IssueCode]:
    return [item.code for item in found.objections if item.grade == "error"]


def refused(found: SignatureVerification, *codes: IssueCode) -> bool:
    """Refused with just these codes, in words that every terminal shows."""
    assert all(item.text.isascii() and item.text.isprintable() for item in found.objections)
    return not found.verified and errors(found) == list(codes)


def presented(**beside: object) -> ModelAttestations:
    return replace(ModelAttestations(signature(), standing=TrustPolicyStatus.ACCEPTED), **beside)  # type: ignore[arg-type]


def test_a_model_that_a_trusted_key_signed_is_verified() -> None:
    found = judged(policy())
    assert (found.verified, found.identity, found.objections) == (True, RELEASE.identity, ())


def test_a_model_without_a_rule_is_never_trusted() -> None:
    for name in ("lottery", "Prüfung\n", "credit-"[:-1]):
        assert refused(judged(policy(), claimed=ModelClaim(name, "3.2.0")), IssueCode.NO_RULE)


def test_an_unsigned_model_is_refused() -> None:
    assert refused(judged(policy(), presented=presented(bundle=None)), IssueCode.UNSIGNED)


def test_a_key_that_the_rule_does_not_name_signs_nothing() -> None:
    # build is a key of the policy, for other things.
    assert errors(judged(policy(), signature(BUILD))) == [IssueCode.KEY]
    assert errors(judged(policy(), signature(STRANGER))) == [IssueCode.KEY]


def test_one_model_served_as_another_is_refused_by_the_rule_of_the_other() -> None:
    lottery: Document = {
        "models": ["lottery"],
        "require": [{"predicate": PREDICATE, "any_of": [{"key": "build"}]}],
    }
    both = policy(lambda d: d["rules"].append(lottery))
    assert judged(both).verified
    assert errors(judged(both, claimed=ModelClaim("lottery", "1.0"))) == [IssueCode.KEY]


def test_one_model_served_as_another_of_the_same_signer_is_refused_by_the_signed_name() -> None:
    strict = policy(ruled(models=["*"], signed_name=True))
    mine = signature(name="credit-risk@3.2.0")
    assert judged(strict, mine).verified
    for claimed in (ModelClaim("lottery", "3.2.0"), ModelClaim("credit-risk", "3.3.0")):
        assert refused(judged(strict, mine, claimed), IssueCode.NAME)
    assert refused(judged(strict, signature(name="model.onnx")), IssueCode.NAME)


def test_other_files_than_the_signed_ones_are_refused() -> None:
    assert errors(judged(policy(), signature(), files=OTHER_FILES)) == [
        IssueCode.MISSING_FILE,
        IssueCode.EXTRA_FILE,
    ]


@pytest.mark.parametrize(
    ("version", "trusted"),
    [("3.1.9", False), ("3.2.0-rc.1", False), ("3.2.0", True), ("3.10", True), ("latest", False)],
)
def test_versions_below_the_floor_are_rolled_back_ones(version: str, trusted: bool) -> None:  # noqa: FBT001
    found = judged(policy(ruled(min_version="3.2.0")), claimed=ModelClaim("credit-risk", version))
    assert errors(found) == ([] if trusted else [IssueCode.VERSION_FLOOR])


def test_a_key_signature_for_something_else_is_no_signature_of_a_model() -> None:
    for other in (SLSA, "urn:auditor:record:v1", "urn:auditor:trust-policy:v1"):
        assert refused(judged(policy(), provenance(RELEASE, predicate=other)), IssueCode.PREDICATE)


def test_a_policy_trusts_nobody_from_its_end_on() -> None:
    end = datetime(2027, 1, 1, tzinfo=UTC)
    assert judged(policy(), looked=end - timedelta(seconds=1)).verified
    ended = judged(policy(), looked=end)
    assert refused(ended, IssueCode.POLICY_EXPIRED)
    assert ended.identity is None
    # A signature that was stamped in time does not make the policy younger.
    assert refused(judged(policy(), looked=end, stamped=STAMPED), IssueCode.POLICY_EXPIRED)


@pytest.mark.parametrize(
    ("standing", "codes"),
    [
        (TrustPolicyStatus.ACCEPTED, []),
        (TrustPolicyStatus.NEWER, [IssueCode.POLICY_UNACCEPTED]),
        (TrustPolicyStatus.OLDER, [IssueCode.POLICY_ROLLBACK]),
        (TrustPolicyStatus.CHANGED, [IssueCode.POLICY_CHANGED]),
    ],
)
def test_a_policy_that_is_not_the_accepted_one_trusts_nobody(
    standing: TrustPolicyStatus, codes: list[IssueCode]
) -> None:
    found = judged(policy(), presented=presented(standing=standing))
    assert (errors(found), found.verified) == (codes, not codes)


def test_a_policy_that_nobody_accepted_is_used_with_a_warning() -> None:
    found = judged(policy(), presented=presented(standing=TrustPolicyStatus.UNKNOWN))
    assert (found.verified, found.codes) == (True, (IssueCode.POLICY_UNACCEPTED,))


REVOCATIONS: dict[str, Callable[[object], Change]] = {
    "key": lambda since: revoking("keys", {"sha256": named(RELEASE), "since": since}),
    "statement": lambda since: revoking(
        "payloads", {"sha256": payload_digest(signature()), "since": since}
    ),
}


@pytest.mark.parametrize("revoke", REVOCATIONS.values(), ids=REVOCATIONS)
def test_what_is_revoked_counts_only_with_a_trusted_time_before_that(
    revoke: Callable[[object], Change],
) -> None:
    since = policy(revoke("2026-05-28"))
    assert refused(judged(since), IssueCode.REVOKED)
    assert judged(since, stamped=STAMPED).verified
    assert refused(judged(since, stamped=replace(STAMPED, proven=False)), IssueCode.REVOKED)
    assert refused(
        judged(since, stamped=VerificationTime(TODAY - DAY, proven=True)), IssueCode.REVOKED
    )
    assert refused(judged(policy(revoke(None)), stamped=STAMPED), IssueCode.REVOKED)


def test_a_key_signs_only_in_its_time() -> None:
    timed = policy(
        lambda d: d["keys"]["release"].update(not_before="2026-05-01", not_after="2026-05-30")
    )
    assert refused(judged(timed), IssueCode.KEY_TIME)
    assert judged(timed, stamped=STAMPED).verified
    assert refused(
        judged(timed, stamped=VerificationTime(TODAY - 60 * DAY, proven=True)), IssueCode.KEY_TIME
    )


def test_a_timestamp_that_is_asked_for_fails_closed_until_there_is_one() -> None:
    asking = policy(ruled(timestamp="required"))
    assert refused(judged(asking), IssueCode.NO_TIME)
    assert judged(asking, stamped=STAMPED).verified
    for wrong in (VerificationTime(TODAY - DAY), VerificationTime(TODAY + DAY, proven=True)):
        assert refused(judged(asking, stamped=wrong), IssueCode.NO_TIME)


def test_a_signature_must_not_be_older_than_the_rule_allows() -> None:
    short = policy(ruled(max_age="9d"))
    assert refused(judged(short, stamped=STAMPED), IssueCode.TOO_OLD)
    assert judged(policy(ruled(max_age="10d")), stamped=STAMPED).verified
    assert refused(judged(short), IssueCode.NO_TIME)


def binding(name: str = "credit-risk", version: str = "3.2.0") -> ModelBinding:
    return ModelBinding(name, version, "sha256:" + "a" * 64, "2026-01-01T00:00:00Z")


@pytest.mark.parametrize("other", [binding(), binding(version="2.0"), binding("lottery")])
def test_a_name_and_version_belong_to_the_first_bytes_where_the_policy_binds_them(
    other: ModelBinding,
) -> None:
    bound = presented(bindings=(other,))
    found = judged(policy(lambda d: d.update(bind_versions=True)), presented=bound)
    assert refused(found, IssueCode.VERSION_BOUND)
    loose = judged(policy(), presented=bound)
    assert (loose.verified, loose.codes) == (True, (IssueCode.VERSION_BOUND,))


def asking_for_provenance(**settings: object) -> Change:
    asked = {"predicate": SLSA, "any_of": [{"key": "build"}], **settings}
    return ruled(require=[*RULE["require"], asked])


SUBJECT_OF_ARTIFACT = sign_bundle(
    InTotoStatement((SubjectDigest("m", payload_digest(signature())),), SLSA, {}).emit(), BUILD
)
PAPERS: dict[str, tuple[bytes, bool]] = {
    "about these files": (provenance(), True),
    "about these files and others": (provenance(files=(*FILES, *OTHER_FILES)), True),
    "about the signed statement": (SUBJECT_OF_ARTIFACT, True),
    "as one of several lines": (b"{}\n" + provenance() + b"\n", True),
    "about other files": (provenance(files=OTHER_FILES), False),
    "by another key": (provenance(RELEASE), False),
    "of another type": (provenance(predicate="https://slsa.dev/provenance/v0.2"), False),
    "tampered with": (provenance().replace(b'"payload":"ey', b'"payload":"ez'), False),
    "no paper at all": (b"\xff\x00", False),
}


@pytest.mark.parametrize(("paper", "counts"), PAPERS.values(), ids=PAPERS)
def test_a_statement_that_the_rule_asks_for_must_be_there_and_speak_of_the_model(
    paper: bytes,
    counts: bool,  # noqa: FBT001
) -> None:
    found = judged(policy(asking_for_provenance()), presented=presented(papers=(paper,)))
    assert errors(found) == ([] if counts else [IssueCode.PREDICATE_MISSING])


def test_a_statement_must_speak_of_every_file_that_must_be_signed() -> None:
    files = (*FILES, *files_of("shared"))
    about_one = presented(bundle=signature(files=files), papers=(provenance(),))
    asking = policy(asking_for_provenance())
    assert errors(judged(asking, files=files, presented=about_one)) == [IssueCode.PREDICATE_MISSING]


def test_an_optional_statement_may_be_absent_and_must_hold_where_it_is() -> None:
    optional = policy(asking_for_provenance(optional=True))
    absent = judged(optional)
    assert (absent.verified, absent.codes) == (True, (IssueCode.PREDICATE_MISSING,))
    wrong = judged(optional, presented=presented(papers=(provenance(STRANGER),)))
    assert errors(wrong) == [IssueCode.PREDICATE_MISSING]


def test_hashes_and_unsigned_files_are_those_of_the_rule() -> None:
    attributes = replace(FILES[0], name=".gitattributes")
    with_git = (*FILES, attributes)
    assert errors(judged(policy(), signature(), files=with_git)) == [IssueCode.GIT_ATTRIBUTES]
    allowed = policy(ruled(allow_unsigned=[".gitattributes"]))
    assert judged(allowed, signature(), files=with_git).verified
    assert refused(judged(policy(ruled(hash=["blake3"]))), IssueCode.HASH_TYPE)


def test_a_profile_is_that_of_the_rule() -> None:
    bundle = lone_bundle()
    assert errors(judged(policy(), bundle)) == [IssueCode.SINGLE_FILE_NAME]
    lenient = judged(policy(ruled(profile="compat")), bundle)
    assert (lenient.verified, lenient.codes) == (True, (IssueCode.SINGLE_FILE_NAME,))


def lone_bundle() -> bytes:
    """A signature that calls the model's only file ``.``, as the reference does."""
    digest = FILES[0].sha256
    predicate: Document = {
        "serialization": {"method": "files", "hash_type": "sha256", "allow_symlinks": False},
        "resources": [{"name": ".", "algorithm": "sha256", "digest": digest}],
    }
    root = sha256(bytes.fromhex(digest)).hexdigest()
    return sign_bundle(
        InTotoStatement((SubjectDigest("model", root),), PREDICATE, predicate).emit(), RELEASE
    )


@pytest.mark.parametrize("change", [headed(version=4), ruled(min_version="1.0")])
def test_nothing_else_changes_what_a_signature_comes_to(change: Change) -> None:
    assert judged(policy(change), claimed=CREDIT).verified
