"""Writes record folders, and prints the PDF report beside an audit.

The printer is tried before the audit starts; a later printing failure does not fail the audit.
"""

import re
from collections.abc import Callable, Mapping
from pathlib import Path

from rich.console import Console

from auditor._environment import environment_digest
from auditor._resources import code_digest
from auditor.cli.console import print_plain
from auditor.domain.records import AuditRecord
from auditor.errors import AuditorError, BrowserMissingError
from auditor.reports.folder import PAPER, RECORD, SIGNER, TIMESTAMP, RecordFolder, write_folder
from auditor.reports.formats.pdf import print_pdf
from auditor.store.record_store import RecordStore
from auditor.trust.keys.files import PUBLIC
from auditor.workflows.evidence import list_commitments
from auditor.workflows.ledger import open_existing_store
from auditor.workflows.settings import AuditorSettings

RECORD_ID = re.compile(r"aud-[0-9a-f]{24}")
"""What we call a record: another name comes from elsewhere, and is not put into a command."""


def write_record_folder(
    console: Console, folder: Path, files: Mapping[str, bytes], store: RecordStore | None = None
) -> None:
    """Write a record's folder; ``store`` is the one here, where it is open already.

    Raises ``UsageError`` as ``write_folder`` does.
    """
    if not (folder / RECORD).exists():
        said = ""
    else:
        # Whatever lies there, a record that is finished is written.
        held = RecordFolder(folder)
        try:
            record = held.record
        except (AuditorError, OSError):
            record = None
        if record is None or not RECORD_ID.fullmatch(record.id):
            said = f"Replaced a record that cannot be read, in {folder}"
        else:
            try:
                back = _way_back(held, record, AuditorSettings.from_environment(), store)
            except (AuditorError, OSError):
                back = "your store could not be read to find a copy of it"
            said = f"Replaced the record of {record.id} ({record.verdict}) in {folder}; {back}"
    write_folder(folder, files)
    if said:
        print_plain(console, said)


def _way_back(
    held: RecordFolder, record: AuditRecord, settings: AuditorSettings, store: RecordStore | None
) -> str:
    with open_existing_store(store or settings.place) as kept:
        if kept is None or not _there(kept, record):
            return "your store has no copy of it"
    # Whether publishing a record again gives what was signed; see `load_stored_files`
    own = settings.home / PUBLIC
    here = {"code": code_digest(), "environment": environment_digest()}
    same = all(record.tool.get(name) == value for name, value in here.items())
    mine = own.is_file() and own.read_bytes() == held.read(SIGNER)
    published_alike = same and mine and not held.has(PAPER)
    if not published_alike:
        return (
            "your store still has it, but `auditor export` cannot publish it again: another "
            "version or key did, or it had a PDF"
        )
    lost = {"its rows": bool(list_commitments(record)), "its timestamp": held.has(TIMESTAMP)}
    without = " and ".join(name for name, there in lost.items() if there)
    command = f"`auditor export {record.id} --out {record.id}.zip` brings it back"
    return f"{command}, without {without}" if without else command


def _there(store: RecordStore, record: AuditRecord) -> bool:
    with store.unit_of_work() as work:
        return work.find_record_by_digest(record.digest) is not None


Print = Callable[[str], bytes | None]
TRIED = '<!DOCTYPE html><html lang="en"><title>auditor</title><p>Does it print?</p></html>'


def prepare_printer(console: Console) -> Print:
    """Return what prints a page, or says why it did not: an audit that ran is not lost by that.

    Raises ``BrowserMissingError`` where not even an empty page can be printed.
    """
    print_pdf(TRIED)

    def print_page(page: str) -> bytes | None:
        try:
            return print_pdf(page)
        except (BrowserMissingError, OSError) as error:
            console.print(f"{PAPER} is not written: {error}", highlight=False, markup=False)
            return None

    return print_page
