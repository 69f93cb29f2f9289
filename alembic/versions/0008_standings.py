"""How far every submission is, kept by triggers, so that lists need not read histories."""

import sqlalchemy as sa

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

TABLE = "submission_standings"
STATES = "('queued', 'waiting_for_target', 'running', 'done', 'failed', 'cancelled')"
UNENDED = sa.text("state IN ('queued', 'waiting_for_target', 'running')")
INDEXES = {
    "ix_standings_listed": ["project", "submitted", "submission"],
    "ix_standings_state": ["project", "state", "submitted", "submission"],
    "ix_standings_model": ["project", "model", "submitted", "submission"],
    "ix_standings_both": ["project", "model", "state", "submitted", "submission"],
}
FOLLOW = f"""
INSERT INTO {TABLE} (submission, project, model, state, submitted)
SELECT s.id, s.project, s.model, NEW.kind, s.submitted
FROM submissions AS s WHERE s.id = NEW.submission
ON CONFLICT (submission) DO UPDATE SET state = excluded.state
"""
TOLD = f"""
SELECT e.kind FROM submission_events AS e
WHERE e.submission = NEW.submission AND e.kind IN {STATES}
ORDER BY e.number DESC LIMIT 1
"""
SAME = f"""
EXISTS (SELECT 1 FROM submissions AS s WHERE s.id = NEW.submission AND s.project = NEW.project
AND s.model = NEW.model AND s.submitted = NEW.submitted) AND NEW.state = ({TOLD})
"""
REFUSED = f"{TABLE}: a row follows its history, and is never changed or deleted otherwise"


def upgrade() -> None:
    op.create_table(
        TABLE,
        *(
            sa.Column(name, sa.Text(), nullable=False)
            for name in ("submission", "project", "model", "state", "submitted")
        ),
        sa.PrimaryKeyConstraint("submission", name="pk_submission_standings"),
        sa.ForeignKeyConstraint(
            ["submission"], ["submissions.id"], name="fk_submission_standings_submission"
        ),
    )
    op.execute(
        f"INSERT INTO {TABLE} (submission, project, model, state, submitted) "
        "SELECT s.id, s.project, s.model, e.kind, s.submitted FROM submissions AS s "
        "JOIN submission_events AS e ON e.submission = s.id WHERE e.number = ("
        "SELECT max(l.number) FROM submission_events AS l "
        f"WHERE l.submission = s.id AND l.kind IN {STATES})"
    )
    for name, columns in INDEXES.items():
        op.create_index(name, TABLE, columns)
    op.create_index(
        "ix_standings_unended", TABLE, ["submitted", "submission"],
        sqlite_where=UNENDED, postgresql_where=UNENDED,
    )  # fmt: skip
    _find_quicker()
    follow = {"sqlite": _follow_on_sqlite, "postgresql": _follow_on_postgresql}
    follow[op.get_bind().dialect.name]()


def _find_quicker() -> None:
    """Let a gate find the newest record, and keys and approvals in the ledger, by an index."""
    op.drop_index("ix_records_artifact_policy", "records")
    op.create_index(
        "ix_records_artifact_policy", "records",
        ["artifact_digest", "policy_digest", "finished", "digest"],
    )  # fmt: skip
    op.create_index("ix_outcomes_record_digest", "outcomes", ["record_digest"])
    if op.get_bind().dialect.name == "postgresql":
        op.drop_index("ix_ledger_openings_event_id", "ledger_openings")
        op.create_index(
            "ix_ledger_openings_event_id", "ledger_openings", ["event_id"],
            postgresql_ops={"event_id": "text_pattern_ops"},
        )  # fmt: skip


def downgrade() -> None:
    raise NotImplementedError("histories are never deleted: restore a copy of the database instead")


def _follow_on_sqlite() -> None:
    op.execute(
        f"CREATE TRIGGER submission_events_stand AFTER INSERT ON submission_events "
        f"WHEN NEW.kind IN {STATES} BEGIN {FOLLOW}; END"
    )
    for verb in ("INSERT", "UPDATE"):
        op.execute(
            f"CREATE TRIGGER {TABLE}_refuse_{verb.lower()} BEFORE {verb} ON {TABLE} "
            f"WHEN NOT ({SAME}) BEGIN SELECT RAISE(ABORT, '{REFUSED}'); END"
        )
    op.execute(
        f"CREATE TRIGGER {TABLE}_refuse_delete BEFORE DELETE ON {TABLE} "
        f"BEGIN SELECT RAISE(ABORT, '{REFUSED}'); END"
    )


def _follow_on_postgresql() -> None:
    op.execute(
        f"CREATE FUNCTION auditor_stand() RETURNS trigger LANGUAGE plpgsql AS $$ "
        f"BEGIN {FOLLOW}; RETURN NULL; END $$"
    )
    op.execute(
        "CREATE TRIGGER submission_events_stand AFTER INSERT ON submission_events "
        f"FOR EACH ROW WHEN (NEW.kind IN {STATES}) EXECUTE FUNCTION auditor_stand()"
    )
    op.execute(
        f"CREATE FUNCTION auditor_stands() RETURNS trigger LANGUAGE plpgsql AS $$ "
        f"BEGIN IF {SAME} THEN RETURN NEW; END IF; RAISE EXCEPTION '{REFUSED}'; END $$"
    )
    op.execute(
        f"CREATE TRIGGER {TABLE}_refuse_others BEFORE INSERT OR UPDATE ON {TABLE} "
        "FOR EACH ROW EXECUTE FUNCTION auditor_stands()"
    )
    op.execute(
        f"CREATE TRIGGER {TABLE}_refuse_delete BEFORE DELETE ON {TABLE} "
        "FOR EACH ROW EXECUTE FUNCTION auditor_refuse_change()"
    )
    op.execute(
        f"CREATE TRIGGER {TABLE}_refuse_truncate BEFORE TRUNCATE ON {TABLE} "
        "FOR EACH STATEMENT EXECUTE FUNCTION auditor_refuse_change()"
    )
