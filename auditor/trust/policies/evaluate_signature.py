"""Evaluates a model signature against a trust policy: signer, name, version, and signing time."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from auditor.domain.artifacts import FileDigest
from auditor.domain.json import Json
from auditor.domain.trust_context import ModelBinding, TrustPolicyStatus
from auditor.trust.encoding.strict_json import read_json_object
from auditor.trust.policies.auditors import find_expiry_issues, find_succession_issues
from auditor.trust.policies.fields import PolicyFields
from auditor.trust.policies.query import ModelAttestations, TrustQuery
from auditor.trust.policies.signed_statements import (
    find_statement_issues,
    list_accepted_signers,
    rank_attempt,
)
from auditor.trust.policies.trust_policy import (
    ModelClaim,
    ModelRule,
    SignerRef,
    StatementRequirement,
    TrustRoot,
    version_sort_key,
)
from auditor.trust.signatures.model_serialisations import HashAlgorithm
from auditor.trust.signatures.model_signing import (
    PREDICATE,
    ModelFileDigests,
    ModelSignature,
    compare_manifest,
    is_clean_path,
    open_signature,
)
from auditor.trust.signatures.sigstore_bundle import KeylessMaterial, parse_bundle
from auditor.trust.signatures.trusted_signers import (
    UNKNOWN_KIND,
    SignerIdentity,
    TrustedKey,
    VerificationTime,
)
from auditor.trust.signatures.x509 import read_certificate
from auditor.trust.timestamps import SKEW, find_proven_moment
from auditor.trust.verification_result import (
    IssueCode,
    IssueGrade,
    SignatureVerification,
    VerificationError,
    VerificationIssue,
    VerificationProfile,
    quote_value,
)

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


def read_model_rule(
    at: PolicyFields, value: Json, keys: Mapping[str, TrustedKey], roots: Mapping[str, TrustRoot]
) -> ModelRule:
    """Return a rule; ``at`` says where it stands. Raises ``TrustPolicyError``."""
    found = PolicyFields.of(value, at.place, at.where, RULE)
    models = _patterns(found, "models", _MODELS)
    if not models:
        found.refuse("is for no model", _MODELS)
    timestamp = found.value.get("timestamp")
    if timestamp is not None and timestamp != "required":
        found.refuse(f"is {timestamp!r}", "Write timestamp: required, or remove it.", "timestamp")
    return ModelRule(
        place=int(at.place[-1]),
        models=models,
        versions=_patterns(found, "versions", 'Write versions: ["3.*"].') or ("*",),
        tags=found.texts("tags", "Write tags: [high-risk]."),
        require=_requirements(found, keys, roots),
        profile=found.choice("profile", VerificationProfile, VerificationProfile.STRICT),
        hashes=_hashes(found),
        unsigned=_unsigned(found),
        timestamp=timestamp is not None,
        max_age=found.age("max_age"),
        min_version=_floor(found),
        signed_name=found.flag("signed_name"),
    )


def _patterns(found: PolicyFields, name: str, cure: str) -> tuple[str, ...]:
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
    rule: PolicyFields, keys: Mapping[str, TrustedKey], roots: Mapping[str, TrustRoot]
) -> tuple[StatementRequirement, ...]:
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
    rule: PolicyFields,
    value: Json,
    place: int,
    keys: Mapping[str, TrustedKey],
    roots: Mapping[str, TrustRoot],
) -> StatementRequirement:
    here = (*rule.place, "require", place)
    found = PolicyFields.of(value, here, rule.where, ("predicate", "any_of", "optional"))
    signers = tuple(
        _signer(
            PolicyFields.of(
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
    return StatementRequirement(predicate, signers, found.flag("optional"))


def _signer(
    found: PolicyFields, keys: Mapping[str, TrustedKey], roots: Mapping[str, TrustRoot]
) -> SignerRef:
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
            "has no issuer" if keyless else "has an issuer under a root that is not a Sigstore one",
            cure,
        )
    issuer = found.text("issuer", "Write its URL.") if keyless else None
    try:
        return SignerRef(root=root, identity=SignerIdentity.parse(name, issuer))
    except ValueError as error:
        return found.refuse(str(error), UNKNOWN_KIND, "identity")


def _hashes(rule: PolicyFields) -> frozenset[HashAlgorithm]:
    listed = rule.items("hash", "Write hash: [sha256].")
    if rule.has("hash") and not listed:
        rule.refuse("lists no hash", "Write hash: [sha256], or remove it.", "hash")
    return frozenset(
        rule.word(item, HashAlgorithm, "hash", place) for place, item in enumerate(listed)
    ) or frozenset(HashAlgorithm)


def _unsigned(rule: PolicyFields) -> frozenset[str]:
    cure = 'Name files of the model, as [".gitattributes"].'
    names = rule.texts("allow_unsigned", cure)
    for place, name in enumerate(names):
        if not is_clean_path(name) or set(name) & set("*?"):
            rule.refuse(f"is {name!r}, which is not a plain path", cure, "allow_unsigned", place)
    return frozenset(names)


def _floor(rule: PolicyFields) -> str | None:
    if not rule.has("min_version"):
        return None
    cure = 'Write it as "3.2.0", in quotes.'
    version = rule.text("min_version", cure)
    if version_sort_key(version) is None:
        rule.refuse(
            f"is {version!r}, which has no place in the order of versions", cure, "min_version"
        )
    return version


def find_claim_issues(
    asked: TrustQuery, rule: ModelRule, payload: bytes, presented: ModelAttestations
) -> Iterator[VerificationIssue]:
    """Yield what speaks against a model whose signature over ``payload`` holds."""
    yield from _object_to_name(rule, asked.claimed, payload)
    floor = None if rule.min_version is None else version_sort_key(rule.min_version)
    if floor is not None:
        version, said = version_sort_key(asked.claimed.version), quote_value(asked.claimed.version)
        if version is None:
            text = f"the version {said} cannot be compared with the floor {rule.min_version}"
            yield VerificationIssue(IssueCode.VERSION_FLOOR, text)
        elif version < floor:
            text = (
                f"the version {said} is below {rule.min_version}, the lowest that is trusted still"
            )
            yield VerificationIssue(IssueCode.VERSION_FLOOR, text)
    if rule.timed:
        # The time that a trusted clock vouches for: when it was signed, at the latest. Of a
        # keyless signature it is the earliest time that can be meant, so that none looks younger,
        # nor does one that was stamped later.
        bundle = presented.bundle
        stamped = None if asked.when is None else asked.when.stamped
        known = [item for item in (stamped, _logged(bundle)) if item is not None and item.proven]
        proven = min(known, key=lambda item: item.at, default=None)
        if asked.when is None or proven is None or proven.at > asked.when.looked + SKEW:
            age_text = "no trusted clock says when it was signed, which the trust policy asks for"
            yield VerificationIssue(IssueCode.NO_TIME, age_text)
        elif rule.max_age is not None and asked.when.looked - proven.at > rule.max_age:
            oldest = VerificationTime(asked.when.looked - rule.max_age)
            age_text = (
                f"it was signed at {proven}, and the trust policy takes none from before {oldest}"
            )
            yield VerificationIssue(IssueCode.TOO_OLD, age_text)
    grade = IssueGrade.ERROR if asked.policy.bind_versions else IssueGrade.WARNING
    for item in find_binding_issues(asked.claimed, presented.bindings):
        yield replace(item, grade=grade)


def find_binding_issues(
    claimed: ModelClaim, bindings: Sequence[ModelBinding]
) -> Iterator[VerificationIssue]:
    """Yield what was registered before and contradicts a model's name and version."""
    for item in bindings:
        there = f"{quote_value(item.name)} {quote_value(item.version)}"
        if (item.name, item.version) == (claimed.name, claimed.version):
            text = (
                f"{there} was registered at {item.registered} with other bytes ({item.digest}); "
                "give these a new version"
            )
        else:
            text = (
                f"these bytes were registered at {item.registered} as {there}; what is new needs "
                "new bytes"
            )
        yield VerificationIssue(IssueCode.VERSION_BOUND, text)


def _object_to_name(
    rule: ModelRule, claimed: ModelClaim, payload: bytes
) -> Iterator[VerificationIssue]:
    if not rule.signed_name:
        return
    subjects = read_json_object(payload, "the signed statement").get("subject")
    listed = subjects if isinstance(subjects, list) else []
    names = [item.get("name") for item in listed if isinstance(item, dict)]
    if names != [claimed.subject]:
        signed = quote_value(names[0]) if len(names) == 1 else f"{len(names)} subjects"
        text = (
            f"the signature names {signed}, and the model is called {quote_value(claimed.subject)}"
        )
        yield VerificationIssue(IssueCode.NAME, text)


def _logged(bundle: bytes | None) -> VerificationTime | None:
    """Return the time that a keyless signature brings along."""
    if bundle is None:
        return None
    try:
        material = parse_bundle(bundle, VerificationProfile.COMPAT).material
    except VerificationError:
        return None
    if isinstance(material, KeylessMaterial):
        # The log saw it while this certificate was valid, for some minutes.
        certificate = read_certificate(material.certificate)
        return VerificationTime(certificate.parsed.not_valid_before_utc, proven=True)
    return None


def apply_timestamps(
    asked: TrustQuery, presented: ModelAttestations
) -> tuple[TrustQuery, tuple[VerificationIssue, ...]]:
    """Return what is asked, at the time that the timestamps prove, and what speaks against them.

    A time of signing that is vouched for already stays, and a policy without clocks reads none.
    Timestamps that do not hold prove nothing, so that all is judged at the time of looking; they
    are an error where the rule asks for a time, and else a warning.
    """
    clocks, when = asked.policy.clocks, asked.when
    bundle, timestamps = presented.bundle, presented.timestamps
    if clocks is None or when is None or when.stamped is not None:
        return asked, ()
    if bundle is None or timestamps is None:
        return asked, ()
    try:
        moment = find_proven_moment(timestamps, bundle, clocks, VerificationTime(when.looked))
    except VerificationError as refused:
        text = f"the timestamp beside the signature proves nothing: {refused.problem}"
        wanted = asked.rule is not None and asked.rule.timed
        return asked, (
            VerificationIssue(
                refused.code, text, IssueGrade.ERROR if wanted else IssueGrade.WARNING
            ),
        )
    return replace(asked, when=replace(when, stamped=moment)), ()


def find_policy_issues(
    asked: TrustQuery, standing: TrustPolicyStatus
) -> tuple[VerificationIssue, ...]:
    """Return what speaks against trusting anybody by this policy for this model."""
    found = [
        *find_succession_issues(asked.policy.ref, standing),
        *find_expiry_issues(asked.policy, asked.when),
    ]
    if asked.rule is None:
        said = f"{quote_value(asked.claimed.name)} {quote_value(asked.claimed.version)}"
        text = f"the trust policy {asked.policy} has no rule for {said}, which so is not trusted"
        found.append(VerificationIssue(IssueCode.NO_RULE, text))
    return tuple(found)


def open_model_signature(asked: TrustQuery, rule: ModelRule, bundle: bytes) -> ModelSignature:
    """Open a model's signature: whose of the rule's signers holds, before any file is looked at."""
    attempts = [
        open_signature(
            bundle, trusted, moment=asked.moment, profile=rule.profile, keyless=asked.keyless
        )
        for trusted in list_accepted_signers(asked.policy, rule, rule.signature)
    ]
    return min(attempts, key=lambda item: rank_attempt(item.verification))


def apply_rule_demands(
    asked: TrustQuery,
    rule: ModelRule,
    compared: SignatureVerification,
    presented: ModelAttestations,
    files: Sequence[FileDigest],
) -> SignatureVerification:
    """Add what the rule asks beyond a signature that holds over these files.

    Statements beside it are judged when they are looked at: a time that is proven of the model's
    signature says nothing of when they were signed.
    """
    if compared.payload is None or not compared.verified:
        return compared
    now = replace(asked, when=None if asked.when is None else asked.when.unstamped)
    found = (
        *compared.objections,
        *find_claim_issues(asked, rule, compared.payload, presented),
        *find_statement_issues(now, rule, presented.papers, files, compared.payload),
    )
    return replace(compared, objections=found)


def evaluate_signature(
    asked: TrustQuery,
    presented: ModelAttestations,
    measured: ModelFileDigests,
    files: Sequence[FileDigest],
) -> SignatureVerification:
    """Return what comes of a model's signature under a trust policy: an identity, or objections.

    ``measured`` are the files as the signer hashed them, ``files`` by SHA-256.
    """
    against = find_policy_issues(asked, presented.standing)
    rule = asked.rule
    if rule is None or any(item.grade is IssueGrade.ERROR for item in against):
        return SignatureVerification(against)
    if presented.bundle is None:
        unsigned = VerificationIssue(IssueCode.UNSIGNED, "the audit names no signature")
        return SignatureVerification((*against, unsigned))
    timed, doubts = apply_timestamps(asked, presented)
    opened = open_model_signature(timed, rule, presented.bundle)
    compared = compare_manifest(opened, measured)
    found = apply_rule_demands(timed, rule, compared, presented, files)
    return replace(found, objections=(*against, *doubts, *found.objections))
