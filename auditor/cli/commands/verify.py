"""Verify a record's folder, or an artifact's signature, offline."""

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
from auditor.signing.artifacts import bytes_of
from auditor.signing.verification import verify_artifact
from auditor.verifying import verify_folder
from auditor.wiring import verifier


@click.command("verify")
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--signature", type=click.Path(path_type=Path), help="PATH is an artifact.")
@trust_options
def command(path: Path, signature: Path | None, **options: Any) -> int:  # noqa: ANN401 -- click's
    """Verify the record in the folder PATH, or the artifact PATH against its --signature.

    Say whom to trust: a --key (the only way for a record); or --roots with --identity, for
    certificates; or --trusted-root with --identity and --issuer, for keyless signatures of
    Sigstore. Needs nothing but the files. Exit code: 0 when every step holds, 1 when one fails.
    """
    trust = TrustOptions(**options)
    console = Console()
    steps = _record(path, trust) if signature is None else _artifact(path, signature, trust)
    show_steps(console, steps)
    return Exit.DONE if all_hold(steps) else Exit.FAILED


def _artifact(path: Path, signature: Path, trust: TrustOptions) -> tuple[Step, ...]:
    question = trust.question()
    with hashing(Console(stderr=True), lambda: bytes_of(path, (signature,))) as advance:
        return verify_artifact(path, signature, question, advance)


def _record(path: Path, trust: TrustOptions) -> tuple[Step, ...]:
    if trust.key is None or not trust.key_alone:
        raise UsageError(
            "A record is verified by the key of its signer alone", cure="Give --key, and no more."
        )
    if not path.is_dir():
        raise UsageError(
            f"{path} is not a record's folder",
            cure="Name the folder that `auditor audit` wrote, or give --signature for an artifact.",
        )
    return verify_folder(RecordFolder(path), verifier(trust.key))
