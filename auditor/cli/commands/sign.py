"""Sign a model's files with a key."""

from pathlib import Path

import click

from auditor.cli.exits import Exit
from auditor.errors import UsageError
from auditor.settings import Settings
from auditor.signatures.oms import sign_files
from auditor.signing.artifacts import digest_artifact
from auditor.signing.keys import PRIVATE, load_signer, new_keys


@click.command("sign")
@click.argument("artifact", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), required=True, help="The signature file.")
@click.option("--key", type=click.Path(path_type=Path), help="A private key; default: your own.")
def command(artifact: Path, out: Path, key: Path | None) -> int:
    """Sign ARTIFACT, an ONNX file with its external data or a folder (OpenSSF Model Signing)."""
    private = key or Settings.from_environment().home / PRIVATE
    if key is None and not private.exists():
        click.echo(f"First run: made the signing key {new_keys(private.parent).private}")
    signer = load_signer(private)
    files = digest_artifact(artifact, leave_out=(out,))
    bundle = sign_files(files, signer, name=artifact.resolve().name)
    try:
        out.write_bytes(bundle)
    except OSError as error:
        raise UsageError(
            f"{out} cannot be written: {error.strerror}", cure="Name another file."
        ) from None
    click.echo(f"Signed {artifact} as {signer.identity} into {out}")
    click.echo(
        "Name the public half of that key under model.key in the audit file: "
        f"{private.with_suffix('.pub')}"
    )
    return Exit.DONE
