"""Attempts, and data that the auditor holds; rows can only be added."""

import sqlalchemy as sa

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

TABLES = ATTEMPTS, SETS = "attempts", "sealed_sets"


def upgrade() -> None:
    _attempts()
    _sets()
    refuse = {"sqlite": _refuse_on_sqlite, "postgresql": _refuse_on_postgresql}
    for table in TABLES:
        refuse[op.get_bind().dialect.name](table)


def downgrade() -> None:
    raise NotImplementedError("attempts are never deleted: restore a copy of the database instead")


def _attempts() -> None:
    op.create_table(
        ATTEMPTS,
        sa.Column("submission", sa.Text(), nullable=False),
        sa.Column("project", sa.Text(), nullable=False),
        sa.Column("policy", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("artifact", sa.Text(), nullable=True),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("leaf", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("submission", name="pk_attempts"),
        sa.ForeignKeyConstraint(
            ["submission"], ["submissions.id"], name="fk_attempts_submission"
        ),
        sa.ForeignKeyConstraint(["project"], ["projects.name"], name="fk_attempts_project"),
        sa.UniqueConstraint("project", "policy", "model", "number", name="uq_attempts_project"),
    )
    op.create_index("ix_attempts_artifact", ATTEMPTS, ["project", "policy", "artifact"])


def _sets() -> None:
    op.create_table(
        SETS,
        sa.Column("project", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("file", sa.Text(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("at", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("project", "name", name="pk_sealed_sets"),
        sa.ForeignKeyConstraint(["project"], ["projects.name"], name="fk_sealed_sets_project"),
        sa.UniqueConstraint("project", "digest", name="uq_sealed_sets_project"),
    )


def _refuse_on_sqlite(table: str) -> None:
    for verb in ("UPDATE", "DELETE"):
        op.execute(
            f"CREATE TRIGGER {table}_refuse_{verb.lower()} BEFORE {verb} ON {table} "
            f"BEGIN SELECT RAISE(ABORT, '{table}: rows are never changed or deleted'); END"
        )


def _refuse_on_postgresql(table: str) -> None:
    op.execute(
        f"CREATE TRIGGER {table}_refuse_change BEFORE UPDATE OR DELETE ON {table} "
        "FOR EACH ROW EXECUTE FUNCTION auditor_refuse_change()"
    )
    op.execute(
        f"CREATE TRIGGER {table}_refuse_truncate BEFORE TRUNCATE ON {table} "
        "FOR EACH STATEMENT EXECUTE FUNCTION auditor_refuse_change()"
    )
