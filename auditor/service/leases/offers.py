"""The service's own part of a shard that agents carry out: it is offered until a result is kept."""

from auditor.errors import SubmissionError
from auditor.service.domain.agents import ShardLease, ShardOffer
from auditor.service.domain.submissions import ENDED, ShardKey, SubmissionEventKind
from auditor.service.leases.lifecycle import new_lease_id
from auditor.service.leases.terms import LeaseService, add_seconds
from auditor.service.store.agents import OfferStatus


def offer_shard(hold: LeaseService, key: ShardKey) -> bool:
    """Offer a shard where it has to be, and say whether there is nothing to wait for any more.

    It may be called again and again, by several processes at once. Raises ``SubmissionError``
    where agents gave it back so often that it would not help to ask another one.
    """
    if hold.kept.result(key) is not None or hold.kept.state(key.submission) in ENDED:
        return True
    last, now = hold.leases.last(key), hold.clock()
    if last is None:
        _offer(hold, key, 1, now)
    elif last.failure is not None:
        _refuse_hopeless(hold, key, last)
        _offer(hold, key, last.offer.number + 1, now)
    elif last.lease is not None and last.lease.over(now):
        if _offer(hold, key, last.offer.number + 1, now):
            _note_lapsed(hold, last.lease, now)
    elif last.lease is None and last.offer.until <= now:
        _offer(hold, key, last.offer.number + 1, now)
    return False


def _offer(hold: LeaseService, key: ShardKey, number: int, now: str) -> bool:
    found = hold.kept.submission(None, key.submission)
    project = "" if found is None else found.project
    until = add_seconds(now, hold.terms.offered)
    offer = ShardOffer(id=new_lease_id(), key=key, number=number, at=now, until=until)
    return hold.leases.offer(offer, project)


def _refuse_hopeless(hold: LeaseService, key: ShardKey, last: OfferStatus) -> None:
    failure = last.failure
    if failure is not None and len(hold.leases.failures(key)) >= hold.terms.failures:
        raise SubmissionError(
            f"agents gave {key.check} on {key.target} back {hold.terms.failures} times, last with: "
            f"{failure.problem}",
            cure=failure.cure,
        )


def _note_lapsed(hold: LeaseService, lease: ShardLease, now: str) -> None:
    agent, key = hold.agents.agent(lease.agent), lease.offer.key
    name = lease.agent if agent is None else agent.name
    text = f"nothing was heard of {name} in time: {key.check} on {key.target} is offered again"
    hold.kept.append(key.submission, SubmissionEventKind.NOTE, {"text": text}, now)
