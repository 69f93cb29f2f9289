"""The signature of an agent over a result, its lease and its shard."""

from auditor.domain.json import compute_digest
from auditor.service.domain.agents import LEASED_RESULT_PREDICATE, build_result_annotations
from auditor.service.domain.submissions import ShardKey
from auditor.trust.encoding.dsse import InTotoStatement, SubjectDigest, parse_statement
from auditor.trust.signatures.keys import Signer
from auditor.trust.signatures.sigstore_bundle import sign_bundle
from auditor.trust.signatures.verify import verify_bundle
from auditor.trust.verification_result import (
    IssueCode,
    SignatureVerification,
    VerificationError,
    VerificationIssue,
)

SHARD = "shard.json"


def sign_shard(shard: bytes, lease: str, key: ShardKey, agent: str, signer: Signer) -> bytes:
    """Sign a result's bytes as one lease's, and return the bundle."""
    return sign_bundle(_statement(shard, lease, key, agent).emit(), signer)


def verify_shard(
    bundle: bytes, shard: bytes, lease: str, key: ShardKey, agent: tuple[str, bytes]
) -> SignatureVerification:
    """Verify that an agent (its id and public key, PEM) signed exactly this, for this lease."""
    name, public = agent
    opened = verify_bundle(bundle, public)
    if opened.payload is None:
        return opened
    found = list(opened.objections)
    try:
        statement = parse_statement(opened.payload, LEASED_RESULT_PREDICATE)
    except VerificationError as refused:
        found.append(refused.objection)
    else:
        if statement != _statement(shard, lease, key, name):
            text = "the signature is for another result or another lease"
            found.append(VerificationIssue(IssueCode.CONTRADICTION, text))
    return SignatureVerification(tuple(found), opened.identity, opened.payload)


def _statement(shard: bytes, lease: str, key: ShardKey, agent: str) -> InTotoStatement:
    subject = SubjectDigest(SHARD, compute_digest(shard).hex)
    return InTotoStatement(
        (subject,), LEASED_RESULT_PREDICATE, build_result_annotations(lease, key, agent)
    )
