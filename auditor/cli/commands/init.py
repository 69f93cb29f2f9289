"""Look at a model and its data, and draft an audit file to edit."""

from pathlib import Path

import click

from auditor.cli.exits import Exit
from auditor.drafting import draft
from auditor.errors import UsageError


@click.command("init")
@click.argument("model", type=click.Path(path_type=Path))
@click.option("--data", type=click.Path(path_type=Path), required=True, help="A labelled sample.")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("audit.yaml"),
    show_default=True,
    help="The audit file to write; never one that exists.",
)
def command(model: Path, data: Path, out: Path) -> int:
    """Look at MODEL and --data, and write an audit file with every guess marked."""
    if out.exists():
        raise UsageError(f"{out} exists", cure="Name another file with --out, or move it away.")
    text = draft(model, data, out.parent)
    try:
        out.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(
            f"{out} cannot be written: {error.strerror}", cure="Name another file."
        ) from None
    click.echo(f"Wrote {out}. Check its guesses, then run: auditor plan {out}")
    return Exit.DONE
