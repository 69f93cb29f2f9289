"""Read a trust policy from its document: strictly, so that nothing that is misspelt falls open."""

import re
from collections.abc import Mapping
from datetime import datetime

from auditor.domain.canonical import Json, JsonObject
from auditor.domain.policies import Assurance
from auditor.signatures.certificates import read_certificates
from auditor.signatures.keys import read_public_key
from auditor.signatures.objections import Refused
from auditor.signatures.strict import read_object
from auditor.signatures.trust import TrustedKey
from auditor.trusting.conflicts import refuse_conflicts
from auditor.trusting.fields import Fields, Where
from auditor.trusting.policies import Auditor, Role, Root, TrustPolicy
from auditor.trusting.ruling import read_rule

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
_LEVELS = {item.name: item for item in Assurance}


def read_trust_policy(document: JsonObject, where: Where) -> TrustPolicy:
    """Return what a document says, in which the files that it names stand as text.

    Raises ``TrustPolicyError`` for the first mistake, with its place (``where``) and its cure.
    """
    top = Fields.of(document, (), where, TOP)
    _refuse_other_kinds(top)
    head = Fields.of(top.value.get("metadata"), ("metadata",), where, HEAD)
    if head.has("description"):
        head.text("description", "Write one line, or remove it.")
    roots = {name: _root(value, name, where) for name, value in top.named("roots").items()}
    keys = {name: _key(value, name, where) for name, value in top.named("keys").items()}
    clock_roots, clock_policies = _clocks(top.value.get("clocks"), roots, where)
    policy = TrustPolicy(
        name=_name(head),
        version=head.whole("version", "Write a whole number, and a higher one at every change."),
        owner=head.text("owner", "Name who answers for it."),
        expires=_expires(head),
        roots=roots,
        clock_roots=clock_roots,
        clock_policies=clock_policies,
        keys=keys,
        revoked=_revoked(top.value.get("revoked"), where),
        rules=tuple(
            read_rule(Fields({}, ("rules", at), where), item, keys, roots)
            for at, item in enumerate(top.items("rules", "List rules."))
        ),
        auditors=_auditors(top, keys, where),
        bind_versions=top.flag("bind_versions"),
        next_owner=_next_owner(head),
        document=document,
    )
    refuse_conflicts(policy, top)
    return policy


def _refuse_other_kinds(top: Fields) -> None:
    for name, wanted in (("apiVersion", API), ("kind", KIND)):
        if top.value.get(name) != wanted:
            top.refuse(f"is {top.value.get(name)!r}", f"Write {name}: {wanted}.", name)
    if top.value.get("default", "deny") != "deny":
        cure = "Write default: deny, or leave it out: what no rule names is never trusted."
        top.refuse(f"is {top.value['default']!r}", cure, "default")
    if not top.items("rules", "List rules.") and not top.items("auditors", "List auditors."):
        top.refuse("the policy trusts nobody", "Add rules for models, or auditors for records.")


def _name(head: Fields) -> str:
    cure = "Write lower-case letters, digits, dots and hyphens, at most 64."
    name = head.text("name", cure)
    if not _NAME.fullmatch(name):
        head.refuse(f"is {name!r}", cure, "name")
    return name


def _expires(head: Fields) -> datetime:
    found = head.time("expires")
    if found is None:
        cure = "Write a day, as 2027-02-01: a policy that nobody renews must end some time."
        head.refuse("has no expires", cure)
    return found


def _next_owner(head: Fields) -> bytes | None:
    return _public(head, "next_owner") if head.has("next_owner") else None


def _public(found: Fields, name: str) -> bytes:
    pem = found.content(name, _PEM)
    try:
        return read_public_key(pem).pem
    except Refused as refused:
        cure = "Name a public key, such as signer.pub."
        found.refuse(f"cannot be used: {refused.problem}", cure, name)


def _root(value: Json, name: str, where: Where) -> Root:
    found = Fields.of(value, ("roots", name), where, ("pem", "trusted_root"))
    if found.has("pem") == found.has("trusted_root"):
        cure = "Write pem for an authority of your own, or trusted_root for one of Sigstore."
        found.refuse("has both of pem and trusted_root, or none", cure)
    try:
        if found.has("pem"):
            pem = found.content("pem", _PEM)
            read_certificates(pem)
            return Root(pem=pem)
        text = found.content("trusted_root", _PEM)
        read_object(text, "the trust root")
    except Refused as refused:
        found.refuse(
            f"cannot be used: {refused.problem}",
            "Name a file of certificates in PEM form, or Sigstore's trusted_root.json.",
        )
    return Root(trusted_root=text)


def _clocks(
    value: Json, roots: Mapping[str, Root], where: Where
) -> tuple[tuple[str, ...], frozenset[str]]:
    """Return the names of the roots of time-stamping authorities, and their policies with dots."""
    if value is None:
        return (), frozenset()
    found = Fields.of(value, ("clocks",), where, CLOCKS)
    cure = "Write roots: [NAME], with the authority's certificates as pem under roots."
    names = found.texts("roots", cure)
    if not names:
        found.refuse("names no authority", cure)
    for at, name in enumerate(names):
        if name not in roots or roots[name].pem is None:
            found.refuse(f"names {name!r}, which is no pem under roots", cure, "roots", at)
    cure = 'Write policies: ["1.2.3.4"], or leave it out for any.'
    policies = found.texts("policies", cure)
    if found.has("policies") and not policies:
        found.refuse("lists no policy", cure, "policies")
    for at, policy in enumerate(policies):
        if not _OID.fullmatch(policy):
            found.refuse(f"is {policy!r}, which is no OID", cure, "policies", at)
    return names, frozenset(policies)


def _key(value: Json, name: str, where: Where) -> TrustedKey:
    found = Fields.of(value, ("keys", name), where, ("pem", "not_before", "not_after"))
    pem = _public(found, "pem")
    first, last = found.time("not_before"), found.time("not_after")
    if first is not None and last is not None and first >= last:
        found.refuse("ends before it begins", "Write not_before earlier than not_after.")
    return TrustedKey(pem, first, last)


def _revoked(value: Json, where: Where) -> Mapping[str, datetime | None]:
    if value is None:
        return {}
    kinds = ("certs", "keys", "payloads")
    lists = Fields.of(value, ("revoked",), where, kinds)
    found: dict[str, datetime | None] = {}
    for kind in kinds:
        for at, item in enumerate(lists.items(kind, "List digests.")):
            digest, since = _revocation(lists, item, kind, at)
            # Of two entries the one that revokes more counts.
            before = found.get(digest, since)
            earlier = None if since is None or before is None else min(since, before)
            found[digest] = earlier
    return found


def _revocation(lists: Fields, item: Json, kind: str, at: int) -> tuple[str, datetime | None]:
    if isinstance(item, str):
        return lists.digest(item, kind, at), None
    place = (*lists.place, kind, at)
    found = Fields.of(item, place, lists.where, ("sha256", "since", "reason"))
    if found.has("reason"):
        found.text("reason", "Write one line, or remove it.")
    return found.digest(found.value.get("sha256"), "sha256"), found.time("since")


def _auditors(top: Fields, keys: Mapping[str, TrustedKey], where: Where) -> tuple[Auditor, ...]:
    listed = enumerate(top.items("auditors", "List auditors."))
    return tuple(_auditor(item, at, keys, where) for at, item in listed)


def _auditor(value: Json, at: int, keys: Mapping[str, TrustedKey], where: Where) -> Auditor:
    found = Fields.of(value, ("auditors", at), where, ("key", "roles", "highest"))
    name = found.one_of("key", keys, "keys")
    roles = [
        found.word(item, Role, "roles", place)
        for place, item in enumerate(found.items("roles", "Write roles: [record]."))
    ]
    highest = found.value.get("highest", Assurance.A0.name)
    if not isinstance(highest, str) or highest not in _LEVELS:
        found.refuse(f"is {highest!r}", f"Choose from {', '.join(_LEVELS)}.", "highest")
    return Auditor(name, keys[name], frozenset(roles or [Role.RECORD]), _LEVELS[highest])
