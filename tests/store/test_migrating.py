"""Bringing a store to this version: what it says first, and that nothing that was kept is lost."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest
from alembic.command import check, upgrade
from alembic.config import Config
from alembic.script import ScriptDirectory
from click.testing import CliRunner
from ledger_toys import LOG, failures, fill
from sqlalchemy import Engine, MetaData, create_engine

from auditor._resources import find_shipped_folder
from auditor.cli.commands.migrate import command
from auditor.domain.json import compute_digest
from auditor.domain.records import AuditRecord
from auditor.service.domain.access import AccessRole, ApiKey
from auditor.service.domain.submissions import AuditOrder, Submission
from auditor.service.store.audit_attempts import AttemptStore
from auditor.service.store.submission_history import ServiceStore
from auditor.store.database import find_database_revision, migrate, preview_migration
from auditor.store.migrations import RevisionStatus
from auditor.store.record_store import RecordStore
from auditor.workflows.ledger import log_key_roles

pytestmark = pytest.mark.migrates

Make = Callable[..., AuditRecord]
Rows = Mapping[str, Sequence[Mapping[str, object]]]
NOW = "2026-01-01T00:00:00Z"


def scripts() -> Config:
    config = Config()
    config.set_main_option("script_location", str(find_shipped_folder("alembic")))
    return config


REVISIONS = [
    it.revision for it in ScriptDirectory.from_config(scripts()).walk_revisions("base", "heads")
][::-1]


def bring_to(engine: Engine, revision: str) -> None:
    config = scripts()
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        upgrade(config, revision)


def rows(engine: Engine) -> Rows:
    tables = MetaData()
    tables.reflect(engine)
    with engine.connect() as connection:
        return {
            table.name: [dict(row) for row in connection.execute(table.select()).mappings()]
            for table in tables.sorted_tables
            if table.name != "alembic_version"
        }


@pytest.fixture
def full(tmp_path: Path, make_record: Make) -> Rows:
    """Give the rows of a store of today with records, a ledger that has grown, and a key."""
    url, blobs = f"sqlite:///{tmp_path / 'full' / 'auditor.db'}", tmp_path / "full" / "blobs"
    record = make_record()
    store = fill(RecordStore.open(url, blobs), record)
    kept = ServiceStore(store)
    kept.add_project("default", NOW)
    kept.add_key(
        ApiKey(
            id="0" * 16,
            project="default",
            role=AccessRole.VIEWER,
            name="a key",
            secret_hash="0" * 64,
            created=NOW,
        )
    )
    asked = Submission(
        id=f"sub-{1:024x}",
        project="default",
        submitter="0" * 16,
        submitted=NOW,
        order=AuditOrder(
            audit_file=compute_digest(b"a"),
            source="audit.yaml",
            inputs=(),
            policy=compute_digest(b"b"),
            targets=("cpu",),
        ),
    )
    kept.submit(asked, None)
    AttemptStore(store).register(asked, record.request, NOW)
    found = rows(store.engine)
    store.close()
    return found


def put(engine: Engine, given: Rows) -> Rows:
    """Put in what a database of its revision could hold of these rows, and return it."""
    tables = MetaData()
    tables.reflect(engine)
    with engine.begin() as connection:
        for table in tables.sorted_tables:
            fit = [
                {name: value for name, value in row.items() if name in table.columns}
                for row in given.get(table.name, ())
            ]
            if fit and table.name == "ledger_state":
                connection.execute(table.update().values(fit[0]))
            elif fit and table.name != "submission_standings":  # triggers write it
                connection.execute(table.insert(), fit)
    return rows(engine)


def holds(found: Rows, kept: Rows) -> bool:
    return all(
        any(row.items() <= here.items() for here in found[table])
        for table, them in kept.items()
        for row in them
    )


@pytest.mark.slow
@pytest.mark.parametrize("earlier", REVISIONS[:-1])
def test_from_every_earlier_revision_all_rows_come_along(
    empty_url: str, home: Path, earlier: str, full: Rows
) -> None:
    home.mkdir(exist_ok=True)
    engine = create_engine(empty_url)
    bring_to(engine, earlier)
    kept = put(engine, full)
    assert kept["records"]
    told = preview_migration(empty_url)
    assert told
    assert find_database_revision(empty_url) == RevisionStatus(earlier, REVISIONS[-1])
    assert rows(engine) == kept
    assert migrate(empty_url) == RevisionStatus(earlier, REVISIONS[-1])
    found = rows(engine)
    assert holds(found, {name: them for name, them in kept.items() if name in found})
    assert set(kept) - set(found) <= {"lineage"}
    looked_up = full["registration_subjects"]
    assert [it["project"] for it in looked_up] == ["", "", "default"]
    if "shard_results" not in kept:  # nothing says by then who registered
        looked_up = [{**it, "project": ""} for it in looked_up]
    assert found["registration_subjects"] == looked_up
    store = RecordStore.open(empty_url, home / "blobs", LOG)
    if "ledger_leaves" not in kept:
        log_key_roles(store, {}, NOW)  # a ledger that begins takes in what was there before
    assert failures(store) == ""
    store.close()
    engine.dispose()


@pytest.mark.slow
@pytest.mark.parametrize("earlier", REVISIONS[:-1])
def test_the_tables_are_the_same_however_the_store_came_to_them(
    empty_url: str, home: Path, earlier: str
) -> None:
    home.mkdir(exist_ok=True)
    engine = create_engine(empty_url)
    bring_to(engine, earlier)
    migrate(empty_url)
    config = scripts()
    with engine.connect() as connection:
        config.attributes["connection"] = connection
        check(config)
    engine.dispose()


def test_what_would_be_run_is_told_and_nothing_is_changed(home: Path, sqlite_url: str) -> None:
    engine = create_engine(sqlite_url)
    home.mkdir()
    bring_to(engine, REVISIONS[0])
    engine.dispose()
    told = preview_migration(sqlite_url)
    assert any(line.startswith("CREATE TABLE prov_edges") for line in told)
    assert not any(line.upper().startswith("SELECT") for line in told)
    assert find_database_revision(sqlite_url) == RevisionStatus(REVISIONS[0], REVISIONS[-1])
    migrate(sqlite_url)
    assert preview_migration(sqlite_url) == ()


def test_asking_where_a_store_stands_makes_none(home: Path, sqlite_url: str) -> None:
    assert find_database_revision(sqlite_url).lags
    preview_migration(sqlite_url)
    assert not home.exists()


def test_the_command_says_from_where_to_where_and_whether_it_lags(home: Path) -> None:
    world = {"AUDITOR_HOME": str(home), "AUDITOR_DATABASE_URL": ""}

    def said(*options: str) -> tuple[str, int]:
        done = CliRunner().invoke(command, options, env=world, standalone_mode=False)
        return done.stdout, done.return_value

    newest = REVISIONS[-1]
    lag, code = said("--check")
    assert "auditor migrate" in lag
    assert code == 1
    assert said() == (f"Migrated the database from revision none to {newest}.\n", 0)
    assert said("--check")[1] == 0
    assert said() == (f"The database is already at revision {newest}.\n", 0)
    assert said("--sql") == ("\n", 0)
