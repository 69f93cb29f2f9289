"""Verify a record's folder, or an artifact's signature, offline."""

from pathlib import Path

import click
from rich.console import Console

from auditor.cli.exits import Exit
from auditor.cli.showing import show_steps
from auditor.domain.steps import all_hold
from auditor.errors import UsageError
from auditor.folders import RecordFolder
from auditor.signing.verification import verify_artifact
from auditor.verifying import verify_folder
from auditor.wiring import verifier


@click.command("verify")
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--key", type=click.Path(path_type=Path), required=True, help="The public key.")
@click.option("--signature", type=click.Path(path_type=Path), help="PATH is an artifact.")
@click.option(
    "--ledger-key",
    type=click.Path(path_type=Path),
    help="The public key of the ledger (ledger.pub): the record must be in it.",
)
@click.option(
    "--witness-key",
    "witness_keys",
    type=click.Path(path_type=Path),
    multiple=True,
    help="The public key of a witness that must have cosigned; repeats.",
)
def command(
    path: Path,
    key: Path,
    signature: Path | None,
    ledger_key: Path | None,
    witness_keys: tuple[Path, ...],
) -> int:
    """Verify the record in the folder PATH, or the artifact PATH against its --signature.

    Needs nothing but the files and the key. Exit code: 0 when every step holds, 1 when one fails.
    """
    if witness_keys and ledger_key is None:
        raise UsageError(
            "a witness's key says nothing without the ledger's", cure="Give --ledger-key too."
        )
    if signature is not None:
        steps = verify_artifact(path, signature, key)
    elif not path.is_dir():
        raise UsageError(
            f"{path} is not a record's folder",
            cure="Name the folder that `auditor audit` wrote, or give --signature for an artifact.",
        )
    else:
        steps = verify_folder(RecordFolder(path), verifier(key, ledger_key, witness_keys))
    show_steps(Console(), steps)
    return Exit.DONE if all_hold(steps) else Exit.FAILED
