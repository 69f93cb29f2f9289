"""SQLAlchemy tables of the service: projects, submissions, agents, people, schedules, webhooks.

Rows are only added; database triggers reject every other change. The one exception is
``SubmissionStateRow``, which triggers derive from the history of a submission. Current state, such
as that of a lease, follows from the rows.

The trend tables hold narrow rows of measurements and verdicts, so that trends need no parsing of
records. Every audit log row has a leaf in the ledger.
"""

from sqlalchemy import (
    BigInteger,
    Double,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from auditor.store.tables import TableBase


class AgentRow(TableBase):
    """An agent under the id of its API key; ``targets`` is canonical JSON."""

    __tablename__ = "agents"

    id: Mapped[str] = mapped_column(ForeignKey("api_keys.id"), primary_key=True)
    project: Mapped[str] = mapped_column(ForeignKey("projects.name"), index=True)
    name: Mapped[str]
    targets: Mapped[str]
    public_key: Mapped[str]
    enrolled: Mapped[str]


class AgentHelloRow(TableBase):
    """What an agent said when it started; ``targets`` and ``probes`` are canonical JSON."""

    __tablename__ = "agent_hellos"

    agent: Mapped[str] = mapped_column(ForeignKey("agents.id"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    at: Mapped[str]
    code: Mapped[str]
    targets: Mapped[str]
    probes: Mapped[str]


class AgentHeartbeatRow(TableBase):
    """A sign of life, not more often than it takes to know that an agent lives."""

    __tablename__ = "agent_signs"

    agent: Mapped[str] = mapped_column(ForeignKey("agents.id"), primary_key=True)
    at: Mapped[str] = mapped_column(primary_key=True)


class AgentOfferRow(TableBase):
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


class AgentLeaseRow(TableBase):
    """An offer that an agent took; nobody else can take the same one."""

    __tablename__ = "agent_leases"
    __table_args__ = (Index("ix_agent_leases_agent", "agent", "at"),)

    offer: Mapped[str] = mapped_column(ForeignKey("agent_offers.id"), primary_key=True)
    agent: Mapped[str] = mapped_column(ForeignKey("agents.id"))
    at: Mapped[str]
    until: Mapped[str]


class AgentRenewalRow(TableBase):
    """A lease that was renewed until a later time."""

    __tablename__ = "agent_renewals"

    offer: Mapped[str] = mapped_column(ForeignKey("agent_leases.offer"), primary_key=True)
    until: Mapped[str] = mapped_column(primary_key=True)


class AgentFailureRow(TableBase):
    """A lease that its agent gave back, and why."""

    __tablename__ = "agent_failures"

    offer: Mapped[str] = mapped_column(ForeignKey("agent_leases.offer"), primary_key=True)
    at: Mapped[str]
    problem: Mapped[str]
    cure: Mapped[str]


class AgentResultRow(TableBase):
    """A result that was kept, and its agent's signature over it: a bundle."""

    __tablename__ = "agent_results"

    offer: Mapped[str] = mapped_column(ForeignKey("agent_leases.offer"), primary_key=True)
    at: Mapped[str]
    digest: Mapped[str]
    bundle: Mapped[bytes]


class AgentEvidenceRow(TableBase):
    """A blob of evidence that an agent sent in full."""

    __tablename__ = "agent_evidence"

    agent: Mapped[str] = mapped_column(ForeignKey("agents.id"), primary_key=True)
    digest: Mapped[str] = mapped_column(primary_key=True)
    size: Mapped[int] = mapped_column(BigInteger)
    at: Mapped[str]


class ProjectRow(TableBase):
    """A project: nobody sees what another one has."""

    __tablename__ = "projects"

    name: Mapped[str] = mapped_column(primary_key=True)
    created: Mapped[str]


class ApiKeyRow(TableBase):
    """A caller's key; its secret is kept as a digest only."""

    __tablename__ = "api_keys"

    id: Mapped[str] = mapped_column(primary_key=True)
    project: Mapped[str] = mapped_column(ForeignKey("projects.name"), index=True)
    role: Mapped[str]
    name: Mapped[str]
    secret_hash: Mapped[str]
    created: Mapped[str]
    expires: Mapped[str | None]


class ApiKeyEndRow(TableBase):
    """The end of a key, and why."""

    __tablename__ = "api_key_ends"

    key_id: Mapped[str] = mapped_column(ForeignKey("api_keys.id"), primary_key=True)
    ended: Mapped[str]
    reason: Mapped[str]


class UploadRow(TableBase):
    """A file that a project brought; the same bytes lie once among the blobs, whoever has them."""

    __tablename__ = "uploads"

    project: Mapped[str] = mapped_column(ForeignKey("projects.name"), primary_key=True)
    digest: Mapped[str] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str]
    size: Mapped[int] = mapped_column(BigInteger)
    at: Mapped[str]


class SubmissionRow(TableBase):
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


class SubmissionEventRow(TableBase):
    """A line of a submission's history; ``detail`` is canonical JSON."""

    __tablename__ = "submission_events"

    submission: Mapped[str] = mapped_column(ForeignKey("submissions.id"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    at: Mapped[str]
    kind: Mapped[str]
    detail: Mapped[str]


class ShardResultRow(TableBase):
    """What one check saw on one target, whoever saw it first."""

    __tablename__ = "shard_results"

    submission: Mapped[str] = mapped_column(ForeignKey("submissions.id"), primary_key=True)
    target: Mapped[str] = mapped_column(primary_key=True)
    check_id: Mapped[str] = mapped_column(primary_key=True)
    shard: Mapped[str] = mapped_column(primary_key=True)
    body: Mapped[bytes]
    at: Mapped[str]


class OutcomeRow(TableBase):
    """How a submission ended; ``error`` is canonical JSON, ``files`` the digest of a manifest."""

    __tablename__ = "outcomes"

    submission: Mapped[str] = mapped_column(ForeignKey("submissions.id"), primary_key=True)
    record_digest: Mapped[str | None] = mapped_column(ForeignKey("records.digest"), index=True)
    files: Mapped[str | None]
    error: Mapped[str | None]
    ended: Mapped[str]


class PersonRow(TableBase):
    """A named person of a project; ``may`` lists, in one text, what the key may sign."""

    __tablename__ = "people_persons"
    __table_args__ = (UniqueConstraint("project", "key"),)

    id: Mapped[str] = mapped_column(primary_key=True)
    project: Mapped[str] = mapped_column(ForeignKey("projects.name"))
    name: Mapped[str]
    key: Mapped[str]
    may: Mapped[str]
    caller: Mapped[str | None]
    created: Mapped[str]
    by: Mapped[str]


class PersonEndRow(TableBase):
    """The end of a person's leave to decide, and why."""

    __tablename__ = "people_ends"

    person: Mapped[str] = mapped_column(ForeignKey("people_persons.id"), primary_key=True)
    ended: Mapped[str]
    reason: Mapped[str]
    by: Mapped[str]


class DecisionRow(TableBase):
    """A signed decision; ``number`` is its place among all of its project."""

    __tablename__ = "people_decisions"
    __table_args__ = (
        UniqueConstraint("project", "number"),
        Index("ix_people_decisions_record", "record"),
        Index("ix_people_decisions_kind", "project", "kind", "number"),
    )

    project: Mapped[str] = mapped_column(ForeignKey("projects.name"), primary_key=True)
    digest: Mapped[str] = mapped_column(primary_key=True)
    number: Mapped[int]
    kind: Mapped[str]
    person: Mapped[str] = mapped_column(ForeignKey("people_persons.id"))
    artifact: Mapped[str | None]
    record: Mapped[str | None]
    bundle: Mapped[bytes]
    at: Mapped[str]
    by: Mapped[str]


class LabelsRow(TableBase):
    """What a person called some cases of a record before the verdict was shown, once."""

    __tablename__ = "people_labels"

    project: Mapped[str] = mapped_column(ForeignKey("projects.name"), primary_key=True)
    record: Mapped[str] = mapped_column(primary_key=True)
    person: Mapped[str] = mapped_column(ForeignKey("people_persons.id"), primary_key=True)
    body: Mapped[str]
    at: Mapped[str]
    by: Mapped[str]


class RejudgementRow(TableBase):
    """A later record of a submission, and the manifest of its files."""

    __tablename__ = "people_rejudgements"
    __table_args__ = (Index("ix_people_rejudgements_record", "record_digest"),)

    submission: Mapped[str] = mapped_column(ForeignKey("submissions.id"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    record_digest: Mapped[str] = mapped_column(ForeignKey("records.digest"))
    files: Mapped[str]
    at: Mapped[str]


class ScheduleRow(TableBase):
    """What is audited again, and when; ``asked`` and ``triggers`` are canonical JSON."""

    __tablename__ = "schedule_plans"

    id: Mapped[str] = mapped_column(primary_key=True)
    project: Mapped[str] = mapped_column(ForeignKey("projects.name"), index=True)
    maker: Mapped[str]
    name: Mapped[str]
    model: Mapped[str]
    asked: Mapped[str]
    cron: Mapped[str | None]
    triggers: Mapped[str]
    batch_path: Mapped[str | None]
    created: Mapped[str]


class ScheduleChangeRow(TableBase):
    """That a schedule was paused, went on, or was ended for good, and by whose key."""

    __tablename__ = "schedule_changes"

    schedule: Mapped[str] = mapped_column(ForeignKey("schedule_plans.id"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    state: Mapped[str]
    by: Mapped[str]
    at: Mapped[str]


class ScheduleRunRow(TableBase):
    """A run that is due, once for its key; ``change`` is canonical JSON."""

    __tablename__ = "schedule_runs"
    __table_args__ = (
        UniqueConstraint("schedule", "key"),
        Index("ix_schedule_runs_schedule_at", "schedule", "at", "id"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    schedule: Mapped[str] = mapped_column(ForeignKey("schedule_plans.id"))
    key: Mapped[str]
    trigger: Mapped[str]
    why: Mapped[str]
    change: Mapped[str]
    at: Mapped[str] = mapped_column(index=True)


class ScheduleRunStartRow(TableBase):
    """The audit that a run made, or why it made none."""

    __tablename__ = "schedule_run_starts"

    run: Mapped[str] = mapped_column(ForeignKey("schedule_runs.id"), primary_key=True)
    submission: Mapped[str | None] = mapped_column(ForeignKey("submissions.id"), index=True)
    skipped: Mapped[str | None]
    detail: Mapped[str]
    at: Mapped[str]


class ScheduleRunEndRow(TableBase):
    """What the audit of a run came to; ``failed`` and ``rollback`` are canonical JSON."""

    __tablename__ = "schedule_run_ends"

    run: Mapped[str] = mapped_column(ForeignKey("schedule_runs.id"), primary_key=True)
    record: Mapped[str | None]
    verdict: Mapped[str | None]
    detail: Mapped[str]
    failed: Mapped[str]
    rollback: Mapped[str]
    at: Mapped[str]


class TrendVerdictRow(TableBase):
    """The verdict of one audit on one target; ``artifact`` is empty where there was none."""

    __tablename__ = "trend_standings"
    __table_args__ = (
        Index(
            "ix_trend_standings_version", "project", "model", "artifact", "target", "finished",
            "submission",
        ),
        Index("ix_trend_standings_finished", "project", "model", "finished"),
    )  # fmt: skip

    submission: Mapped[str] = mapped_column(ForeignKey("submissions.id"), primary_key=True)
    target: Mapped[str] = mapped_column(primary_key=True)
    project: Mapped[str]
    model: Mapped[str]
    version: Mapped[str]
    artifact: Mapped[str]
    policy: Mapped[str]
    record: Mapped[str]
    verdict: Mapped[str]
    finished: Mapped[str]


class TrendVersionRow(TableBase):
    """A version of a model that was audited on a target, and when that was first."""

    __tablename__ = "trend_versions"

    project: Mapped[str] = mapped_column(primary_key=True)
    model: Mapped[str] = mapped_column(primary_key=True)
    artifact: Mapped[str] = mapped_column(primary_key=True)
    target: Mapped[str] = mapped_column(primary_key=True)
    first: Mapped[str]


class TrendPointRow(TableBase):
    """A measurement of the whole sample, by its number among the record's readings."""

    __tablename__ = "trend_points"
    __table_args__ = (
        Index(
            "ix_trend_points_metric", "project", "model", "metric", "check_id", "target",
            "finished", "submission", "number",
        ),
    )  # fmt: skip

    submission: Mapped[str] = mapped_column(ForeignKey("submissions.id"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    project: Mapped[str]
    model: Mapped[str]
    version: Mapped[str]
    target: Mapped[str]
    check_id: Mapped[str]
    check_version: Mapped[int]
    metric: Mapped[str]
    params: Mapped[str]
    value: Mapped[float] = mapped_column(Double)
    low: Mapped[float | None] = mapped_column(Double)
    high: Mapped[float | None] = mapped_column(Double)
    confidence: Mapped[float | None] = mapped_column(Double)
    bound: Mapped[str]
    n: Mapped[int]
    unit: Mapped[str]
    doubted: Mapped[bool]
    record: Mapped[str]
    finished: Mapped[str]


class HookRow(TableBase):
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


class HookEndRow(TableBase):
    """The end of a web hook, and by whose key."""

    __tablename__ = "hook_ends"

    hook: Mapped[str] = mapped_column(ForeignKey("hook_endpoints.id"), primary_key=True)
    by: Mapped[str]
    at: Mapped[str]


class HookDeliveryRow(TableBase):
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


class HookAttemptRow(TableBase):
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


class HookClaimRow(TableBase):
    """That one process sends a message now; nobody else does before the turn is over."""

    __tablename__ = "hook_claims"

    delivery: Mapped[str] = mapped_column(ForeignKey("hook_deliveries.id"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    turn: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    at: Mapped[str]


class WatchRow(TableBase):
    """The place that a schedule watches for batches."""

    __tablename__ = "schedule_watches"

    schedule: Mapped[str] = mapped_column(ForeignKey("schedule_plans.id"), primary_key=True)
    place: Mapped[str]


class ArrivalRow(TableBase):
    """A file of a place that was dealt with, under the mark that changes when it does.

    Without a digest nothing was brought in: it was there before, or cannot be had.
    """

    __tablename__ = "schedule_arrivals"

    schedule: Mapped[str] = mapped_column(ForeignKey("schedule_watches.schedule"), primary_key=True)
    name: Mapped[str] = mapped_column(primary_key=True)
    mark: Mapped[str] = mapped_column(primary_key=True)
    digest: Mapped[str | None]
    at: Mapped[str]


class SightingRow(TableBase):
    """What a target was, said by a worker of all projects, or by an agent of one.

    A row is added where it is another than the seer said last; ``facts`` is canonical JSON, and
    ``identity`` its digest.
    """

    __tablename__ = "target_sightings"

    seer: Mapped[str] = mapped_column(primary_key=True)
    target: Mapped[str] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    project: Mapped[str | None] = mapped_column(ForeignKey("projects.name"))
    identity: Mapped[str]
    facts: Mapped[str]
    at: Mapped[str] = mapped_column(index=True)


class AttemptRow(TableBase):
    """A request that was registered: which one it is of its model's line under a policy's name.

    ``network`` is what its file computes with, whatever it is called, where that can be told;
    ``counted`` the largest of its counts; neither is known of those from before. ``leaf`` is where
    in the ledger it stands as it was first registered.
    """

    __tablename__ = "attempts"
    __table_args__ = (
        UniqueConstraint("project", "policy", "model", "number"),
        Index("ix_attempts_artifact", "project", "policy", "artifact"),
        Index("ix_attempts_network", "project", "policy", "network"),
    )

    submission: Mapped[str] = mapped_column(ForeignKey("submissions.id"), primary_key=True)
    project: Mapped[str] = mapped_column(ForeignKey("projects.name"))
    policy: Mapped[str]
    model: Mapped[str]
    artifact: Mapped[str | None]
    number: Mapped[int]
    leaf: Mapped[int] = mapped_column(BigInteger)
    network: Mapped[str | None]
    counted: Mapped[int | None]


class AttemptDataRow(TableBase):
    """Data that a registered request is judged on, by digest, whatever the file was called."""

    __tablename__ = "attempt_data"
    __table_args__ = (Index("ix_attempt_data_project", "project", "policy", "data"),)

    submission: Mapped[str] = mapped_column(ForeignKey("attempts.submission"), primary_key=True)
    data: Mapped[str] = mapped_column(primary_key=True)
    project: Mapped[str] = mapped_column(ForeignKey("projects.name"))
    policy: Mapped[str]


ATTEMPT = func.coalesce(AttemptRow.counted, AttemptRow.number)
"""The number that a record says."""


UNENDED = text("state IN ('queued', 'waiting_for_target', 'running')")


class SubmissionStateRow(TableBase):
    """The state that a submission's history tells last, beside what submissions are listed by.

    It says nothing that other rows do not: triggers write it when an event is added, and refuse
    whatever the history does not say. It is there so that lists need not read histories.
    """

    __tablename__ = "submission_standings"
    __table_args__ = (
        Index("ix_standings_listed", "project", "submitted", "submission"),
        Index("ix_standings_state", "project", "state", "submitted", "submission"),
        Index("ix_standings_model", "project", "model", "submitted", "submission"),
        Index("ix_standings_both", "project", "model", "state", "submitted", "submission"),
        Index(
            "ix_standings_unended", "submitted", "submission",
            sqlite_where=UNENDED, postgresql_where=UNENDED,
        ),
    )  # fmt: skip

    submission: Mapped[str] = mapped_column(ForeignKey("submissions.id"), primary_key=True)
    project: Mapped[str]
    model: Mapped[str]
    state: Mapped[str]
    submitted: Mapped[str]


class AuditLogRow(TableBase):
    """What a caller did; ``number`` is the order, ``detail`` canonical JSON."""

    __tablename__ = "acts"
    __table_args__ = (Index("ix_acts_project_number", "project", "number"),)

    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    id: Mapped[str] = mapped_column(unique=True)
    project: Mapped[str] = mapped_column(ForeignKey(ProjectRow.name))
    caller: Mapped[str]
    subject: Mapped[str | None]
    kind: Mapped[str]
    about: Mapped[str]
    at: Mapped[str]
    detail: Mapped[str]


class SealedSetRow(TableBase):
    """A file that the auditor holds: the same bytes have one name in a project."""

    __tablename__ = "sealed_sets"
    __table_args__ = (UniqueConstraint("project", "digest"),)

    project: Mapped[str] = mapped_column(ForeignKey("projects.name"), primary_key=True)
    name: Mapped[str] = mapped_column(primary_key=True)
    digest: Mapped[str]
    role: Mapped[str]
    file: Mapped[str]
    size: Mapped[int] = mapped_column(BigInteger)
    note: Mapped[str]
    by: Mapped[str]
    at: Mapped[str]
