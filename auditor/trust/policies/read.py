"""Parses a trust policy, rejects contradictions, and warns about doubtful entries.

Parsing is strict: a misspelled setting must not weaken the policy.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from itertools import combinations, product

from auditor.domain.json import Json, JsonObject
from auditor.domain.policies import AssuranceLevel
from auditor.trust.encoding.strict_json import read_json_object
from auditor.trust.policies.evaluate_signature import read_model_rule
from auditor.trust.policies.fields import PolicyFields, Where
from auditor.trust.policies.globs import find_common_match
from auditor.trust.policies.trust_policy import (
    AuditorRole,
    ModelRule,
    TrustedAuditor,
    TrustPolicy,
    TrustRoot,
)
from auditor.trust.signatures.keys import read_public_key
from auditor.trust.signatures.trusted_signers import TrustedKey
from auditor.trust.signatures.x509 import read_certificates
from auditor.trust.verification_result import VerificationError, VerificationProfile


def refuse_conflicts(policy: TrustPolicy, top: PolicyFields) -> None:
    """Raise ``TrustPolicyError`` where two parts of a policy cannot both be meant."""
    for one, other in combinations(policy.rules, 2):
        # A name and a version for which both rules are. Tags narrow, and tell no two apart: they
        # are the word of who hands the model over, and leaving one out must lead to no other rule.
        models = (find_common_match(*pair) for pair in product(one.models, other.models))
        versions = (find_common_match(*pair) for pair in product(one.versions, other.versions))
        model = next((item for item in models if item is not None), None)
        version = next((item for item in versions if item is not None), None)
        if model is not None and version is not None:
            top.refuse(
                f"is for a model such as {model!r} {version!r} too, for which {one} is",
                "Let no two rules be for one model: narrow models or versions, or join the rules.",
                *("rules", other.place),
            )
    # Refuse a key under two names, and one that signs models and the audits of them
    owners: dict[bytes, str] = {}
    for name, key in policy.keys.items():
        if key.pem in owners:
            top.refuse(
                f"is the same key as {owners[key.pem]}", "Name each key once.", *("keys", name)
            )
        owners[key.pem] = name
    if policy.next_owner in owners:
        top.refuse(
            f"is {owners[policy.next_owner]}, which the policy lets sign what it judges",
            "Give the next owner a pair of its own.",
            *("metadata", "next_owner"),
        )
    named = [item.name for item in policy.auditors]
    signers = {
        signer.key for rule in policy.rules for item in rule.require for signer in item.any_of
    }
    for place, name in enumerate(named):
        if name in named[:place]:
            top.refuse(f"names {name} a second time", "Join its roles.", "auditors", place)
        if name in signers:
            top.refuse(
                f"lets {name} sign records, and a rule lets it sign models",
                "Give each its own key: who signs the model must not vouch for its audit.",
                *("auditors", place),
            )


API, KIND = "auditor/v1", "TrustPolicy"
TOP = (
    *("apiVersion", "kind", "metadata", "roots", "keys", "clocks", "revoked"),
    *("bind_versions", "rules", "auditors", "default"),
)
HEAD = ("name", "version", "owner", "expires", "next_owner", "description")
CLOCKS = ("roots", "policies")
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_OID = re.compile(r"[0-2](\.(0|[1-9]\d{0,38})){1,32}", re.ASCII)
_PEM = "Name a file beside the policy, or write its text out as a block (|)."
_LEVELS = {item.name: item for item in AssuranceLevel}


def read_trust_policy(document: JsonObject, where: Where) -> TrustPolicy:
    """Return what a document says, in which the files that it names stand as text.

    Raises ``TrustPolicyError`` for the first mistake, with its place (``where``) and its cure.
    """
    top = PolicyFields.of(document, (), where, TOP)
    for kinds_name, wanted in (("apiVersion", API), ("kind", KIND)):
        if top.value.get(kinds_name) != wanted:
            top.refuse(
                f"is {top.value.get(kinds_name)!r}", f"Write {kinds_name}: {wanted}.", kinds_name
            )
    if top.value.get("default", "deny") != "deny":
        kinds_cure = "Write default: deny, or remove it: what no rule names is never trusted."
        top.refuse(f"is {top.value['default']!r}", kinds_cure, "default")
    if not top.items("rules", "List rules.") and not top.items("auditors", "List auditors."):
        top.refuse("the policy trusts nobody", "Add rules for models, or auditors for records.")
    head = PolicyFields.of(top.value.get("metadata"), ("metadata",), where, HEAD)
    if head.has("description"):
        head.text("description", "Write one line, or remove it.")
    roots = {name: _root(value, name, where) for name, value in top.named("roots").items()}
    keys = {name: _key(value, name, where) for name, value in top.named("keys").items()}
    clock_roots, clock_policies = _clocks(top.value.get("clocks"), roots, where)
    listed = enumerate(top.items("auditors", "List auditors."))
    cure = "Write lower-case letters, digits, dots and hyphens, at most 64."
    name = head.text("name", cure)
    if not _NAME.fullmatch(name):
        head.refuse(f"is {name!r}", cure, "name")
    policy = TrustPolicy(
        name=name,
        version=head.whole("version", "Write a whole number, and a higher one at every change."),
        owner=head.text("owner", "Name who answers for it."),
        expires=_expires(head),
        roots=roots,
        clock_roots=clock_roots,
        clock_policies=clock_policies,
        keys=keys,
        revoked=_revoked(top.value.get("revoked"), where),
        rules=tuple(
            read_model_rule(PolicyFields({}, ("rules", at), where), item, keys, roots)
            for at, item in enumerate(top.items("rules", "List rules."))
        ),
        auditors=tuple(_auditor(item, at, keys, where) for at, item in listed),
        bind_versions=top.flag("bind_versions"),
        next_owner=_public(head, "next_owner") if head.has("next_owner") else None,
        document=document,
    )
    refuse_conflicts(policy, top)
    return policy


def _expires(head: PolicyFields) -> datetime:
    found = head.time("expires")
    if found is None:
        cure = "Write a day, as 2027-02-01: a policy that nobody renews must end some time."
        head.refuse("has no expires", cure)
    return found


def _public(found: PolicyFields, name: str) -> bytes:
    pem = found.content(name, _PEM)
    try:
        return read_public_key(pem).pem
    except VerificationError as refused:
        cure = "Name a public key, such as signer.pub."
        found.refuse(f"cannot be used: {refused.problem}", cure, name)


def _root(value: Json, name: str, where: Where) -> TrustRoot:
    found = PolicyFields.of(value, ("roots", name), where, ("pem", "trusted_root"))
    if found.has("pem") == found.has("trusted_root"):
        cure = "Write pem for an authority of your own, or trusted_root for one of Sigstore."
        found.refuse("has both of pem and trusted_root, or none", cure)
    try:
        if found.has("pem"):
            pem = found.content("pem", _PEM)
            read_certificates(pem)
            return TrustRoot(pem=pem)
        text = found.content("trusted_root", _PEM)
        read_json_object(text, "the trust root")
    except VerificationError as refused:
        found.refuse(
            f"cannot be used: {refused.problem}",
            "Name a file of certificates in PEM form, or Sigstore's trusted_root.json.",
        )
    return TrustRoot(trusted_root=text)


def _clocks(
    value: Json, roots: Mapping[str, TrustRoot], where: Where
) -> tuple[tuple[str, ...], frozenset[str]]:
    """Return the names of the roots of time-stamping authorities, and their policies with dots."""
    if value is None:
        return (), frozenset()
    found = PolicyFields.of(value, ("clocks",), where, CLOCKS)
    cure = "Write roots: [NAME], with the authority's certificates as pem under roots."
    names = found.texts("roots", cure)
    if not names:
        found.refuse("names no authority", cure)
    for at, name in enumerate(names):
        if name not in roots or roots[name].pem is None:
            found.refuse(f"names {name!r}, which is not a pem under roots", cure, "roots", at)
    cure = 'Write policies: ["1.2.3.4"], or remove it for any.'
    policies = found.texts("policies", cure)
    if found.has("policies") and not policies:
        found.refuse("lists no policy", cure, "policies")
    for at, policy in enumerate(policies):
        if not _OID.fullmatch(policy):
            found.refuse(f"is {policy!r}, which is not an OID", cure, "policies", at)
    return names, frozenset(policies)


def _key(value: Json, name: str, where: Where) -> TrustedKey:
    found = PolicyFields.of(value, ("keys", name), where, ("pem", "not_before", "not_after"))
    pem = _public(found, "pem")
    first, last = found.time("not_before"), found.time("not_after")
    if first is not None and last is not None and first >= last:
        found.refuse("ends before it begins", "Write not_before earlier than not_after.")
    return TrustedKey(pem, first, last)


def _revoked(value: Json, where: Where) -> Mapping[str, datetime | None]:
    if value is None:
        return {}
    kinds = ("certs", "keys", "payloads")
    lists = PolicyFields.of(value, ("revoked",), where, kinds)
    found: dict[str, datetime | None] = {}
    for kind in kinds:
        for at, item in enumerate(lists.items(kind, "List digests.")):
            digest, since = _revocation(lists, item, kind, at)
            # Of two entries the one that revokes more counts.
            before = found.get(digest, since)
            earlier = None if since is None or before is None else min(since, before)
            found[digest] = earlier
    return found


def _revocation(lists: PolicyFields, item: Json, kind: str, at: int) -> tuple[str, datetime | None]:
    if isinstance(item, str):
        return lists.digest(item, kind, at), None
    place = (*lists.place, kind, at)
    found = PolicyFields.of(item, place, lists.where, ("sha256", "since", "reason"))
    if found.has("reason"):
        found.text("reason", "Write one line, or remove it.")
    return found.digest(found.value.get("sha256"), "sha256"), found.time("since")


def _auditor(value: Json, at: int, keys: Mapping[str, TrustedKey], where: Where) -> TrustedAuditor:
    found = PolicyFields.of(value, ("auditors", at), where, ("key", "roles", "highest"))
    name = found.one_of("key", keys, "keys")
    roles = [
        found.word(item, AuditorRole, "roles", place)
        for place, item in enumerate(found.items("roles", "Write roles: [record]."))
    ]
    highest = found.value.get("highest", AssuranceLevel.A0.name)
    if not isinstance(highest, str) or highest not in _LEVELS:
        found.refuse(f"is {highest!r}", f"Choose from {', '.join(_LEVELS)}.", "highest")
    return TrustedAuditor(
        name, keys[name], frozenset(roles or [AuditorRole.RECORD]), _LEVELS[highest]
    )


SOON = timedelta(days=30)
LONG = timedelta(days=800)


def find_policy_warnings(policy: TrustPolicy, now: datetime) -> Iterator[str]:
    """Yield what its owner should look at again, one sentence each."""
    if policy.expires <= now:
        yield f"it ended at {policy.expires:%Y-%m-%d}, and trusts nobody: renew it"
    elif policy.expires - now < SOON:
        yield f"it ends at {policy.expires:%Y-%m-%d}: renew it"
    elif policy.expires - now > LONG:
        yield f"it ends at {policy.expires:%Y-%m-%d}: what was trusted then is stale by then"
    signers = [signer for rule in policy.rules for item in rule.require for signer in item.any_of]
    keys = {item.key for item in signers} | {item.name for item in policy.auditors}
    for unused_name in sorted(policy.keys.keys() - keys):
        yield f"keys.{unused_name} is trusted for nothing: name it in a rule, or remove it"
    roots = {item.root for item in signers} | {*policy.clock_roots}
    for unused_name in sorted(policy.roots.keys() - roots):
        yield f"roots.{unused_name} is trusted for nothing: name it in a rule, or remove it"
    for name, key in sorted(policy.keys.items()):
        digest = hashlib.sha256(read_public_key(key.pem).der).hexdigest()
        if digest in policy.revoked:
            yield f"keys.{name} is revoked: name another"
        elif key.not_after is not None and key.not_after < now:
            yield f"keys.{name} ended at {key.not_after:%Y-%m-%d}: name its successor"
    for rule in policy.rules:
        yield from _loose(policy, rule)


def _loose(policy: TrustPolicy, rule: ModelRule) -> Iterator[str]:
    roots = [item.root for item in rule.signature.any_of]
    logged = all(it is not None and policy.roots[it].trusted_root is not None for it in roots)
    if rule.timed and not logged and policy.clocks is None:
        yield (
            f"{rule} asks for a trusted time, and the policy names no clocks: only keyless "
            "signatures bring one along"
        )
    if rule.profile is VerificationProfile.COMPAT:
        yield f"{rule} takes older habits of signers (profile: compat)"
    if not rule.signed_name and not policy.bind_versions:
        yield (
            f"{rule} takes any model that its signers ever signed for any other: set signed_name, "
            "or bind_versions"
        )
    if rule.min_version is None:
        yield f"{rule} has no min_version: every old version is trusted as the newest is"
    elif not rule.signed_name:
        yield f"{rule} has a min_version, and no signed_name that proves which version it is"
