"""People who decide, what they said of records, and records that were judged again."""

import sqlalchemy as sa

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

TABLES = (
    "people_persons", "people_ends", "people_decisions", "people_labels", "people_rejudgements",
)


def upgrade() -> None:
    _create_people()
    _create_decisions()
    _create_rejudgements()
    refuse = {"sqlite": _refuse_on_sqlite, "postgresql": _refuse_on_postgresql}
    refuse[op.get_bind().dialect.name]()


def downgrade() -> None:
    raise NotImplementedError("histories are never deleted: restore a copy of the database instead")


def _text(name: str, *, nullable: bool = False) -> sa.Column:
    return sa.Column(name, sa.Text(), nullable=nullable)


def _of(table: str, column: str, other: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint([column], [other], name=f"fk_{table}_{column}")


def _create_people() -> None:
    op.create_table(
        "people_persons",
        *(_text(name) for name in ("id", "project", "name", "key", "may")),
        _text("caller", nullable=True),
        _text("created"),
        _text("by"),
        sa.PrimaryKeyConstraint("id", name="pk_people_persons"),
        sa.UniqueConstraint("project", "key", name="uq_people_persons_project"),
        _of("people_persons", "project", "projects.name"),
    )
    op.create_table(
        "people_ends",
        *(_text(name) for name in ("person", "ended", "reason", "by")),
        sa.PrimaryKeyConstraint("person", name="pk_people_ends"),
        _of("people_ends", "person", "people_persons.id"),
    )


def _create_decisions() -> None:
    op.create_table(
        "people_decisions",
        _text("project"),
        _text("digest"),
        sa.Column("number", sa.Integer(), nullable=False),
        _text("kind"),
        _text("person"),
        _text("artifact", nullable=True),
        _text("record", nullable=True),
        sa.Column("bundle", sa.LargeBinary(), nullable=False),
        _text("at"),
        _text("by"),
        sa.PrimaryKeyConstraint("project", "digest", name="pk_people_decisions"),
        sa.UniqueConstraint("project", "number", name="uq_people_decisions_project"),
        _of("people_decisions", "project", "projects.name"),
        _of("people_decisions", "person", "people_persons.id"),
    )
    op.create_index("ix_people_decisions_record", "people_decisions", ["record"])
    op.create_index("ix_people_decisions_kind", "people_decisions", ["project", "kind", "number"])
    op.create_table(
        "people_labels",
        *(_text(name) for name in ("project", "record", "person", "body", "at", "by")),
        sa.PrimaryKeyConstraint("project", "record", "person", name="pk_people_labels"),
        _of("people_labels", "project", "projects.name"),
        _of("people_labels", "person", "people_persons.id"),
    )


def _create_rejudgements() -> None:
    op.create_table(
        "people_rejudgements",
        _text("submission"),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        _text("record_digest"),
        _text("files"),
        _text("at"),
        sa.PrimaryKeyConstraint("submission", "number", name="pk_people_rejudgements"),
        _of("people_rejudgements", "submission", "submissions.id"),
        _of("people_rejudgements", "record_digest", "records.digest"),
    )
    op.create_index("ix_people_rejudgements_record", "people_rejudgements", ["record_digest"])


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
