"""Run the request of a record again, and compare the readings."""

from pathlib import Path

import click

from auditor.cli.code_permission_options import target_code_option
from auditor.cli.console import print_plain, show_new_keys, show_rows, show_steps
from auditor.cli.format_options import JSON, create_message_console, format_option, print_json
from auditor.cli.input_paths import RECORD_FOLDER
from auditor.cli.main import ExitCode
from auditor.cli.workspace import open_own_workspace
from auditor.domain.findings import format_place
from auditor.domain.number_text import format_measurement
from auditor.domain.readings import Gap, Reading
from auditor.reports.folder import RecordFolder
from auditor.targets.config import (
    load_operator_targets,
)
from auditor.workflows.command_documents import describe_reproduction
from auditor.workflows.progress import ConsoleProgress
from auditor.workflows.reproduce import reproduce_record_folder
from auditor.workflows.reproduced_readings import ExemptReading


@click.command("reproduce")
@click.argument("folder", type=RECORD_FOLDER)
@click.option(
    "--inputs",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Folder with the inputs of the audit, found by digest; default: AUDITOR_HOME.",
)
@click.option(
    "--allow-recipe",
    is_flag=True,
    help="Run the training recipe of the record. Needs bubblewrap.",
)
@target_code_option
@format_option
def command(
    folder: Path, inputs: Path | None, form: str, *, allow_recipe: bool, allow_target_code: bool
) -> int:
    """Run the request of the record in FOLDER again, and compare the readings.

    Readings that depend on the machine (times, memory) are not compared. They are listed with the
    figures of both runs, with a warning if these are more than 10 times apart. Rows are sent to an
    endpoint only if ./targets.yaml declares an endpoint with the same address. Exit code: 0 if all
    compared readings agree, 1 if one does not, or if no reading can be compared.
    """
    console = create_message_console(form)
    operator = load_operator_targets(folder, allow_code=allow_target_code)
    with open_own_workspace() as place:
        show_new_keys(console, place.made_keys)
        found = reproduce_record_folder(
            RecordFolder(folder),
            place,
            ConsoleProgress(console),
            operator,
            inputs=inputs,
            allow_recipe=allow_recipe,
        )
    code = ExitCode.DONE if found.holds else ExitCode.FAILED
    if form == JSON:
        print_json(describe_reproduction(found, exit_code=code))
        return code
    show_steps(console, found.steps)
    if found.exempt:
        print_plain(console, "Not compared:")
        show_rows(console, HEADS, [_row(item) for item in found.exempt])
    print_plain(console, found.summary)
    return code


HEADS = ("Figure", "Record", "This run", "Warning")


def _row(item: ExemptReading) -> tuple[str, ...]:
    place = item.place
    name = f"{place.check}/{place.metric}" if place.metric else place.check
    figure = f"{name}{format_place(place.params)} on {place.target}"
    return figure, _show(item.recorded), _show(item.fresh), item.warning


def _show(reading: Reading | None) -> str:
    if reading is None:
        return "-"
    if isinstance(reading, Gap):
        return f"gap: {reading.reason}"
    text = format_measurement(reading)
    return f"{text.value} ({text.interval})" if text.interval else text.value
