"""Restore a backup into an AUDITOR_HOME without a store, and check it."""

from collections.abc import Iterator
from pathlib import Path

import click

from auditor.cli.console import show_steps
from auditor.cli.input_paths import BACKUP
from auditor.cli.main import ExitCode
from auditor.domain.verification_steps import VerificationStep, all_hold
from auditor.reports.terminal import create_console
from auditor.service.store.audit_log_check import SERVICE_ROWS
from auditor.store.backup import CHECKPOINT, restore_backup
from auditor.store.key_audit import audit_keys
from auditor.store.ledger_audit import LedgerReference, audit_ledger
from auditor.store.record_store import RecordStore, list_missing_blobs
from auditor.trust.keys.ledger_key import LEDGER_PUBLIC, load_note_key
from auditor.workflows.settings import AuditorSettings


@click.command("restore")
@click.argument("folder", type=BACKUP)
@click.option(
    "--checkpoint",
    "checkpoints",
    multiple=True,
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help=(
        "Checkpoint of the ledger that was kept on another machine, to verify the "
        "backup against. Repeatable."
    ),
)
def command(folder: Path, checkpoints: tuple[Path, ...]) -> int:
    """Restore the backup in FOLDER into AUDITOR_HOME, then check its whole ledger and all blobs.

    Restore a PostgreSQL database first (pg_restore). Exit code: 0 if all checks pass, 1 if a check
    fails; do not start a service on it then.
    """
    settings = AuditorSettings.from_environment()
    made = restore_backup(folder, settings.place)
    own = folder / CHECKPOINT
    kept = (*checkpoints, *((own,) if made.revision is not None and own.is_file() else ()))
    known = LedgerReference(
        key=load_note_key(settings.home / LEDGER_PUBLIC),
        checkpoints={str(path): path.read_bytes() for path in kept},
    )
    store = RecordStore.open(settings.database, settings.blobs)
    try:
        ledger = audit_ledger(store.engine, known, SERVICE_ROWS)
        steps = (*ledger, audit_keys(store.engine), *_blobs(store))
    finally:
        store.close()
    show_steps(create_console(), steps)
    return ExitCode.DONE if all_hold(steps) else ExitCode.FAILED


def _blobs(store: RecordStore) -> Iterator[VerificationStep]:
    mistakes = [f"{digest} is missing" for digest in list_missing_blobs(store)]
    yield VerificationStep.of(
        "blobs", mistakes, "all uploads and all file lists of records are present"
    )
