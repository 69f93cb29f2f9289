"""Look at a model and its data, and draft an audit file to edit."""

import json
from pathlib import Path

import click
from rich.prompt import Prompt

from auditor.cli.console import print_plain
from auditor.cli.input_paths import DATA_FILE, DRAFTED_MODEL
from auditor.cli.main import ExitCode
from auditor.domain.guesses import Confidence, Guess
from auditor.domain.json import encode_canonical
from auditor.domain.name_suggestions import format_name_list
from auditor.errors import UsageError
from auditor.inputs.auditfile.system_files import (
    BEGUN_RISKS,
    NAMING,
    RISKS,
    SYSTEM,
    draft_system_file,
)
from auditor.reports.terminal import create_console
from auditor.reports.terminal_text import make_printable
from auditor.workflows.init import AuditDraft, init_audit_file

MOST_INPUTS = 40
"""Inputs that are listed, for a person to compare with those of the training."""
MOST_RANGES = 8
EVERY_FIGURE = ("task.kind", "task.classes", "task.positive", "data.evaluation.scores")
"""Settings that turn every figure round if they are wrong."""


@click.command("init")
@click.argument("model", type=DRAFTED_MODEL, required=False)
@click.option(
    "--data",
    type=DATA_FILE,
    required=True,
    help="A labelled sample; without MODEL, with the model's scores or decisions as columns.",
)
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
@click.option("--labels", metavar="COLUMN", help="The column of the true labels.")
@click.option("--ask", is_flag=True, help="Ask about every guess that is not certain.")
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text")
def command(  # noqa: PLR0913 -- one argument an option
    model: Path | None,
    data: Path,
    out: Path,
    labels: str | None,
    form: str,
    *,
    system: bool,
    ask: bool,
) -> int:
    """Look at MODEL and --data, and write an audit file with the evidence beside every guess.

    Without MODEL, --data holds what the model predicted. For a table it also writes a schema. A
    file of another framework is refused with the lines that export it.
    """
    beside = (out.parent / SYSTEM, out.parent / RISKS) if system else ()
    schema = out.with_name("schema.yaml" if out.stem == "audit" else f"{out.stem}-schema.yaml")
    _refuse_existing(out, *beside)
    asking = _ask if ask else None
    draft = init_audit_file(model, data, out.parent, schema=schema.name, ask=asking, labels=labels)
    texts = {out: draft.audit + (NAMING if system else "")}
    if draft.schema is not None:
        _refuse_existing(schema)
        texts[schema] = draft.schema
    texts |= dict(zip(beside, (draft_system_file(draft.facts.name), BEGUN_RISKS), strict=False))
    for path, text in texts.items():
        try:
            path.write_text(text, encoding="utf-8")
        except OSError as error:
            raise UsageError(
                f"{path} cannot be written: {error.strerror}", cure="Name another file."
            ) from None
    if form == "json":
        click.echo(encode_canonical(draft.to_json(list(texts))).decode())
        return ExitCode.DONE
    if draft.schema is not None:
        click.echo(f"Wrote {schema}, which tells attacks what may move, and how far.")
    for path in beside:
        click.echo(f"Wrote {path}. What you leave out, the report lists as missing.")
    _print_guesses(draft)
    click.echo(f"Wrote {out}. Check its guesses, then run: auditor plan {out}")
    return ExitCode.DONE


def _print_guesses(draft: AuditDraft) -> None:
    """Print what a person has to check, the doubts first."""
    for doubt in draft.facts.doubts:
        click.secho(make_printable(f"Warning: {doubt}"), fg="yellow", bold=True)
    hoped = next((it for it in draft.guesses if it.setting == "task.favourable"), None)
    if hoped is not None and hoped.confidence.uncertain and draft.facts.groups:
        line = f"Check task.favourable: rules of groups take {hoped.value!r} as the good outcome."
        click.echo(make_printable(line))
    open_settings = [it.setting for it in draft.guesses if it.confidence is Confidence.LOW]
    if open_settings:
        click.echo(make_printable(f"Guesses without evidence: {', '.join(open_settings)}"))
    ranged = [it.name for it in draft.facts.features if it.range is not None]
    if ranged:
        click.echo(
            "Ranges guessed from these rows (others beyond them are refused, such as training "
            f"rows): {make_printable(format_name_list(ranged, MOST_RANGES))}"
        )
    if names := [it.name for it in draft.facts.features]:
        order = make_printable(format_name_list(names, MOST_INPUTS))
        click.echo(f"Inputs in the order of the file's columns; compare with training: {order}")
    likely = {it.setting for it in draft.guesses if it.confidence is Confidence.MEDIUM}
    if every := [setting for setting in EVERY_FIGURE if setting in likely]:
        click.echo(f"Guesses that every figure rests on: {', '.join(every)}")


def _ask(guess: Guess, problem: str) -> str:
    """Show a guess with its evidence, and return the answer; blank keeps it."""
    console = create_console(stderr=True)
    if problem:
        print_plain(console, f"  {problem}")
    else:
        value = json.dumps(guess.value, ensure_ascii=False)
        print_plain(console, f"{guess.setting}: {value}\n  {guess.evidence}")
    try:
        return Prompt.ask(
            "  Enter to keep it, or another value", console=console, default="", show_default=False
        )
    except EOFError:
        raise UsageError(
            "--ask got no answer", cure="Run it in a terminal, or leave --ask out."
        ) from None


def _refuse_existing(*paths: Path) -> None:
    for path in paths:
        if path.exists():
            cure = "Name another file with --out, or move it away."
            raise UsageError(f"{path} exists", cure=cure)
