"""Signed statements that a trust policy requires, and the signature of the policy itself.

A signed trust policy is an in-toto statement with the policy's document as its predicate.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import cast

from auditor.domain.artifacts import FileDigest, digest_files
from auditor.domain.digests import Digest
from auditor.domain.json import JsonObject
from auditor.errors import TrustPolicyError
from auditor.trust.encoding.dsse import InTotoStatement, SubjectDigest, parse_statement
from auditor.trust.encoding.strict_json import read_json_object, write_json_object
from auditor.trust.policies.query import TrustQuery
from auditor.trust.policies.trust_policy import ModelRule, StatementRequirement, TrustPolicy
from auditor.trust.signatures.keys import Signer, read_public_key
from auditor.trust.signatures.sigstore_bundle import MEDIA_TYPE, parse_bundle, sign_bundle
from auditor.trust.signatures.trusted_signers import TrustedSigners
from auditor.trust.signatures.verify import open_bundle, verify_bundle
from auditor.trust.verification_result import (
    IssueCode,
    IssueGrade,
    SignatureVerification,
    VerificationError,
    VerificationIssue,
    VerificationProfile,
    quote_value,
)

ENVELOPE = "dsseEnvelope"
MOST_LINES = 1000


def list_accepted_signers(
    policy: TrustPolicy, rule: ModelRule, asked: StatementRequirement
) -> tuple[TrustedSigners, ...]:
    """Return the signers of a requirement: an identity counts under its own root alone.

    Keys are one value, so that what holds under none of them is said once.
    """
    each = [policy.trusted(item, rule) for item in asked.any_of]
    keys = tuple(key for item in each for key in item.keys)
    joined = [replace(item, keys=keys) for item in each if item.keys][:1]
    return (*joined, *(item for item in each if not item.keys))


def open_statement(
    asked: TrustQuery, rule: ModelRule, bundle: bytes, wanted: StatementRequirement
) -> SignatureVerification:
    """Open a signed statement: whose of the requirement's signers holds."""
    found = [
        open_bundle(
            bundle, trusted, moment=asked.moment, profile=rule.profile, keyless=asked.keyless
        )
        for trusted in list_accepted_signers(asked.policy, rule, wanted)
    ]
    return min(found, key=rank_attempt)


def rank_attempt(found: SignatureVerification) -> tuple[bool, bool, int]:
    """Order attempts: those that hold, then those of the method that the bundle has."""
    return not found.verified, IssueCode.METHOD_UNTRUSTED in found.codes, len(found.mistakes)


def find_statement_issues(
    asked: TrustQuery,
    rule: ModelRule,
    papers: Sequence[bytes],
    files: Sequence[FileDigest],
    payload: bytes,
) -> Iterator[VerificationIssue]:
    """Yield which of the statements that a rule asks for beside the model's signature are missing.

    One counts that speaks of every file of the model, of the artifact's digest, or of the signed
    ``payload``: a file that two models share must not let the one's papers stand for the other's.
    """
    bundles = [bundle for raw in papers for bundle in read_bundles(raw)]
    whole = {
        digest_files(tuple(files)).hex,
        hashlib.sha256(payload).hexdigest(),
    }
    for wanted in rule.beside:
        reasons = [_reason(asked, rule, bundle, wanted, files, whole) for bundle in bundles]
        if "" in reasons:
            continue
        # Statements of other types say nothing of why this one is missing.
        found = [reason for reason in reasons if reason is not None]
        said = f": {found[0]}" if found else ""
        text = f"there is no statement {quote_value(wanted.predicate)} about this model{said}"
        grade = IssueGrade.WARNING if wanted.optional and not found else IssueGrade.ERROR
        yield VerificationIssue(IssueCode.PREDICATE_MISSING, text, grade)


def read_bundles(raw: bytes) -> tuple[bytes, ...]:
    """Return every signed envelope of a document as a bundle; a document may be lines of JSON."""
    try:
        whole = to_bundle(read_json_object(raw, "the document"))
    except VerificationError:
        lines = [line for line in raw.split(b"\n") if line.strip()]
        several = lines if 1 < len(lines) <= MOST_LINES else []
        return tuple(bundle for line in several for bundle in read_bundles(line))
    return () if whole is None else (whole,)


def to_bundle(found: Mapping[str, object]) -> bytes | None:
    """Return a bundle as it is, and a bare DSSE envelope in one that names no key."""
    if ENVELOPE in found:
        return write_json_object(found)
    if "payloadType" not in found or "signatures" not in found:
        return None
    material = {"publicKey": {"hint": ""}}
    return write_json_object(
        {"mediaType": MEDIA_TYPE, "verificationMaterial": material, ENVELOPE: found}
    )


def read_predicate_type(bundle: bytes) -> str | None:
    """Return the type that an envelope says it is of, whoever signed it."""
    try:
        payload = parse_bundle(bundle, VerificationProfile.COMPAT).envelope.payload
        found = read_json_object(payload, "the payload").get("predicateType")
    except VerificationError:
        return None
    return found if isinstance(found, str) else None


def _reason(  # noqa: PLR0913, PLR0917 -- the last two are worked out once for all bundles
    asked: TrustQuery,
    rule: ModelRule,
    bundle: bytes,
    wanted: StatementRequirement,
    files: Sequence[FileDigest],
    whole: set[str],
) -> str | None:
    """Say why a statement does not count; nothing where it does, ``None`` for another type."""
    if read_predicate_type(bundle) != wanted.predicate:
        return None
    opened = open_statement(asked, rule, bundle, wanted)
    if opened.payload is None:
        return opened.mistakes[0]
    try:
        statement = parse_statement(opened.payload, wanted.predicate)
    except VerificationError as refused:
        return refused.problem
    digests = {item.sha256 for item in statement.subjects}
    signed = {item.sha256 for item in files if item.name not in rule.unsigned}
    if digests & whole or (signed and digests >= signed):
        return ""
    return "it speaks of other files"


PREDICATE = "urn:auditor:trust-policy:v1"


def sign_trust_policy(policy: TrustPolicy, signer: Signer) -> bytes:
    """Sign a policy's document, and return the bundle. The same policy and key give the same bytes.

    Raises ``TrustPolicyError`` where the key is one of those that the policy itself trusts.
    """
    mistake = describe_owner_conflict(policy, signer.public_pem())
    if mistake:
        raise TrustPolicyError(
            f"{policy} cannot be signed with this key: {mistake}",
            cure="Make the owner a pair of its own: auditor keys new --home FOLDER.",
        )
    return sign_bundle(_statement(policy).emit(), signer)


def verify_trust_policy(
    bundle: bytes, policy: TrustPolicy, key_pem: bytes
) -> SignatureVerification:
    """Verify that the key signed exactly this policy, as a trust policy and as nothing else."""
    opened = verify_bundle(bundle, key_pem)
    if opened.payload is None:
        return opened
    found = list(opened.objections)
    mistake = describe_owner_conflict(policy, key_pem)
    if mistake:
        found.append(VerificationIssue(IssueCode.POLICY_OWNER, mistake))
    try:
        statement = parse_statement(opened.payload, PREDICATE)
    except VerificationError as refused:
        found.append(refused.objection)
    else:
        if statement != _statement(policy):
            text = "the owner signed another trust policy than this one"
            found.append(VerificationIssue(IssueCode.CONTRADICTION, text))
    return SignatureVerification(tuple(found), opened.identity, opened.payload)


def open_policy_document(bundle: bytes, key_pem: bytes) -> JsonObject:
    """Return the document that a key signed. Raises ``VerificationError`` where none holds."""
    opened = verify_bundle(bundle, key_pem)
    if opened.payload is None:
        raise VerificationError(IssueCode.SIGNATURE, "the trust policy's signature does not hold")
    return cast("JsonObject", parse_statement(opened.payload, PREDICATE).predicate)


def describe_owner_conflict(policy: TrustPolicy, key_pem: bytes) -> str:
    """Say that a key is one that the policy lets sign models or records; nothing where it is not.

    Whoever holds such a key must not be able to say whom to trust.
    """
    try:
        pem = read_public_key(key_pem).pem
    except VerificationError:
        return ""
    for name, key in policy.keys.items():
        if key.pem == pem:
            return f"the owner's key is {name}, which the policy lets sign what it judges"
    return ""


def _statement(policy: TrustPolicy) -> InTotoStatement:
    subject = SubjectDigest(policy.name, Digest(policy.digest).hex)
    return InTotoStatement((subject,), PREDICATE, dict(policy.document))
