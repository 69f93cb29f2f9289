"""The ledger: a Merkle log of events, to whose past nothing can be done."""

import hashlib

import sqlalchemy as sa

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

TABLES = ("ledger_leaves", "ledger_openings", "ledger_checkpoints", "ledger_cosignatures")
INDEX = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
NEVER = "rows are never changed or deleted"
ONLY_GROWS = "rows only grow"


def upgrade() -> None:
    op.create_table(
        "ledger_leaves",
        sa.Column("idx", INDEX, autoincrement=False, nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("idx", name="pk_ledger_leaves"),
    )
    op.create_table(
        "ledger_openings",
        sa.Column("idx", INDEX, autoincrement=False, nullable=False),
        sa.Column("event_id", sa.Text(), nullable=False),
        sa.Column("salt", sa.LargeBinary(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("subjects", sa.Text(), nullable=False),
        sa.Column("document", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("idx", name="pk_ledger_openings"),
        sa.ForeignKeyConstraint(["idx"], ["ledger_leaves.idx"], name="fk_ledger_openings_idx"),
    )
    op.create_index("ix_ledger_openings_event_id", "ledger_openings", ["event_id"])
    _create_tiles_and_state()
    _create_checkpoints()
    refuse = {"sqlite": _refuse_on_sqlite, "postgresql": _refuse_on_postgresql}
    refuse[op.get_bind().dialect.name]()


def downgrade() -> None:
    raise NotImplementedError("a ledger is never deleted: restore a copy of the database instead")


def _create_tiles_and_state() -> None:
    op.create_table(
        "ledger_tiles",
        sa.Column("level", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("idx", INDEX, autoincrement=False, nullable=False),
        sa.Column("width", sa.Integer(), nullable=False),
        sa.Column("hashes", sa.LargeBinary(), nullable=False),
        sa.Column("inner", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("level", "idx", name="pk_ledger_tiles"),
    )
    state = op.create_table(
        "ledger_state",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("size", INDEX, nullable=False),
        sa.Column("root", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_ledger_state"),
    )
    op.bulk_insert(state, [{"id": 1, "size": 0, "root": hashlib.sha256(b"").digest()}])


def _create_checkpoints() -> None:
    op.create_table(
        "ledger_checkpoints",
        sa.Column("size", INDEX, autoincrement=False, nullable=False),
        sa.Column("note", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("size", name="pk_ledger_checkpoints"),
    )
    op.create_table(
        "ledger_cosignatures",
        sa.Column("line", sa.Text(), nullable=False),
        sa.Column("size", INDEX, nullable=False),
        sa.PrimaryKeyConstraint("line", name="pk_ledger_cosignatures"),
        sa.ForeignKeyConstraint(
            ["size"], ["ledger_checkpoints.size"], name="fk_ledger_cosignatures_size"
        ),
    )
    op.create_index("ix_ledger_cosignatures_size", "ledger_cosignatures", ["size"])


def _refuse_on_sqlite() -> None:
    for table in TABLES:
        for verb in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER {table}_refuse_{verb.lower()} BEFORE {verb} ON {table} "
                f"BEGIN SELECT RAISE(ABORT, '{table}: {NEVER}'); END"
            )
    grown = {
        "ledger_tiles": (
            "NEW.level = OLD.level AND NEW.idx = OLD.idx AND NEW.width > OLD.width "
            "AND NEW.width <= 256 AND length(NEW.hashes) = 32 * NEW.width "
            "AND substr(NEW.hashes, 1, length(OLD.hashes)) = OLD.hashes"
        ),
        "ledger_state": "NEW.id = OLD.id AND NEW.size > OLD.size",
    }
    for table, sound in grown.items():
        op.execute(
            f"CREATE TRIGGER {table}_refuse_update BEFORE UPDATE ON {table} WHEN NOT ({sound}) "
            f"BEGIN SELECT RAISE(ABORT, '{table}: {ONLY_GROWS}'); END"
        )
        op.execute(
            f"CREATE TRIGGER {table}_refuse_delete BEFORE DELETE ON {table} "
            f"BEGIN SELECT RAISE(ABORT, '{table}: {NEVER}'); END"
        )


def _refuse_on_postgresql() -> None:
    for table in TABLES:
        op.execute(
            f"CREATE TRIGGER {table}_refuse_change BEFORE UPDATE OR DELETE ON {table} "
            "FOR EACH ROW EXECUTE FUNCTION auditor_refuse_change()"
        )
    for table in (*TABLES, "ledger_tiles", "ledger_state"):
        op.execute(
            f"CREATE TRIGGER {table}_refuse_truncate BEFORE TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION auditor_refuse_change()"
        )
    grown = {
        "ledger_tiles": (
            "NEW.level = OLD.level AND NEW.idx = OLD.idx AND NEW.width > OLD.width "
            "AND NEW.width <= 256 AND octet_length(NEW.hashes) = 32 * NEW.width "
            "AND substring(NEW.hashes FROM 1 FOR octet_length(OLD.hashes)) = OLD.hashes"
        ),
        "ledger_state": "NEW.id = OLD.id AND NEW.size > OLD.size",
    }
    for table, sound in grown.items():
        op.execute(
            f"CREATE FUNCTION auditor_grow_{table}() RETURNS trigger LANGUAGE plpgsql AS $$ "
            f"BEGIN IF {sound} THEN RETURN NEW; END IF; "
            f"RAISE EXCEPTION '%: {ONLY_GROWS}', TG_TABLE_NAME; END $$"
        )
        op.execute(
            f"CREATE TRIGGER {table}_refuse_shrink BEFORE UPDATE ON {table} "
            f"FOR EACH ROW EXECUTE FUNCTION auditor_grow_{table}()"
        )
        op.execute(
            f"CREATE TRIGGER {table}_refuse_delete BEFORE DELETE ON {table} "
            "FOR EACH ROW EXECUTE FUNCTION auditor_refuse_change()"
        )
