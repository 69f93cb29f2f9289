"""What an agent signs: the bytes of one result, and of which lease and which shard it is."""

from auditor.domain.agents import PREDICATE, signed_of
from auditor.domain.canonical import digest
from auditor.domain.submissions import ShardKey
from auditor.signatures.bundles import seal
from auditor.signatures.keys import Signer
from auditor.signatures.objections import Code, Objection, Refused, Verification
from auditor.signatures.opening import unseal
from auditor.signatures.statements import Statement, SubjectDigest, parse_statement

SHARD = "shard.json"


def sign_shard(shard: bytes, lease: str, key: ShardKey, agent: str, signer: Signer) -> bytes:
    """Sign a result's bytes as one lease's, and return the bundle."""
    return seal(_statement(shard, lease, key, agent).emit(), signer)


def verify_shard(
    bundle: bytes, shard: bytes, lease: str, key: ShardKey, agent: tuple[str, bytes]
) -> Verification:
    """Verify that an agent (its id and public key, PEM) signed exactly this, for this lease."""
    name, public = agent
    opened = unseal(bundle, public)
    if opened.payload is None:
        return opened
    found = list(opened.objections)
    try:
        statement = parse_statement(opened.payload, PREDICATE)
    except Refused as refused:
        found.append(refused.objection)
    else:
        if statement != _statement(shard, lease, key, name):
            text = "the agent signed another result than this one, or for another lease"
            found.append(Objection(Code.CONTRADICTION, text))
    return Verification(tuple(found), opened.identity, opened.payload)


def _statement(shard: bytes, lease: str, key: ShardKey, agent: str) -> Statement:
    subject = SubjectDigest(SHARD, digest(shard).removeprefix("sha256:"))
    return Statement((subject,), PREDICATE, signed_of(lease, key, agent))
