"""The tables of the service. Rows are only ever added: triggers refuse every other change."""

from sqlalchemy import BigInteger, ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from auditor.store.tables import Base


class ProjectRow(Base):
    """A project: nobody sees what another one has."""

    __tablename__ = "projects"

    name: Mapped[str] = mapped_column(primary_key=True)
    created: Mapped[str]


class ApiKeyRow(Base):
    """A caller's key; its secret is kept as a digest only."""

    __tablename__ = "api_keys"

    id: Mapped[str] = mapped_column(primary_key=True)
    project: Mapped[str] = mapped_column(ForeignKey("projects.name"), index=True)
    role: Mapped[str]
    name: Mapped[str]
    secret_hash: Mapped[str]
    created: Mapped[str]
    expires: Mapped[str | None]


class ApiKeyEndRow(Base):
    """The end of a key, and why."""

    __tablename__ = "api_key_ends"

    key_id: Mapped[str] = mapped_column(ForeignKey("api_keys.id"), primary_key=True)
    ended: Mapped[str]
    reason: Mapped[str]


class UploadRow(Base):
    """A file that a project brought; the same bytes lie once among the blobs, whoever has them."""

    __tablename__ = "uploads"

    project: Mapped[str] = mapped_column(ForeignKey("projects.name"), primary_key=True)
    digest: Mapped[str] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str]
    size: Mapped[int] = mapped_column(BigInteger)
    at: Mapped[str]


class SubmissionRow(Base):
    """What was submitted, as canonical JSON; ``body_digest`` is of what was asked alone."""

    __tablename__ = "submissions"
    __table_args__ = (
        UniqueConstraint("project", "idempotency_key"),
        Index("ix_submissions_project_submitted", "project", "submitted", "id"),
        Index("ix_submissions_project_asked", "project", "body_digest"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    project: Mapped[str] = mapped_column(ForeignKey("projects.name"))
    idempotency_key: Mapped[str | None]
    model: Mapped[str]
    body_digest: Mapped[str]
    body: Mapped[str]
    submitted: Mapped[str]


class SubmissionEventRow(Base):
    """A line of a submission's history; ``detail`` is canonical JSON."""

    __tablename__ = "submission_events"

    submission: Mapped[str] = mapped_column(ForeignKey("submissions.id"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    at: Mapped[str]
    kind: Mapped[str]
    detail: Mapped[str]


class ShardResultRow(Base):
    """What one check saw on one target, whoever saw it first."""

    __tablename__ = "shard_results"

    submission: Mapped[str] = mapped_column(ForeignKey("submissions.id"), primary_key=True)
    target: Mapped[str] = mapped_column(primary_key=True)
    check_id: Mapped[str] = mapped_column(primary_key=True)
    shard: Mapped[str] = mapped_column(primary_key=True)
    body: Mapped[bytes]
    at: Mapped[str]


class OutcomeRow(Base):
    """How a submission ended; ``error`` is canonical JSON, ``files`` the digest of a manifest."""

    __tablename__ = "outcomes"

    submission: Mapped[str] = mapped_column(ForeignKey("submissions.id"), primary_key=True)
    record_digest: Mapped[str | None] = mapped_column(ForeignKey("records.digest"), index=True)
    files: Mapped[str | None]
    error: Mapped[str | None]
    ended: Mapped[str]
