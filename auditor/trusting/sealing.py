"""A trust policy's own signature: a statement whose predicate is the policy's document."""

from typing import cast

from auditor.domain.canonical import JsonObject
from auditor.errors import TrustPolicyError
from auditor.signatures.bundles import seal
from auditor.signatures.keys import Signer, read_public_key
from auditor.signatures.objections import Code, Objection, Refused, Verification
from auditor.signatures.opening import unseal
from auditor.signatures.statements import Statement, SubjectDigest, parse_statement
from auditor.trusting.policies import TrustPolicy

PREDICATE = "urn:auditor:trust-policy:v1"


def sign_trust_policy(policy: TrustPolicy, signer: Signer) -> bytes:
    """Sign a policy's document, and return the bundle. The same policy and key give the same bytes.

    Raises ``TrustPolicyError`` where the key is one of those that the policy itself trusts.
    """
    mistake = own_key(policy, signer.public_pem())
    if mistake:
        raise TrustPolicyError(
            f"{policy} cannot be signed with this key: {mistake}",
            cure="Make the owner a pair of its own: auditor keys new --home FOLDER.",
        )
    return seal(_statement(policy).emit(), signer)


def verify_trust_policy(bundle: bytes, policy: TrustPolicy, key_pem: bytes) -> Verification:
    """Verify that the key signed exactly this policy, as a trust policy and as nothing else."""
    opened = unseal(bundle, key_pem)
    if opened.payload is None:
        return opened
    found = list(opened.objections)
    mistake = own_key(policy, key_pem)
    if mistake:
        found.append(Objection(Code.POLICY_OWNER, mistake))
    try:
        statement = parse_statement(opened.payload, PREDICATE)
    except Refused as refused:
        found.append(refused.objection)
    else:
        if statement != _statement(policy):
            text = "the owner signed another trust policy than this one"
            found.append(Objection(Code.CONTRADICTION, text))
    return Verification(tuple(found), opened.identity, opened.payload)


def signed_document(bundle: bytes, key_pem: bytes) -> JsonObject:
    """Return the document that a key signed. Raises ``Refused`` where none holds."""
    opened = unseal(bundle, key_pem)
    if opened.payload is None:
        raise Refused(Code.SIGNATURE, "the trust policy's signature does not hold")
    return cast("JsonObject", parse_statement(opened.payload, PREDICATE).predicate)


def own_key(policy: TrustPolicy, key_pem: bytes) -> str:
    """Say that a key is one that the policy lets sign models or records; nothing where it is not.

    Whoever holds such a key must not be able to say whom to trust.
    """
    try:
        pem = read_public_key(key_pem).pem
    except Refused:
        return ""
    for name, key in policy.keys.items():
        if key.pem == pem:
            return f"the owner's key is {name}, which the policy lets sign what it judges"
    return ""


def _statement(policy: TrustPolicy) -> Statement:
    subject = SubjectDigest(policy.name, policy.digest.removeprefix("sha256:"))
    return Statement((subject,), PREDICATE, dict(policy.document))
