"""The tables of web hooks. Rows are only ever added: triggers refuse every other change."""

from sqlalchemy import ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from auditor.store.tables import Base


class HookRow(Base):
    """Where a project wants to be told of what; ``events`` is canonical JSON.

    Of the secret a hash is kept: it follows from the key file of the service and the id.
    """

    __tablename__ = "hook_endpoints"

    id: Mapped[str] = mapped_column(primary_key=True)
    project: Mapped[str] = mapped_column(ForeignKey("projects.name"), index=True)
    maker: Mapped[str]
    url: Mapped[str]
    events: Mapped[str]
    secret_hash: Mapped[str]
    created: Mapped[str]


class HookEndRow(Base):
    """The end of a web hook, and by whose key."""

    __tablename__ = "hook_ends"

    hook: Mapped[str] = mapped_column(ForeignKey("hook_endpoints.id"), primary_key=True)
    by: Mapped[str]
    at: Mapped[str]


class HookDeliveryRow(Base):
    """A message for one web hook, once for what it tells of; its text follows from ``subject``."""

    __tablename__ = "hook_deliveries"
    __table_args__ = (
        UniqueConstraint("hook", "event", "subject"),
        Index("ix_hook_deliveries_hook_at", "hook", "at", "id"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    hook: Mapped[str] = mapped_column(ForeignKey("hook_endpoints.id"))
    event: Mapped[str]
    subject: Mapped[str]
    at: Mapped[str]


class HookAttemptRow(Base):
    """What came of sending a message; ``again`` is when it is to be sent again.

    Number 0 is that it was queued.
    """

    __tablename__ = "hook_attempts"

    delivery: Mapped[str] = mapped_column(ForeignKey("hook_deliveries.id"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    at: Mapped[str]
    outcome: Mapped[str]
    status: Mapped[int | None]
    detail: Mapped[str]
    again: Mapped[str | None] = mapped_column(index=True)


class HookClaimRow(Base):
    """That one process sends a message now; nobody else does before the turn is over."""

    __tablename__ = "hook_claims"

    delivery: Mapped[str] = mapped_column(ForeignKey("hook_deliveries.id"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    turn: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    at: Mapped[str]
