"""Offers of shards, the leases that agents have of them, and what each lease came to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, and_, func, select
from sqlalchemy.orm import Session

from auditor.domain.agents import Lease, Offer
from auditor.domain.canonical import Json
from auditor.domain.served import Failure
from auditor.domain.submissions import Said, ShardKey
from auditor.store.service import histories
from auditor.store.service.adding import added
from auditor.store.service.agent_tables import (
    AgentFailureRow,
    AgentLeaseRow,
    AgentOfferRow,
    AgentRenewalRow,
    AgentResultRow,
    AgentRow,
)
from auditor.store.service.tables import OutcomeRow, ShardResultRow
from auditor.store.store import Store

RECENT = 5
"""How many leases of one agent are looked through: it has one at a time."""
FEW = 20
Detail = Mapping[str, Json]


@dataclass(frozen=True, slots=True)
class Offered:
    """An offer, the lease of it if somebody took it, and why that one gave it back, if it did."""

    offer: Offer
    lease: Lease | None = None
    failure: Failure | None = None


@dataclass(frozen=True, slots=True)
class Leases:
    """What is offered and leased. Every method is a transaction of its own."""

    store: Store

    def offer(self, offer: Offer, project: str) -> bool:
        """Offer a shard, and say whether nobody else offered it as often."""
        key = offer.key
        with self.store.transaction() as session:
            return added(
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

    def last(self, key: ShardKey) -> Offered | None:
        """Return the last offer of a shard, and what became of it."""
        asked = select(AgentOfferRow).where(_of(key)).order_by(AgentOfferRow.number.desc())
        with self.store.reading() as session:
            row = session.scalar(asked.limit(1))
            if row is None:
                return None
            failed = session.get(AgentFailureRow, row.id)
            failure = None if failed is None else Failure(problem=failed.problem, cure=failed.cure)
            return Offered(_offer(row), _lease(session, row), failure)

    def free(self, project: str, targets: Sequence[str], now: str) -> tuple[Offer, ...]:
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

    def take(self, lease: Lease, at: str, said: Detail) -> bool:
        """Give an offer to an agent, and say whether it was the first to take it.

        ``said`` goes into the submission's history, as that the check begins.
        """
        with self.store.transaction() as session:
            row = AgentLeaseRow
            columns = {"offer": lease.offer.id, "agent": lease.agent, "until": lease.until}
            new = added(session, row, **columns, at=at)
            if new:
                histories.append(session, lease.offer.key.submission, Said.CHECK_STARTED, said, at)
            return new

    def taken(self, agent: str) -> tuple[Lease, ...]:
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

    def lease(self, agent: str, name: str) -> Lease | None:
        """Return a lease of an agent, whether it is over or not."""
        with self.store.reading() as session:
            row = session.get(AgentOfferRow, name)
            found = None if row is None else _lease(session, row)
        return found if found is not None and found.agent == agent else None

    def renew(self, lease: str, until: str) -> None:
        """Let a lease go on until a later time."""
        with self.store.transaction() as session:
            added(session, AgentRenewalRow, offer=lease, until=until)

    def give_back(self, lease: str, failure: Failure, at: str) -> None:
        """Put down why an agent gave a lease back; the first word counts."""
        told = {"problem": failure.problem, "cure": failure.cure}
        with self.store.transaction() as session:
            added(session, AgentFailureRow, offer=lease, at=at, **told)

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
        self, lease: Lease, body: bytes, signed: tuple[str, bytes], at: str, said: Detail
    ) -> bool:
        """Keep a result with its digest and bundle, and say whether it is what is kept of a shard.

        The first result wins; one that is sent again is still the one that is kept.
        """
        key, (digest, bundle) = lease.offer.key, signed
        with self.store.transaction() as session:
            _, new = histories.keep_result(session, key, body, at, said)
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


def _offer(row: AgentOfferRow) -> Offer:
    key = ShardKey(
        submission=row.submission, target=row.target, check=row.check_id, shard=row.shard
    )
    return Offer(id=row.id, key=key, number=row.number, at=row.at, until=row.until)


def _lease(session: Session, row: AgentOfferRow) -> Lease | None:
    taken = session.get(AgentLeaseRow, row.id)
    if taken is None:
        return None
    renewed = select(func.max(AgentRenewalRow.until)).where(AgentRenewalRow.offer == row.id)
    until = session.scalar(renewed) or taken.until
    return Lease(offer=_offer(row), agent=taken.agent, until=until)
