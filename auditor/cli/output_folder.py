"""Write a record's folder, and say of the one that lay there which it was and how it comes back."""

import re
from collections.abc import Mapping
from pathlib import Path

from rich.console import Console

from auditor.cli.showing import say
from auditor.domain.records import AuditRecord
from auditor.environments import environment_digest
from auditor.errors import AuditorError
from auditor.folders import PAPER, RECORD, SIGNER, TIMESTAMP, RecordFolder, write_folder
from auditor.keeping import store_if_kept
from auditor.settings import Settings
from auditor.shipped import code_digest
from auditor.signing.keys import PUBLIC
from auditor.store.store import Store
from auditor.unsealing import committed

RECORD_ID = re.compile(r"aud-[0-9a-f]{24}")
"""What we call a record: another name comes from elsewhere, and is not put into a command."""


def write_record(
    console: Console, folder: Path, files: Mapping[str, bytes], store: Store | None = None
) -> None:
    """Write a record's folder; ``store`` is the one here, where it is open already.

    Raises ``UsageError`` as ``write_folder`` does.
    """
    said = _replaced(folder, store)
    write_folder(folder, files)
    if said:
        say(console, said)


def _replaced(folder: Path, store: Store | None) -> str:
    if not (folder / RECORD).exists():
        return ""
    # Whatever lies there, a record that is finished is written.
    held = RecordFolder(folder)
    try:
        record = held.record
    except (AuditorError, OSError):
        record = None
    if record is None or not RECORD_ID.fullmatch(record.id):
        return f"Replaced a record that cannot be read, in {folder}"
    try:
        back = _way_back(held, record, Settings.from_environment(), store)
    except (AuditorError, OSError):
        back = "whether your store has it cannot be told"
    return f"Replaced the record of {record.id} ({record.verdict}) in {folder}; {back}"


def _way_back(
    held: RecordFolder, record: AuditRecord, settings: Settings, store: Store | None
) -> str:
    with store_if_kept(store or settings.place) as kept:
        if kept is None or not _there(kept, record):
            return "no copy of it is in your store"
    if not _published_alike(held, record, settings.home / PUBLIC):
        return (
            "your store still has it, but `auditor export` cannot publish it again: another "
            "version or key did, or it had a PDF"
        )
    lost = {"its rows": bool(committed(record)), "its timestamp": held.has(TIMESTAMP)}
    without = " and ".join(name for name, there in lost.items() if there)
    command = f"`auditor export {record.id} --out {record.id}.zip` brings it back"
    return f"{command}, without {without}" if without else command


def _there(store: Store, record: AuditRecord) -> bool:
    with store.unit_of_work() as work:
        return work.find_record_by_digest(record.digest) is not None


def _published_alike(held: RecordFolder, record: AuditRecord, own: Path) -> bool:
    """Whether publishing a record again gives what was signed; see ``stored_files``."""
    here = {"code": code_digest(), "environment": environment_digest()}
    same = all(record.tool.get(name) == value for name, value in here.items())
    mine = own.is_file() and own.read_bytes() == held.read(SIGNER)
    return same and mine and not held.has(PAPER)
