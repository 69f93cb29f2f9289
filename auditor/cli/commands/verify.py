"""Verify a record's folder or bundle, or an artifact's signature, offline."""

from pathlib import Path
from typing import Any

import click
from rich.console import Console

from auditor.cli.exits import Exit
from auditor.cli.showing import show_steps
from auditor.cli.trusting import TrustOptions, trust_options
from auditor.cli.watching import hashing
from auditor.domain.steps import Step, all_hold
from auditor.errors import UsageError
from auditor.folders import RecordFolder
from auditor.packing import unpacked
from auditor.signing.artifacts import bytes_of
from auditor.signing.verification import verify_artifact
from auditor.verifying import verify_folder
from auditor.wiring import verifier


@click.command("verify")
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--signature", type=click.Path(path_type=Path), help="PATH is an artifact.")
@trust_options
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
    signature: Path | None,
    ledger_key: Path | None,
    witness_keys: tuple[Path, ...],
    **options: Any,  # noqa: ANN401 -- click's
) -> int:
    """Verify the record in the folder or bundle PATH, or the artifact PATH against --signature.

    Say whom to trust: a --key (the only way for a record); or --roots with --identity, for
    certificates; or --trusted-root with --identity and --issuer, for keyless signatures of
    Sigstore. Needs nothing but the files. Exit code: 0 when every step holds, 1 when one fails.
    """
    trust = TrustOptions(**options)
    if signature is None:
        steps = _record(path, trust, ledger_key, witness_keys)
    elif ledger_key is not None or witness_keys:
        raise UsageError(
            "a ledger holds records, and no artifact's signature",
            cure="Leave --ledger-key and --witness-key out, or --signature.",
        )
    else:
        steps = _artifact(path, signature, trust)
    show_steps(Console(), steps)
    return Exit.DONE if all_hold(steps) else Exit.FAILED


def _artifact(path: Path, signature: Path, trust: TrustOptions) -> tuple[Step, ...]:
    question = trust.question()
    with hashing(Console(stderr=True), lambda: bytes_of(path, (signature,))) as advance:
        return verify_artifact(path, signature, question, advance)


def _record(
    path: Path, trust: TrustOptions, ledger_key: Path | None, witness_keys: tuple[Path, ...]
) -> tuple[Step, ...]:
    if witness_keys and ledger_key is None:
        raise UsageError(
            "a witness's key says nothing without the ledger's", cure="Give --ledger-key too."
        )
    if trust.key is None or not trust.key_alone:
        raise UsageError(
            "A record is verified by the key of its signer alone", cure="Give --key, and no more."
        )
    parts = verifier(trust.key, ledger_key, witness_keys)
    if path.is_file() and path.suffix == ".zip":
        with unpacked(path) as folder:
            return verify_folder(folder, parts)
    if not path.is_dir():
        raise UsageError(
            f"{path} is not a record's folder, nor a bundle.zip of one",
            cure="Name the folder that `auditor audit` wrote, or give --signature for an artifact.",
        )
    return verify_folder(RecordFolder(path), parts)
