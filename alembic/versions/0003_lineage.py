"""Lineage in three tables (W3C PROV); what one table held is stated again by its records."""

import sqlalchemy as sa

from alembic import op
from auditor.domain.json import compute_digest
from auditor.domain.lineage import LineageEdge, ProvenanceGraph
from auditor.domain.provenance import build_provenance
from auditor.domain.record_json import read_record
from auditor.errors import RecordError
from auditor.store.lineage_graph import keep_lineage

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

TABLES = ("prov_entities", "prov_activities", "prov_edges")


def upgrade() -> None:
    op.create_table(
        "prov_entities",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("uri", sa.Text(), nullable=False),
        sa.Column("attrs", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_prov_entities"),
    )
    op.create_index("ix_prov_entities_digest", "prov_entities", ["digest"])
    op.create_table(
        "prov_activities",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("started", sa.Text(), nullable=False),
        sa.Column("ended", sa.Text(), nullable=False),
        sa.Column("attrs", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_prov_activities"),
    )
    op.create_table(
        "prov_edges",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("relation", sa.Text(), nullable=False),
        sa.Column("destination", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("stated_by", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_prov_edges"),
        sa.UniqueConstraint(
            "stated_by", "source", "relation", "destination", "role", name="uq_prov_edges_stated_by"
        ),
    )
    op.create_index("ix_prov_edges_source", "prov_edges", ["source"])
    op.create_index("ix_prov_edges_destination", "prov_edges", ["destination"])
    _state_again()
    # A store that grows keeps what was in the old table: every record states it in the new ones.
    op.drop_table("lineage")
    refuse = {"sqlite": _refuse_on_sqlite, "postgresql": _refuse_on_postgresql}
    refuse[op.get_bind().dialect.name]()


def downgrade() -> None:
    raise NotImplementedError("lineage is never deleted: restore a copy of the database instead")


def _state_again() -> None:
    connection = op.get_bind()
    asked = sa.text("SELECT digest, body, bundle FROM records ORDER BY finished, digest")
    for name, body, bundle in connection.execute(asked).all():
        try:
            stated = build_provenance(read_record(body), compute_digest(bundle))
        except RecordError:
            stated = _as_it_was(name)
        keep_lineage(connection, name, stated)


def _as_it_was(name: str) -> ProvenanceGraph:
    """Return the edges of a record that this version cannot read, named as they were."""
    asked = sa.text(
        "SELECT source, relation, destination, role FROM lineage WHERE record_digest = :name"
    )
    rows = op.get_bind().execute(asked, {"name": name}).all()
    return ProvenanceGraph((), (), tuple(sorted(LineageEdge(*row) for row in rows)))


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
