"""Look at a model and its data, and draft an audit file to edit."""

from pathlib import Path

import click

from auditor.cli.main import ExitCode
from auditor.errors import UsageError
from auditor.inputs.auditfile.system import BEGUN_RISKS, NAMING, RISKS, SYSTEM, draft_system_file
from auditor.workflows.init import init_audit_file


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
@click.option(
    "--system",
    is_flag=True,
    help="Also begin system.yaml and risks.yaml beside it: what you declare of the system.",
)
def command(model: Path, data: Path, out: Path, *, system: bool) -> int:
    """Look at MODEL and --data, and write an audit file with every guess marked."""
    beside = {out.parent / SYSTEM: draft_system_file(model.stem), out.parent / RISKS: BEGUN_RISKS}
    for path in (out, *(beside if system else ())):
        if path.exists():
            cure = "Name another file with --out, or move it away."
            raise UsageError(f"{path} exists", cure=cure)
    text = init_audit_file(model, data, out.parent)
    _write(out, text + (NAMING if system else ""))
    for path, begun in beside.items() if system else ():
        _write(path, begun)
        click.echo(f"Wrote {path}. What you leave out, the report lists as missing.")
    click.echo(f"Wrote {out}. Check its guesses, then run: auditor plan {out}")
    return ExitCode.DONE


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(
            f"{path} cannot be written: {error.strerror}", cure="Name another file."
        ) from None
