"""Erase the evidence of a record permanently; the record, its signature and its proofs remain."""

from pathlib import Path

import click

from auditor._time import utc_now
from auditor.cli.input_paths import StoredRecordName
from auditor.cli.key_options import open_own_ledger
from auditor.cli.main import ExitCode
from auditor.errors import StoreError, UsageError
from auditor.reports.folder import RecordFolder, refuse_foreign_files, write_folder
from auditor.reports.terminal import create_console
from auditor.workflows.disclosure.erase import build_erased_files, erase_record
from auditor.workflows.settings import AuditorSettings


@click.command("erase")
@click.argument("record", type=StoredRecordName())
@click.option("--yes", is_flag=True, help="Do not ask for confirmation. You cannot undo this.")
def command(record: str, *, yes: bool) -> int:
    """Destroy the key of RECORD, and its evidence and data in the store unless other records need
    them.

    RECORD is an ID or a record folder. The rows in that folder are erased too. The audit must have
    used `disclosure: rows`. Copies that you gave to others remain with them.
    """
    console = create_console()
    folder = RecordFolder(Path(record)) if Path(record).is_dir() else None
    if folder is None:
        held = None
    else:
        # The record in a folder that can be written anew
        refuse_foreign_files(folder.path)
        held = folder.record
    name = record if held is None else held.id
    if not yes and not click.confirm(f"Erase the evidence of {name} permanently?"):
        raise UsageError("erasing was not confirmed", cure="Confirm, or use --yes.")
    with open_own_ledger() as store:
        secrets = AuditorSettings.from_environment().secrets
        with store.unit_of_work() as work:
            stored = work.find_record(name)
        if stored is None or (held is not None and held.digest != stored.digest):
            raise StoreError(
                f"record {name[:80]!r} is not in the store, or it has another one of that ID",
                cure="Name the ID or folder of a record, and set AUDITOR_HOME to its store.",
            )
        done = erase_record(store, secrets, stored.read(), utc_now())
    if folder is not None:
        write_folder(folder.path, build_erased_files(folder, done.proof))
    others = len(done.records) - 1
    shared = f" The evidence of {others} records judged from it was erased too." if others else ""
    console.print(
        f"Erased the evidence of {name}: removed {done.removed} blobs, kept {done.kept} "
        f"that other records need.{shared} Copies in other folders were not changed.",
        highlight=False,
        soft_wrap=True,
    )
    return ExitCode.DONE
