"""What registrations are looked up by, in their projects; rows can only be added."""

import hashlib
import json

import sqlalchemy as sa

from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

TABLE = "registration_subjects"
INDEXES = {
    "model": ["project", "model", "registration"],
    "artifact": ["project", "artifact", "registration"],
    "policy": ["project", "policy", "policy_digest"],
}
AT_ONCE = 500


def upgrade() -> None:
    made = op.create_table(
        TABLE,
        sa.Column("registration", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("project", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("artifact", sa.Text(), nullable=True),
        sa.Column("policy", sa.Text(), nullable=False),
        sa.Column("policy_digest", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("registration", name=f"pk_{TABLE}"),
        sa.ForeignKeyConstraint(
            ["registration"], ["registrations.id"], name=f"fk_{TABLE}_registration"
        ),
    )
    for name, columns in INDEXES.items():
        op.create_index(f"ix_{TABLE}_{name}", TABLE, columns)
    _fill(made)
    refuse = {"sqlite": _refuse_on_sqlite, "postgresql": _refuse_on_postgresql}
    refuse[op.get_bind().dialect.name]()


def downgrade() -> None:
    raise NotImplementedError("registrations are never deleted: restore a copy of the database instead")


def _fill(made: sa.Table) -> None:
    """Look up what was registered so far: what no submission asked is of no project."""
    connection = op.get_bind()
    projects = _projects(connection)
    asked = sa.text("SELECT id, request_digest, registered FROM registrations ORDER BY id")
    body = sa.text("SELECT body FROM requests WHERE digest = :digest")
    rows = []
    for number, digest, registered in connection.execute(asked).all():
        request = json.loads(connection.execute(body, {"digest": digest}).scalar_one())
        artifact = request["artifact"]
        rows.append({
            "registration": number,
            "project": projects.get((digest, registered), ""),
            "model": _digest([artifact["name"], artifact["version"]]),
            "artifact": artifact.get("digest"),
            "policy": _digest(request["policy"]["name"]),
            "policy_digest": request["policy"]["digest"],
        })
    for start in range(0, len(rows), AT_ONCE):
        connection.execute(made.insert(), rows[start : start + AT_ONCE])


def _projects(connection: sa.Connection) -> dict[tuple[str, str], str]:
    """Return the projects of what submissions registered, by the request's digest and when."""
    asked = sa.text(
        "SELECT s.project, r.body FROM shard_results AS r JOIN submissions AS s "
        "ON s.id = r.submission WHERE r.target = '' AND r.check_id = 'request'"
    )
    found = {}
    for project, body in connection.execute(asked):
        raw = bytes(body)
        at = json.loads(raw)["at"]
        # The request's own bytes, of which its digest is: numbers have several spellings.
        request = raw[len(_written({"at": at, "request": 0})) - 2 : -1]
        found[_sha256(request), at] = project
    return found


def _digest(value: object) -> str:
    return _sha256(_written(value))


def _written(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def _sha256(raw: bytes) -> str:
    return f"sha256:{hashlib.sha256(raw).hexdigest()}"


def _refuse_on_sqlite() -> None:
    for verb in ("UPDATE", "DELETE"):
        op.execute(
            f"CREATE TRIGGER {TABLE}_refuse_{verb.lower()} BEFORE {verb} ON {TABLE} "
            f"BEGIN SELECT RAISE(ABORT, '{TABLE}: rows are never changed or deleted'); END"
        )


def _refuse_on_postgresql() -> None:
    op.execute(
        f"CREATE TRIGGER {TABLE}_refuse_change BEFORE UPDATE OR DELETE ON {TABLE} "
        "FOR EACH ROW EXECUTE FUNCTION auditor_refuse_change()"
    )
    op.execute(
        f"CREATE TRIGGER {TABLE}_refuse_truncate BEFORE TRUNCATE ON {TABLE} "
        "FOR EACH STATEMENT EXECUTE FUNCTION auditor_refuse_change()"
    )
