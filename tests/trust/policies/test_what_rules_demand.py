"""What a rule asks of a model whose signature holds: its name, its version, its age."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta

import pytest
from trust_papers import (
    CREDIT,
    FILES,
    OTHER_FILES,
    RULE,
    SLSA,
    TODAY,
    Change,
    Document,
    authority,
    judged,
    policy,
    provenance,
    ruled,
    signature,
)

from auditor.domain.trust_context import ModelBinding, TrustPolicyStatus
from auditor.trust.policies.evaluate_signature import (
    apply_rule_demands,
    apply_timestamps,
    find_binding_issues,
    find_claim_issues,
    find_policy_issues,
)
from auditor.trust.policies.query import ModelAttestations, QueryTime, TrustQuery
from auditor.trust.policies.trust_policy import ModelClaim, TrustPolicy
from auditor.trust.signatures.trusted_signers import VerificationTime
from auditor.trust.verification_result import (
    IssueCode,
    IssueGrade,
    SignatureVerification,
    VerificationIssue,
)

SECOND = timedelta(seconds=1)
NOW = QueryTime(TODAY)
STAMPED = VerificationTime(TODAY - timedelta(days=10), proven=True)


def claims(
    *changes: Change,
    subject: object = (),
    claimed: ModelClaim = CREDIT,
    when: QueryTime | None = NOW,
    bundle: bytes | None = None,
    bindings: Sequence[ModelBinding] = (),
) -> list[tuple[IssueCode, str]]:
    """What speaks against a model whose signature holds; all of it is an error."""
    asked = TrustQuery(policy(*changes), claimed, when)
    assert asked.rule is not None
    payload = json.dumps({"subject": subject}).encode()
    shown = ModelAttestations(bundle, bindings=bindings)
    found = list(find_claim_issues(asked, asked.rule, payload, shown))
    assert all(item.grade is IssueGrade.ERROR for item in found)
    return [(item.code, item.text) for item in found]


def subjects(*names: str) -> list[dict[str, str]]:
    return [{"name": name} for name in names]


@pytest.mark.parametrize(
    ("subject", "said"),
    [
        (subjects("model"), "'model'"),
        (subjects("credit-risk"), "'credit-risk'"),
        (subjects("credit-risk@3.2.1"), "'credit-risk@3.2.1'"),
        (subjects(), "0 subjects"),
        (subjects("credit-risk@3.2.0", "lottery@1"), "2 subjects"),
        (["credit-risk@3.2.0"], "0 subjects"),
        ({"name": "credit-risk@3.2.0"}, "0 subjects"),
        (5, "0 subjects"),
        (None, "0 subjects"),
        ([{}], "of type NoneType"),
    ],
)
def test_a_signature_names_the_model_and_nothing_else_where_the_rule_says_so(
    subject: object, said: str
) -> None:
    text = f"the signature names {said}, and the model is called 'credit-risk@3.2.0'"
    assert claims(ruled(signed_name=True), subject=subject) == [(IssueCode.NAME, text)]
    assert claims(subject=subject) == []
    assert claims(ruled(signed_name=True), subject=subjects("credit-risk@3.2.0")) == []


def test_a_version_below_the_floor_or_without_an_order_is_told() -> None:
    floor = ruled(min_version="3.2.0")

    def about(version: str) -> list[tuple[IssueCode, str]]:
        return claims(floor, claimed=replace(CREDIT, version=version))

    below = "the version '3.1.9' is below 3.2.0, the lowest that is trusted still"
    strange = "the version 'newest' cannot be compared with the floor 3.2.0"
    assert about("3.1.9") == [(IssueCode.VERSION_FLOOR, below)]
    assert about("newest") == [(IssueCode.VERSION_FLOOR, strange)]
    assert about("3.2") == about("3.2.1") == []
    assert claims(claimed=replace(CREDIT, version="newest")) == []


NO_TIME = "no trusted clock says when it was signed, which the trust policy asks for"
MINUTES = timedelta(minutes=5)


@pytest.mark.parametrize(
    ("stamped", "trusted"),
    [
        (VerificationTime(TODAY, proven=True), True),
        (VerificationTime(TODAY), False),
        (VerificationTime(TODAY - MINUTES - SECOND, proven=True), True),
        (VerificationTime(TODAY + MINUTES, proven=True), True),
        (VerificationTime(TODAY + MINUTES + SECOND, proven=True), False),
        (None, False),
    ],
)
def test_a_trusted_clock_may_be_ahead_by_five_minutes(
    stamped: VerificationTime | None,
    trusted: bool,  # noqa: FBT001
) -> None:
    asking = ruled(timestamp="required")
    missing = [] if trusted else [(IssueCode.NO_TIME, NO_TIME)]
    for bundle in (None, b"no bundle", signature()):
        assert claims(asking, when=QueryTime(TODAY, stamped), bundle=bundle) == missing
        assert claims(when=QueryTime(TODAY, stamped), bundle=bundle) == []


def test_without_a_time_of_looking_nothing_says_when_it_was_signed() -> None:
    assert claims(ruled(timestamp="required"), when=None) == [(IssueCode.NO_TIME, NO_TIME)]
    assert claims(when=None) == []


@pytest.mark.parametrize(
    ("age", "oldest"), [("36h", timedelta(hours=36)), ("1w", timedelta(days=7))]
)
def test_a_signature_may_be_just_as_old_as_the_rule_allows(age: str, oldest: timedelta) -> None:
    def aged(since: timedelta) -> list[tuple[IssueCode, str]]:
        return claims(
            ruled(max_age=age), when=QueryTime(TODAY, VerificationTime(TODAY - since, proven=True))
        )

    assert aged(oldest) == aged(timedelta(0)) == []
    ((code, text),) = aged(oldest + SECOND)
    assert code is IssueCode.TOO_OLD
    assert text == (
        f"it was signed at {VerificationTime(TODAY - oldest - SECOND)}, and the trust policy takes "
        f"none from before {VerificationTime(TODAY - oldest)}"
    )


MOMENT, OTHER = "2026-01-01T00:00:00Z", "sha256:" + "a" * 64


def bound(name: str = "credit-risk", version: str = "3.2.0") -> ModelBinding:
    return ModelBinding(name, version, OTHER, MOMENT)


def test_what_was_registered_before_is_told_and_is_an_error_where_the_policy_binds() -> None:
    found = claims(
        lambda d: d.update(bind_versions=True), bindings=(bound(), bound("lottery"), bound())
    )
    other_bytes = (
        f"'credit-risk' '3.2.0' was registered at {MOMENT} with other bytes ({OTHER}); give these "
        "a new version"
    )
    other_name = (
        f"these bytes were registered at {MOMENT} as 'lottery' '3.2.0'; what is new needs new bytes"
    )
    assert [text for _, text in found] == [other_bytes, other_name, other_bytes]
    assert {code for code, _ in found} == {IssueCode.VERSION_BOUND}
    (version,) = find_binding_issues(CREDIT, [bound(version="3.1")])
    assert version.text.startswith("these bytes were registered")


def refusing(*changes: Change) -> Iterator[TrustPolicy]:
    """The policy with more and more to ask."""
    yield from (policy(*changes[:count]) for count in range(len(changes) + 1))


def test_each_demand_is_told_beside_the_others() -> None:
    asked = {"predicate": SLSA, "any_of": [{"key": "build"}]}
    demands = (
        ruled(signed_name=True),
        ruled(min_version="4.0"),
        ruled(timestamp="required"),
        lambda d: d.update(bind_versions=True),
        ruled(require=[*RULE["require"], asked]),
    )
    codes = (IssueCode.NAME, IssueCode.VERSION_FLOOR, IssueCode.NO_TIME, IssueCode.VERSION_BOUND,
             IssueCode.PREDICATE_MISSING)  # fmt: skip
    shown = ModelAttestations(signature(), standing=TrustPolicyStatus.ACCEPTED)
    for count, trust in enumerate(refusing(*demands)):
        met = replace(shown, bindings=(bound(),) if count > 3 else ())
        assert judged(trust, presented=met).codes == codes[:count]
        # Of a signature that does not hold over the files nothing more is asked.
        moved = judged(trust, presented=met, files=OTHER_FILES)
        assert moved.codes == (IssueCode.MISSING_FILE, IssueCode.EXTRA_FILE)


def test_what_holds_against_a_policy_and_beside_a_signature_is_all_told() -> None:
    found = judged(policy(ruled(min_version="4.0")), presented=ModelAttestations(signature()))
    assert [(item.code, item.grade) for item in found.objections] == [
        (IssueCode.POLICY_UNACCEPTED, IssueGrade.WARNING),
        (IssueCode.VERSION_FLOOR, IssueGrade.ERROR),
    ]
    absent = judged(policy(), presented=ModelAttestations(None))
    assert absent.objections == (
        VerificationIssue(
            IssueCode.POLICY_UNACCEPTED,
            "nobody accepted the trust policy acme 3 on this machine (auditor trust accept)",
            IssueGrade.WARNING,
        ),
        VerificationIssue(IssueCode.UNSIGNED, "the audit names no signature"),
    )


def test_a_policy_that_is_asked_at_no_time_trusts_nobody() -> None:
    asked = TrustQuery(policy(), CREDIT, None)
    assert asked.moment is None
    said = "nobody says when the trust policy acme 3 was looked at"
    assert find_policy_issues(asked, TrustPolicyStatus.ACCEPTED) == (
        VerificationIssue(IssueCode.POLICY_EXPIRED, said),
    )
    clocked = TrustQuery(policy(clock), CREDIT, None)
    assert apply_timestamps(clocked, ModelAttestations(signature(), timestamps=b"x")) == (
        clocked,
        (),
    )


def clock(found: Document) -> None:
    found.update(roots={"tsa": {"pem": authority().decode()}}, clocks={"roots": ["tsa"]})


def test_a_timestamp_that_proves_nothing_is_an_error_where_a_rule_asks_for_a_time() -> None:
    shown = ModelAttestations(signature(), timestamps=b"x")
    for change, name, grade in (
        (ruled(timestamp="required"), "credit-risk", IssueGrade.ERROR),
        (ruled(max_age="9d"), "credit-risk", IssueGrade.ERROR),
        (ruled(), "credit-risk", IssueGrade.WARNING),
        (ruled(timestamp="required"), "lottery", IssueGrade.WARNING),
    ):
        asked = TrustQuery(policy(clock, change), ModelClaim(name, "1"), NOW)
        same, (doubt,) = apply_timestamps(asked, shown)
        assert (same, doubt.code, doubt.grade) == (asked, IssueCode.TIMESTAMP, grade)
        assert doubt.text.startswith("the timestamp beside the signature proves nothing: ")
        for nothing in (replace(shown, bundle=None), replace(shown, timestamps=None)):
            assert apply_timestamps(asked, nothing) == (asked, ())


def test_a_policy_without_a_rule_says_for_which_model() -> None:
    said = "the trust policy acme 3 has no rule for 'lottery' '1', which so is not trusted"
    asked = TrustQuery(policy(), ModelClaim("lottery", "1"), NOW)
    assert find_policy_issues(asked, TrustPolicyStatus.ACCEPTED) == (
        VerificationIssue(IssueCode.NO_RULE, said),
    )
    ended = replace(asked, when=QueryTime(policy().expires))
    assert [it.code for it in find_policy_issues(ended, TrustPolicyStatus.OLDER)] == [
        *(IssueCode.POLICY_ROLLBACK, IssueCode.POLICY_EXPIRED, IssueCode.NO_RULE),
    ]


def test_what_is_signed_counts_at_the_stamped_time_and_else_at_the_time_of_looking() -> None:
    stamped = QueryTime(TODAY, STAMPED)
    assert (stamped.moment, stamped.unstamped) == (STAMPED, NOW)
    assert NOW.moment == VerificationTime(TODAY)
    assert TrustQuery(policy(), CREDIT, stamped).moment == STAMPED


def test_statements_beside_a_model_are_judged_when_they_are_looked_at() -> None:
    asking = ruled(require=[*RULE["require"], {"predicate": SLSA, "any_of": [{"key": "build"}]}])
    ended = policy(asking, lambda d: d["keys"]["build"].update(not_after="2026-05-30"))
    shown = ModelAttestations(signature(), (provenance(),), standing=TrustPolicyStatus.ACCEPTED)
    assert judged(policy(asking), stamped=STAMPED, presented=shown).verified
    late = judged(ended, stamped=STAMPED, presented=shown)
    assert [it.text for it in late.objections] == [
        f"there is no statement '{SLSA}' about this model: the key is trusted at another time only"
    ]
    rule = ended.rules[0]
    holds = SignatureVerification((), "key:x", b'{"subject": []}')
    timeless = apply_rule_demands(TrustQuery(ended, CREDIT, None), rule, holds, shown, FILES)
    (missing,) = timeless.objections
    assert missing.text.endswith(": there is no time at which the key can be judged")
