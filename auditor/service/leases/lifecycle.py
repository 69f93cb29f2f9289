"""Lease lifecycle for agents: take, renew, and return a lease, and accept evidence and results.

A blob of evidence is stored only if it matches its announced digest, and is recorded as sent by
that agent.
"""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from auditor.domain.evidence import decode_evidence
from auditor.domain.json import Json, compute_digest
from auditor.domain.requests import ServiceAdditions
from auditor.domain.trust_context import StoredTrustState
from auditor.errors import (
    AuditorError,
    NotFoundError,
    RecordError,
    RequestTooLargeError,
    SignatureFormatError,
    StateConflictError,
    StoreError,
    SubmissionError,
    UploadError,
)
from auditor.service.domain.agents import Agent, LeaseProgress, ShardLease
from auditor.service.domain.submissions import (
    ENDED,
    Submission,
    SubmissionEventKind,
    SubmissionFailure,
)
from auditor.service.jobs.results import describe_check_end, read_shard_report
from auditor.service.leases.enrolment import (
    activate_agent_key,
    record_agent_heartbeat,
    refuse_other_version,
)
from auditor.service.leases.result_signature import verify_shard
from auditor.service.leases.terms import LeaseService, add_seconds
from auditor.service.uploads import PRIVATE_FILE, PRIVATE_FOLDER, PartialUpload
from auditor.workflows.trust_acceptance import find_trust_state


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseAssignment:
    """A lease, and all that its agent has to know. ``request`` is the digest of what was
    registered, and ``turn`` what was added there to what is asked; ``seconds`` are those that the
    lease holds without renewal.
    """

    lease: ShardLease
    seconds: int
    submission: Submission
    registered: str
    request: str
    turn: ServiceAdditions
    known: StoredTrustState
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


def new_lease_id() -> str:
    """Return the id of a new offer, which is that of the lease too."""
    return f"lea-{secrets.token_hex(12)}"


def take_lease(hold: LeaseService, agent: Agent, code: str) -> LeaseAssignment | None:
    """Give an agent the lease that it has, or else one of the offers; nothing where there is none.

    Raises ``StateConflictError`` for other code than the service's.
    """
    refuse_other_version(hold, code)
    record_agent_heartbeat(hold, agent)
    now = hold.clock()
    until = add_seconds(now, hold.terms.lease)
    for lease in list_active_leases(hold, agent, now):
        # It asks anew, so it was started anew, or the last answer was lost on its way.
        hold.leases.renew(lease.offer.id, until)
        return _assigned(hold, replace(lease, until=until))
    hello = hold.agents.hello(agent.id)
    targets = () if hello is None else tuple(it for it in hello.targets if it in agent.targets)
    for offer in hold.leases.free(agent.project, targets, now):
        # Whether an offer is too fresh for this agent: its model is open elsewhere, or it failed
        if add_seconds(offer.at, hold.terms.reserved) <= now:
            is_for_others = False
        else:
            failed = set(hold.leases.failures(offer.key))
            sat = hold.leases.sat(offer.key.submission, offer.key.target)
            is_for_others = agent.id in failed or sat not in {None, agent.id, *failed}
        if is_for_others:
            continue
        lease = ShardLease(offer=offer, agent=agent.id, until=until)
        if hold.leases.take(lease, now, offer.key.said | {"agent": agent.name}):
            return _assigned(hold, lease)
    return None


def list_active_leases(hold: LeaseService, agent: Agent, now: str) -> tuple[ShardLease, ...]:
    """Return the leases in an agent's hands at a time."""
    return tuple(it for it in hold.leases.taken(agent.id) if not it.over(now))


def require_leased_blob(hold: LeaseService, agent: Agent, digest: str) -> None:
    """Raise ``NotFoundError`` where no lease in an agent's hands needs the blob of a digest."""
    for lease in list_active_leases(hold, agent, hold.clock()):
        if digest in _submission(hold, lease).blobs:
            return
    raise NotFoundError(
        f"no lease of this agent needs {digest}", cure="Request only files that a lease lists."
    )


def _assigned(hold: LeaseService, lease: ShardLease) -> LeaseAssignment:
    submission = _submission(hold, lease)
    registered = hold.kept.registered(submission.id)
    return LeaseAssignment(
        lease=lease,
        seconds=hold.terms.lease,
        submission=submission,
        registered=registered.at,
        request=registered.request.digest,
        turn=registered.request.turn,
        known=find_trust_state(hold.kept.store, registered.request, submission.project),
        code=hold.code,
    )


def _submission(hold: LeaseService, lease: ShardLease) -> Submission:
    found = hold.kept.submission(None, lease.offer.key.submission)
    if found is None:
        raise StoreError("a lease is of no submission", cure="Report this as a defect.")
    return found


MOST_BLOBS = 500
"""No check has more evidence."""
CURE = "Run the agent with the version of auditor that the service runs."


@dataclass(frozen=True, slots=True)
class LeaseRenewal:
    """Whether there is a reason to go on with a lease, and whether it is over all the same.

    A lease that is over may have been offered to others; whose result comes first is kept.
    """

    go_on: bool
    lapsed: bool


def find_agent_lease(hold: LeaseService, agent: Agent, name: str) -> ShardLease:
    """Return a lease of an agent. Raises ``NotFoundError`` for one that it never had."""
    found = hold.leases.lease(agent.id, name)
    if found is None:
        raise NotFoundError(f"this agent has no lease {name}", cure="Ask for one.")
    return found


def renew_lease(
    hold: LeaseService, agent: Agent, lease: ShardLease, told: LeaseProgress | None
) -> LeaseRenewal:
    """Take note that an agent is at work, and how far; a lease that is not over goes on."""
    record_agent_heartbeat(hold, agent)
    key, now = lease.offer.key, hold.clock()
    if not (hold.kept.result(key) is None and hold.kept.state(key.submission) not in ENDED):
        return LeaseRenewal(go_on=False, lapsed=lease.over(now))
    if lease.over(now):
        return LeaseRenewal(go_on=True, lapsed=True)
    # Half of it may pass before a row says more: not every word of an agent is one.
    if lease.until <= add_seconds(now, hold.terms.lease // 2):
        hold.leases.renew(lease.offer.id, add_seconds(now, hold.terms.lease))
    if told is not None:
        detail: dict[str, Json] = {"done": told.done, "total": told.total, "note": told.note}
        hold.kept.append(key.submission, SubmissionEventKind.PROGRESS, key.said | detail, now)
    return LeaseRenewal(go_on=True, lapsed=False)


def give_back_lease(hold: LeaseService, lease: ShardLease, failure: SubmissionFailure) -> None:
    """Let an agent give a lease back; the shard is offered again, a few times in all."""
    hold.leases.give_back(lease.offer.id, failure, hold.clock())


def accept_shard_result(
    hold: LeaseService, agent: Agent, lease: ShardLease, shard: bytes, bundle: bytes
) -> None:
    """Keep what an agent saw, if it signed it and nobody's result was kept before.

    Also after the lease is over. Raises ``SignatureFormatError`` for what it did not sign,
    ``KeyFileError`` for a key that the ledger knows in another role,
    ``SubmissionError`` for what is no result of this shard, ``StateConflictError`` where another
    result was kept before, or the submission has ended.
    """
    key = lease.offer.key
    signer = (agent.id, agent.public_key.encode())
    found = verify_shard(bundle, shard, lease.offer.id, key, signer)
    if not found.verified:
        said = "; ".join(f"{item.code}: {item.text}" for item in found.objections)
        raise SignatureFormatError(
            f"the result is not signed by this agent: {said[:300]}",
            cure="Sign with the private key of the enrolled public key.",
        )
    # Read a result, and hold it against its shard, its code and the evidence that was sent
    try:
        told = read_shard_report(shard, key.check)
        if (told.told.target, told.told.check) != (key.target, key.check) or key.shard:
            raise RecordError("it belongs to another shard", cure=CURE)
        if told.code != hold.code:
            raise RecordError("it was made by another version of auditor", cure=CURE)
        if len(told.evidence) > MOST_BLOBS:
            raise RecordError("it lists too much evidence", cure=CURE)
        missing = hold.agents.lacks(agent.id, told.evidence)
        if missing:
            raise RecordError(f"its evidence {missing[0]} was not uploaded", cure=CURE)
        for name in told.evidence:
            decode_evidence(hold.kept.store.blobs.get(name))
    except (AuditorError, ValueError, TypeError, KeyError, EOFError) as error:
        read_said = error.problem if isinstance(error, AuditorError) else type(error).__name__
        raise SubmissionError(
            f"this is not a result of {key.check}: {read_said}", cure=CURE
        ) from None
    if hold.kept.state(key.submission) in ENDED:
        raise StateConflictError(f"{key.submission} has ended", cure="Continue with another lease.")
    detail = key.said | describe_check_end(told.told) | {"agent": agent.name}
    activate_agent_key(hold, agent)
    signed = (compute_digest(shard), bundle)
    if not hold.leases.keep(lease, shard, signed, hold.clock(), detail):
        raise StateConflictError(
            f"another result of {key.check} on {key.target} was submitted first",
            cure="Continue with another lease.",
        )


@contextmanager
def receive_evidence(
    hold: LeaseService, agent: Agent, digest: str, length: int
) -> Iterator[PartialUpload]:
    """Take a blob of evidence in, whole or not at all, from an agent that has a shard in hand.

    Raises ``StateConflictError`` for one that has none, ``RequestTooLargeError``, and
    ``UploadError`` for bytes of another digest or length.
    """
    if not hold.leases.taken(agent.id):
        raise StateConflictError(
            "this agent has no lease", cure="Upload evidence only for a lease."
        )
    if length > hold.most:
        raise RequestTooLargeError(
            f"the evidence has {length} bytes; the limit is {hold.most}",
            cure="Ask the operator of the service for a higher limit.",
        )
    path = hold.kept.store.blobs.root / ".uploads" / f"evidence-{secrets.token_hex(16)}"
    try:
        with _opened(path, length) as arriving:
            yield arriving
        if arriving.left or not hold.kept.store.blobs.take(path, digest):
            raise UploadError(
                f"the bytes sent do not have the digest {digest} and were discarded",
                cure="Send the complete blob again.",
            )
    finally:
        path.unlink(missing_ok=True)
    hold.agents.note_evidence(agent.id, digest, length, hold.clock())


@contextmanager
def _opened(path: Path, length: int) -> Iterator[PartialUpload]:
    try:
        path.parent.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
        flags = os.O_CREAT | os.O_WRONLY | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        file = os.fdopen(os.open(path, flags, PRIVATE_FILE), "wb")
    except OSError as error:
        raise StoreError(
            f"evidence cannot be written: {error.strerror}",
            cure="Check the free space and the write permission on the disk of the service.",
        ) from error
    with file:
        yield PartialUpload(file, length)
