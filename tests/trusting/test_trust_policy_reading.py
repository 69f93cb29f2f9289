"""A trust policy is read strictly: what is misspelt, missing or contradictory is refused."""

from datetime import UTC, datetime
from typing import Any

import pytest
from trust_papers import (
    BUILD,
    PREDICATE,
    RELEASE,
    RULE,
    Change,
    document,
    headed,
    named,
    policy,
    revoking,
    ruled,
)

from auditor.domain.policies import Assurance
from auditor.errors import TrustPolicyError
from auditor.signatures.profiles import Profile
from auditor.trusting.policies import Claimed, Role
from auditor.trusting.reading import read_trust_policy


def test_a_policy_says_what_it_says() -> None:
    found = policy(ruled(profile="compat", max_age="4w", min_version="3.0", timestamp="required"))
    assert (found.name, found.version, str(found)) == ("acme", 3, "acme 3")
    assert found.expires == datetime(2027, 1, 1, tzinfo=UTC)
    (rule,) = found.rules
    assert (rule.profile, rule.timestamp, rule.max_age and rule.max_age.days) == (
        Profile.COMPAT, True, 28,
    )  # fmt: skip
    (auditor,) = found.auditors
    assert (auditor.name, auditor.highest, auditor.roles) == (
        "ci", Assurance.A1, frozenset({Role.RECORD}),
    )  # fmt: skip


def test_its_digest_covers_the_keys_that_it_names() -> None:
    other = BUILD.public_pem().decode() + "\n"
    assert policy().digest == policy().digest
    assert policy(lambda d: d["keys"]["build"].update(pem=other)).digest != policy().digest


def test_what_no_rule_names_has_none() -> None:
    narrow = policy(ruled(versions=["3.*"], tags=["released"]))
    assert narrow.rule_for(Claimed("credit-risk", "3.1", ("released", "eu"))) is not None
    for claimed in (
        Claimed("debit-risk", "3.1", ("released",)),
        Claimed("credit-risk", "4.0", ("released",)),
        Claimed("credit-risk", "3.1"),
    ):
        assert narrow.rule_for(claimed) is None


def test_of_two_revocations_of_one_thing_the_wider_counts() -> None:
    key = named(RELEASE)
    later = {"sha256": key, "since": "2026-05-01"}
    earlier = {"sha256": key, "since": "2026-04-01T00:00:00Z"}
    hexadecimal = key.removeprefix("sha256:")
    assert policy(revoking("keys", later, earlier)).revoked[hexadecimal] == datetime(
        2026, 4, 1, tzinfo=UTC
    )
    assert policy(revoking("keys", later, key)).revoked[hexadecimal] is None
    assert policy(revoking("keys", key, later)).revoked[hexadecimal] is None


def twice(**settings: Any) -> Change:  # noqa: ANN401 -- whatever YAML has
    return lambda d: d["rules"].append({**RULE, **settings})


def signers(*any_of: Any) -> Change:  # noqa: ANN401 -- whatever YAML has
    return ruled(require=[{"predicate": PREDICATE, "any_of": list(any_of)}])


ROOTS = {"sigstore": {"trusted_root": "{}"}}
MISTAKES: dict[str, tuple[Change, str]] = {
    "unknown setting": (lambda d: d.update(rule=[]), "'rule' is no setting here"),
    "unknown setting of a rule": (ruled(min_versoin="3"), "'min_versoin' is no setting"),
    "unknown setting of a signer": (signers({"key": "release", "iss": "x"}), "'iss' is no setting"),
    "another kind": (lambda d: d.update(kind="Policy"), "kind is 'Policy'"),
    "another version": (lambda d: d.update(apiVersion="auditor/v2"), "apiVersion is"),
    "default allow": (lambda d: d.update(default="allow"), "default is 'allow'"),
    "nobody": (lambda d: d.update(rules=[], auditors=[]), "trusts nobody"),
    "no version": (lambda d: d["metadata"].pop("version"), "metadata has no version"),
    "a text for a version": (headed(version="3"), "metadata.version is '3'"),
    "true for a version": (headed(version=True), "metadata.version is True"),
    "no end": (lambda d: d["metadata"].pop("expires"), "metadata has no expires"),
    "an end without a zone": (headed(expires="2027-01-01T00:00:00"), "metadata.expires is"),
    "an end that is no day": (headed(expires="2027-02-30"), "metadata.expires is"),
    "a name with spaces": (headed(name="Acme models"), "metadata.name is"),
    "no owner": (headed(owner=None), "metadata has no owner"),
    "a private key": (
        lambda d: d["keys"]["ci"].update(pem="-----BEGIN PRIVATE KEY-----"),
        "keys.ci.pem cannot be used",
    ),
    "a next owner who is judged": (
        lambda d: d["metadata"].update(next_owner=d["keys"]["ci"]["pem"]),
        "metadata.next_owner is ci",
    ),
    "a next owner that is no key": (headed(next_owner="x"), "metadata.next_owner cannot be used"),
    "half a character": (
        lambda d: d["keys"]["ci"].update(pem="\ud800"),
        "keys.ci.pem holds half a character",
    ),
    "no key": (lambda d: d["keys"]["ci"].update(pem="nothing"), "keys.ci.pem cannot be used"),
    "a key twice": (
        lambda d: d["keys"].update(again=d["keys"]["ci"]),
        "keys.again is the same key",
    ),
    "a key that ends first": (
        lambda d: d["keys"]["ci"].update(not_before="2026-02-01", not_after="2026-01-01"),
        "ends before it begins",
    ),
    "a root of both kinds": (
        lambda d: d.update(roots={"a": {"pem": "x", "trusted_root": "{}"}}),
        "roots.a has both",
    ),
    "a root that is none": (
        lambda d: d.update(roots={"a": {"pem": "x"}}),
        "roots.a cannot be used",
    ),
    "a trust root that is no JSON": (
        lambda d: d.update(roots={"a": {"trusted_root": "{"}}),
        "roots.a cannot be used",
    ),
    "an unknown key": (signers({"key": "releases"}), "names 'releases', which is not under keys"),
    "an unknown root": (signers({"root": "acme", "identity": "a@b"}), "names 'acme'"),
    "a key with an identity": (signers({"key": "release", "identity": "a@b"}), "another identity"),
    "nobody who may sign": (signers(), "names nobody"),
    "no way to sign": (signers({"identity": "a@b"}), "both of a key and a root, or none"),
    "no signature of the model": (ruled(require=[]), "asks for no signature of the model"),
    "an optional signature": (
        ruled(require=[{"predicate": PREDICATE, "any_of": [{"key": "release"}], "optional": True}]),
        "asks for no signature of the model",
    ),
    "a predicate twice": (ruled(require=[*RULE["require"], *RULE["require"]]), "a second time"),
    "no models": (ruled(models=[]), "is for no model"),
    "brackets in a pattern": (ruled(models=["credit-[ab]"]), "brackets stand for nothing"),
    "another hash": (ruled(hash=["md5"]), "hash[0] is 'md5'"),
    "no hash": (ruled(hash=[]), "lists no hash"),
    "another profile": (ruled(profile="lax"), "profile is 'lax'"),
    "no age": (ruled(max_age="400"), "max_age is '400'"),
    "a floor as a number": (ruled(min_version=3.1), "min_version is 3.1"),
    "a floor without an order": (ruled(min_version="newest"), "no place in the order"),
    "a timestamp that is a word": (ruled(timestamp="yes"), "timestamp is 'yes'"),
    "a flag that is a word": (lambda d: d.update(bind_versions="yes"), "bind_versions is 'yes'"),
    "an unsigned file elsewhere": (ruled(allow_unsigned=["../x"]), "no plain path"),
    "an unsigned pattern": (ruled(allow_unsigned=["*"]), "no plain path"),
    "a revocation that is no digest": (revoking("keys", "ab"), "revoked.keys[0] is 'ab'"),
    "a revocation of another kind": (
        lambda d: d.update(revoked={"people": []}),
        "'people' is no setting",
    ),
    "a revocation at no time": (
        revoking("keys", {"sha256": named(RELEASE), "since": "once"}),
        "since is 'once'",
    ),
    "the same rule twice": (twice(), "is for a model such as 'credit-' "),
    "rules that overlap": (twice(models=["*-risk"]), "is for a model such as 'credit-risk'"),
    "tags tell no rules apart": (twice(tags=["released"]), "is for a model such as"),
    "who signs models audits": (
        lambda d: d["auditors"].append({"key": "release"}),
        "lets release sign records",
    ),
    "an auditor twice": (lambda d: d["auditors"].append({"key": "ci"}), "names ci a second time"),
    "an assurance that is none": (
        lambda d: d["auditors"][0].update(highest="A4"),
        "highest is 'A4'",
    ),
    "a role that is none": (lambda d: d["auditors"][0].update(roles=["any"]), "roles[0] is 'any'"),
}


@pytest.mark.parametrize(("change", "said"), MISTAKES.values(), ids=MISTAKES)
def test_mistakes_are_named_with_their_place_and_a_cure(change: Change, said: str) -> None:
    with pytest.raises(TrustPolicyError) as refused:
        policy(change)
    assert said in refused.value.problem
    assert refused.value.problem.startswith("trust.yaml:(")
    assert refused.value.cure


def test_rules_for_other_versions_of_a_model_stand_side_by_side() -> None:
    found = policy(ruled(versions=["3.*"]), twice(versions=["4.*"]))
    for version, place in (("3.1", 0), ("4.1", 1)):
        rule = found.rule_for(Claimed("credit-risk", version))
        assert rule is not None
        assert rule.place == place


@pytest.mark.parametrize("value", [None, [], "acme", 3, {"metadata": None}])
def test_what_is_no_policy_is_refused(value: Any) -> None:  # noqa: ANN401 -- whatever YAML has
    with pytest.raises(TrustPolicyError):
        read_trust_policy(value, lambda _: "here")


def test_a_keyless_signer_needs_an_issuer_and_no_other_may_have_one() -> None:
    keyless = {"root": "sigstore", "identity": "a@b.c"}
    with pytest.raises(TrustPolicyError, match="has no issuer"):
        policy(lambda d: d.update(roots=ROOTS), signers(keyless))
    found = document(lambda d: d.update(roots=ROOTS), signers({**keyless, "issuer": "https://x"}))
    (rule,) = read_trust_policy(found, lambda _: "here").rules
    assert str(rule.signature.any_of[0]) == "a@b.c of https://x under sigstore"
