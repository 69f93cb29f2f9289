"""What agents give: how far a check is, what it saw, or why it saw nothing."""

from dataclasses import dataclass

from auditor.domain.agents import Agent, Lease, Progress
from auditor.domain.canonical import Json, digest
from auditor.domain.evidence import decode
from auditor.domain.served import Failure
from auditor.domain.submissions import ENDED, Said, ShardKey
from auditor.errors import AuditorError, RecordError, SignatureFormatError
from auditor.leasing.enrolling import come_into_use, sign
from auditor.leasing.terms import Leasehold, after
from auditor.refusals import NotFoundError, StandingError, SubmissionError
from auditor.shards import ToldShard, ended, read_told
from auditor.signing.leased import verify_shard

MOST_BLOBS = 500
"""No check has more evidence."""
CURE = "Use the service's own version of auditor as the agent."


@dataclass(frozen=True, slots=True)
class Going:
    """Whether there is a reason to go on with a lease, and whether it is over all the same.

    A lease that is over may have been offered to others; whose result comes first is kept.
    """

    go_on: bool
    lapsed: bool


def lease_of(hold: Leasehold, agent: Agent, name: str) -> Lease:
    """Return a lease of an agent. Raises ``NotFoundError`` for one that it never had."""
    found = hold.leases.lease(agent.id, name)
    if found is None:
        raise NotFoundError(f"this agent has no lease {name}", cure="Ask for one.")
    return found


def advance(hold: Leasehold, agent: Agent, lease: Lease, told: Progress | None) -> Going:
    """Take note that an agent is at work, and how far; a lease that is not over goes on."""
    sign(hold, agent)
    key, now = lease.offer.key, hold.clock()
    if not _wanted(hold, key):
        return Going(go_on=False, lapsed=lease.over(now))
    if lease.over(now):
        return Going(go_on=True, lapsed=True)
    # Half of it may pass before a row says more: not every word of an agent is one.
    if lease.until <= after(now, hold.terms.lease // 2):
        hold.leases.renew(lease.offer.id, after(now, hold.terms.lease))
    if told is not None:
        detail: dict[str, Json] = {"done": told.done, "total": told.total, "note": told.note}
        hold.kept.append(key.submission, Said.PROGRESS, key.said | detail, now)
    return Going(go_on=True, lapsed=False)


def give_back(hold: Leasehold, lease: Lease, failure: Failure) -> None:
    """Let an agent give a lease back; the shard is offered again, a few times in all."""
    hold.leases.give_back(lease.offer.id, failure, hold.clock())


def hand_in(hold: Leasehold, agent: Agent, lease: Lease, shard: bytes, bundle: bytes) -> None:
    """Keep what an agent saw, if it signed it and nobody's result was kept before.

    Also after the lease is over. Raises ``SignatureFormatError`` for what it did not sign,
    ``KeyFileError`` for a key that the ledger knows in another role,
    ``SubmissionError`` for what is no result of this shard, ``StandingError`` where another result
    was kept before, or the submission has ended.
    """
    key = lease.offer.key
    signer = (agent.id, agent.public_key.encode())
    found = verify_shard(bundle, shard, lease.offer.id, key, signer)
    if not found.verified:
        said = "; ".join(f"{item.code}: {item.text}" for item in found.objections)
        raise SignatureFormatError(
            f"the result is not signed by this agent: {said[:300]}",
            cure="Sign with the private key whose public one was enrolled.",
        )
    told = _read(hold, agent, key, shard)
    if hold.kept.state(key.submission) in ENDED:
        raise StandingError(f"{key.submission} has ended", cure="Go on with something else.")
    detail = key.said | ended(told.told) | {"agent": agent.name}
    come_into_use(hold, agent)
    signed = (digest(shard), bundle)
    if not hold.leases.keep(lease, shard, signed, hold.clock(), detail):
        raise StandingError(
            f"another result of {key.check} on {key.target} was kept before",
            cure="Go on with something else.",
        )


def _wanted(hold: Leasehold, key: ShardKey) -> bool:
    return hold.kept.result(key) is None and hold.kept.state(key.submission) not in ENDED


def _read(hold: Leasehold, agent: Agent, key: ShardKey, shard: bytes) -> ToldShard:
    """Read a result, and hold it against its shard, its code and the evidence that was sent."""
    try:
        told = read_told(shard, key.check)
        if (told.told.target, told.told.check) != (key.target, key.check) or key.shard:
            raise RecordError("it is of another shard", cure=CURE)
        if told.code != hold.code:
            raise RecordError("it was seen by another version of auditor", cure=CURE)
        if len(told.evidence) > MOST_BLOBS:
            raise RecordError("it names too much evidence", cure=CURE)
        missing = hold.agents.lacks(agent.id, told.evidence)
        if missing:
            raise RecordError(f"its evidence {missing[0]} was not sent", cure=CURE)
        for name in told.evidence:
            decode(hold.kept.store.blobs.get(name))
    except (AuditorError, ValueError, TypeError, KeyError, EOFError) as error:
        said = error.problem if isinstance(error, AuditorError) else type(error).__name__
        raise SubmissionError(
            f"what came of {key.check} is no result of it: {said}", cure=CURE
        ) from None
    return told
