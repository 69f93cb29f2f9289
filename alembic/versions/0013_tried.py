"""What attempts try: networks, and data; rows can only be added."""

import sqlalchemy as sa

from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

ATTEMPTS, DATA = "attempts", "attempt_data"


def upgrade() -> None:
    # A column without a value changes no row, so that the table's triggers stay as they are.
    op.add_column(ATTEMPTS, sa.Column("network", sa.Text(), nullable=True))
    op.add_column(ATTEMPTS, sa.Column("counted", sa.Integer(), nullable=True))
    op.create_index("ix_attempts_network", ATTEMPTS, ["project", "policy", "network"])
    op.create_table(
        DATA,
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("submission", "data", "project", "policy")),
        sa.PrimaryKeyConstraint("submission", "data", name="pk_attempt_data"),
        sa.ForeignKeyConstraint(
            ["submission"], ["attempts.submission"], name="fk_attempt_data_submission"
        ),
        sa.ForeignKeyConstraint(["project"], ["projects.name"], name="fk_attempt_data_project"),
    )
    op.create_index("ix_attempt_data_project", DATA, ["project", "policy", "data"])
    {"sqlite": _refuse_on_sqlite, "postgresql": _refuse_on_postgresql}[op.get_bind().dialect.name]()


def downgrade() -> None:
    raise NotImplementedError("attempts are never deleted: restore a copy of the database instead")


def _refuse_on_sqlite() -> None:
    for verb in ("UPDATE", "DELETE"):
        op.execute(
            f"CREATE TRIGGER {DATA}_refuse_{verb.lower()} BEFORE {verb} ON {DATA} "
            f"BEGIN SELECT RAISE(ABORT, '{DATA}: rows are never changed or deleted'); END"
        )


def _refuse_on_postgresql() -> None:
    op.execute(
        f"CREATE TRIGGER {DATA}_refuse_change BEFORE UPDATE OR DELETE ON {DATA} "
        "FOR EACH ROW EXECUTE FUNCTION auditor_refuse_change()"
    )
    op.execute(
        f"CREATE TRIGGER {DATA}_refuse_truncate BEFORE TRUNCATE ON {DATA} "
        "FOR EACH STATEMENT EXECUTE FUNCTION auditor_refuse_change()"
    )
