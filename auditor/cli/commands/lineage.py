"""Show the inputs of a record, and the verdicts that depend on a file, dataset or policy."""

import json
from pathlib import Path

import click
from rich.console import Console

from auditor.cli.input_paths import LineageName
from auditor.cli.main import ExitCode
from auditor.errors import UsageError
from auditor.reports.folder import RECORD, RecordFolder
from auditor.reports.formats.prov import build_prov_document
from auditor.reports.html.lineage import build_tree_lines, render_dot
from auditor.reports.lineage_trace import LineageTrace
from auditor.reports.terminal import create_console
from auditor.reports.terminal_text import escape_markup
from auditor.workflows.ledger import open_existing_store
from auditor.workflows.lineage import is_record_stored, trace_folder, trace_lineage
from auditor.workflows.settings import AuditorSettings

FORMATS = ("text", "json", "dot", "prov")
TONES = {"pass": "green", "fail": "bold red", "inconclusive": "yellow", "refuted": "bold red"}


@click.command("lineage")
@click.argument("what", type=LineageName(), metavar="RECORD|DIGEST|FILE")
@click.option("--up", "way", flag_value="up", help="Show its inputs; default for a record.")
@click.option(
    "--down",
    "way",
    flag_value="down",
    help=("Show the records that depend on it; default for all else."),
)
@click.option("--format", "form", type=click.Choice(FORMATS), default="text", show_default=True)
def command(what: str, way: str | None, form: str) -> int:
    """Show the lineage of a record (its folder or ID), of a file, or of a digest.

    The first digits of a digest are enough if they are unambiguous, with or without the kind:
    4f2a09, dataset:4f2a. The inputs of a record in a folder are shown without a store too.
    """
    found = _found(what, None if way is None else way == "down")
    if form == "text":
        _show(create_console(), found)
    elif form == "dot":
        click.echo(render_dot(found), nl=False)
    else:
        told = (
            found.to_json()
            if form == "json"
            else build_prov_document(
                found.entities.values(), found.activities.values(), found.edges
            )
        )
        click.echo(json.dumps(told, indent=2, sort_keys=True))
    return ExitCode.DONE


def _found(what: str, down: bool | None) -> LineageTrace:  # noqa: FBT001 -- three answers, by position
    folder = RecordFolder(Path(what)) if (Path(what) / RECORD).is_file() else None
    with open_existing_store(AuditorSettings.from_environment().place) as store:
        if store is not None:
            with store.unit_of_work() as work:
                if folder is None or down:
                    return trace_lineage(work, what, down=down)
                if is_record_stored(work, folder):
                    return trace_lineage(work, folder).joined(trace_folder(folder))
    if folder is not None and not down:
        return trace_folder(folder)
    raise UsageError(
        "there is no store here, so the records that depend on it are unknown",
        cure=(
            "Set AUDITOR_HOME to the store of the audits, or name a record folder without --down."
        ),
    )


def _show(console: Console, found: LineageTrace) -> None:
    for line in build_tree_lines(found):
        written_told = f"{line.node} {line.words}".replace("-", "_")
        said = line.role.replace("-", "_") in written_told
        role = "" if said else f"{escape_markup(line.role)}: "
        tone = TONES.get(line.verdict, "bold")
        verdict = f" [{tone}]{escape_markup(line.verdict.upper())}[/]" if line.verdict else ""
        words = f" {escape_markup(line.words)}" if line.words else ""
        console.print(
            f"[dim]{line.stem}[/]{role}[cyan]{escape_markup(line.node)}[/]{words}{verdict}",
            highlight=False,
            soft_wrap=True,
        )
    if found.down:
        told = ", ".join(f"{count} {verdict}" for verdict, count in sorted(found.verdicts.items()))
        count = sum(found.verdicts.values())
        console.print(f"Records that depend on it: {count}{f' ({told})' if told else ''}")
