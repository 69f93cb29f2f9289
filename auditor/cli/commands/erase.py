"""Erase the evidence of a record for good; the record, its signature and its proofs stay."""

from pathlib import Path

import click

from auditor._time import utc_now
from auditor.cli.key_options import open_own_ledger
from auditor.cli.main import ExitCode
from auditor.cli.terminal import create_console
from auditor.domain.records import AuditRecord
from auditor.errors import StoreError, UsageError
from auditor.reports.folder import RecordFolder, refuse_foreign_files, write_folder
from auditor.store.record_store import RecordStore
from auditor.workflows.disclosure.erase import build_erased_files, erase_record
from auditor.workflows.settings import AuditorSettings


@click.command("erase")
@click.argument("record")
@click.option("--yes", is_flag=True, help="Do not ask. Nothing that is erased comes back.")
def command(record: str, *, yes: bool) -> int:
    """Destroy the key of RECORD, and the evidence and data in the store that nothing else needs.

    RECORD is an id, or a record's folder, which then loses its rows too. The record must have been
    audited with `disclosure: rows`. Copies that were handed out are in others' hands.
    """
    console = create_console()
    folder = RecordFolder(Path(record)) if Path(record).is_dir() else None
    held = None if folder is None else _held(folder)
    name = record if held is None else held.id
    if not yes and not click.confirm(f"Erase the evidence of {name} for good?"):
        raise UsageError("nothing was erased", cure="Say yes, or give --yes.")
    with open_own_ledger() as store:
        secrets = AuditorSettings.from_environment().secrets
        done = erase_record(store, secrets, _kept(store, name, held), utc_now())
    if folder is not None:
        write_folder(folder.path, build_erased_files(folder, done.proof))
    others = len(done.records) - 1
    shared = f" So was that of {others} records judged from it." if others else ""
    console.print(
        f"Erased the evidence of {name}: {done.removed} blobs removed, {done.kept} stay because "
        f"other records need them.{shared} Folders that hold copies are left as they are.",
        highlight=False,
        soft_wrap=True,
    )
    return ExitCode.DONE


def _held(folder: RecordFolder) -> AuditRecord:
    """Return the record in a folder that can be written anew. Raises ``UsageError``."""
    refuse_foreign_files(folder.path)
    return folder.record


def _kept(store: RecordStore, name: str, held: AuditRecord | None) -> AuditRecord:
    with store.unit_of_work() as work:
        stored = work.find_record(name)
    if stored is None or (held is not None and held.digest != stored.digest):
        raise StoreError(
            f"the store has no record {name[:80]!r}, or another one of that name",
            cure="Name a record's id or folder, and the store that it is in (AUDITOR_HOME).",
        )
    return stored.read()
