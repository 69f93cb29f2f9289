"""Stored agents, their heartbeats, offers and leases, and the observed identity of targets."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, and_, func, or_, select
from sqlalchemy.orm import Session

from auditor.domain.json import Json, JsonPart, digest_json, encode_canonical, parse_json
from auditor.errors import StoreError
from auditor.service.domain.access import ApiKey
from auditor.service.domain.agents import (
    Agent,
    AgentHello,
    ShardLease,
    ShardOffer,
    TargetSighting,
    select_identity_facts,
)
from auditor.service.domain.submissions import ShardKey, SubmissionEventKind, SubmissionFailure
from auditor.service.store import projects, submission_history
from auditor.service.store.tables import (
    AgentEvidenceRow,
    AgentFailureRow,
    AgentHeartbeatRow,
    AgentHelloRow,
    AgentLeaseRow,
    AgentOfferRow,
    AgentRenewalRow,
    AgentResultRow,
    AgentRow,
    ApiKeyEndRow,
    ApiKeyRow,
    OutcomeRow,
    ShardResultRow,
    SightingRow,
    UploadRow,
)
from auditor.store.record_store import RecordStore
from auditor.store.sql import insert_if_absent

RECENT = 5
"""How many leases of one agent are looked through: it has one at a time."""
FEW = 20
Detail = Mapping[str, Json]


@dataclass(frozen=True, slots=True)
class OfferStatus:
    """An offer, the lease of it if somebody took it, and why that one gave it back, if it did."""

    offer: ShardOffer
    lease: ShardLease | None = None
    failure: SubmissionFailure | None = None


@dataclass(frozen=True, slots=True)
class LeaseStore:
    """What is offered and leased. Every method is a transaction of its own."""

    store: RecordStore

    def offer(self, offer: ShardOffer, project: str) -> bool:
        """Offer a shard, and say whether nobody else offered it as often."""
        key = offer.key
        with self.store.transaction() as session:
            return insert_if_absent(
                session,
                AgentOfferRow,
                id=offer.id,
                project=project,
                submission=key.submission,
                target=key.target,
                check_id=key.check,
                shard=key.shard,
                number=offer.number,
                at=offer.at,
                until=offer.until,
            )

    def last(self, key: ShardKey) -> OfferStatus | None:
        """Return the last offer of a shard, and what became of it."""
        asked = select(AgentOfferRow).where(_of(key)).order_by(AgentOfferRow.number.desc())
        with self.store.reading() as session:
            row = session.scalar(asked.limit(1))
            if row is None:
                return None
            failed = session.get(AgentFailureRow, row.id)
            failure = (
                None
                if failed is None
                else SubmissionFailure(problem=failed.problem, cure=failed.cure)
            )
            return OfferStatus(_offer(row), _lease(session, row), failure)

    def free(self, project: str, targets: Sequence[str], now: str) -> tuple[ShardOffer, ...]:
        """Return offers that nobody took, of shards that are still wanted, the oldest first."""
        row = AgentOfferRow
        asked = (
            select(row)
            .outerjoin(AgentLeaseRow, AgentLeaseRow.offer == row.id)
            .where(row.project == project, row.target.in_(targets), row.until > now)
            .where(AgentLeaseRow.offer.is_(None), *_wanted())
            .order_by(row.at, row.id)
            .limit(FEW)
        )
        with self.store.reading() as session:
            return tuple(_offer(it) for it in session.scalars(asked))

    def sat(self, submission: str, target: str) -> str | None:
        """Return the agent that took a shard of a submission on a target last."""
        row = AgentOfferRow
        asked = (
            select(AgentLeaseRow.agent)
            .join(row, row.id == AgentLeaseRow.offer)
            .where(row.submission == submission, row.target == target)
            .order_by(AgentLeaseRow.at.desc(), row.number.desc())
        )
        with self.store.reading() as session:
            return session.scalar(asked.limit(1))

    def take(self, lease: ShardLease, at: str, said: Detail) -> bool:
        """Give an offer to an agent, and say whether it was the first to take it.

        ``said`` goes into the submission's history, as that the check begins.
        """
        with self.store.transaction() as session:
            row = AgentLeaseRow
            columns = {"offer": lease.offer.id, "agent": lease.agent, "until": lease.until}
            new = insert_if_absent(session, row, **columns, at=at)
            if new:
                submission_history.append_event(
                    session, lease.offer.key.submission, SubmissionEventKind.CHECK_STARTED, said, at
                )
            return new

    def taken(self, agent: str) -> tuple[ShardLease, ...]:
        """Return the leases that an agent took last, over or not, of shards still wanted of it."""
        row, taken = AgentOfferRow, AgentLeaseRow
        mine = select(taken.offer, taken.at).where(taken.agent == agent)
        recent = mine.order_by(taken.at.desc()).limit(RECENT).subquery()
        asked = (
            select(row)
            .join(recent, recent.c.offer == row.id)
            .where(~select(AgentFailureRow.offer).where(AgentFailureRow.offer == row.id).exists())
            .where(*_wanted())
            .order_by(recent.c.at.desc())
        )
        with self.store.reading() as session:
            found = [_lease(session, it) for it in session.scalars(asked).all()]
        return tuple(it for it in found if it is not None)

    def lease(self, agent: str, name: str) -> ShardLease | None:
        """Return a lease of an agent, whether it is over or not."""
        with self.store.reading() as session:
            row = session.get(AgentOfferRow, name)
            found = None if row is None else _lease(session, row)
        return found if found is not None and found.agent == agent else None

    def renew(self, lease: str, until: str) -> None:
        """Let a lease go on until a later time."""
        with self.store.transaction() as session:
            insert_if_absent(session, AgentRenewalRow, offer=lease, until=until)

    def give_back(self, lease: str, failure: SubmissionFailure, at: str) -> None:
        """Put down why an agent gave a lease back; the first word counts."""
        told = {"problem": failure.problem, "cure": failure.cure}
        with self.store.transaction() as session:
            insert_if_absent(session, AgentFailureRow, offer=lease, at=at, **told)

    def failures(self, key: ShardKey) -> tuple[str, ...]:
        """Return the agents that gave leases of a shard back, once for each time."""
        asked = (
            select(AgentLeaseRow.agent)
            .join(AgentOfferRow, AgentOfferRow.id == AgentLeaseRow.offer)
            .join(AgentFailureRow, AgentFailureRow.offer == AgentLeaseRow.offer)
            .where(_of(key))
        )
        with self.store.reading() as session:
            return tuple(session.scalars(asked))

    def keep(
        self, lease: ShardLease, body: bytes, signed: tuple[str, bytes], at: str, said: Detail
    ) -> bool:
        """Keep a result with its digest and bundle, and say whether it is what is kept of a shard.

        The first result wins; one that is sent again is still the one that is kept.
        """
        key, (digest, bundle) = lease.offer.key, signed
        with self.store.transaction() as session:
            _, new = submission_history.keep_result(session, key, body, at, said)
            if not new:
                kept = session.get(AgentResultRow, lease.offer.id)
                return kept is not None and kept.digest == digest
            row = AgentResultRow
            session.add(row(offer=lease.offer.id, at=at, digest=digest, bundle=bundle))
            return True

    def saw(self, submission: str) -> Mapping[str, tuple[str, ...]]:
        """Return the public keys of the agents whose results a submission has, by target."""
        offer, lease = AgentOfferRow, AgentLeaseRow
        asked = (
            select(offer.target, AgentRow.public_key)
            .join(lease, lease.offer == offer.id)
            .join(AgentResultRow, AgentResultRow.offer == offer.id)
            .join(AgentRow, AgentRow.id == lease.agent)
            .where(offer.submission == submission)
            .distinct()
            .order_by(offer.target, AgentRow.public_key)
        )
        found: dict[str, tuple[str, ...]] = {}
        with self.store.reading() as session:
            for target, key in session.execute(asked):
                found[target] = (*found.get(target, ()), key)
        return found


def _of(key: ShardKey) -> ColumnElement[bool]:
    row = AgentOfferRow
    return and_(
        row.submission == key.submission,
        row.target == key.target,
        row.check_id == key.check,
        row.shard == key.shard,
    )


def _wanted() -> tuple[ColumnElement[bool], ...]:
    """Return the conditions under which somebody still waits for the result of an offer."""
    row, result = AgentOfferRow, ShardResultRow
    seen = select(result.submission).where(
        result.submission == row.submission,
        result.target == row.target,
        result.check_id == row.check_id,
        result.shard == row.shard,
    )
    ended = select(OutcomeRow.submission).where(OutcomeRow.submission == row.submission)
    return ~seen.exists(), ~ended.exists()


def _offer(row: AgentOfferRow) -> ShardOffer:
    key = ShardKey(
        submission=row.submission, target=row.target, check=row.check_id, shard=row.shard
    )
    return ShardOffer(id=row.id, key=key, number=row.number, at=row.at, until=row.until)


def _lease(session: Session, row: AgentOfferRow) -> ShardLease | None:
    taken = session.get(AgentLeaseRow, row.id)
    if taken is None:
        return None
    renewed = select(func.max(AgentRenewalRow.until)).where(AgentRenewalRow.offer == row.id)
    until = session.scalar(renewed) or taken.until
    return ShardLease(offer=_offer(row), agent=taken.agent, until=until)


@dataclass(frozen=True, slots=True)
class AgentStatus:
    """An agent, what it said last when it started, and when it was last heard of."""

    agent: Agent
    hello: AgentHello | None
    seen: str | None


@dataclass(frozen=True, slots=True)
class AgentStore:
    """The agents of all projects. Every method is a transaction of its own, but ``keep``."""

    store: RecordStore

    def agent(self, name: str) -> Agent | None:
        """Return an agent by its id."""
        with self.store.reading() as session:
            row = session.get(AgentRow, name)
            return None if row is None else _agent(row)

    def agents(self, project: str) -> tuple[AgentStatus, ...]:
        """Return the agents of a project, the oldest first, those whose key has ended too."""
        asked = select(AgentRow).where(AgentRow.project == project)
        with self.store.reading() as session:
            rows = session.scalars(asked.order_by(AgentRow.enrolled, AgentRow.id)).all()
            names = [row.id for row in rows]
            hellos, seen = _hellos(session, names), _seen(session, names)
            return tuple(AgentStatus(_agent(it), hellos.get(it.id), seen.get(it.id)) for it in rows)

    def greet(self, agent: str, hello: AgentHello, at: str) -> None:
        """Keep what an agent says of itself when it starts."""
        row = AgentHelloRow
        with self.store.transaction() as session:
            session.scalar(select(AgentRow.id).where(AgentRow.id == agent).with_for_update())
            last = select(func.coalesce(func.max(row.number), 0)).where(row.agent == agent)
            targets: list[Json] = list(hello.targets)
            session.add(
                row(
                    agent=agent,
                    number=int(session.scalar(last) or 0) + 1,
                    at=at,
                    code=hello.code,
                    targets=encode_canonical(targets).decode(),
                    probes=encode_canonical(dict(hello.probes)).decode(),
                )
            )

    def hello(self, agent: str) -> AgentHello | None:
        """Return what an agent said when it started last."""
        with self.store.reading() as session:
            return _hellos(session, [agent]).get(agent)

    def seen(self, agent: str) -> str | None:
        """Return when an agent was last heard of."""
        with self.store.reading() as session:
            return _seen(session, [agent]).get(agent)

    def sign(self, agent: str, at: str) -> None:
        """Write down that an agent lives."""
        with self.store.transaction() as session:
            insert_if_absent(session, AgentHeartbeatRow, agent=agent, at=at)

    def live(self, project: str | None, since: str, now: str) -> tuple[AgentHello, ...]:
        """Return the last words of agents that were heard of since then, and whose key holds.

        Of one project, or, for ``None``, of all.
        """
        asked = (
            select(AgentRow.id, ApiKeyRow.expires)
            .join(ApiKeyRow, ApiKeyRow.id == AgentRow.id)
            .outerjoin(ApiKeyEndRow, ApiKeyEndRow.key_id == AgentRow.id)
            .where(ApiKeyEndRow.key_id.is_(None))
            .where(select(AgentHeartbeatRow.at).where(
                AgentHeartbeatRow.agent == AgentRow.id, AgentHeartbeatRow.at >= since).exists())
        )  # fmt: skip
        if project is not None:
            asked = asked.where(AgentRow.project == project)
        with self.store.reading() as session:
            found = session.execute(asked)
            names = [name for name, ends in found if ends is None or ends > now]
            return tuple(_hellos(session, names).values())

    def note_evidence(self, agent: str, digest: str, size: int, at: str) -> None:
        """Write down that an agent sent a blob in full."""
        with self.store.transaction() as session:
            insert_if_absent(
                session, AgentEvidenceRow, agent=agent, digest=digest, size=size, at=at
            )

    def lacks(self, agent: str, digests: Sequence[str]) -> tuple[str, ...]:
        """Return those of ``digests`` that an agent never sent."""
        row = AgentEvidenceRow
        asked = select(row.digest).where(row.agent == agent, row.digest.in_(digests))
        with self.store.transaction() as session:
            there = set(session.scalars(asked))
        return tuple(it for it in digests if it not in there)


def keep_agent(session: Session, agent: Agent, key: ApiKey) -> bool:
    """Keep an agent and the key that it calls with, unless there is one of the key's id."""
    targets: list[Json] = list(agent.targets)
    return projects.keep_key(session, key) and insert_if_absent(
        session,
        AgentRow,
        id=agent.id,
        project=agent.project,
        name=agent.name,
        targets=encode_canonical(targets).decode(),
        public_key=agent.public_key,
        enrolled=agent.enrolled,
    )


def _agent(row: AgentRow) -> Agent:
    return Agent(
        id=row.id,
        project=row.project,
        name=row.name,
        targets=_names(row.targets),
        public_key=row.public_key,
        enrolled=row.enrolled,
    )


def _hellos(session: Session, agents: Sequence[str]) -> dict[str, AgentHello]:
    if not agents:
        return {}
    row = AgentHelloRow
    last = (
        select(row.agent, func.max(row.number).label("number"))
        .where(row.agent.in_(agents))
        .group_by(row.agent)
        .subquery()
    )
    same = (row.agent == last.c.agent) & (row.number == last.c.number)
    found = session.scalars(select(row).join(last, same))
    return {
        it.agent: AgentHello(
            code=it.code,
            targets=_names(it.targets),
            probes=JsonPart(parse_json(it.probes.encode()), "probes").value,
        )
        for it in found
    }


def _seen(session: Session, agents: Sequence[str]) -> dict[str, str]:
    row = AgentHeartbeatRow
    asked = select(row.agent, func.max(row.at)).where(row.agent.in_(agents)).group_by(row.agent)
    return {agent: at for agent, at in session.execute(asked)}  # noqa: C416 -- of rows


def _names(text: str) -> tuple[str, ...]:
    found = parse_json(text.encode())
    return tuple(str(item) for item in found) if isinstance(found, list) else ()


@dataclass(frozen=True, slots=True)
class SightingStore:
    """What was seen of targets. Every method is a transaction of its own."""

    store: RecordStore

    def note(
        self, seer: str, target: str, probe: Mapping[str, Json], at: str,
        project: str | None = None,
    ) -> bool:  # fmt: skip
        """Keep what a target is, and say whether the same seer said otherwise, or nothing, before.

        Without a project it is a worker's word, which counts in all. A probe that lacks what must
        match tells nothing.
        """
        facts, row = select_identity_facts(probe), SightingRow
        if not facts:
            return False
        identity = digest_json(facts)
        last = select(row.number, row.identity).where(row.seer == seer, row.target == target)
        with self.store.transaction() as session:
            before = session.execute(last.order_by(row.number.desc()).limit(1)).first()
            if before is not None and before.identity == identity:
                return False
            return insert_if_absent(
                session, row, seer=seer, target=target, project=project, identity=identity,
                number=1 if before is None else int(before.number) + 1,
                facts=encode_canonical(facts).decode(), at=at,
            )  # fmt: skip

    def since(self, project: str, at: str) -> tuple[TargetSighting, ...]:
        """Return what was seen for a project since a time, the oldest first."""
        row = SightingRow
        asked = (
            select(row)
            .where(row.at >= at, or_(row.project.is_(None), row.project == project))
            .order_by(row.at, row.seer, row.target, row.number)
        )
        with self.store.reading() as session:
            return tuple(
                TargetSighting(
                    seer=it.seer, target=it.target, number=it.number, at=it.at,
                    facts=JsonPart(parse_json(it.facts.encode()), "facts").value,
                )
                for it in session.scalars(asked)
            )  # fmt: skip


LOOKED_AT = 20


def refuse_other_blobs(store: RecordStore) -> None:
    """Raise ``StoreError`` where not one of the files uploaded last is among the blobs.

    Whoever works on without them fails every audit that it takes up.
    """
    newest = select(UploadRow.digest).order_by(UploadRow.at.desc()).limit(LOOKED_AT)
    with store.reading() as session:
        digests = session.scalars(newest).all()
    if digests and not any(store.blobs.has(digest) for digest in digests):
        raise StoreError(
            "none of the uploads in the database is in this blob store",
            cure="Set AUDITOR_BLOBS_URL, or AUDITOR_HOME, to the value of the service.",
        )
