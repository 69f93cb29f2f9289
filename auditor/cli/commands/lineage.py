"""Show what a record rests on, and which verdicts rest on a file, a data set or a policy."""

import json
from pathlib import Path

import click
from rich.console import Console

from auditor.cli.main import ExitCode
from auditor.cli.terminal import create_console
from auditor.cli.terminal_text import escape_markup
from auditor.errors import UsageError
from auditor.reports.folder import RECORD, RecordFolder
from auditor.reports.formats.prov import build_prov_document
from auditor.reports.html.lineage import TreeLine, build_tree_lines, render_dot
from auditor.reports.lineage_trace import LineageTrace
from auditor.workflows.ledger import open_existing_store
from auditor.workflows.lineage import is_record_stored, trace_folder, trace_lineage
from auditor.workflows.settings import AuditorSettings

FORMATS = ("text", "json", "dot", "prov")
TONES = {"pass": "green", "fail": "bold red", "inconclusive": "yellow", "refuted": "bold red"}


@click.command("lineage")
@click.argument("what", metavar="RECORD|DIGEST|FILE")
@click.option("--up", "way", flag_value="up", help="What it rests on; the default for a record.")
@click.option("--down", "way", flag_value="down", help="What rests on it; the default otherwise.")
@click.option("--format", "form", type=click.Choice(FORMATS), default="text", show_default=True)
def command(what: str, way: str | None, form: str) -> int:
    """Show the lineage of a record (its folder or id), of a file, or of a digest.

    The first digits of a digest are enough where they are unambiguous, with the kind before them
    or not: 4f2a09, dataset:4f2a. What a record in a folder rests on is told without a store too.
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
        "no store is kept here, and only one that keeps records knows what rests on a thing",
        cure="Set AUDITOR_HOME to that of the audits, or name a record's folder without --down.",
    )


def _show(console: Console, found: LineageTrace) -> None:
    for line in build_tree_lines(found):
        console.print(_written(line), highlight=False, soft_wrap=True)
    if found.down:
        told = ", ".join(f"{count} {verdict}" for verdict, count in sorted(found.verdicts.items()))
        count = sum(found.verdicts.values())
        console.print(f"Records that rest on it: {count}{f' ({told})' if told else ''}")


def _written(line: TreeLine) -> str:
    told = f"{line.node} {line.words}".replace("-", "_")
    said = line.role.replace("-", "_") in told
    role = "" if said else f"{escape_markup(line.role)}: "
    tone = TONES.get(line.verdict, "bold")
    verdict = f" [{tone}]{escape_markup(line.verdict.upper())}[/]" if line.verdict else ""
    words = f" {escape_markup(line.words)}" if line.words else ""
    return f"[dim]{line.stem}[/]{role}[cyan]{escape_markup(line.node)}[/]{words}{verdict}"
