"""Read one rule of a trust policy: for which models it is, and what it asks of who signed them."""

from collections.abc import Mapping

from auditor.domain.canonical import Json
from auditor.signatures.claims import PREDICATE
from auditor.signatures.manifests import is_clean
from auditor.signatures.profiles import Profile
from auditor.signatures.serialisations import Hash
from auditor.signatures.trust import UNKNOWN_KIND, Identity, TrustedKey
from auditor.trusting.fields import Fields
from auditor.trusting.policies import ModelRule, Requirement, Root, SignerRef
from auditor.trusting.versions import order_of

RULE = (
    *("models", "versions", "tags", "require", "profile", "hash", "allow_unsigned"),
    *("timestamp", "max_age", "min_version", "signed_name"),
)
MOST_PATTERN = 200
_MODELS = 'Write models: ["credit-*"]; * stands for any text, ? for one sign.'
_SIGNERS = (
    "Write any_of: [{key: NAME}], [{root: NAME, identity: WHO}] or [{root: NAME, identity: WHO, "
    "issuer: URL}]."
)


def read_rule(
    at: Fields, value: Json, keys: Mapping[str, TrustedKey], roots: Mapping[str, Root]
) -> ModelRule:
    """Return a rule; ``at`` says where it stands. Raises ``TrustPolicyError``."""
    found = Fields.of(value, at.place, at.where, RULE)
    models = _patterns(found, "models", _MODELS)
    if not models:
        found.refuse("is for no model", _MODELS)
    timestamp = found.value.get("timestamp")
    if timestamp is not None and timestamp != "required":
        found.refuse(
            f"is {timestamp!r}", "Write timestamp: required, or leave it out.", "timestamp"
        )
    return ModelRule(
        place=int(at.place[-1]),
        models=models,
        versions=_patterns(found, "versions", 'Write versions: ["3.*"].') or ("*",),
        tags=found.texts("tags", "Write tags: [high-risk]."),
        require=_requirements(found, keys, roots),
        profile=found.choice("profile", Profile, Profile.STRICT),
        hashes=_hashes(found),
        unsigned=_unsigned(found),
        timestamp=timestamp is not None,
        max_age=found.age("max_age"),
        min_version=_floor(found),
        signed_name=found.flag("signed_name"),
    )


def _patterns(found: Fields, name: str, cure: str) -> tuple[str, ...]:
    patterns = found.texts(name, cure)
    for place, pattern in enumerate(patterns):
        if len(pattern) > MOST_PATTERN:
            found.refuse(f"has more than {MOST_PATTERN} signs", cure, name, place)
        if set(pattern) & set("[]{}"):
            found.refuse(
                f"is {pattern!r}, whose brackets stand for nothing here", cure, name, place
            )
    return patterns


def _requirements(
    rule: Fields, keys: Mapping[str, TrustedKey], roots: Mapping[str, Root]
) -> tuple[Requirement, ...]:
    cure = f"Write require: [{{predicate: {PREDICATE}, any_of: […]}}]."
    found = tuple(
        _requirement(rule, item, place, keys, roots)
        for place, item in enumerate(rule.items("require", cure))
    )
    predicates = [item.predicate for item in found]
    for place, predicate in enumerate(predicates):
        if predicate in predicates[:place]:
            rule.refuse(
                f"asks for {predicate} a second time",
                "Join both under one any_of.",
                "require",
                place,
            )
    if not any(item.predicate == PREDICATE and not item.optional for item in found):
        rule.refuse("asks for no signature of the model", cure)
    return found


def _requirement(
    rule: Fields,
    value: Json,
    place: int,
    keys: Mapping[str, TrustedKey],
    roots: Mapping[str, Root],
) -> Requirement:
    here = (*rule.place, "require", place)
    found = Fields.of(value, here, rule.where, ("predicate", "any_of", "optional"))
    signers = tuple(
        _signer(
            Fields.of(
                item, (*here, "any_of", at), rule.where, ("key", "root", "identity", "issuer")
            ),
            keys,
            roots,
        )
        for at, item in enumerate(found.items("any_of", _SIGNERS))
    )
    if not signers:
        found.refuse("names nobody who may sign", _SIGNERS)
    predicate = found.text("predicate", f"Write the type's URI, such as {PREDICATE}.")
    return Requirement(predicate, signers, found.flag("optional"))


def _signer(found: Fields, keys: Mapping[str, TrustedKey], roots: Mapping[str, Root]) -> SignerRef:
    if found.has("key") == found.has("root"):
        found.refuse("names both of a key and a root, or none", _SIGNERS)
    if found.has("key"):
        if found.has("identity") or found.has("issuer"):
            found.refuse(
                "gives a key another identity than itself", "Leave identity and issuer out."
            )
        return SignerRef(key=found.one_of("key", keys, "keys"))
    root = found.one_of("root", roots, "roots")
    name = found.text(
        "identity", "Name whose certificate: without a name any of the authority's would do."
    )
    keyless = roots[root].trusted_root is not None
    if keyless != found.has("issuer"):
        cure = "Add issuer, the URL of who vouched for the identity." if keyless else "Remove it."
        found.refuse(
            "has no issuer" if keyless else "has an issuer under a root that is no Sigstore one",
            cure,
        )
    issuer = found.text("issuer", "Write its URL.") if keyless else None
    try:
        return SignerRef(root=root, identity=Identity.parse(name, issuer))
    except ValueError as error:
        return found.refuse(str(error), UNKNOWN_KIND, "identity")


def _hashes(rule: Fields) -> frozenset[Hash]:
    listed = rule.items("hash", "Write hash: [sha256].")
    if rule.has("hash") and not listed:
        rule.refuse("lists no hash", "Write hash: [sha256], or leave it out.", "hash")
    return frozenset(
        rule.word(item, Hash, "hash", place) for place, item in enumerate(listed)
    ) or frozenset(Hash)


def _unsigned(rule: Fields) -> frozenset[str]:
    cure = 'Name files of the model, as [".gitattributes"].'
    names = rule.texts("allow_unsigned", cure)
    for place, name in enumerate(names):
        if not is_clean(name) or set(name) & set("*?"):
            rule.refuse(f"is {name!r}, which is no plain path", cure, "allow_unsigned", place)
    return frozenset(names)


def _floor(rule: Fields) -> str | None:
    if not rule.has("min_version"):
        return None
    cure = 'Write it as "3.2.0", in quotes.'
    version = rule.text("min_version", cure)
    if order_of(version) is None:
        rule.refuse(
            f"is {version!r}, which has no place in the order of versions", cure, "min_version"
        )
    return version
