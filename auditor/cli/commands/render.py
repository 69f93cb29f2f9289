"""Render a record's report again, as a PDF to file or to send."""

from pathlib import Path

import click

from auditor.cli.terminals import terminal
from auditor.errors import UsageError
from auditor.folders import RecordFolder
from auditor.paper import printed
from auditor.publishing import inputs_of
from auditor.recalling import policy_of
from auditor.rendering.report import render_html
from auditor.verifiers import own_verifier


@click.command("render")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--pdf", type=click.Path(path_type=Path), required=True, help="The file to write.")
def command(folder: Path, pdf: Path) -> int:
    """Print the report of the record in FOLDER as a PDF, by a browser that is installed here.

    It holds what report.html holds, all of it unfolded; each page has its number and the record's
    digest. A PDF is not signed: whoever doubts it asks for the folder, and verifies that.
    """
    place = RecordFolder(folder)
    record = place.record
    reader = own_verifier(place)
    policy = policy_of(place, record, reader.load_policy)
    inputs = inputs_of(record, policy, reader.checks, place.evidence)
    raw = printed(render_html(inputs, on_paper=True))
    try:
        pdf.write_bytes(raw)
    except OSError as error:
        raise UsageError(
            f"{pdf} cannot be written: {error.strerror}", cure="Name another file with --pdf."
        ) from None
    terminal().print(
        f"{pdf} shows record {record.digest}; `auditor verify {folder}` says whether it holds",
        highlight=False,
        markup=False,
        soft_wrap=True,
    )
    return 0
