"""Rules of a trust policy: for which models they are, what they ask, and which are refused."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from trust_papers import (
    BUILD,
    PREDICATE,
    RELEASE,
    RULE,
    SLSA,
    Change,
    Document,
    authority,
    document,
    policy,
    ruled,
)

from auditor.errors import TrustPolicyError
from auditor.trust.policies.read import read_trust_policy
from auditor.trust.policies.trust_policy import (
    AuditorRole,
    ModelClaim,
    ModelRule,
    SignerRef,
    StatementRequirement,
)
from auditor.trust.signatures.model_serialisations import HashAlgorithm
from auditor.trust.signatures.model_signing import PREDICATE as MODEL
from auditor.trust.signatures.trusted_signers import (
    UNKNOWN_KIND,
    SignerIdentity,
    TrustedKey,
    TrustedSigners,
)
from auditor.trust.timestamps import TimestampAuthorities
from auditor.trust.verification_result import VerificationProfile

ROOT = authority()
ISSUER = "https://issuer.example"
KEYLESS = {"root": "sigstore", "identity": "a@b.example", "issuer": ISSUER}
CERTIFIED = {"root": "acme", "identity": "uri:https://ci.example"}


def rooted(found: Document) -> None:
    found["roots"] = {"acme": {"pem": ROOT.decode()}, "sigstore": {"trusted_root": "{}"}}


def signed_by(*any_of: dict[str, str]) -> Change:
    return ruled(require=[{"predicate": PREDICATE, "any_of": list(any_of)}])


def only_rule(*changes: Change) -> ModelRule:
    (rule,) = policy(*changes).rules
    return rule


def mistake(*changes: Change) -> TrustPolicyError:
    with pytest.raises(TrustPolicyError) as refused:
        read_trust_policy(document(*changes), lambda _: "trust.yaml:7")
    return refused.value


def test_a_rule_asks_for_no_more_than_it_says() -> None:
    assert only_rule() == ModelRule(
        place=0,
        models=("credit-*",),
        versions=("*",),
        tags=(),
        require=(StatementRequirement(MODEL, (SignerRef(key="release"),), optional=False),),
        profile=VerificationProfile.STRICT,
        hashes=frozenset(HashAlgorithm),
        unsigned=frozenset(),
        timestamp=False,
        max_age=None,
        min_version=None,
        signed_name=False,
    )
    nulls = dict.fromkeys(
        (*("versions", "tags", "profile", "hash", "allow_unsigned", "timestamp", "max_age"),
         *("min_version", "signed_name"))
    )  # fmt: skip
    assert only_rule(ruled(**nulls)) == only_rule()


def test_a_rule_asks_for_all_that_it_says() -> None:
    beside = {"predicate": SLSA, "any_of": [{"key": "build"}], "optional": True}
    rule = only_rule(
        ruled(
            models=["a", "b-*"],
            versions=["3.*", "4.?"],
            tags=["high-risk"],
            require=[*RULE["require"], beside],
            profile="compat",
            hash=["blake3", "sha256"],
            allow_unsigned=[".gitattributes", "docs/README.md"],
            timestamp="required",
            max_age="30d",
            min_version="3.2.0",
            signed_name=True,
        )
    )
    assert rule == ModelRule(
        place=0,
        models=("a", "b-*"),
        versions=("3.*", "4.?"),
        tags=("high-risk",),
        require=(
            StatementRequirement(MODEL, (SignerRef(key="release"),), optional=False),
            StatementRequirement(SLSA, (SignerRef(key="build"),), optional=True),
        ),
        profile=VerificationProfile.COMPAT,
        hashes=frozenset({HashAlgorithm.SHA256, HashAlgorithm.BLAKE3}),
        unsigned=frozenset({".gitattributes", "docs/README.md"}),
        timestamp=True,
        max_age=timedelta(days=30),
        min_version="3.2.0",
        signed_name=True,
    )
    assert (rule.signature, rule.beside) == (rule.require[0], rule.require[1:])
    assert str(rule) == "rules[0] (a, b-*)"


def test_the_models_signature_is_told_from_other_statements_wherever_it_stands() -> None:
    beside = {"predicate": SLSA, "any_of": [{"key": "build"}]}
    rule = only_rule(ruled(require=[beside, *RULE["require"]]))
    assert rule.signature.any_of == (SignerRef(key="release"),)
    assert [item.predicate for item in rule.beside] == [SLSA]


@pytest.mark.parametrize("stamp", [None, "required"])
@pytest.mark.parametrize("age", [None, "4w"])
def test_a_rule_is_timed_by_a_timestamp_or_an_age(stamp: str | None, age: str | None) -> None:
    rule = only_rule(ruled(timestamp=stamp, max_age=age))
    assert rule.timed is (stamp is not None or age is not None)
    assert rule.asks == (("a trusted time",) if rule.timed else ())


def test_what_a_rule_asks_for_is_told_in_words() -> None:
    beside = [
        {"predicate": f"https://acme.example/{name}", "any_of": [{"key": "build"}], **settings}
        for name, settings in (("scan", {}), ("tests", {"optional": True}))
    ]
    rule = only_rule(
        ruled(
            min_version="3.2.0", signed_name=True, max_age="9d", require=[*RULE["require"], *beside]
        )
    )
    assert rule.asks == (
        "a trusted time",
        "version 3.2.0 or later",
        "the model's name in the signature",
        "https://acme.example/scan",
    )


@pytest.mark.parametrize("name", ["credit-risk", "lottery"])
@pytest.mark.parametrize("version", ["3.1", "4.1"])
@pytest.mark.parametrize("tags", [(), ("eu",), ("eu", "released")])
def test_a_rule_is_for_a_model_by_its_name_its_version_and_one_of_its_tags(
    name: str, version: str, tags: tuple[str, ...]
) -> None:
    claimed = ModelClaim(name, version, tags)
    assert claimed.subject == f"{name}@{version}"
    named, right = name == "credit-risk", version == "3.1"
    wide, narrow = ruled(), ruled(versions=["2.*", "3.*"], tags=["released", "approved"])
    assert only_rule(wide).speaks_of(claimed) is named
    assert only_rule(narrow).speaks_of(claimed) is (named and right and "released" in tags)


def test_the_rule_for_a_model_is_the_one_that_names_it() -> None:
    both = policy(lambda d: d["rules"].append({**RULE, "models": ["lottery"]}))
    for name, place in (("credit-risk", 0), ("lottery", 1)):
        rule = both.rule_for(ModelClaim(name, "1"))
        assert rule is not None
        assert rule.place == place
    assert both.rule_for(ModelClaim("weather", "1")) is None


SIGNERS = [
    ({"key": "release"}, SignerRef(key="release"), "the key release"),
    (
        KEYLESS,
        SignerRef(root="sigstore", identity=SignerIdentity.parse("email:a@b.example", ISSUER)),
        f"a@b.example of {ISSUER} under sigstore",
    ),
    (
        CERTIFIED,
        SignerRef(root="acme", identity=SignerIdentity.parse("https://ci.example")),
        "https://ci.example under acme",
    ),
]


@pytest.mark.parametrize(("written", "signer", "named"), SIGNERS)
def test_a_signer_is_a_key_or_an_identity_under_a_root(
    written: dict[str, str], signer: SignerRef, named: str
) -> None:
    (found,) = only_rule(rooted, signed_by(written)).signature.any_of
    assert found == signer
    assert str(found) == named


def test_a_signer_is_trusted_by_its_own_key_or_root_alone() -> None:
    changes = (
        rooted,
        signed_by({"key": "release"}, KEYLESS, CERTIFIED),
        ruled(allow_unsigned=["x"], hash=["blake3"]),
        lambda d: d.update(revoked={"keys": ["0" * 64]}),
    )
    trust, rule = policy(*changes), only_rule(*changes)
    believed = [trust.trusted(item, rule) for item in rule.signature.any_of]
    shared = {"revoked": {"0" * 64: None}, "unsigned": rule.unsigned, "hashes": rule.hashes}
    assert believed == [
        TrustedSigners(keys=(TrustedKey(RELEASE.public_pem()),), **shared),
        TrustedSigners(
            trusted_root=b"{}", identities=(SignerIdentity.parse("a@b.example", ISSUER),), **shared
        ),
        TrustedSigners(
            roots=(ROOT,), identities=(SignerIdentity.parse("https://ci.example"),), **shared
        ),
    ]


def test_the_clocks_of_a_policy_are_the_authorities_that_it_names() -> None:
    clocked = policy(rooted, lambda d: d.update(clocks={"roots": ["acme"], "policies": ["1.2.3"]}))
    assert clocked.clocks == TimestampAuthorities((ROOT,), frozenset({"1.2.3"}), {})
    assert policy(rooted).clocks is None
    # Sigstore's root vouches for no RFC 3161 timestamp.
    assert replace(clocked, clock_roots=("sigstore",)).clocks is None


CURE_SIGNERS = "any_of: [{key: NAME}]"
MISTAKES: dict[str, tuple[tuple[Change, ...], str, str]] = {
    "key and root": (
        (rooted, signed_by({**CERTIFIED, "key": "release"})),
        "rules[0].require[0].any_of[0] names both of a key and a root, or none",
        CURE_SIGNERS,
    ),
    "neither": (
        (signed_by({"key": "release"}, {}),),
        "rules[0].require[0].any_of[1] names both of a key and a root, or none",
        CURE_SIGNERS,
    ),
    "a key with an issuer": (
        (signed_by({"key": "release", "issuer": ISSUER}),),
        "rules[0].require[0].any_of[0] gives a key another identity than itself",
        "Leave identity and issuer out",
    ),
    "a key with an identity": (
        (signed_by({"key": "release", "identity": "a@b.example"}),),
        "rules[0].require[0].any_of[0] gives a key another identity than itself",
        "Leave identity and issuer out",
    ),
    "a root without an identity": (
        (rooted, signed_by({"root": "acme"})),
        "rules[0].require[0].any_of[0] has no identity",
        "any of the authority's would do",
    ),
    "an authority with an issuer": (
        (rooted, signed_by({**CERTIFIED, "issuer": ISSUER})),
        "rules[0].require[0].any_of[0] has an issuer under a root that is not a Sigstore one",
        "Remove it.",
    ),
    "Sigstore without an issuer": (
        (rooted, signed_by({"root": "sigstore", "identity": "a@b.example"})),
        "rules[0].require[0].any_of[0] has no issuer",
        "Add issuer",
    ),
    "an identity of no kind": (
        (rooted, signed_by({"root": "acme", "identity": "ci"})),
        "rules[0].require[0].any_of[0].identity 'ci' does not show its kind",
        UNKNOWN_KIND,
    ),
    "no signer": (
        (signed_by(),),
        "rules[0].require[0] names nobody who may sign",
        CURE_SIGNERS,
    ),
    "only statements of another type": (
        (ruled(require=[{"predicate": SLSA, "any_of": [{"key": "build"}]}]),),
        "rules[0] asks for no signature of the model",
        f"predicate: {PREDICATE}",
    ),
    "a statement twice": (
        (ruled(require=[
            *RULE["require"],
            *({"predicate": SLSA, "any_of": [{"key": it}]} for it in ("build", "ci")),
        ]),),
        f"rules[0].require[2] asks for {SLSA} a second time",
        "Join both under one any_of.",
    ),
    "a long pattern": (
        (ruled(models=["a", "b" * 201]),),
        "rules[0].models[1] has more than 200 signs",
        "Write models",
    ),
    **{
        f"the bracket {it}": (
            (ruled(versions=[f"3{it}"]),),
            f"rules[0].versions[0] is '3{it}', whose brackets stand for nothing here",
            "Write versions",
        )
        for it in "[]{}"
    },
    **{
        f"the unsigned file {it}": (
            (ruled(allow_unsigned=["a", it]),),
            f"rules[0].allow_unsigned[1] is {it!r}, which is not a plain path",
            "Name files of the model",
        )
        for it in ("../x", "/x", "*", "a?", "a//b", "*/..")
    },
    "a timestamp by another word": (
        (ruled(timestamp="optional"),),
        "rules[0].timestamp is 'optional'",
        "timestamp: required",
    ),
    "a floor of no order": (
        (ruled(min_version="latest"),),
        "rules[0].min_version is 'latest', which has no place in the order of versions",
        'as "3.2.0"',
    ),
}  # fmt: skip


@pytest.mark.parametrize(("changes", "said", "cure"), MISTAKES.values(), ids=MISTAKES)
def test_a_rule_that_makes_no_sense_is_refused_with_its_place_and_its_cure(
    changes: tuple[Change, ...], said: str, cure: str
) -> None:
    refused = mistake(*changes)
    assert refused.problem == f"trust.yaml:7: {said}"
    assert cure in refused.cure


def test_a_pattern_has_at_most_200_signs() -> None:
    assert only_rule(ruled(models=["b" * 200])).models == ("b" * 200,)


def beside(**settings: Any) -> Change:  # noqa: ANN401 -- whatever YAML has
    return lambda d: d["rules"].append({**RULE, **settings})


OVERLAPS: dict[str, tuple[tuple[Change, ...], str]] = {
    "the same models": ((beside(),), "'credit-' ''"),
    "the second of two models": (
        (ruled(models=["a", "b"]), beside(models=["c", "b"])),
        "'b' ''",
    ),
    "the second of two versions": (
        (ruled(versions=["1", "2"]), beside(versions=["3", "2"])),
        "'credit-' '2'",
    ),
    "the third rule": (
        (ruled(models=["a"]), beside(models=["b"]), beside(models=["c", "?"])),
        "'a' ''",
    ),
}


@pytest.mark.parametrize(("changes", "shared"), OVERLAPS.values(), ids=OVERLAPS)
def test_two_rules_for_one_model_are_refused(changes: tuple[Change, ...], shared: str) -> None:
    refused = mistake(*changes)
    rules = document(*changes)["rules"]
    assert refused.problem == (
        f"trust.yaml:7: rules[{len(rules) - 1}] is for a model such as {shared} too, for which "
        f"rules[0] ({', '.join(rules[0]['models'])}) is"
    )


def test_rules_that_share_only_names_or_only_versions_stand_side_by_side() -> None:
    for other in ({"versions": ["2"]}, {"models": ["debit-*"]}):
        assert len(policy(ruled(versions=["1"]), beside(**{"versions": ["1"], **other})).rules) == 2


def test_who_may_sign_what_is_told_apart() -> None:
    both = policy(
        lambda d: d["auditors"].append({"key": "build", "roles": ["waiver", "approval"]}),
    )
    assert [(item.name, item.roles) for item in both.auditors] == [
        ("ci", {AuditorRole.RECORD}),
        ("build", {AuditorRole.WAIVER, AuditorRole.APPROVAL}),
    ]
    twice = mistake(
        lambda d: d["auditors"].extend([{"key": "build"}, {"key": "build", "roles": ["waiver"]}])
    )
    assert twice.problem == "trust.yaml:7: auditors[2] names build a second time"
    judged = mistake(lambda d: d["auditors"].append({"key": "release"}))
    assert judged.problem.startswith("trust.yaml:7: auditors[1] lets release sign records")
    again = mistake(lambda d: d["keys"].update(spare={"pem": BUILD.public_pem().decode()}))
    assert again.problem == "trust.yaml:7: keys.spare is the same key as build"
