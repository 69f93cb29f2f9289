"""Erase the evidence of a record for good; the record, its signature and its proofs stay."""

from pathlib import Path

import click

from auditor.cli.exits import Exit
from auditor.cli.own_ledger import own_ledger
from auditor.cli.terminals import terminal
from auditor.clock import now
from auditor.domain.records import AuditRecord
from auditor.erasing import erase, erased_files
from auditor.errors import StoreError, UsageError
from auditor.folders import RecordFolder, refuse_strangers, write_folder
from auditor.settings import Settings
from auditor.store.store import Store


@click.command("erase")
@click.argument("record")
@click.option("--yes", is_flag=True, help="Do not ask. Nothing that is erased comes back.")
def command(record: str, *, yes: bool) -> int:
    """Destroy the key of RECORD, and the evidence and data in the store that nothing else needs.

    RECORD is an id, or a record's folder, which then loses its rows too. The record must have been
    audited with `disclosure: rows`. Copies that were handed out are in others' hands.
    """
    console = terminal()
    folder = RecordFolder(Path(record)) if Path(record).is_dir() else None
    held = None if folder is None else _held(folder)
    name = record if held is None else held.id
    if not yes and not click.confirm(f"Erase the evidence of {name} for good?"):
        raise UsageError("nothing was erased", cure="Say yes, or give --yes.")
    with own_ledger() as store:
        secrets = Settings.from_environment().secrets
        done = erase(store, secrets, _kept(store, name, held), now())
    if folder is not None:
        write_folder(folder.path, erased_files(folder, done.proof))
    others = len(done.records) - 1
    shared = f" So was that of {others} records judged from it." if others else ""
    console.print(
        f"Erased the evidence of {name}: {done.removed} blobs removed, {done.kept} stay because "
        f"other records need them.{shared} Folders that hold copies are left as they are.",
        highlight=False,
        soft_wrap=True,
    )
    return Exit.DONE


def _held(folder: RecordFolder) -> AuditRecord:
    """Return the record in a folder that can be written anew. Raises ``UsageError``."""
    refuse_strangers(folder.path)
    return folder.record


def _kept(store: Store, name: str, held: AuditRecord | None) -> AuditRecord:
    with store.unit_of_work() as work:
        stored = work.find_record(name)
    if stored is None or (held is not None and held.digest != stored.digest):
        raise StoreError(
            f"the store has no record {name[:80]!r}, or another one of that name",
            cure="Name a record's id or folder, and the store that it is in (AUDITOR_HOME).",
        )
    return stored.read()
