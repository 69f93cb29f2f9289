"""Agents over HTTPS: who they are, and what was offered, leased and given; rows are only added."""

import sqlalchemy as sa

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

TABLES = (
    "agents", "agent_hellos", "agent_signs", "agent_offers", "agent_leases", "agent_renewals",
    "agent_failures", "agent_results", "agent_evidence",
)


def upgrade() -> None:
    _create_agents()
    _create_offers()
    _create_ends()
    refuse = {"sqlite": _refuse_on_sqlite, "postgresql": _refuse_on_postgresql}
    refuse[op.get_bind().dialect.name]()


def downgrade() -> None:
    raise NotImplementedError("histories are never deleted: restore a copy of the database instead")


def _text(name: str) -> sa.Column:
    return sa.Column(name, sa.Text(), nullable=False)


def _whole(name: str) -> sa.Column:
    return sa.Column(name, sa.Integer(), autoincrement=False, nullable=False)


def _to(table: str, column: str, there: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint([column], [there], name=f"fk_{table}_{column}")


def _create_agents() -> None:
    op.create_table(
        "agents",
        *map(_text, ("id", "project", "name", "targets", "public_key", "enrolled")),
        sa.PrimaryKeyConstraint("id", name="pk_agents"),
        _to("agents", "id", "api_keys.id"),
        _to("agents", "project", "projects.name"),
    )
    op.create_index("ix_agents_project", "agents", ["project"])
    op.create_table(
        "agent_hellos",
        _text("agent"),
        _whole("number"),
        *map(_text, ("at", "code", "targets", "probes")),
        sa.PrimaryKeyConstraint("agent", "number", name="pk_agent_hellos"),
        _to("agent_hellos", "agent", "agents.id"),
    )
    op.create_table(
        "agent_signs",
        *map(_text, ("agent", "at")),
        sa.PrimaryKeyConstraint("agent", "at", name="pk_agent_signs"),
        _to("agent_signs", "agent", "agents.id"),
    )
    op.create_table(
        "agent_evidence",
        *map(_text, ("agent", "digest")),
        sa.Column("size", sa.BigInteger(), nullable=False),
        _text("at"),
        sa.PrimaryKeyConstraint("agent", "digest", name="pk_agent_evidence"),
        _to("agent_evidence", "agent", "agents.id"),
    )


def _create_offers() -> None:
    op.create_table(
        "agent_offers",
        *map(_text, ("id", "project", "submission", "target", "check_id", "shard")),
        _whole("number"),
        *map(_text, ("at", "until")),
        sa.PrimaryKeyConstraint("id", name="pk_agent_offers"),
        sa.UniqueConstraint(
            "submission", "target", "check_id", "shard", "number", name="uq_agent_offers_submission"
        ),
        _to("agent_offers", "submission", "submissions.id"),
    )
    op.create_index("ix_agent_offers_free", "agent_offers", ["project", "target", "until"])
    op.create_table(
        "agent_leases",
        *map(_text, ("offer", "agent", "at", "until")),
        sa.PrimaryKeyConstraint("offer", name="pk_agent_leases"),
        _to("agent_leases", "offer", "agent_offers.id"),
        _to("agent_leases", "agent", "agents.id"),
    )
    op.create_index("ix_agent_leases_agent", "agent_leases", ["agent", "at"])
    op.create_table(
        "agent_renewals",
        *map(_text, ("offer", "until")),
        sa.PrimaryKeyConstraint("offer", "until", name="pk_agent_renewals"),
        _to("agent_renewals", "offer", "agent_leases.offer"),
    )


def _create_ends() -> None:
    op.create_table(
        "agent_failures",
        *map(_text, ("offer", "at", "problem", "cure")),
        sa.PrimaryKeyConstraint("offer", name="pk_agent_failures"),
        _to("agent_failures", "offer", "agent_leases.offer"),
    )
    op.create_table(
        "agent_results",
        *map(_text, ("offer", "at", "digest")),
        sa.Column("bundle", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("offer", name="pk_agent_results"),
        _to("agent_results", "offer", "agent_leases.offer"),
    )


def _refuse_on_sqlite() -> None:
    for table in TABLES:
        for verb in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER {table}_refuse_{verb.lower()} BEFORE {verb} ON {table} "
                f"BEGIN SELECT RAISE(ABORT, '{table}: rows are never changed or deleted'); END"
            )


def _refuse_on_postgresql() -> None:
    for table in TABLES:
        op.execute(
            f"CREATE TRIGGER {table}_refuse_change BEFORE UPDATE OR DELETE ON {table} "
            "FOR EACH ROW EXECUTE FUNCTION auditor_refuse_change()"
        )
        op.execute(
            f"CREATE TRIGGER {table}_refuse_truncate BEFORE TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION auditor_refuse_change()"
        )
