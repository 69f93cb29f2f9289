"""Audit the ledger again, show it, and hand out its checkpoints and proofs."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import click

from auditor.cli.exits import Exit
from auditor.cli.places import own_workplace
from auditor.cli.showing import show_made, show_rows, show_steps
from auditor.cli.terminals import terminal
from auditor.clock import now, written
from auditor.domain.steps import all_hold
from auditor.errors import UsageError
from auditor.keeping import receipt
from auditor.keyaudits import audit_keys
from auditor.ledgers.receipts import FIRST_LINE, Receipt
from auditor.settings import Settings
from auditor.signing.ledger_keys import LEDGER_PUBLIC, load_note_key
from auditor.store.ledger_reading import LedgerEntry
from auditor.store.reaudits.acts import SERVICE_ROWS
from auditor.store.reaudits.reaudit import Known, reaudit
from auditor.store.store import Store
from auditor.witnesses import submit
from auditor.witnessing import witness

SHOWN = 20
OUT = click.option("--out", type=click.Path(path_type=Path), help="File to write; default: shown.")


@click.group("ledger")
def command() -> None:
    """Audit the ledger again, show it, and hand out its checkpoints and proofs."""


@command.command("verify")
@click.option(
    "--checkpoint",
    "checkpoints",
    type=click.Path(path_type=Path),
    multiple=True,
    help="A checkpoint, or a proof.tlog-proof, that was kept elsewhere; repeats.",
)
@click.option(
    "--key", type=click.Path(path_type=Path), help="The ledger's public key; default: your own."
)
@click.option(
    "--witness-key",
    "witness_keys",
    type=click.Path(path_type=Path),
    multiple=True,
    help="A witness's public key: its cosignatures must hold; repeats.",
)
def verify(checkpoints: tuple[Path, ...], key: Path | None, witness_keys: tuple[Path, ...]) -> int:
    """Audit all of the ledger, and every row of the store that it speaks of, again.

    Only a checkpoint from elsewhere shows that the whole was not written anew. Exit code: 0 when
    every step holds, 1 when one fails.
    """
    settings = Settings.from_environment()
    known = Known(
        key=load_note_key(key or settings.home / LEDGER_PUBLIC),
        witnesses=tuple(load_note_key(path) for path in witness_keys),
        checkpoints={str(path): _checkpoint_in(path) for path in checkpoints},
    )
    with _opened(settings) as store:
        steps = (*reaudit(store.engine, known, SERVICE_ROWS), audit_keys(store.engine))
    show_steps(terminal(), steps)
    return Exit.DONE if all_hold(steps) else Exit.FAILED


@command.command("show")
@click.argument("event_id", metavar="ID", required=False)
def show(event_id: str | None) -> int:
    """Show how far the ledger has grown and its last entries, or the entries with an ID."""
    with _opened(Settings.from_environment()) as store, store.ledger() as ledger:
        head = ledger.head()
        first = max(0, head.size - SHOWN)
        entries = (
            ledger.find(event_id)
            if event_id
            else tuple(ledger.entry(index) for index in range(first, head.size))
        )
        rows = [_row(item) for item in entries]
    console = terminal()
    console.print(f"{head.size} leaves, root {head.root.hex()}", highlight=False)
    show_rows(console, ("leaf", "type", "id", "time"), rows)
    return Exit.DONE


@command.command("checkpoint")
@click.option("--size", type=click.IntRange(min=1), help="Of how many leaves; default: the last.")
@OUT
def checkpoint(size: int | None, out: Path | None) -> int:
    """Hand out a signed checkpoint (C2SP tlog-checkpoint): keep it where others cannot reach it."""
    with _opened(Settings.from_environment()) as store, store.ledger() as ledger:
        _hand_out(ledger.checkpoint(size), out)
    return Exit.DONE


@command.command("prove")
@click.argument("event_id", metavar="ID")
@OUT
def prove(event_id: str, out: Path | None) -> int:
    """Hand out the proof (C2SP tlog-proof) that the ledger holds the entry with an ID."""
    with _opened(Settings.from_environment()) as store, store.ledger() as ledger:
        _hand_out(receipt(ledger, event_id), out)
    return Exit.DONE


@command.command("witness")
@click.argument("url")
@click.option(
    "--witness-key",
    type=click.Path(path_type=Path),
    required=True,
    help="The witness's public key.",
)
def ask_witness(url: str, witness_key: Path) -> int:
    """Let the witness at URL (C2SP tlog-witness) cosign the last checkpoint."""
    key = load_note_key(witness_key)
    with own_workplace() as place:
        show_made(terminal(), place.made_keys)
        done = witness(place.store, key, partial(submit, url), now())
    time = written(datetime.fromtimestamp(done.time, UTC))
    click.echo(f"{done.name} cosigned the checkpoint of {done.size} leaves at {time}")
    return Exit.DONE


@contextmanager
def _opened(settings: Settings) -> Iterator[Store]:
    store = Store.open(settings.database, settings.blobs)
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
    return Receipt.parse(raw).note if is_proof else raw


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


def _row(entry: LedgerEntry) -> tuple[str, ...]:
    leaf = entry.leaf
    return str(entry.index), leaf.type.value, leaf.id, leaf.time
