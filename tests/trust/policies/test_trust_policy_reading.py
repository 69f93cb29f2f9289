"""A trust policy is read strictly: what is misspelt, missing or contradictory is refused."""

from datetime import UTC, datetime
from itertools import product
from typing import Any

import pytest
from trust_papers import (
    BUILD,
    CI,
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

from auditor.domain.policies import AssuranceLevel
from auditor.domain.trust_context import TrustRef
from auditor.errors import TrustPolicyError
from auditor.trust.policies.read import read_trust_policy
from auditor.trust.policies.trust_policy import AuditorRole, ModelClaim, TrustedAuditor
from auditor.trust.signatures.trusted_signers import TrustedKey
from auditor.trust.verification_result import VerificationProfile


def test_a_policy_says_what_it_says() -> None:
    found = policy(ruled(profile="compat", max_age="4w", min_version="3.0", timestamp="required"))
    assert (found.name, found.version, str(found)) == ("acme", 3, "acme 3")
    assert found.expires == datetime(2027, 1, 1, tzinfo=UTC)
    (rule,) = found.rules
    assert (rule.profile, rule.timestamp, rule.max_age and rule.max_age.days) == (
        VerificationProfile.COMPAT, True, 28,
    )  # fmt: skip
    (auditor,) = found.auditors
    assert (auditor.name, auditor.highest, auditor.roles) == (
        "ci", AssuranceLevel.A1, frozenset({AuditorRole.RECORD}),
    )  # fmt: skip


def test_its_digest_covers_the_keys_that_it_names() -> None:
    other = BUILD.public_pem().decode() + "\n"
    assert policy().digest == policy().digest
    assert policy(lambda d: d["keys"]["build"].update(pem=other)).digest != policy().digest


def test_what_no_rule_names_has_none() -> None:
    narrow = policy(ruled(versions=["3.*"], tags=["released"]))
    assert narrow.rule_for(ModelClaim("credit-risk", "3.1", ("released", "eu"))) is not None
    for claimed in (
        ModelClaim("debit-risk", "3.1", ("released",)),
        ModelClaim("credit-risk", "4.0", ("released",)),
        ModelClaim("credit-risk", "3.1"),
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


def test_of_any_two_revocations_the_earlier_counts_and_the_endless_one_before_all() -> None:
    key, hexadecimal = named(RELEASE), named(RELEASE).removeprefix("sha256:")
    since = {None: None, "2026-04-01": datetime(2026, 4, 1, tzinfo=UTC),
             "2026-05-01": datetime(2026, 5, 1, tzinfo=UTC)}  # fmt: skip
    order = list(since)
    for one, other in product(since, since):
        both = policy(revoking("keys", *({"sha256": key, "since": it} for it in (one, other))))
        assert both.revoked == {hexadecimal: since[min(one, other, key=order.index)]}
    assert policy().revoked == policy(lambda d: d.update(revoked=None)).revoked == {}
    kinds: dict[str, list[object]] = {
        "certs": ["0" * 64],
        "keys": [{"sha256": f"key:sha256:{'1' * 64}", "reason": "Stolen with a laptop."}],
        "payloads": [{"sha256": "2" * 64, "since": "2026-04-01"}],
    }
    assert policy(lambda d: d.update(revoked=kinds)).revoked == {
        "0" * 64: None,
        "1" * 64: None,
        "2" * 64: since["2026-04-01"],
    }


@pytest.mark.parametrize("first", [None, "2026-02-01"])
@pytest.mark.parametrize("last", [None, "2026-02-02"])
def test_a_key_may_have_a_beginning_an_end_or_both(first: str | None, last: str | None) -> None:
    found = policy(lambda d: d["keys"]["ci"].update(not_before=first, not_after=last)).keys["ci"]
    began = None if first is None else datetime(2026, 2, 1, tzinfo=UTC)
    ended = None if last is None else datetime(2026, 2, 2, tzinfo=UTC)
    assert found == TrustedKey(CI.public_pem(), began, ended)


def test_an_auditor_signs_records_alone_and_claims_the_least_unless_more_is_said() -> None:
    found = policy(
        lambda d: d.update(auditors=[
            {"key": "ci"},
            {"key": "build", "roles": ["approval", "waiver"], "highest": "A3"},
        ])
    )  # fmt: skip
    assert found.auditors == (
        TrustedAuditor("ci", found.keys["ci"], frozenset({AuditorRole.RECORD}), AssuranceLevel.A0),
        TrustedAuditor(
            "build",
            found.keys["build"],
            frozenset({AuditorRole.APPROVAL, AuditorRole.WAIVER}),
            AssuranceLevel.A3,
        ),
    )


def test_a_policy_may_be_for_models_alone_or_for_auditors_alone() -> None:
    for absent in (None, []):
        models = policy(lambda d, it=absent: d.update(auditors=it))  # type: ignore[misc]
        assert (len(models.rules), models.auditors) == (1, ())
        records = policy(lambda d, it=absent: d.update(rules=it))  # type: ignore[misc]
        assert (records.rules, len(records.auditors)) == ((), 1)


def test_a_policy_keeps_its_document_and_all_that_its_head_says() -> None:
    pem = BUILD.public_pem().decode()
    changes = (
        headed(description="Models of the credit desk.", next_owner=pem),
        lambda d: d.update(default="deny", bind_versions=True),
        lambda d: d["keys"].pop("build"),
    )
    found = policy(*changes)
    assert (found.owner, found.bind_versions) == ("risk@acme.example", True)
    assert found.next_owner == BUILD.public_pem()
    assert found.document == document(*changes)
    assert found.ref == TrustRef("acme", 3, found.digest)
    plain = policy()
    assert (plain.next_owner, plain.bind_versions, plain.clocks) == (None, False, None)


def twice(**settings: Any) -> Change:  # noqa: ANN401 -- whatever YAML has
    return lambda d: d["rules"].append({**RULE, **settings})


def signers(*any_of: Any) -> Change:  # noqa: ANN401 -- whatever YAML has
    return ruled(require=[{"predicate": PREDICATE, "any_of": list(any_of)}])


ROOTS = {"sigstore": {"trusted_root": "{}"}}
MISTAKES: dict[str, tuple[Change, str]] = {
    "unknown setting": (lambda d: d.update(rule=[]), "'rule' is an unknown setting"),
    "unknown setting of a rule": (ruled(min_versoin="3"), "'min_versoin' is an unknown setting"),
    "unknown setting of a signer": (
        signers({"key": "release", "iss": "x"}),
        "'iss' is an unknown setting",
    ),
    "another kind": (lambda d: d.update(kind="Policy"), "kind is 'Policy'"),
    "another version": (lambda d: d.update(apiVersion="auditor/v2"), "apiVersion is"),
    "default allow": (lambda d: d.update(default="allow"), "default is 'allow'"),
    "nobody": (lambda d: d.update(rules=[], auditors=[]), "trusts nobody"),
    "no version": (lambda d: d["metadata"].pop("version"), "metadata has no version"),
    "a text for a version": (headed(version="3"), "metadata.version is '3'"),
    "true for a version": (headed(version=True), "metadata.version is True"),
    "a description that is no line": (
        headed(description="two\nlines"),
        "metadata.description is",
    ),
    "no name": (lambda d: d["metadata"].pop("name"), "metadata has no name"),
    "a default that is null": (lambda d: d.update(default=None), "default is None"),
    "no kind": (lambda d: d.pop("kind"), "kind is None"),
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
    "a key that ends as it begins": (
        lambda d: d["keys"]["ci"].update(not_before="2026-02-01", not_after="2026-02-01"),
        "keys.ci ends before it begins",
    ),
    "a root of both kinds": (
        lambda d: d.update(roots={"a": {"pem": "x", "trusted_root": "{}"}}),
        "roots.a has both",
    ),
    "a root of no kind": (lambda d: d.update(roots={"a": {}}), "roots.a has both of pem and"),
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
    "an unsigned file elsewhere": (ruled(allow_unsigned=["../x"]), "is not a plain path"),
    "an unsigned pattern": (ruled(allow_unsigned=["*"]), "is not a plain path"),
    "a revocation that is no digest": (revoking("keys", "ab"), "revoked.keys[0] is 'ab'"),
    "a revocation of no digest": (
        revoking("keys", {"since": "2026-01-01"}),
        "revoked.keys[0].sha256 is None",
    ),
    "a revocation for no reason": (
        revoking("keys", {"sha256": named(RELEASE), "reason": 5}),
        "revoked.keys[0].reason is 5",
    ),
    "a revocation of another kind": (
        lambda d: d.update(revoked={"people": []}),
        "'people' is an unknown setting",
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
    "an assurance that is a list": (
        lambda d: d["auditors"][0].update(highest=["A1"]),
        "highest is ['A1']",
    ),
    "an assurance that is a number": (
        lambda d: d["auditors"][0].update(highest=1),
        "highest is 1",
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
        rule = found.rule_for(ModelClaim("credit-risk", version))
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
