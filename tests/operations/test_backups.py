"""Backups: whole or none, private, of a store in use, and laid out only where nothing is."""

import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from auditor._time import utc_now
from auditor.cli.commands.backup import command as backup
from auditor.cli.commands.restore import command as restore
from auditor.errors import StoreError, UsageError
from auditor.service.domain.submissions import UploadedFile, UploadKind
from auditor.service.server.assemble import HOOK_KEY
from auditor.service.store.submission_history import ServiceStore
from auditor.service.webhooks.signature import load_secret_key
from auditor.store.backup import StoreBackup, create_backup, restore_backup
from auditor.workflows.settings import AuditorSettings
from auditor.workflows.workspace import Workspace, open_workspace

AT = "2026-01-01T00:00:00Z"


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Workspace]:
    with open_workspace(settings_in(tmp_path / "one")) as opened:
        digest = opened.store.blobs.put(b"weights")
        kept = ServiceStore(opened.store)
        kept.add_project("default", AT)
        kept.note_upload(
            UploadedFile(
                project="default",
                digest=digest,
                kind=UploadKind.ARTIFACT,
                name="model.onnx",
                size=7,
                at=AT,
            )
        )
        load_secret_key(opened.settings.home / HOOK_KEY)
        (opened.settings.home / "disclosure").mkdir()
        (opened.settings.home / "disclosure" / ("0" * 64)).write_text("what opens a commitment")
        yield opened


def settings_in(home: Path) -> AuditorSettings:
    return AuditorSettings.from_environment({"AUDITOR_HOME": str(home)})


def said(command: object, home: Path, *arguments: object) -> Result:
    world = {"AUDITOR_HOME": str(home), "COLUMNS": "200"}
    options = [str(it) for it in arguments]
    return CliRunner().invoke(command, options, env=world, standalone_mode=False)  # type: ignore[arg-type]  # click's commands


def test_what_a_store_in_use_keeps_is_there_again_in_another_home(
    place: Workspace, tmp_path: Path
) -> None:
    folder, other = tmp_path / "backup", tmp_path / "two"
    assert said(backup, place.settings.home, folder).return_value == 0
    kept = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert {"auditor.db", "backup.json", "checkpoint", "keys/signer.key", "keys/ledger.key"} <= kept
    assert not any("disclosure" in name for name in kept)
    back = said(restore, other, folder)
    assert back.return_value == 0, back.stdout
    assert "all uploads and all file lists of records are present" in back.stdout
    with open_workspace(settings_in(other)) as again:
        assert again.made_keys == ()
        assert again.identity == place.identity
        assert load_secret_key(other / HOOK_KEY) == load_secret_key(place.settings.home / HOOK_KEY)
        with again.store.ledger() as ledger, place.store.ledger() as before:
            assert ledger.head() == before.head()


def test_only_its_owner_can_read_a_backup_and_what_is_restored(
    place: Workspace, tmp_path: Path
) -> None:
    create_backup(place.settings.place, tmp_path / "backup", AT)
    restore_backup(tmp_path / "backup", settings_in(tmp_path / "two").place)
    for root in (tmp_path / "backup", tmp_path / "two"):
        assert not any(
            stat.S_IMODE(path.stat().st_mode) & 0o077 for path in (root, *root.rglob("*"))
        )


def test_a_second_backup_copies_no_blob_again(place: Workspace, tmp_path: Path) -> None:
    folder = tmp_path / "backup"
    create_backup(place.settings.place, folder, AT)
    before = {path: path.stat().st_ino for path in folder.glob("blobs/??/*")}
    place.store.blobs.put(b"later")
    create_backup(place.settings.place, folder, AT)
    after = {path: path.stat().st_ino for path in folder.glob("blobs/??/*")}
    assert before.items() < after.items()


def test_a_backup_that_did_not_come_to_its_end_is_none(place: Workspace, tmp_path: Path) -> None:
    folder = tmp_path / "backup"
    create_backup(place.settings.place, folder, AT)
    (folder / "blobs").rename(folder / "away")
    (folder / "blobs").write_text("in the way")
    with pytest.raises(StoreError):
        create_backup(place.settings.place, folder, AT)
    with pytest.raises(UsageError, match="no backup that came to its end"):
        restore_backup(folder, settings_in(tmp_path / "two").place)
    assert not (tmp_path / "two").exists()


def test_a_blob_that_is_damaged_is_named_and_the_rest_is_kept(
    place: Workspace, tmp_path: Path
) -> None:
    digest = place.store.blobs.put(b"weights")
    path = place.store.blobs.path(digest)
    path.chmod(0o600)
    path.write_bytes(b"weightz")
    done = said(backup, place.settings.home, tmp_path / "backup")
    assert f"damaged: {digest}" in done.stdout
    assert done.return_value == 1
    lost = said(restore, tmp_path / "two", tmp_path / "backup")
    assert lost.return_value == 1
    assert f"{digest} is missing" in lost.stdout


def test_a_backup_replaces_nothing(place: Workspace, tmp_path: Path) -> None:
    create_backup(place.settings.place, tmp_path / "backup", AT)
    with pytest.raises(UsageError, match="there already"):
        restore_backup(tmp_path / "backup", place.settings.place)
    home = tmp_path / "two"
    home.mkdir()
    (home / "ledger.key").write_text("another ledger's")
    with pytest.raises(UsageError, match=r"ledger\.key is there already"):
        restore_backup(tmp_path / "backup", settings_in(home).place)


def test_a_restored_database_that_somebody_changed_is_found_out(
    place: Workspace, tmp_path: Path
) -> None:
    folder = tmp_path / "backup"
    create_backup(place.settings.place, folder, AT)
    with closing(sqlite3.connect(folder / "auditor.db")) as database:
        database.execute("DROP TRIGGER ledger_leaves_refuse_delete")
        database.execute("DELETE FROM ledger_leaves")
        database.commit()
    done = said(restore, tmp_path / "two", folder)
    assert done.return_value == 1
    assert "failed" in done.stdout.lower()


def test_a_backup_that_nobody_may_write_to_is_restored(place: Workspace, tmp_path: Path) -> None:
    folder = tmp_path / "backup"
    create_backup(place.settings.place, folder, AT)
    with closing(sqlite3.connect(folder / "auditor.db")) as copied:
        assert copied.execute("PRAGMA journal_mode").fetchone() == ("delete",)
    kept = {path for path in folder.rglob("*") if path.is_file()}
    restore_backup(folder, settings_in(tmp_path / "two").place)
    assert {path for path in folder.rglob("*") if path.is_file()} == kept


@pytest.mark.slow
def test_nothing_is_laid_out_beside_a_database_that_was_not_restored(
    place: Workspace, own_database: str, tmp_path: Path
) -> None:
    folder, home = tmp_path / "backup", tmp_path / "two"
    create_backup(place.settings.place, folder, AT, database=False)
    world = {"AUDITOR_HOME": str(home), "AUDITOR_DATABASE_URL": own_database}
    with pytest.raises(UsageError, match="has no tables") as caught:
        restore_backup(folder, AuditorSettings.from_environment(world).place)
    assert "pg_restore" in caught.value.cure
    assert not home.exists()


def test_a_dump_of_postgresql_is_not_made_by_the_command(tmp_path: Path) -> None:
    settings = AuditorSettings.from_environment(
        {"AUDITOR_HOME": str(tmp_path), "AUDITOR_DATABASE_URL": "postgresql://a@b/c"}
    )
    with pytest.raises(UsageError) as caught:
        create_backup(settings.place, tmp_path / "backup", utc_now())
    assert "pg_dump" in caught.value.cure
    made = create_backup(settings.place, tmp_path / "backup", AT, database=False)
    assert made == StoreBackup.read(tmp_path / "backup")
    assert made.revision is None
    with pytest.raises(UsageError, match="not of one kind"):
        restore_backup(tmp_path / "backup", settings_in(tmp_path / "two").place)
