"""What agents take: a lease of one shard at a time, with what is needed to carry it out."""

import secrets
from dataclasses import dataclass, replace

from auditor.accepting import remembered
from auditor.domain.agents import Agent, Lease, Offer
from auditor.domain.canonical import Json
from auditor.domain.requests import Turn
from auditor.domain.submissions import Submission
from auditor.domain.trust import Remembered
from auditor.errors import StoreError
from auditor.leasing.enrolling import refuse_other_code, sign
from auditor.leasing.terms import Leasehold, after
from auditor.refusals import NotFoundError


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """A lease, and all that its agent has to know. ``request`` is the digest of what was
    registered, and ``turn`` what was added there to what is asked; ``seconds`` are those that the
    lease holds without renewal.
    """

    lease: Lease
    seconds: int
    submission: Submission
    registered: str
    request: str
    turn: Turn
    known: Remembered
    code: str

    def to_json(self) -> dict[str, Json]:
        """Return the form that is sent."""
        key = self.lease.offer.key
        blobs: list[Json] = list(self.submission.blobs)
        return {
            "lease": self.lease.offer.id,
            "seconds": self.seconds,
            "until": self.lease.until,
            "target": key.target,
            "check": key.check,
            "shard": key.shard,
            "submission": self.submission.to_json(),
            "registered": self.registered,
            "request": self.request,
            "turn": self.turn.to_json(),
            "known": self.known.to_json(),
            "code": self.code,
            "blobs": blobs,
        }


def new_lease() -> str:
    """Return the id of a new offer, which is that of the lease too."""
    return f"lea-{secrets.token_hex(12)}"


def take(hold: Leasehold, agent: Agent, code: str) -> Assignment | None:
    """Give an agent the lease that it has, or else one of the offers; nothing where there is none.

    Raises ``StandingError`` for other code than the service's.
    """
    refuse_other_code(hold, code)
    sign(hold, agent)
    now = hold.clock()
    until = after(now, hold.terms.lease)
    for lease in held(hold, agent, now):
        # It asks anew, so it was started anew, or the last answer was lost on its way.
        hold.leases.renew(lease.offer.id, until)
        return _assigned(hold, replace(lease, until=until))
    hello = hold.agents.hello(agent.id)
    targets = () if hello is None else tuple(it for it in hello.targets if it in agent.targets)
    for offer in hold.leases.free(agent.project, targets, now):
        if _is_for_others(hold, agent, offer, now):
            continue
        lease = Lease(offer=offer, agent=agent.id, until=until)
        if hold.leases.take(lease, now, offer.key.said | {"agent": agent.name}):
            return _assigned(hold, lease)
    return None


def held(hold: Leasehold, agent: Agent, now: str) -> tuple[Lease, ...]:
    """Return the leases in an agent's hands at a time."""
    return tuple(it for it in hold.leases.taken(agent.id) if not it.over(now))


def needed(hold: Leasehold, agent: Agent, digest: str) -> None:
    """Raise ``NotFoundError`` where no lease in an agent's hands needs the blob of a digest."""
    for lease in held(hold, agent, hold.clock()):
        if digest in _submission(hold, lease).blobs:
            return
    raise NotFoundError(
        f"no lease in this agent's hands needs {digest}", cure="Ask for what a lease lists."
    )


def _is_for_others(hold: Leasehold, agent: Agent, offer: Offer, now: str) -> bool:
    """Whether an offer is too fresh for this agent: its model is open elsewhere, or it failed."""
    if after(offer.at, hold.terms.reserved) <= now:
        return False
    failed = set(hold.leases.failures(offer.key))
    sat = hold.leases.sat(offer.key.submission, offer.key.target)
    return agent.id in failed or sat not in {None, agent.id, *failed}


def _assigned(hold: Leasehold, lease: Lease) -> Assignment:
    submission = _submission(hold, lease)
    registered = hold.kept.registered(submission.id)
    return Assignment(
        lease=lease,
        seconds=hold.terms.lease,
        submission=submission,
        registered=registered.at,
        request=registered.request.digest,
        turn=registered.request.turn,
        known=remembered(hold.kept.store, registered.request, submission.project),
        code=hold.code,
    )


def _submission(hold: Leasehold, lease: Lease) -> Submission:
    found = hold.kept.submission(None, lease.offer.key.submission)
    if found is None:
        raise StoreError("a lease is of no submission", cure="Report this as a defect.")
    return found
