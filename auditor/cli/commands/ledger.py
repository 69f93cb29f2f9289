"""Verify and show the ledger, and write its checkpoints and proofs."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import click

from auditor._time import format_time, utc_now
from auditor.cli.console import show_new_keys, show_rows, show_steps
from auditor.cli.input_paths import CHECKPOINT, LOG_KEY
from auditor.cli.main import ExitCode
from auditor.cli.workspace import open_own_workspace
from auditor.domain.verification_steps import all_hold
from auditor.errors import UsageError
from auditor.reports.terminal import create_console
from auditor.service.store.audit_log_check import SERVICE_ROWS
from auditor.store.key_audit import audit_keys
from auditor.store.ledger_audit import LedgerReference, audit_ledger
from auditor.store.record_store import RecordStore
from auditor.store.witness import cosign_checkpoint, submit_checkpoint
from auditor.trust.keys.ledger_key import LEDGER_PUBLIC, load_note_key
from auditor.trust.ledger.receipts import FIRST_LINE, LedgerReceipt
from auditor.workflows.ledger import build_receipt
from auditor.workflows.settings import AuditorSettings

SHOWN = 20
OUT = click.option("--out", type=click.Path(path_type=Path), help="Output file; default: print it.")


@click.group("ledger")
def command() -> None:
    """Verify and show the ledger, and write its checkpoints and proofs."""


@command.command("verify")
@click.option(
    "--checkpoint",
    "checkpoints",
    type=CHECKPOINT,
    multiple=True,
    help="Checkpoint, or a proof.tlog-proof, that was kept on another machine. Repeatable.",
)
@click.option("--key", type=LOG_KEY, help="Public key of the ledger; default: your own.")
@click.option(
    "--witness-key",
    "witness_keys",
    type=LOG_KEY,
    multiple=True,
    help="Public key of a witness that must have cosigned. Repeatable.",
)
def verify(checkpoints: tuple[Path, ...], key: Path | None, witness_keys: tuple[Path, ...]) -> int:
    """Verify the whole ledger, and every row of the store that it covers.

    Only a checkpoint that was kept elsewhere proves that the whole ledger was not rewritten. Exit
    code: 0 if all steps pass, 1 if a step fails.
    """
    settings = AuditorSettings.from_environment()
    known = LedgerReference(
        key=load_note_key(key or settings.home / LEDGER_PUBLIC),
        witnesses=tuple(load_note_key(path) for path in witness_keys),
        checkpoints={str(path): _checkpoint_in(path) for path in checkpoints},
    )
    with _opened(settings) as store:
        steps = (*audit_ledger(store.engine, known, SERVICE_ROWS), audit_keys(store.engine))
    show_steps(create_console(), steps)
    return ExitCode.DONE if all_hold(steps) else ExitCode.FAILED


@command.command("show")
@click.argument("event_id", metavar="ID", required=False)
def show(event_id: str | None) -> int:
    """Show the size of the ledger and its last entries, or the entries with this ID."""
    with _opened(AuditorSettings.from_environment()) as store, store.ledger() as ledger:
        head = ledger.head()
        first = max(0, head.size - SHOWN)
        entries = (
            ledger.find(event_id)
            if event_id
            else tuple(ledger.entry(index) for index in range(first, head.size))
        )
        rows = []
        for item in entries:
            leaf = item.leaf
            rows.append((str(item.index), leaf.type.value, leaf.id, leaf.time))
    console = create_console()
    console.print(f"{head.size} leaves, root {head.root.hex()}", highlight=False)
    show_rows(console, ("leaf", "type", "id", "time"), rows)
    return ExitCode.DONE


@command.command("checkpoint")
@click.option(
    "--size",
    type=click.IntRange(min=1),
    help="Number of leaves of the checkpoint; default: all leaves.",
)
@OUT
def export_checkpoint(size: int | None, out: Path | None) -> int:
    """Write a signed checkpoint (C2SP tlog-checkpoint). Keep it on another machine."""
    with _opened(AuditorSettings.from_environment()) as store, store.ledger() as ledger:
        _hand_out(ledger.checkpoint(size), out)
    return ExitCode.DONE


@command.command("prove")
@click.argument("event_id", metavar="ID")
@OUT
def export_proof(event_id: str, out: Path | None) -> int:
    """Write the proof (C2SP tlog-proof) that the ledger contains the entry with this ID."""
    with _opened(AuditorSettings.from_environment()) as store, store.ledger() as ledger:
        _hand_out(build_receipt(ledger, event_id), out)
    return ExitCode.DONE


@command.command("witness")
@click.argument("url")
@click.option(
    "--witness-key",
    type=LOG_KEY,
    required=True,
    help="Public key of the witness.",
)
def ask_witness(url: str, witness_key: Path) -> int:
    """Ask the witness at URL (C2SP tlog-witness) to cosign the latest checkpoint."""
    key = load_note_key(witness_key)
    with open_own_workspace() as place:
        show_new_keys(create_console(), place.made_keys)
        done = cosign_checkpoint(place.store, key, partial(submit_checkpoint, url), utc_now())
    time = format_time(datetime.fromtimestamp(done.time, UTC))
    click.echo(f"{done.name} cosigned the checkpoint of {done.size} leaves at {time}")
    return ExitCode.DONE


@contextmanager
def _opened(settings: AuditorSettings) -> Iterator[RecordStore]:
    store = RecordStore.open(settings.database, settings.blobs)
    try:
        yield store
    finally:
        store.close()


def _checkpoint_in(path: Path) -> bytes:
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise UsageError(
            f"{path} cannot be read: {error.strerror}",
            cure="Name a checkpoint that `auditor ledger checkpoint` wrote, or a proof.",
        ) from None
    is_proof = raw.startswith(FIRST_LINE.encode())
    return LedgerReceipt.parse(raw).note if is_proof else raw


def _hand_out(raw: bytes, out: Path | None) -> None:
    if out is None:
        click.echo(raw.decode(), nl=False)
        return
    try:
        out.write_bytes(raw)
    except OSError as error:
        raise UsageError(
            f"{out} cannot be written: {error.strerror}", cure="Name another file with --out."
        ) from None
