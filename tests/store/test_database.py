"""Opening the database: made, migrated, or refused with a cure."""

import os
import sqlite3
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from alembic.command import check
from alembic.config import Config
from sqlalchemy import create_engine, text

from auditor._resources import find_shipped_folder
from auditor.errors import StoreError
from auditor.store.blobs import FolderBlobStore
from auditor.store.database import migrate, open_database
from auditor.store.record_store import RecordStore

pytestmark = pytest.mark.migrates

NOBODY = 65534


@pytest.fixture
def read_only_folder() -> Iterator[Path]:
    """Make a folder that everyone may enter and nobody may write."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o555)
        yield folder
        folder.chmod(0o755)


@contextmanager
def ordinary_user() -> Iterator[None]:
    """Lay down root's leave to write everywhere, where the tests run as root."""
    owner = os.geteuid()
    if owner == 0:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(owner)


def revision(url: str) -> str:
    engine = create_engine(url)
    with engine.connect() as connection:
        found = str(connection.execute(text("SELECT version_num FROM alembic_version")).scalar())
    engine.dispose()
    return found


def test_a_database_that_is_to_be_left_as_it_is_is_brought_to_no_other_revision(
    sqlite_url: str,
) -> None:
    engine = open_database(sqlite_url)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '0001'"))
    engine.dispose()
    with pytest.raises(StoreError, match="is at revision") as refused:
        open_database(sqlite_url, as_it_is=True)
    assert refused.value.cure == "Run `auditor migrate`."
    assert revision(sqlite_url) == "0001"


def test_a_first_open_makes_a_private_file_at_the_newest_revision(
    home: Path, sqlite_url: str
) -> None:
    engine = open_database(sqlite_url)
    with engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM records")).scalar() == 0
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in home.iterdir()}
    engine.dispose()
    assert modes == dict.fromkeys(("auditor.db", "auditor.db-wal", "auditor.db-shm"), 0o600)
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    assert revision(sqlite_url) == migrate(sqlite_url).current


def test_sqlite_waits_for_others_keeps_references_and_writes_ahead(sqlite_url: str) -> None:
    engine = open_database(sqlite_url)
    with engine.connect() as connection:
        settings = {
            name: connection.execute(text(f"PRAGMA {name}")).scalar()
            for name in ("journal_mode", "foreign_keys", "busy_timeout", "recursive_triggers")
        }
    engine.dispose()
    assert settings == {
        "journal_mode": "wal",
        "foreign_keys": 1,
        "busy_timeout": 30_000,
        "recursive_triggers": 1,
    }


def test_the_tables_are_what_the_migrations_make(url: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(find_shipped_folder("alembic")))
    engine = create_engine(url)
    with engine.connect() as connection:
        config.attributes["connection"] = connection
        check(config)
    engine.dispose()


def test_migrating_twice_changes_nothing(url: str) -> None:
    assert [migrate(url).current for _ in range(2)] == [revision(url)] * 2


def test_many_first_opens_at_once_migrate_once(empty_url: str, tmp_path: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        stood = [found.current for found in pool.map(migrate, [empty_url] * 4)]
    assert sorted(filter(None, stood)) == [revision(empty_url)] * 3
    RecordStore.open(empty_url, tmp_path / "blobs").close()


def test_a_postgresql_database_is_migrated_only_on_demand(postgresql_url: str) -> None:
    with pytest.raises(StoreError) as caught:
        open_database(postgresql_url)
    assert "auditor migrate" in caught.value.cure
    migrate(postgresql_url)
    open_database(postgresql_url).dispose()


def test_a_postgresql_url_needs_no_word_on_the_driver(postgresql_url: str) -> None:
    short = postgresql_url.replace("postgresql+psycopg:", "postgresql:")
    migrate(short)
    open_database(short).dispose()


def test_a_database_of_a_newer_version_is_refused(url: str) -> None:
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    engine.dispose()
    with pytest.raises(StoreError, match="revision 9999, which this version does not know") as no:
        open_database(url)
    assert "newer" in no.value.cure
    with pytest.raises(StoreError, match="9999"):
        migrate(url)


def test_a_file_that_is_no_database_is_refused_and_left_alone(home: Path, sqlite_url: str) -> None:
    home.mkdir()
    file = home / "auditor.db"
    file.write_bytes(b"a diary, and no database at all" * 100)
    before = file.read_bytes()
    with pytest.raises(StoreError, match=r"auditor\.db cannot be opened: .*not a database"):
        open_database(sqlite_url)
    assert file.read_bytes() == before


def test_the_database_of_another_program_is_refused_and_left_alone(
    home: Path, sqlite_url: str
) -> None:
    home.mkdir()
    with sqlite3.connect(home / "auditor.db") as connection:
        connection.execute("CREATE TABLE bookmarks (address TEXT)")
    connection.close()
    with pytest.raises(StoreError, match="another program"):
        open_database(sqlite_url)
    with sqlite3.connect(home / "auditor.db") as connection:
        tables = connection.execute("SELECT name FROM sqlite_master").fetchall()
    connection.close()
    assert tables == [("bookmarks",)]


def test_a_home_that_cannot_be_written_is_refused(read_only_folder: Path) -> None:
    with ordinary_user(), pytest.raises(StoreError) as caught:
        open_database(f"sqlite:///{read_only_folder}/auditor.db")
    assert str(read_only_folder) in caught.value.problem
    assert "AUDITOR_HOME" in caught.value.cure


def test_blobs_in_a_home_that_cannot_be_written_are_refused(read_only_folder: Path) -> None:
    with ordinary_user(), pytest.raises(StoreError, match="Permission denied"):
        FolderBlobStore(read_only_folder / "blobs").put(b"evidence")


def test_a_folder_in_place_of_the_file_is_refused(home: Path, sqlite_url: str) -> None:
    (home / "auditor.db").mkdir(parents=True)
    with pytest.raises(StoreError, match="directory"):
        open_database(sqlite_url)


@pytest.mark.parametrize("folder", ["with space", "50% of it", "what?no", "caf\u00e9", "a&b=c#d"])
def test_any_folder_can_be_a_home(tmp_path: Path, folder: str) -> None:
    open_database(f"sqlite:///{tmp_path / folder}/auditor.db").dispose()
    assert (tmp_path / folder / "auditor.db").is_file()


@pytest.mark.parametrize(
    "url", ["", "nonsense", "mysql://root@127.0.0.1/db", "sqlite://", "sqlite:///:memory:"]
)
def test_a_url_that_is_no_store_is_refused(url: str) -> None:
    with pytest.raises(StoreError) as caught:
        open_database(url)
    assert "sqlite:///PATH" in caught.value.cure


def test_a_server_that_does_not_answer_is_named_without_its_password() -> None:
    with pytest.raises(StoreError, match="cannot be opened") as caught:
        open_database("postgresql://someone:secret@127.0.0.1:1/nowhere")
    assert "127.0.0.1:1" in caught.value.problem
    assert "secret" not in str(caught.value)


def test_what_another_process_closes_takes_nothing_from_one_that_opened_twice(
    home: Path, sqlite_url: str
) -> None:
    engine = open_database(sqlite_url)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE told (line TEXT)"))
    open_database(sqlite_url).dispose()
    # The last one to close a database in WAL mode removes what is written ahead: only a lock of
    # the first engine tells another process that it is not the last.
    path = sqlite_url.removeprefix("sqlite:///")
    count = "import contextlib, sqlite3, sys\nwith contextlib.closing(sqlite3.connect(sys.argv[1]))"
    count += " as c: print(c.execute('SELECT count(*) FROM told').fetchone()[0])"
    ask = [sys.executable, "-S", "-c", count, path]
    assert subprocess.check_output(ask) == b"0\n"
    with engine.begin() as connection:
        connection.execute(text("INSERT INTO told VALUES ('kept')"))
    assert subprocess.check_output(ask) == b"1\n"
    engine.dispose()
