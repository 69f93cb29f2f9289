"""Render a record's report again, as a PDF to file or to send."""

from pathlib import Path

import click

from auditor.cli.terminal import create_console
from auditor.errors import UsageError
from auditor.reports.folder import RecordFolder
from auditor.reports.formats.html import render_html
from auditor.reports.formats.pdf import print_pdf
from auditor.reports.publish import build_rendering_inputs
from auditor.workflows.evidence import load_record_policy
from auditor.workflows.verify.verifiers import build_own_verifier


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
    reader = build_own_verifier(place)
    policy = load_record_policy(place, record, reader.load_policy)
    inputs = build_rendering_inputs(record, policy, reader.checks, place.evidence)
    raw = print_pdf(render_html(inputs, on_paper=True))
    try:
        pdf.write_bytes(raw)
    except OSError as error:
        raise UsageError(
            f"{pdf} cannot be written: {error.strerror}", cure="Name another file with --pdf."
        ) from None
    create_console().print(
        f"{pdf} shows record {record.digest}; `auditor verify {folder}` says whether it holds",
        highlight=False,
        markup=False,
        soft_wrap=True,
    )
    return 0
