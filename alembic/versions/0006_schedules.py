"""Schedules, web hooks, and narrow rows of trends; rows can only be added."""

import sqlalchemy as sa

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

TABLES = (
    "schedule_plans", "schedule_changes", "schedule_runs", "schedule_run_starts",
    "schedule_run_ends", "hook_endpoints", "hook_ends", "hook_deliveries", "hook_attempts",
    "hook_claims", "trend_standings", "trend_versions",
    "trend_points",
)


def upgrade() -> None:
    _create_schedules()
    _create_runs()
    _create_hooks()
    _create_deliveries()
    _create_trends()
    op.create_index("ix_submissions_project_asked", "submissions", ["project", "body_digest"])
    op.create_index("ix_records_derived_from", "records", ["derived_from"])
    refuse = {"sqlite": _refuse_on_sqlite, "postgresql": _refuse_on_postgresql}
    refuse[op.get_bind().dialect.name]()


def downgrade() -> None:
    raise NotImplementedError("histories are never deleted: restore a copy of the database instead")


def _text(name: str, *, nullable: bool = False) -> sa.Column:
    return sa.Column(name, sa.Text(), nullable=nullable)


def _number(name: str, *, nullable: bool = False) -> sa.Column:
    return sa.Column(name, sa.Integer(), autoincrement=False, nullable=nullable)


def _points_at(table: str, column: str, where: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint([column], [where], name=f"fk_{table}_{column}")


def _create_schedules() -> None:
    op.create_table(
        "schedule_plans",
        *(_text(name) for name in ("id", "project", "maker", "name", "model", "asked")),
        _text("cron", nullable=True),
        _text("triggers"),
        _text("batch_path", nullable=True),
        _text("created"),
        sa.PrimaryKeyConstraint("id", name="pk_schedule_plans"),
        _points_at("schedule_plans", "project", "projects.name"),
    )
    op.create_index("ix_schedule_plans_project", "schedule_plans", ["project"])
    op.create_table(
        "schedule_changes",
        _text("schedule"),
        _number("number"),
        *(_text(name) for name in ("state", "by", "at")),
        sa.PrimaryKeyConstraint("schedule", "number", name="pk_schedule_changes"),
        _points_at("schedule_changes", "schedule", "schedule_plans.id"),
    )


def _create_runs() -> None:
    op.create_table(
        "schedule_runs",
        *(_text(name) for name in ("id", "schedule", "key", "trigger", "why", "change", "at")),
        sa.PrimaryKeyConstraint("id", name="pk_schedule_runs"),
        sa.UniqueConstraint("schedule", "key", name="uq_schedule_runs_schedule"),
        _points_at("schedule_runs", "schedule", "schedule_plans.id"),
    )
    op.create_index("ix_schedule_runs_schedule_at", "schedule_runs", ["schedule", "at", "id"])
    op.create_index("ix_schedule_runs_at", "schedule_runs", ["at"])
    op.create_table(
        "schedule_run_starts",
        _text("run"),
        _text("submission", nullable=True),
        _text("skipped", nullable=True),
        _text("detail"),
        _text("at"),
        sa.PrimaryKeyConstraint("run", name="pk_schedule_run_starts"),
        _points_at("schedule_run_starts", "run", "schedule_runs.id"),
        _points_at("schedule_run_starts", "submission", "submissions.id"),
    )
    op.create_index(
        "ix_schedule_run_starts_submission", "schedule_run_starts", ["submission"]
    )
    op.create_table(
        "schedule_run_ends",
        _text("run"),
        _text("record", nullable=True),
        _text("verdict", nullable=True),
        *(_text(name) for name in ("detail", "failed", "rollback", "at")),
        sa.PrimaryKeyConstraint("run", name="pk_schedule_run_ends"),
        _points_at("schedule_run_ends", "run", "schedule_runs.id"),
    )


def _create_hooks() -> None:
    names = ("id", "project", "maker", "url", "events", "secret_hash", "created")
    op.create_table(
        "hook_endpoints",
        *(_text(name) for name in names),
        sa.PrimaryKeyConstraint("id", name="pk_hook_endpoints"),
        _points_at("hook_endpoints", "project", "projects.name"),
    )
    op.create_index("ix_hook_endpoints_project", "hook_endpoints", ["project"])
    op.create_table(
        "hook_ends",
        *(_text(name) for name in ("hook", "by", "at")),
        sa.PrimaryKeyConstraint("hook", name="pk_hook_ends"),
        _points_at("hook_ends", "hook", "hook_endpoints.id"),
    )


def _create_deliveries() -> None:
    op.create_table(
        "hook_deliveries",
        *(_text(name) for name in ("id", "hook", "event", "subject", "at")),
        sa.PrimaryKeyConstraint("id", name="pk_hook_deliveries"),
        sa.UniqueConstraint("hook", "event", "subject", name="uq_hook_deliveries_hook"),
        _points_at("hook_deliveries", "hook", "hook_endpoints.id"),
    )
    op.create_index("ix_hook_deliveries_hook_at", "hook_deliveries", ["hook", "at", "id"])
    op.create_table(
        "hook_attempts",
        _text("delivery"),
        _number("number"),
        _text("at"),
        _text("outcome"),
        _number("status", nullable=True),
        _text("detail"),
        _text("again", nullable=True),
        sa.PrimaryKeyConstraint("delivery", "number", name="pk_hook_attempts"),
        _points_at("hook_attempts", "delivery", "hook_deliveries.id"),
    )
    op.create_index("ix_hook_attempts_again", "hook_attempts", ["again"])
    op.create_table(
        "hook_claims",
        _text("delivery"),
        _number("number"),
        _number("turn"),
        _text("at"),
        sa.PrimaryKeyConstraint("delivery", "number", "turn", name="pk_hook_claims"),
        _points_at("hook_claims", "delivery", "hook_deliveries.id"),
    )


def _create_trends() -> None:
    op.create_table(
        "trend_standings",
        *(_text(name) for name in ("submission", "target", "project", "model", "version")),
        _text("artifact"),
        *(_text(name) for name in ("policy", "record", "verdict", "finished")),
        sa.PrimaryKeyConstraint("submission", "target", name="pk_trend_standings"),
        _points_at("trend_standings", "submission", "submissions.id"),
    )
    standings = ["project", "model", "artifact", "target", "finished", "submission"]
    op.create_index("ix_trend_standings_version", "trend_standings", standings)
    op.create_index(
        "ix_trend_standings_finished", "trend_standings", ["project", "model", "finished"]
    )
    op.create_table(
        "trend_versions",
        *(_text(name) for name in ("project", "model", "artifact", "target", "first")),
        sa.PrimaryKeyConstraint(
            "project", "model", "artifact", "target", name="pk_trend_versions"
        ),
    )
    op.create_table(
        "trend_points",
        _text("submission"),
        _number("number"),
        *(_text(name) for name in ("project", "model", "version", "target", "check_id")),
        _number("check_version"),
        _text("metric"),
        _text("params"),
        sa.Column("value", sa.Double(), nullable=False),
        *(sa.Column(name, sa.Double(), nullable=True) for name in ("low", "high", "confidence")),
        _text("bound"),
        _number("n"),
        _text("unit"),
        sa.Column("doubted", sa.Boolean(), nullable=False),
        *(_text(name) for name in ("record", "finished")),
        sa.PrimaryKeyConstraint("submission", "number", name="pk_trend_points"),
        _points_at("trend_points", "submission", "submissions.id"),
    )
    points = ["project", "model", "metric", "check_id", "target", "finished"]
    op.create_index(
        "ix_trend_points_metric", "trend_points", [*points, "submission", "number"]
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
