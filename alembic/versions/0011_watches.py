"""Places that schedules watch for batches, and what targets turned out to be; rows are only added."""

import sqlalchemy as sa

from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

TABLES = WATCHES, ARRIVALS, SIGHTINGS = "schedule_watches", "schedule_arrivals", "target_sightings"


def upgrade() -> None:
    _watches()
    _sightings()
    refuse = {"sqlite": _refuse_on_sqlite, "postgresql": _refuse_on_postgresql}
    for table in TABLES:
        refuse[op.get_bind().dialect.name](table)


def downgrade() -> None:
    raise NotImplementedError("histories are never deleted: restore a copy of the database instead")


def _text(name: str, *, nullable: bool = False) -> sa.Column:
    return sa.Column(name, sa.Text(), nullable=nullable)


def _watches() -> None:
    op.create_table(
        WATCHES,
        _text("schedule"),
        _text("place"),
        sa.PrimaryKeyConstraint("schedule", name="pk_schedule_watches"),
        sa.ForeignKeyConstraint(
            ["schedule"], ["schedule_plans.id"], name="fk_schedule_watches_schedule"
        ),
    )
    op.create_table(
        ARRIVALS,
        *(_text(name) for name in ("schedule", "name", "mark")),
        _text("digest", nullable=True),
        _text("at"),
        sa.PrimaryKeyConstraint("schedule", "name", "mark", name="pk_schedule_arrivals"),
        sa.ForeignKeyConstraint(
            ["schedule"], ["schedule_watches.schedule"], name="fk_schedule_arrivals_schedule"
        ),
    )


def _sightings() -> None:
    op.create_table(
        SIGHTINGS,
        *(_text(name) for name in ("seer", "target")),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        _text("project", nullable=True),
        *(_text(name) for name in ("identity", "facts", "at")),
        sa.PrimaryKeyConstraint("seer", "target", "number", name="pk_target_sightings"),
        sa.ForeignKeyConstraint(["project"], ["projects.name"], name="fk_target_sightings_project"),
    )
    op.create_index("ix_target_sightings_at", SIGHTINGS, ["at"])


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
