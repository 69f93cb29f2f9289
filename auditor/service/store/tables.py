"""The tables of agents. Rows are only ever added: what a lease is now follows from its rows."""

from sqlalchemy import BigInteger, ForeignKey, ForeignKeyConstraint, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from auditor.store.tables import Base


class AgentRow(Base):
    """An agent under the id of its API key; ``targets`` is canonical JSON."""

    __tablename__ = "agents"

    id: Mapped[str] = mapped_column(ForeignKey("api_keys.id"), primary_key=True)
    project: Mapped[str] = mapped_column(ForeignKey("projects.name"), index=True)
    name: Mapped[str]
    targets: Mapped[str]
    public_key: Mapped[str]
    enrolled: Mapped[str]


class AgentHelloRow(Base):
    """What an agent said when it started; ``targets`` and ``probes`` are canonical JSON."""

    __tablename__ = "agent_hellos"

    agent: Mapped[str] = mapped_column(ForeignKey("agents.id"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    at: Mapped[str]
    code: Mapped[str]
    targets: Mapped[str]
    probes: Mapped[str]


class AgentSignRow(Base):
    """A sign of life, not more often than it takes to know that an agent lives."""

    __tablename__ = "agent_signs"

    agent: Mapped[str] = mapped_column(ForeignKey("agents.id"), primary_key=True)
    at: Mapped[str] = mapped_column(primary_key=True)


class AgentOfferRow(Base):
    """A shard that was offered; ``project`` is the submission's."""

    __tablename__ = "agent_offers"
    __table_args__ = (
        UniqueConstraint("submission", "target", "check_id", "shard", "number"),
        Index("ix_agent_offers_free", "project", "target", "until"),
        ForeignKeyConstraint(["submission"], ["submissions.id"]),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    project: Mapped[str]
    submission: Mapped[str]
    target: Mapped[str]
    check_id: Mapped[str]
    shard: Mapped[str]
    number: Mapped[int]
    at: Mapped[str]
    until: Mapped[str]


class AgentLeaseRow(Base):
    """An offer that an agent took; nobody else can take the same one."""

    __tablename__ = "agent_leases"
    __table_args__ = (Index("ix_agent_leases_agent", "agent", "at"),)

    offer: Mapped[str] = mapped_column(ForeignKey("agent_offers.id"), primary_key=True)
    agent: Mapped[str] = mapped_column(ForeignKey("agents.id"))
    at: Mapped[str]
    until: Mapped[str]


class AgentRenewalRow(Base):
    """A lease that was renewed until a later time."""

    __tablename__ = "agent_renewals"

    offer: Mapped[str] = mapped_column(ForeignKey("agent_leases.offer"), primary_key=True)
    until: Mapped[str] = mapped_column(primary_key=True)


class AgentFailureRow(Base):
    """A lease that its agent gave back, and why."""

    __tablename__ = "agent_failures"

    offer: Mapped[str] = mapped_column(ForeignKey("agent_leases.offer"), primary_key=True)
    at: Mapped[str]
    problem: Mapped[str]
    cure: Mapped[str]


class AgentResultRow(Base):
    """A result that was kept, and its agent's signature over it: a bundle."""

    __tablename__ = "agent_results"

    offer: Mapped[str] = mapped_column(ForeignKey("agent_leases.offer"), primary_key=True)
    at: Mapped[str]
    digest: Mapped[str]
    bundle: Mapped[bytes]


class AgentEvidenceRow(Base):
    """A blob of evidence that an agent sent in full."""

    __tablename__ = "agent_evidence"

    agent: Mapped[str] = mapped_column(ForeignKey("agents.id"), primary_key=True)
    digest: Mapped[str] = mapped_column(primary_key=True)
    size: Mapped[int] = mapped_column(BigInteger)
    at: Mapped[str]
