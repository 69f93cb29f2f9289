"""Offers of shards to agents, kept open until a result is stored."""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager

from auditor.errors import StoreError, SubmissionError
from auditor.service.domain.agents import ShardLease, ShardOffer
from auditor.service.domain.submissions import ENDED, ShardKey, SubmissionEventKind
from auditor.service.leases.lifecycle import new_lease_id
from auditor.service.leases.terms import LeaseService, add_seconds

PAUSE = 0.5
"""Seconds between two looks for the result of a shard."""


def wait_for_agent(
    look: Callable[[ShardKey], bool],
    key: ShardKey,
    turn: Callable[[], AbstractContextManager[None]],
    pause: Callable[[float], None] = time.sleep,
) -> None:
    """Wait until an agent has seen a check: ``look`` offers it where that has to be.

    A look is short, and each has a ``turn`` of its own, so that a process that stops waits for no
    agent: the result is taken after the next start.
    """
    while True:
        with turn():
            try:
                if look(key):
                    return
            except StoreError:
                pass  # it waits for an agent: it can wait for the store as well
        pause(PAUSE)


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
        failure = last.failure
        if failure is not None and len(hold.leases.failures(key)) >= hold.terms.failures:
            raise SubmissionError(
                f"agents returned {key.check} on {key.target} {hold.terms.failures} times, "
                f"last with: {failure.problem}",
                cure=failure.cure,
            )
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


def _note_lapsed(hold: LeaseService, lease: ShardLease, now: str) -> None:
    agent, key = hold.agents.agent(lease.agent), lease.offer.key
    name = lease.agent if agent is None else agent.name
    text = f"{name} did not respond in time: {key.check} on {key.target} is offered again"
    hold.kept.append(key.submission, SubmissionEventKind.NOTE, {"text": text}, now)
