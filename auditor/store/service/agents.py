"""Agents that were enrolled, what they said of themselves, and when they were last heard of."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from auditor.domain.agents import Agent, Hello
from auditor.domain.api_keys import ApiKey
from auditor.domain.canonical import Json, canonical, parse
from auditor.domain.json_parts import Part
from auditor.store.service import callers
from auditor.store.service.adding import added
from auditor.store.service.agent_tables import (
    AgentEvidenceRow,
    AgentHelloRow,
    AgentRow,
    AgentSignRow,
)
from auditor.store.service.tables import ApiKeyEndRow, ApiKeyRow
from auditor.store.store import Store


@dataclass(frozen=True, slots=True)
class Known:
    """An agent, what it said last when it started, and when it was last heard of."""

    agent: Agent
    hello: Hello | None
    seen: str | None


@dataclass(frozen=True, slots=True)
class Agents:
    """The agents of all projects. Every method is a transaction of its own, but ``keep``."""

    store: Store

    def agent(self, name: str) -> Agent | None:
        """Return an agent by its id."""
        with self.store.reading() as session:
            row = session.get(AgentRow, name)
            return None if row is None else _agent(row)

    def agents(self, project: str) -> tuple[Known, ...]:
        """Return the agents of a project, the oldest first, those whose key has ended too."""
        asked = select(AgentRow).where(AgentRow.project == project)
        with self.store.reading() as session:
            rows = session.scalars(asked.order_by(AgentRow.enrolled, AgentRow.id)).all()
            names = [row.id for row in rows]
            hellos, seen = _hellos(session, names), _seen(session, names)
            return tuple(Known(_agent(it), hellos.get(it.id), seen.get(it.id)) for it in rows)

    def greet(self, agent: str, hello: Hello, at: str) -> None:
        """Keep what an agent says of itself when it starts."""
        row = AgentHelloRow
        with self.store.transaction() as session:
            _lock(session, agent)
            last = select(func.coalesce(func.max(row.number), 0)).where(row.agent == agent)
            targets: list[Json] = list(hello.targets)
            session.add(
                row(
                    agent=agent,
                    number=int(session.scalar(last) or 0) + 1,
                    at=at,
                    code=hello.code,
                    targets=canonical(targets).decode(),
                    probes=canonical(dict(hello.probes)).decode(),
                )
            )

    def hello(self, agent: str) -> Hello | None:
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
            added(session, AgentSignRow, agent=agent, at=at)

    def live(self, project: str | None, since: str, now: str) -> tuple[Hello, ...]:
        """Return the last words of agents that were heard of since then, and whose key holds.

        Of one project, or, for ``None``, of all.
        """
        asked = (
            select(AgentRow.id, ApiKeyRow.expires)
            .join(ApiKeyRow, ApiKeyRow.id == AgentRow.id)
            .outerjoin(ApiKeyEndRow, ApiKeyEndRow.key_id == AgentRow.id)
            .where(ApiKeyEndRow.key_id.is_(None))
            .where(select(AgentSignRow.at).where(
                AgentSignRow.agent == AgentRow.id, AgentSignRow.at >= since).exists())
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
            added(session, AgentEvidenceRow, agent=agent, digest=digest, size=size, at=at)

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
    return callers.keep_key(session, key) and added(
        session,
        AgentRow,
        id=agent.id,
        project=agent.project,
        name=agent.name,
        targets=canonical(targets).decode(),
        public_key=agent.public_key,
        enrolled=agent.enrolled,
    )


def _lock(session: Session, agent: str) -> None:
    session.scalar(select(AgentRow.id).where(AgentRow.id == agent).with_for_update())


def _agent(row: AgentRow) -> Agent:
    return Agent(
        id=row.id,
        project=row.project,
        name=row.name,
        targets=_names(row.targets),
        public_key=row.public_key,
        enrolled=row.enrolled,
    )


def _hellos(session: Session, agents: Sequence[str]) -> dict[str, Hello]:
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
        it.agent: Hello(
            code=it.code,
            targets=_names(it.targets),
            probes=Part(parse(it.probes.encode()), "probes").value,
        )
        for it in found
    }


def _seen(session: Session, agents: Sequence[str]) -> dict[str, str]:
    row = AgentSignRow
    asked = select(row.agent, func.max(row.at)).where(row.agent.in_(agents)).group_by(row.agent)
    return {agent: at for agent, at in session.execute(asked)}  # noqa: C416 -- of rows


def _names(text: str) -> tuple[str, ...]:
    found = parse(text.encode())
    return tuple(str(item) for item in found) if isinstance(found, list) else ()
