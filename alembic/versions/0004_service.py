"""The service: callers, submissions, and what became of them; rows can only be added."""

import sqlalchemy as sa

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

TABLES = (
    "projects", "api_keys", "api_key_ends", "uploads", "submissions", "submission_events",
    "shard_results", "outcomes",
)


def upgrade() -> None:
    _create_callers()
    _create_submissions()
    _create_results()
    refuse = {"sqlite": _refuse_on_sqlite, "postgresql": _refuse_on_postgresql}
    refuse[op.get_bind().dialect.name]()


def downgrade() -> None:
    raise NotImplementedError("histories are never deleted: restore a copy of the database instead")


def _text(name: str, *, nullable: bool = False) -> sa.Column:
    return sa.Column(name, sa.Text(), nullable=nullable)


def _create_callers() -> None:
    op.create_table(
        "projects",
        _text("name"),
        _text("created"),
        sa.PrimaryKeyConstraint("name", name="pk_projects"),
    )
    op.create_table(
        "api_keys",
        _text("id"),
        _text("project"),
        _text("role"),
        _text("name"),
        _text("secret_hash"),
        _text("created"),
        _text("expires", nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_api_keys"),
        sa.ForeignKeyConstraint(["project"], ["projects.name"], name="fk_api_keys_project"),
    )
    op.create_index("ix_api_keys_project", "api_keys", ["project"])
    op.create_table(
        "api_key_ends",
        _text("key_id"),
        _text("ended"),
        _text("reason"),
        sa.PrimaryKeyConstraint("key_id", name="pk_api_key_ends"),
        sa.ForeignKeyConstraint(["key_id"], ["api_keys.id"], name="fk_api_key_ends_key_id"),
    )
    op.create_table(
        "uploads",
        _text("project"),
        _text("digest"),
        _text("kind"),
        _text("name"),
        sa.Column("size", sa.BigInteger(), nullable=False),
        _text("at"),
        sa.PrimaryKeyConstraint("project", "digest", "kind", name="pk_uploads"),
        sa.ForeignKeyConstraint(["project"], ["projects.name"], name="fk_uploads_project"),
    )


def _create_submissions() -> None:
    op.create_table(
        "submissions",
        _text("id"),
        _text("project"),
        _text("idempotency_key", nullable=True),
        _text("model"),
        _text("body_digest"),
        _text("body"),
        _text("submitted"),
        sa.PrimaryKeyConstraint("id", name="pk_submissions"),
        sa.UniqueConstraint("project", "idempotency_key", name="uq_submissions_project"),
        sa.ForeignKeyConstraint(["project"], ["projects.name"], name="fk_submissions_project"),
    )
    op.create_index(
        "ix_submissions_project_submitted", "submissions", ["project", "submitted", "id"]
    )
    op.create_table(
        "submission_events",
        _text("submission"),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        _text("at"),
        _text("kind"),
        _text("detail"),
        sa.PrimaryKeyConstraint("submission", "number", name="pk_submission_events"),
        sa.ForeignKeyConstraint(
            ["submission"], ["submissions.id"], name="fk_submission_events_submission"
        ),
    )


def _create_results() -> None:
    op.create_table(
        "shard_results",
        _text("submission"),
        _text("target"),
        _text("check_id"),
        _text("shard"),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        _text("at"),
        sa.PrimaryKeyConstraint(
            "submission", "target", "check_id", "shard", name="pk_shard_results"
        ),
        sa.ForeignKeyConstraint(
            ["submission"], ["submissions.id"], name="fk_shard_results_submission"
        ),
    )
    op.create_table(
        "outcomes",
        _text("submission"),
        _text("record_digest", nullable=True),
        _text("files", nullable=True),
        _text("error", nullable=True),
        _text("ended"),
        sa.PrimaryKeyConstraint("submission", name="pk_outcomes"),
        sa.ForeignKeyConstraint(["submission"], ["submissions.id"], name="fk_outcomes_submission"),
        sa.ForeignKeyConstraint(
            ["record_digest"], ["records.digest"], name="fk_outcomes_record_digest"
        ),
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
